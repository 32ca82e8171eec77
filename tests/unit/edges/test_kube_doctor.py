"""The table of permissions, held against what is really asked; and what `doctor` says of a cluster."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.core.findings import Finding, Severity, Verdict
from bot.core.ids import RotationId
from bot.core.mesh import EVERYTHING, ObjectRef
from bot.edges.kube import examine as doctor
from bot.edges.kube.client import KubeClient
from bot.edges.kube.permissions import Permission, needed_permissions, unwanted_permissions
from bot.edges.kube.targets import SECRETS
from bot.edges.kube.wire import NAMED
from bot.sandbox.cluster.audit import Entry
from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.proxies import Oddity
from bot.sandbox.cluster.rbac import Ban, Rule
from bot.sandbox.cluster.scene import Scene
from tests.unit.edges.kube_mesh import SMALL, SYSTEM, Mesh, SystemTime, running_mesh
from tests.unit.edges.kube_stub import write_kubeconfig

ONE = RotationId("1" * 32)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TABLE = needed_permissions(SYSTEM)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with running_mesh(tmp_path) as mesh:
        yield mesh


def as_rule(permission: Permission) -> Rule:
    """The narrowest RBAC rule for a row."""
    target = permission.target
    return Rule(
        verbs=(permission.verb,),
        groups=(target.group,),
        resources=(target.whole,),
        names=(target.name,) if target.name else (),
        namespaces=(target.namespace,) if target.namespace else (),
    )


def whole_rotation(mesh: Mesh) -> None:
    """Everything that the bot ever asks of a cluster."""
    seen = mesh.reader(proxy_seconds=3).read(EVERYTHING)
    assert seen.ca_secret is not None
    assert seen.ca_secret.root.first is not None
    assert seen.unread == ()
    state, pem = seen.ca_secret.state, seen.ca_secret.root.first.pem + b"\n"
    mesh.reader().signing_key(state)
    mesh.writer.hold(ONE, now=NOW)
    mesh.writer.back_up(ONE, expected=state)
    mesh.writer.backed_up_root(ONE)
    for rehearse in (True, False):
        mesh.writer.replace_root(pem, expected=state, rotation_id=ONE, rehearse=rehearse)
    mesh.writer.restart(ObjectRef(kind="Deployment", namespace=SYSTEM, name="istio-citadel"), mark="1")
    mesh.writer.release(ONE)


def covered(entry: Entry) -> bool:
    """Whether a row of the table allows a request of the audit log."""
    return any(
        row.verb == entry.verb
        and (row.target.resource, row.target.subresource) == (entry.resource, entry.subresource)
        and row.target.name in ("", entry.name)
        and row.target.namespace in ("", entry.namespace)
        for row in TABLE
    )


def test_the_table_is_enough_for_everything_that_the_bot_does(tmp_path: Path) -> None:
    odd = Scene(accounts=SMALL.accounts, oddities={"shop/cart": Oddity.EXEC_FAILS})
    rules = tuple(as_rule(row) for row in TABLE)

    with running_mesh(tmp_path, odd, rules=rules) as mesh:
        whole_rotation(mesh)
        asked = [entry for entry in mesh.cluster.audit() if "rootkeeper" in entry.user]

    assert [entry for entry in asked if entry.code == 403] == []
    reviews = "selfsubjectaccessreviews"  # everybody may ask what they may
    assert [entry for entry in asked if entry.resource != reviews and not covered(entry)] == []


def test_the_table_gives_nothing_that_is_unwanted() -> None:
    needed = {(row.verb, row.target.whole) for row in TABLE}

    for row in unwanted_permissions(SYSTEM):
        assert (row.verb, row.target.whole) not in needed


def test_every_row_says_why() -> None:
    assert all(row.why for row in (*TABLE, *unwanted_permissions(SYSTEM)))
    assert len({(row.verb, row.target) for row in TABLE}) == len(TABLE)


# --- doctor ---------------------------------------------------------------------------------------


def examined(mesh: Mesh, client: KubeClient | None = None) -> dict[str, Finding]:
    """The findings by check id."""
    found = doctor.examine(client or mesh.client, SYSTEM, clock=SystemTime())
    return {finding.check_id: finding for finding in found}


def test_a_cluster_in_order_has_only_good_findings(mesh: Mesh) -> None:
    found = examined(mesh)

    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert "v1.37.2" in found[doctor.REACHABLE].summary
    assert set(found) == {
        "doctor.cluster.reachable",
        "doctor.cluster.version",
        "doctor.cluster.permissions",
        "doctor.cluster.too_much",
        "doctor.cluster.clock",
        "doctor.cluster.backup",
    }


AGES = {
    "older than what can be read": ("v1.10.13", Verdict.NOT_OK, Severity.CRITICAL, "older than 1.11"),
    "older than what can rehearse": ("v1.12.10", Verdict.NOT_OK, Severity.WARNING, "not rotated"),
    "the oldest that will do": ("v1.13.12-gke.30", Verdict.OK, Severity.INFO, "v1.13.12-gke.30"),
}


@pytest.mark.parametrize(("version", "verdict", "severity", "said"), AGES.values(), ids=AGES)
def test_the_servers_version_is_judged(
    tmp_path: Path, version: str, verdict: Verdict, severity: Severity, said: str
) -> None:
    with running_mesh(tmp_path, Scene(accounts=SMALL.accounts, kubernetes=version)) as mesh:
        found = examined(mesh)

    assert (found[doctor.VERSION].verdict, found[doctor.VERSION].severity) == (verdict, severity)
    assert said in found[doctor.VERSION].summary
    assert bool(found[doctor.VERSION].hint) is (verdict is not Verdict.OK)


def test_a_version_that_is_none_is_unknown(monkeypatch: pytest.MonkeyPatch, mesh: Mesh) -> None:
    monkeypatch.setattr(mesh.client, "version", lambda: "custom")

    assert examined(mesh)[doctor.VERSION].verdict is Verdict.UNKNOWN


def test_a_cluster_that_does_not_answer_has_one_finding(tmp_path: Path) -> None:
    client = KubeClient.from_kubeconfig(write_kubeconfig(tmp_path, 1))

    found = doctor.examine(client, SYSTEM, clock=SystemTime())
    client.close()

    assert [(finding.check_id, finding.verdict) for finding in found] == [(doctor.REACHABLE, Verdict.NOT_OK)]
    assert found[0].hint


def test_missing_permissions_are_all_named_with_their_use(mesh: Mesh) -> None:
    mesh.cluster.forbid(Ban(verb="patch", resource="secrets"))
    mesh.cluster.forbid(Ban(verb="list", resource="secrets"))

    found = examined(mesh)[doctor.PERMISSIONS]

    assert found.verdict is Verdict.NOT_OK
    assert found.summary.startswith("3 of ")
    assert found.offenders[0] == "list secrets (the certificates in workload secrets)"


def test_a_restart_that_is_not_granted_is_missing_by_name_and_what_is_not_there_is_not(mesh: Mesh) -> None:
    mesh.cluster.forbid(Ban(verb="patch", resource="deployments", name="istio-pilot"))
    mesh.cluster.forbid(Ban(verb="patch", resource="daemonsets"))

    found = examined(mesh)[doctor.PERMISSIONS]

    assert found.offenders == (
        f"patch deployments istio-pilot in namespace {SYSTEM} (restarts of the control plane)",
    )


def test_powers_over_the_key_that_the_bot_must_not_have_are_a_warning(mesh: Mesh) -> None:
    found = examined(mesh, mesh.admin)[doctor.TOO_MUCH]

    assert (found.verdict, found.severity) == (Verdict.NOT_OK, Severity.WARNING)
    assert any("delete secrets istio-ca-secret" in offender for offender in found.offenders)


@pytest.mark.parametrize(
    ("skew", "verdict"),
    [(0, Verdict.OK), (100, Verdict.OK), (600, Verdict.NOT_OK), (-600, Verdict.NOT_OK)],
)
def test_clocks_that_differ_by_minutes_are_a_finding(mesh: Mesh, skew: int, verdict: Verdict) -> None:
    mesh.cluster.do(lambda cluster: setattr(cluster, "skew", timedelta(seconds=skew)))

    assert examined(mesh)[doctor.CLOCK].verdict is verdict


@pytest.mark.parametrize("resource", ["secrets", "leases"])
def test_what_was_not_prepared_is_named(mesh: Mesh, resource: str) -> None:
    name = "rootkeeper-backup" if resource == "secrets" else "rootkeeper"
    mesh.cluster.inject(Fault(effect=Effect.VANISH, verb="get", resource=resource, name=name))

    found = examined(mesh)[doctor.BACKUP]

    assert found.verdict is Verdict.NOT_OK
    assert found.offenders == (f"{resource} {name} in namespace {SYSTEM} does not exist",)


def test_an_immutable_backup_is_named(mesh: Mesh) -> None:
    mesh.admin.patch(SECRETS.within(SYSTEM).named("rootkeeper-backup"), {"immutable": True}, NAMED)

    assert examined(mesh)[doctor.BACKUP].offenders == (
        f"secrets rootkeeper-backup in namespace {SYSTEM} is immutable",
    )


def test_what_cannot_be_asked_is_unknown(mesh: Mesh) -> None:
    mesh.cluster.inject(Fault(effect=Effect.STATUS, code=500, resource="selfsubjectaccessreviews", times=999))
    mesh.cluster.forbid(Ban(verb="get", resource="leases"))

    found = examined(mesh)

    assert {found[each].verdict for each in (doctor.PERMISSIONS, doctor.TOO_MUCH, doctor.BACKUP)} == {
        Verdict.UNKNOWN
    }
