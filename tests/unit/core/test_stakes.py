"""What hangs on a root: mutual TLS and admission webhooks, and when nothing does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.authority import recognise
from bot.core.checks.holders import mutual_tls_use, webhooks_at_stake
from bot.core.checks.table import ROUTINE
from bot.core.findings import Finding, Severity, Verdict, overall
from bot.core.mesh import EVERYTHING, MeshSnapshot, MutualTls, Part, Unread
from bot.core.notices import worth_warning
from bot.core.reports import check_report
from tests.unit.hardcases.making import NOW
from tests.unit.hardcases.meshes import ending, finding, findings, healthy

NOTHING = "Neither mutual TLS nor an admission webhook needs this root, so its end breaks nothing."
STOPS = "at its end no pod gets a sidecar and no configuration of Istio can be applied"
DONE_FOR = "nothing needs to be done"

USES: dict[str, tuple[MutualTls, str]] = {
    "nothing at all": (MutualTls(), "unused"),
    "a strict mesh policy": (MutualTls(mesh_policy="strict"), "used"),
    "a permissive mesh policy, and clients that are told nothing": (
        MutualTls(mesh_policy="permissive"),
        "planned",
    ),
    "a permissive mesh policy, and clients that do it by themselves": (
        MutualTls(mesh_policy="permissive", automatic=True),
        "used",
    ),
    "strict servers of Istio 1.5": (MutualTls(peers="strict"), "used"),
    "permissive servers of Istio 1.5, and clients that do it by themselves": (
        MutualTls(peers="permissive", automatic=True),
        "used",
    ),
    "permissive servers of Istio 1.5, and clients that are told not to": (
        MutualTls(peers="permissive", automatic=False),
        "planned",
    ),
    "clients that would, and servers that do not": (MutualTls(automatic=True), "planned"),
    "clients that would, and servers of which nobody knows": (
        MutualTls(automatic=True, peers=None),
        "unknown",
    ),
    "permissive servers, and clients of which nobody knows": (
        MutualTls(mesh_policy="permissive", automatic=None),
        "unknown",
    ),
    "peer authentications that could not be read": (MutualTls(peers=None), "unknown"),
    "settings that could not be read": (MutualTls(automatic=None, control_plane=None), "unknown"),
    "a destination rule beside what could not be read": (
        MutualTls(destination_rules=1, peers=None, automatic=None),
        "used",
    ),
}


@pytest.mark.parametrize(("seen", "use"), USES.values(), ids=USES)
def test_mutual_tls_is_unused_only_where_that_is_proved(seen: MutualTls, use: str) -> None:
    assert mutual_tls_use(replace(healthy(), mutual_tls=seen)) == use


def without_mutual_tls(mesh: MeshSnapshot | None = None) -> MeshSnapshot:
    return replace(mesh or healthy(), mutual_tls=MutualTls())


def without_webhooks(mesh: MeshSnapshot | None = None) -> MeshSnapshot:
    return replace(without_mutual_tls(mesh), webhooks=(), served=())


def filled_by_cert_manager() -> MeshSnapshot:
    mesh = without_mutual_tls()
    return replace(mesh, webhooks=tuple(replace(hook, injected=True) for hook in mesh.webhooks))


def said_of(mesh: MeshSnapshot) -> Finding:
    return finding(ROUTINE, mesh, "mtls.use")


def meaning(mesh: MeshSnapshot) -> str:
    found = findings(ROUTINE, mesh)
    return check_report(mesh, recognise(mesh), findings=found, now=NOW, took=timedelta(1)).meaning


@pytest.mark.parametrize("mesh", [without_webhooks(), filled_by_cert_manager()], ids=["none", "cert-manager"])
def test_with_neither_mutual_tls_nor_webhooks_of_this_root_nothing_is_at_stake(mesh: MeshSnapshot) -> None:
    assert said_of(mesh).verdict is Verdict.SKIPPED
    assert meaning(mesh) == f"{NOTHING} Nothing needs to be done."
    assert not worth_warning(mesh)


def test_webhooks_of_this_root_are_at_stake_without_mutual_tls() -> None:
    mesh = without_mutual_tls()

    said = said_of(mesh)

    assert (said.verdict, said.severity) == (Verdict.NOT_OK, Severity.INFO)
    assert STOPS in said.summary
    assert said.offenders == webhooks_at_stake(mesh)
    assert STOPS in meaning(mesh)
    assert DONE_FOR not in meaning(mesh).lower()
    assert worth_warning(mesh)


GAPS = {
    "could not be read": replace(
        without_webhooks(), unread=(Unread(part=Part.WEBHOOKS, what="webhooks", reason="forbidden"),)
    ),
    "are served where no CA is": replace(
        without_webhooks(),
        webhooks_elsewhere=tuple(
            replace(hook, service="istio-control/istio-galley") for hook in healthy().webhooks
        ),
    ),
    "were not looked at": replace(without_webhooks(), parts=EVERYTHING - {Part.WEBHOOKS}),
}


@pytest.mark.parametrize("mesh", GAPS.values(), ids=GAPS)
def test_webhooks_of_which_nobody_knows_are_unknown_and_warned_of(mesh: MeshSnapshot) -> None:
    assert said_of(mesh).verdict is Verdict.UNKNOWN
    assert DONE_FOR not in meaning(mesh).lower()
    assert worth_warning(mesh)


def test_a_root_that_ends_soon_and_holds_nothing_is_a_note_and_nothing_red() -> None:
    mesh = without_webhooks(ending(3))

    said = finding(ROUTINE, mesh, "ca.expiry")

    assert (said.verdict, said.red) == (Verdict.NOT_OK, False)
    assert said.summary.endswith(", and nothing needs it")
    assert overall(findings(ROUTINE, mesh)) is Verdict.OK
    assert meaning(mesh) == f"{NOTHING} Nothing needs to be done."
    assert finding(ROUTINE, without_mutual_tls(ending(3)), "ca.expiry").red, "webhooks need it"


def test_of_an_expired_root_it_is_never_said_that_nothing_needs_to_be_done() -> None:
    mesh = without_webhooks(ending(-1))

    assert DONE_FOR not in meaning(mesh).lower()
    assert meaning(mesh).endswith(NOTHING)
    assert not [f for f in findings(ROUTINE, mesh) if DONE_FOR in f.summary.lower()]


def test_what_else_is_wrong_is_not_hidden_behind_a_root_that_nothing_needs() -> None:
    mesh = replace(without_webhooks(), ca_secret=None)

    assert "to act on" in meaning(mesh)
