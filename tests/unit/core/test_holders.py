"""Everything that holds a root, judged by name and counted. Numbers are rows of facts/istio.md, 6.5."""

from typing import Any

import pytest

from bot.core.certificates import Certificate
from bot.core.findings import Tally, Verdict
from bot.core.keeping import keeping, why_unmanaged
from bot.core.mesh import EVERYTHING, MeshSnapshot, Part, Unread, WorkloadSecret
from bot.core.verification import (
    Holder,
    HolderVerdict,
    judge_holders,
    judge_secrets,
    judge_webhooks,
    stragglers,
    tally,
)
from tests.unit.core.builders import (
    SYSTEM,
    a_citadel,
    a_leaf,
    a_mesh,
    a_namespace,
    a_re_keyed_root,
    a_root,
    a_secret,
    a_trust,
    a_webhook,
    bundle,
    the_root,
    unread,
)
from tests.unit.hardcases.making import DAY, NOW, key, name

ROOT = the_root()
STRANGER = a_root(key("p256", 8), subject=name("stranger"))
RE_KEYED = a_re_keyed_root()


def secret_verdict(secret: WorkloadSecret, **changes: Any) -> HolderVerdict:
    (verdict,) = (
        v for v in judge_secrets(a_mesh(secrets=(secret,), **changes), ROOT) if v.holder is Holder.SECRET
    )
    return verdict


# --- workload secrets ------------------------------------------------------------------------------

SECRETS = {
    "the root and a leaf under it": (a_secret(), Verdict.OK, ""),
    # 7
    "the root among others": (a_secret(root=bundle(STRANGER, ROOT)), Verdict.OK, ""),
    # 8
    "the root twice": (a_secret(root=bundle(ROOT, STRANGER, STRANGER)), Verdict.OK, ""),
    "the root before it": (
        a_secret(root=bundle(a_root(until=NOW + 9 * DAY))),
        Verdict.NOT_OK,
        "still holds the root that ends 2026-12-02",
    ),
    "a root of another key": (
        a_secret(root=bundle(RE_KEYED)),
        Verdict.NOT_OK,
        "still holds the root of another key that ends",
    ),
    # 40
    "no root-cert.pem": (a_secret(root=bundle()), Verdict.NOT_OK, "its root is empty"),
    # 40
    "a bad leaf": (
        a_secret(leaf=None, leaf_fault="cert-chain.pem is not base64"),
        Verdict.NOT_OK,
        "cert-chain.pem is not base64",
    ),
    # 40
    "no leaf": (a_secret(leaf=None), Verdict.NOT_OK, "its certificate is missing"),
    # 66
    "a leaf signed by a third key": (
        a_secret(leaf=a_leaf(private=key("p256", 1))),
        Verdict.NOT_OK,
        "its certificate was signed with another key",
    ),
    "an expired leaf under the right root": (
        a_secret(leaf=a_leaf(until=NOW - DAY)),
        Verdict.NOT_OK,
        "its certificate expired at",
    ),
}


@pytest.mark.parametrize("case", SECRETS)
def test_a_workload_secret_is_judged_by_its_root_and_its_leaf(case: str) -> None:
    secret, verdict, reason = SECRETS[case]

    judged = secret_verdict(secret)

    assert judged.what == "Secret shop/istio.cart"
    assert judged.verdict is verdict
    assert reason in judged.reason
    assert bool(judged.cure) is bool(reason) is (verdict is Verdict.NOT_OK)


# 40
def test_a_secret_without_its_annotation_says_what_brings_it_back() -> None:
    judged = secret_verdict(a_secret(service_account=""))

    assert judged.reason.startswith("has no annotation istio.io/service-account.name, by which Citadel knows")
    assert judged.cure == (
        "delete this one secret and restart Citadel: without the annotation it is made anew only when "
        "Citadel starts or looks at the service account again"
    )


UNMANAGED: dict[str, dict[str, Any]] = {
    # 42
    "its namespace is being deleted": {"namespaces": (a_namespace(terminating=True),)},
    # 41
    "its namespace opted out": {"namespaces": (a_namespace(override="false"),)},
    # 41
    "its namespace belongs to the Citadel in istio-other": {
        "namespaces": (a_namespace(environment="istio-other"),)
    },
    # 41
    "its service account cart no longer exists": {"namespaces": (a_namespace(service_accounts=frozenset()),)},
    # 41
    "Citadel listens to other namespaces only (bank, istio-system)": {
        "workloads": (a_citadel("--self-signed-ca", "--listened-namespaces=istio-system,bank"),)
    },
    # 41
    "Citadel listens to other namespaces only (bank)": {
        "workloads": (a_citadel("--self-signed-ca", NAMESPACE="bank"),)
    },
    # 41
    "its namespace did not opt in": {"workloads": (a_citadel(CITADEL_ENABLE_NAMESPACES_BY_DEFAULT="false"),)},
}


@pytest.mark.parametrize("reason", UNMANAGED)
def test_a_secret_that_citadel_leaves_alone_is_skipped_and_told_why(reason: str) -> None:
    stale = a_secret(root=bundle(RE_KEYED))

    judged = secret_verdict(stale, **UNMANAGED[reason])

    assert judged.verdict is Verdict.SKIPPED
    assert judged.reason.startswith(reason)


MANAGED: dict[str, dict[str, Any]] = {
    "nothing is known of its namespace": {"namespaces": ()},
    "its namespace opted in": {
        "namespaces": (a_namespace(override="true", environment="istio-other"),),
        "workloads": (a_citadel(CITADEL_ENABLE_NAMESPACES_BY_DEFAULT="false"),),
    },
    "its namespace belongs to this Citadel": {
        "namespaces": (a_namespace(environment=SYSTEM),),
        "workloads": (a_citadel(CITADEL_ENABLE_NAMESPACES_BY_DEFAULT="false"),),
    },
    "service accounts could not be listed": {"namespaces": (a_namespace(service_accounts=None),)},
    "Citadel listens to it": {
        "workloads": (a_citadel("--self-signed-ca", "--listened-namespaces=shop,bank"),)
    },
    "Citadel listens to it by its old flag": {
        "workloads": (a_citadel("--self-signed-ca", "--listened-namespace=shop"),)
    },
    "nothing is known of Citadel": {"workloads": ()},
}


@pytest.mark.parametrize("case", MANAGED)
def test_a_secret_that_citadel_keeps_counts(case: str) -> None:
    stale = a_secret(root=bundle(RE_KEYED))

    assert secret_verdict(stale, **MANAGED[case]).verdict is Verdict.NOT_OK


# 43
def test_namespaces_are_matched_by_their_whole_names() -> None:
    mesh = a_mesh(namespaces=(a_namespace("shop", terminating=True),), secrets=())

    assert why_unmanaged(a_secret(namespace="my-shop-tools"), keeping(mesh)) == ""


# --- webhooks and the trust config map -----------------------------------------------------------


def webhook_verdicts(*webhooks: Any) -> list[str]:
    return [v.verdict.value for v in judge_webhooks(a_mesh(webhooks=webhooks), ROOT)]


# 53
def test_webhooks_are_judged_entry_by_entry() -> None:
    entries = (
        a_webhook(),
        a_webhook(entry="mixer.validation.istio.io", root=bundle(RE_KEYED)),
        a_webhook(root=bundle()),
        a_webhook(root=bundle(), injected=True),
    )

    assert webhook_verdicts(*entries) == ["ok", "not_ok", "not_ok", "skipped"]


# 53
def test_a_webhook_that_is_behind_names_what_to_restart() -> None:
    (judged,) = judge_webhooks(a_mesh(webhooks=(a_webhook(root=bundle()),)), ROOT)

    assert judged.what == "ValidatingWebhookConfiguration istio-galley (pilot.validation.istio.io)"
    assert judged.reason == "its root is empty"
    assert judged.cure == "restart the component behind it (istio-system/istio-galley)"


def trust_verdicts(mesh: MeshSnapshot) -> list[str]:
    return [v.verdict.value for v in judge_secrets(mesh, ROOT) if v.holder is Holder.TRUST]


@pytest.mark.parametrize(("root", "verdict"), [(ROOT, "ok"), (RE_KEYED, "not_ok")])
def test_the_trust_config_map_is_judged_by_its_root(root: Certificate, verdict: str) -> None:
    assert trust_verdicts(a_mesh(trust=a_trust(root))) == [verdict]


def without_trust(version: str, *missing: Unread) -> MeshSnapshot:
    return a_mesh(trust=None, workloads=(a_citadel(version=version),), unread=missing)


UNREAD_TRUST = unread(Part.SECRETS, f"ConfigMap {SYSTEM}/istio-security")
ABSENT = {
    "Citadel writes it": (without_trust("1.1.0"), ["not_ok"]),
    "Citadel 1.0 has none": (without_trust("1.0.9"), []),
    "nobody knows whether Citadel writes it": (without_trust("latest"), ["unknown"]),
    "it was not read, which is told by itself": (without_trust("1.4.10", UNREAD_TRUST), []),
    "there is no Citadel": (a_mesh(trust=None, workloads=()), []),
}


@pytest.mark.parametrize(("mesh", "verdicts"), ABSENT.values(), ids=ABSENT)
def test_a_trust_config_map_is_missed_where_citadel_writes_one(
    mesh: MeshSnapshot, verdicts: list[str]
) -> None:
    assert trust_verdicts(mesh) == verdicts


# --- what could not be read -------------------------------------------------------------------------

UNREAD = {
    # 38
    "Secrets in namespace bank": (Part.SECRETS, Holder.SECRET),
    "MutatingWebhookConfigurations": (Part.WEBHOOKS, Holder.WEBHOOK),
    "Pods in namespace bank": (Part.PROXIES, Holder.PROXY),
}


@pytest.mark.parametrize("what", UNREAD)
def test_what_may_hold_a_root_and_was_not_read_is_unknown_and_counts(what: str) -> None:
    part, holder = UNREAD[what]

    verdicts = judge_holders(a_mesh(unread=(unread(part, what, "may not list"),)), ROOT)

    (judged,) = (v for v in verdicts if v.verdict is Verdict.UNKNOWN)
    assert (judged.holder, judged.what) == (holder, what)
    assert judged.reason == "could not be read: may not list"
    counted = {t.kind: t for t in tally(verdicts)}[holder]
    assert (counted.unknown, counted.complete) == (1, False)


def test_parts_that_were_not_looked_at_are_not_judged() -> None:
    for part in EVERYTHING:
        mesh = a_mesh(parts=frozenset({part}))
        kinds = {v.holder for v in judge_holders(mesh, ROOT)}
        assert (
            kinds
            == {
                Part.AUTHORITY: {Holder.PROCESS},
                Part.SECRETS: {Holder.SECRET, Holder.TRUST},
                Part.WEBHOOKS: {Holder.WEBHOOK, Holder.SERVED},
                Part.PROXIES: {Holder.PROXY},
                Part.POLICY: set(),
                Part.ACCESS: set(),
            }[part]
        )


# --- counts ----------------------------------------------------------------------------------------


def a_mixed_mesh() -> MeshSnapshot:
    return a_mesh(
        secrets=(
            a_secret("b", root=bundle(RE_KEYED)),
            a_secret("a", root=bundle(RE_KEYED)),
            a_secret("c"),
            a_secret("d", "gone"),
        ),
        namespaces=(a_namespace(service_accounts=None), a_namespace("gone", terminating=True)),
        unread=(unread(Part.SECRETS, "Secrets in namespace bank"),),
    )


def test_counts_have_their_denominator() -> None:
    counted = {t.kind: t for t in tally(judge_holders(a_mixed_mesh(), ROOT))}

    assert counted[Holder.SECRET] == Tally(kind=Holder.SECRET, ok=1, not_ok=2, unknown=1, skipped=1)
    assert counted[Holder.SECRET].total == 5
    assert not counted[Holder.SECRET].complete
    assert counted[Holder.PROXY].complete


def test_tallies_come_in_one_order_and_kinds_without_holders_are_left_out() -> None:
    verdicts = judge_holders(a_mesh(webhooks=(), served=()), ROOT)

    kinds = [Holder.SECRET, Holder.TRUST, Holder.PROCESS, Holder.PROXY]
    assert [t.kind for t in tally(reversed(verdicts))] == kinds
    assert tally(()) == ()


def test_stragglers_are_what_is_behind_and_what_is_unread_in_that_order_by_name() -> None:
    behind = stragglers(judge_holders(a_mixed_mesh(), ROOT))

    assert [(s.what, s.verdict) for s in behind] == [
        ("Secret shop/istio.a", "not_ok"),
        ("Secret shop/istio.b", "not_ok"),
        ("Secrets in namespace bank", "unknown"),
    ]
