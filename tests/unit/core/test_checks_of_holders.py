"""What the checks say of holders of the root, and when a mesh is green. Numbers are rows of facts/istio.md, 6.5."""

from dataclasses import replace
from typing import Any

import pytest

from bot.core.checks import table
from bot.core.checks.rule import Policy
from bot.core.findings import Finding, Severity, Verdict, overall, worst_first
from bot.core.mesh import EVERYTHING, MeshSnapshot, MutualTls, Part
from tests.unit.core.builders import (
    Case,
    a_citadel,
    a_leaf,
    a_mesh,
    a_namespace,
    a_new_root,
    a_proxy,
    a_re_keyed_root,
    a_root,
    a_secret,
    a_trust,
    a_webhook,
    bundle,
    found,
    loaded,
    said,
    the_root,
    unread,
)
from tests.unit.hardcases.making import DAY, NOW

ROOT = the_root()
RE_KEYED = a_re_keyed_root()
OLD = loaded(a_root(until=NOW + 9 * DAY, serial=5))


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


def no_policy(**seen: Any) -> MeshSnapshot:
    return a_mesh(mutual_tls=MutualTls(**seen))


NEW = Policy(expected=a_new_root())
CASES = {
    "all secrets carry the root": Case(
        table.SECRETS, a_mesh(), "ok", "3 of 3 workload secrets carry the root and"
    ),
    "one secret is told of in the singular": Case(
        table.SECRETS, a_mesh(secrets=(a_secret(),)), "ok", "1 of 1 workload secret carries the root"
    ),
    "some are behind and some unread": Case(
        table.SECRETS,
        a_mixed_mesh(),
        "not_ok warning",
        "1 of 4 workload secrets carries the root and a certificate that it signed; 2 not, 1 could not be read",
    ),
    "an offender is named with its reason": Case(
        table.SECRETS,
        a_mixed_mesh(),
        "not_ok warning",
        "Secret shop/istio.a: still holds the root of another key",
    ),
    "the cures of offenders are the hint": Case(
        table.SECRETS, a_mixed_mesh(), "not_ok warning", "Citadel re-issues it within minutes; wait"
    ),
    # 38
    "403 in one namespace": Case(
        table.SECRETS,
        a_mesh(unread=(unread(Part.SECRETS, "Secrets in namespace bank"),)),
        "unknown",
        "3 of 4 workload secrets carry the root and a certificate that it signed; 1 could not be read",
    ),
    # 39
    "zero key-and-cert secrets": Case(
        table.SECRETS, a_mesh(secrets=()), "unknown", "no secret of type istio.io/key-and-cert"
    ),
    "nothing but secrets that are left alone": Case(
        table.SECRETS, a_mesh(secrets=(a_secret("x"),)), "skipped", "no workload secret is to be judged"
    ),
    # 41
    "secrets that are left alone are listed": Case(
        table.SECRETS_SKIPPED,
        a_mesh(secrets=(a_secret("x"), a_secret())),
        "skipped",
        "Secret shop/istio.x: its service account x no longer exists",
    ),
    "no secret is left alone": Case(table.SECRETS_SKIPPED, a_mesh(), "silent"),
    "the trust config map": Case(table.TRUST, a_mesh(), "ok", "1 of 1 trust config map carries the root"),
    "a trust config map that is behind": Case(
        table.TRUST, a_mesh(trust=a_trust(RE_KEYED)), "not_ok warning", "restart Citadel"
    ),
    "no trust config map": Case(
        table.TRUST,
        a_mesh(trust=None),
        "not_ok warning",
        "ConfigMap istio-system/istio-security: does not exist",
    ),
    "no trust config map, and no Citadel that writes one": Case(
        table.TRUST, a_mesh(trust=None, workloads=(a_citadel(version="1.0.9"),)), "silent"
    ),
    # 53
    "a webhook with another CA": Case(
        table.WEBHOOKS,
        a_mesh(webhooks=(a_webhook(), a_webhook(root=bundle(RE_KEYED)))),
        "not_ok warning",
        "1 of 2 webhooks trusts the root; 1 not",
    ),
    # 53
    "only webhooks that cert-manager fills": Case(
        table.WEBHOOKS, a_mesh(webhooks=(a_webhook(injected=True),)), "skipped"
    ),
    "no webhook": Case(table.WEBHOOKS, a_mesh(webhooks=()), "skipped", "no admission webhook"),
    "webhooks that could not be listed": Case(
        table.WEBHOOKS,
        a_mesh(unread=(unread(Part.WEBHOOKS, "MutatingWebhookConfigurations"),)),
        "unknown",
        "1 could not be read",
    ),
    "every proxy has the root": Case(table.PROXIES, a_mesh(), "ok", "2 of 2 proxies have loaded the root"),
    # 47
    "secrets are right and a proxy holds the old root": Case(
        table.PROXIES,
        a_mesh(proxies=(a_proxy(), a_proxy(roots=(OLD,)))),
        "not_ok warning",
        "1 of 2 proxies has loaded the root; 1 not",
    ),
    # 48
    "a proxy that shows nothing": Case(
        table.PROXIES,
        a_mesh(proxies=(a_proxy(), a_proxy(roots=()))),
        "unknown",
        "1 of 2 proxies has loaded the root; 1 could not be read",
    ),
    "no running proxy of this mesh": Case(
        table.PROXIES, a_mesh(proxies=(a_proxy(asked=False),)), "unknown", "no running proxy"
    ),
    # 61
    "leaves that outlive the root": Case(
        table.OUTLIVE,
        a_mesh(secrets=(a_secret(leaf=a_leaf(until=ROOT.not_after + DAY)),)),
        "not_ok info",
        "1 workload certificate would outlive the root",
    ),
    "leaves that end with the root": Case(
        table.OUTLIVE, a_mesh(secrets=(a_secret(leaf=a_leaf(until=ROOT.not_after)),)), "ok"
    ),
    "no leaf to outlive anything": Case(table.OUTLIVE, a_mesh(secrets=()), "silent"),
    "sidecars of today": Case(table.SIDECARS, a_mesh(), "ok", "2 sidecars, each of a version that loads"),
    "a sidecar that never loads": Case(
        table.SIDECARS,
        a_mesh(proxies=(a_proxy(version="1.1.7"), a_proxy())),
        "not_ok info",
        "shop/cart-0 (1.1.7): restart Deployment cart, or upgrade",
    ),
    "a sidecar of an unknown version": Case(
        table.SIDECARS, a_mesh(proxies=(a_proxy(version=""),)), "unknown", "1 sidecar"
    ),
    "no sidecar": Case(table.SIDECARS, a_mesh(proxies=()), "silent"),
    "strict mutual TLS": Case(table.MUTUAL_TLS, no_policy(mesh_policy="strict"), "ok", "in use"),
    "clients that use it": Case(table.MUTUAL_TLS, no_policy(destination_rules=1), "ok", "in use"),
    "servers that ask for it": Case(table.MUTUAL_TLS, no_policy(policies=2), "ok", "in use"),
    "a control plane that uses it": Case(table.MUTUAL_TLS, no_policy(control_plane=True), "ok", "in use"),
    "use seen is enough, whatever else is unread": Case(
        table.MUTUAL_TLS, no_policy(mesh_policy=None, policies=None, destination_rules=1), "ok", "in use"
    ),
    "mutual TLS permitted and unused": Case(
        table.MUTUAL_TLS, no_policy(mesh_policy="permissive"), "not_ok info", "not urgent"
    ),
    "no mutual TLS, and webhooks": Case(
        table.MUTUAL_TLS, no_policy(), "not_ok info", "no pod gets a sidecar"
    ),
    "no mutual TLS, and no webhooks": Case(
        table.MUTUAL_TLS, replace(no_policy(), webhooks=()), "skipped", "its end breaks nothing"
    ),
    "policies that could not be read": Case(
        table.MUTUAL_TLS, no_policy(policies=None), "unknown", "could not be read"
    ),
    "permissive, and rules unread": Case(
        table.MUTUAL_TLS, no_policy(mesh_policy="permissive", destination_rules=None), "unknown"
    ),
    "policies that were not looked at": Case(
        table.MUTUAL_TLS, replace(no_policy(), parts=EVERYTHING - {Part.POLICY}), "unknown"
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_holders(case: str) -> None:
    CASES[case].holds()


@pytest.mark.parametrize(
    "check",
    [table.SECRETS, table.TRUST, table.WEBHOOKS, table.SERVED, table.PROCESSES, table.PROXIES],
    ids=lambda c: c.id,
)
def test_without_a_root_to_expect_nothing_is_said_of_holders(check: Any) -> None:
    assert said(check, a_mesh(ca_secret=None)) is None


def test_holders_are_judged_against_the_root_that_is_expected() -> None:
    behind = [f.check_id for f in found(table.VERIFICATION, a_mesh(), policy=NEW).values() if f.red]

    assert sorted(behind) == ["ca.current", "cm.root", "cp.root", "dp.root", "webhook.cabundle", "ws.root"]


def test_a_signature_is_checked_once_however_many_rules_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[object] = []
    leaf = a_leaf(serial=4711)
    monkeypatch.setattr("bot.core.verifiers._check_signature", lambda leaf, _: checked.append(leaf))

    found(table.ROUTINE, a_mesh(secrets=(a_secret(leaf=leaf),)))

    assert checked.count(leaf) == 1


# --- green --------------------------------------------------------------------------------------------


def finding(verdict: Verdict, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(check_id=f"{verdict}.{severity}", verdict=verdict, severity=severity, summary="")


OK, RED, UNKNOWN, SKIPPED = (
    finding(v) for v in (Verdict.OK, Verdict.NOT_OK, Verdict.UNKNOWN, Verdict.SKIPPED)
)
NOTE = finding(Verdict.NOT_OK, Severity.INFO)


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ((), Verdict.UNKNOWN),
        ((SKIPPED,), Verdict.UNKNOWN),
        ((NOTE,), Verdict.UNKNOWN),
        ((OK,), Verdict.OK),
        ((OK, SKIPPED, NOTE), Verdict.OK),
        ((OK, UNKNOWN), Verdict.UNKNOWN),
        ((OK, UNKNOWN, RED), Verdict.NOT_OK),
    ],
)
def test_green_needs_something_that_was_seen_and_nothing_else(
    findings: tuple[Finding, ...], verdict: Verdict
) -> None:
    assert overall(findings) is verdict


def test_findings_stand_worst_first_and_keep_their_order_otherwise() -> None:
    critical = finding(Verdict.NOT_OK, Severity.CRITICAL)

    assert worst_first((SKIPPED, OK, NOTE, UNKNOWN, RED, critical)) == (
        critical,
        RED,
        UNKNOWN,
        NOTE,
        SKIPPED,
        OK,
    )


def test_a_healthy_mesh_is_green_and_one_unread_namespace_is_not() -> None:
    mesh = a_mesh()
    dim = a_mesh(unread=(unread(Part.SECRETS, "Secrets in namespace bank"),))

    assert overall(found(table.VERIFICATION, mesh).values()) is Verdict.OK
    assert overall(found(table.ROUTINE, mesh).values()) is Verdict.OK
    assert overall(found(table.VERIFICATION, dim).values()) is Verdict.UNKNOWN


def test_an_empty_mesh_is_never_green() -> None:
    """What the old script called `All Istio keys and certificates are updated in secret!`."""
    empty = a_mesh(
        workloads=(a_citadel(version="1.0.9"),),
        secrets=(),
        proxies=(),
        webhooks=(),
        served=(),
        trust=None,
        control_plane_pods=(),
    )

    assert overall(found(table.VERIFICATION, empty).values()) is Verdict.UNKNOWN
