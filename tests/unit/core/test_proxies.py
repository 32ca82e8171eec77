"""What is said of a proxy by what it has loaded, also where Citadel leaves it alone. Rows of facts/istio.md, 6.5."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.checks.rule import Policy
from bot.core.checks.table import VERIFICATION
from bot.core.findings import Verdict
from bot.core.mesh import EVERYTHING, MeshSnapshot, NamespaceFacts, Part, Proxy, WorkloadSecret
from bot.core.verification import HolderVerdict, judge_proxies, judge_secrets
from tests.unit.core.builders import (
    SYSTEM,
    a_ca_secret,
    a_citadel,
    a_leaf,
    a_mesh,
    a_namespace,
    a_new_root,
    a_proxy,
    a_root,
    a_secret,
    a_trust,
    a_webhook,
    bundle,
    found,
    loaded,
    the_leaf,
    the_root,
)
from tests.unit.hardcases.making import DAY, NOW, key

ROOT, OTHER_CA = the_root(), a_root(key("p256", 1), serial=44)
OLD = a_root(until=NOW + 9 * DAY, serial=5)
UNSEEN = a_root(until=NOW + 8 * DAY, serial=6)
EXPIRED = a_leaf(since=NOW - 80 * DAY, until=NOW)
FOREIGN_LEAF = a_leaf(OTHER_CA, key("p256", 1), serial=33)


def verdict_on(proxy: Proxy, **changes: Any) -> HolderVerdict:
    (judged,) = judge_proxies(a_mesh(proxies=(proxy,), **changes), ROOT)
    return judged


LOADED: dict[str, tuple[Proxy, Verdict, str]] = {
    "the root is loaded": (a_proxy(), Verdict.OK, ""),
    "the root is loaded twice, once for each context": (
        a_proxy(roots=(loaded(ROOT), loaded(ROOT))), Verdict.OK, ""),
    "no leaf was told": (a_proxy(leaves=()), Verdict.OK, ""),
    "the root before it is loaded": (
        a_proxy(roots=(loaded(OLD),)), Verdict.NOT_OK,
        "has the root valid from 2025-11-23 18:41:00 to 2026-12-02 loaded"),
    "some contexts still have the root before it": (
        a_proxy(roots=(loaded(ROOT), loaded(OLD))), Verdict.NOT_OK, "to 2026-12-02 loaded"),
    "the same serial number with another beginning": (
        a_proxy(roots=(replace(loaded(ROOT), not_before=ROOT.not_before + timedelta(seconds=1)),)),
        Verdict.NOT_OK, "has the root valid from"),
    "the same beginning with another serial number": (
        a_proxy(roots=(replace(loaded(ROOT), serial=6),)), Verdict.NOT_OK, "has the root valid from"),
    "its own certificate expired this second": (
        a_proxy(leaves=(loaded(EXPIRED),)), Verdict.NOT_OK,
        "has a certificate loaded that expired at 2026-11-23 18:41:00 UTC"),
    "some contexts still have a certificate that expired": (
        a_proxy(leaves=(loaded(EXPIRED), loaded(the_leaf()))), Verdict.NOT_OK, "that expired at 2026-11-23"),
    "its certificate is from before the root, which has the same key": (
        a_proxy(leaves=(loaded(a_leaf(since=ROOT.not_before - DAY, until=NOW + DAY)),)), Verdict.OK, ""),
    # 48
    "no root is shown": (a_proxy(roots=()), Verdict.UNKNOWN, "it shows no root certificate"),
    # 48
    "the page could not be read, whatever else it told": (
        a_proxy(fault="answered a list of certificates that breaks off"), Verdict.UNKNOWN, "breaks off"),
    # 50
    "the pod is Pending": (a_proxy(roots=(), fault="the pod is Pending"), Verdict.UNKNOWN, "Pending"),
    # 50
    "the pod has completed": (a_proxy(roots=(), asked=False), Verdict.SKIPPED, "has ended or is ending"),
    # 51
    "the pod is gone": (a_proxy(roots=(), asked=False, fault="is gone"), Verdict.SKIPPED, "is gone"),
}  # fmt: skip


@pytest.mark.parametrize("case", LOADED)
def test_a_proxy_is_judged_by_what_it_has_loaded(case: str) -> None:
    proxy, verdict, reason = LOADED[case]

    judged = verdict_on(proxy)

    assert judged.what == "proxy of shop/cart-0"
    assert judged.verdict is verdict
    assert reason in judged.reason
    assert (judged.cure != "") is (verdict in (Verdict.NOT_OK, Verdict.UNKNOWN))


# 66
def test_a_loaded_certificate_of_another_key_is_told_by_its_secret() -> None:
    secret = a_secret(leaf=FOREIGN_LEAF)

    judged = verdict_on(a_proxy(leaves=(loaded(FOREIGN_LEAF),)), secrets=(secret,))

    assert judged.verdict is Verdict.NOT_OK
    assert judged.reason == "has a certificate loaded that was signed with another key"
    assert judged.cure == "see that its secret is in order, then restart Deployment cart"


def test_a_loaded_certificate_that_is_not_the_secret_s_is_not_judged_by_it() -> None:
    assert verdict_on(a_proxy(), secrets=(a_secret(leaf=FOREIGN_LEAF),)).verdict is Verdict.OK


@pytest.mark.parametrize(
    ("version", "cure"),
    [
        ("1.1.7", "sidecar 1.1.7 does not load a new root by itself: restart Deployment cart"),
        ("1.4.10", "the kubelet and Envoy take up to three minutes; after that restart Deployment cart"),
        ("", "the kubelet and Envoy take up to three minutes; after that restart Deployment cart"),
    ],
)
def test_the_cure_of_a_proxy_depends_on_its_version(version: str, cure: str) -> None:
    assert verdict_on(a_proxy(version=version, roots=(loaded(OLD),))).cure == cure


def test_a_bare_pod_is_named_where_there_is_no_workload_to_restart() -> None:
    bare = a_proxy(roots=(loaded(OLD),))
    bare = replace(bare, pod=replace(bare.pod, workload=""))

    assert verdict_on(bare).cure.endswith("restart Pod shop/cart-0")


# --- what Citadel leaves alone ------------------------------------------------------------------------

FORGED = a_root(key("p256", 1), since=UNSEEN.not_before, until=UNSEEN.not_after, serial=UNSEEN.serial)
OUT = "its namespace opted out (label ca.istio.io/override=false)"
OTHERS = a_secret(root=bundle(OTHER_CA), leaf=FOREIGN_LEAF)
OURS = a_secret(root=bundle(OLD))
NO_CONTEXT = "has no TLS context"


def opted_out(proxy: Proxy, *secrets: WorkloadSecret, **facts: Any) -> MeshSnapshot:
    shop: NamespaceFacts = a_namespace(**({"override": "false"} | facts))
    return a_mesh(proxies=(proxy,), secrets=secrets, namespaces=(a_namespace(SYSTEM), shop))


LEFT_ALONE: dict[str, tuple[MeshSnapshot, Verdict, str]] = {
    "it has nothing, and there is no secret for it": (
        opted_out(a_proxy(roots=(), leaves=(), fault=NO_CONTEXT)), Verdict.SKIPPED,
        f"{OUT}, and it has nothing of this CA"),
    "it has no context, and its secret is another CA's": (
        opted_out(a_proxy(roots=(), leaves=(), fault=NO_CONTEXT), OTHERS), Verdict.SKIPPED, OUT),
    "it could not be asked, and its secret is another CA's": (
        opted_out(a_proxy(roots=(), fault="may not"), OTHERS), Verdict.UNKNOWN, f"may not; {OUT}"),
    "it could not be asked, and there is no secret for it": (
        opted_out(a_proxy(roots=(), fault="may not")), Verdict.UNKNOWN, f"may not; {OUT}"),
    "it shows no root, and its secret is another CA's": (
        opted_out(a_proxy(roots=()), OTHERS), Verdict.UNKNOWN, "it shows no root certificate"),
    "it told a part, all of it another CA's": (
        opted_out(a_proxy(roots=(loaded(OTHER_CA),), fault="breaks off"), OTHERS), Verdict.UNKNOWN, "breaks off"),
    "it has another CA's root, as its secret": (
        opted_out(a_proxy(roots=(loaded(OTHER_CA),)), OTHERS), Verdict.SKIPPED, OUT),
    "it belongs to another Citadel and has that one's root": (
        opted_out(a_proxy(roots=(loaded(OTHER_CA),)), OTHERS, override="", environment="istio-two"),
        Verdict.SKIPPED, "its namespace belongs to the Citadel in istio-two"),
    "it was given to another Citadel, and goes on with a root that nothing holds any more": (
        opted_out(a_proxy(roots=(loaded(UNSEEN),)), OTHERS, override="", environment="istio-two"),
        Verdict.UNKNOWN, "whose it is cannot be told; its namespace belongs to the Citadel in istio-two"),
    "one of its contexts goes on with a root that nothing holds any more": (
        opted_out(a_proxy(roots=(loaded(OTHER_CA), loaded(UNSEEN))), OTHERS),
        Verdict.UNKNOWN, f"cannot be told; {OUT}"),
    "it has another CA's root that is known from elsewhere only": (
        opted_out(a_proxy(roots=(loaded(OTHER_CA),)), a_secret("x", "bank", root=bundle(OTHER_CA))),
        Verdict.UNKNOWN, f"cannot be told; {OUT}"),
    "it has a root whose number and start somebody put into a certificate of another key": (
        opted_out(a_proxy(roots=(loaded(UNSEEN),)), OTHERS, a_secret("x", "bank", root=bundle(FORGED))),
        Verdict.UNKNOWN, f"cannot be told; {OUT}"),
    "it has the root that is expected": (opted_out(a_proxy(), OURS), Verdict.OK, ""),
    "it has an older root of this CA": (
        opted_out(a_proxy(roots=(loaded(OLD),)), OURS), Verdict.NOT_OK,
        f"to 2026-12-02 loaded, and Citadel will not renew it: {OUT}"),
    "its service account is gone, and it has an older root of this CA": (
        opted_out(a_proxy(roots=(loaded(OLD),)), OURS, override="", service_accounts=frozenset()),
        Verdict.NOT_OK, "will not renew it: its service account cart no longer exists"),
    "it has an older root that is known from elsewhere only": (
        opted_out(a_proxy(roots=(loaded(OLD),)), a_secret("x", "bank", root=bundle(OLD))),
        Verdict.NOT_OK, "will not renew it"),
    "it has a root that was never seen, and its secret is this CA's": (
        opted_out(a_proxy(roots=(loaded(UNSEEN),)), OURS), Verdict.NOT_OK, "will not renew it"),
    "it has a root that was never seen, and no secret shows whose": (
        opted_out(a_proxy(roots=(loaded(UNSEEN),))), Verdict.UNKNOWN, f"cannot be told; {OUT}"),
    "it could not be asked, and its secret is this CA's": (
        opted_out(a_proxy(roots=(), fault="may not"), OURS), Verdict.UNKNOWN, "may not"),
    "its certificate expired, under the root that is expected": (
        opted_out(a_proxy(leaves=(loaded(EXPIRED),)), OURS), Verdict.NOT_OK, "will not renew it"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_a_proxy_that_citadel_leaves_alone_is_skipped_unless_it_depends_on_the_root(case: str) -> None:
    mesh, verdict, reason = LEFT_ALONE[case]

    (judged,) = judge_proxies(mesh, ROOT)

    assert judged.verdict is verdict
    assert reason in judged.reason


def test_a_verification_is_never_green_over_a_root_that_cannot_be_told() -> None:
    """After a rotation nothing holds the old root any more but the Envoy that was forgotten."""
    new, lost = a_new_root(), a_proxy(version="1.1.5", roots=(loaded(ROOT),))
    home = a_secret("istio-pilot-service-account", SYSTEM, root=bundle(new), leaf=a_leaf(new))
    mesh = opted_out(lost, home, OTHERS)
    mesh = replace(
        mesh, ca_secret=a_ca_secret(new), trust=a_trust(new), webhooks=(a_webhook(root=bundle(new)),)
    )

    finding = found(VERIFICATION, mesh, policy=Policy(expected=new))["dp.root"]

    assert finding.verdict is Verdict.UNKNOWN
    assert "cannot be told" in " ".join(finding.offenders)


def test_a_straggler_that_citadel_leaves_alone_is_given_a_cure_that_works() -> None:
    (judged,) = judge_proxies(opted_out(a_proxy(roots=(loaded(OLD),)), OURS), ROOT)

    assert judged.cure == "give it back to Citadel or take it out of the mesh, then restart Deployment cart"


def test_a_proxy_of_another_ca_is_left_alone_as_its_secret_is() -> None:
    mesh = opted_out(a_proxy(roots=(loaded(OTHER_CA),), leaves=(loaded(FOREIGN_LEAF),)), OTHERS)

    (secret,) = (v for v in judge_secrets(mesh, a_new_root()) if v.what == "Secret shop/istio.cart")
    (proxy,) = judge_proxies(mesh, a_new_root())

    assert (secret.verdict, secret.reason) == (Verdict.SKIPPED, OUT)
    assert (proxy.verdict, proxy.reason.startswith(OUT)) == (Verdict.SKIPPED, True)


def test_a_proxy_outside_the_listened_namespaces_is_left_alone() -> None:
    listening = a_citadel("--self-signed-ca", "--listened-namespaces=istio-system")

    judged = verdict_on(a_proxy(roots=(), leaves=(), fault=NO_CONTEXT), workloads=(listening,), secrets=())

    assert judged.reason.startswith("Citadel listens to other namespaces only")


def test_without_a_look_at_secrets_no_proxy_is_taken_for_left_alone() -> None:
    mesh = replace(opted_out(a_proxy(roots=(loaded(OTHER_CA),))), namespaces=(), secrets=())

    (judged,) = judge_proxies(replace(mesh, parts=EVERYTHING - {Part.SECRETS}), ROOT)

    assert judged.verdict is Verdict.NOT_OK
