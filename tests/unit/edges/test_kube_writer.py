"""Writing while others write, refuse, or say nothing (facts/istio.md 6.5, 31 to 36)."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.core.ids import MeshName, RotationId
from bot.core.mesh import ObjectRef
from bot.edges.kube.backup import KEPT, ORDER_ANNOTATION, missing_entries, pruned_entries
from bot.edges.kube.lease import held_by_other, spec_of_holder
from bot.edges.kube.targets import SECRETS
from bot.edges.kube.wire import NAMED, WHOLE_SECRET, LeaseSpec, ManagedMeta, WholeSecret
from bot.edges.system import SystemClock, SystemKeys
from bot.errors import ClusterConflict, ClusterForbidden, ClusterRefused, ObjectAbsent, OutcomeUnknown
from bot.flow.ports import MeshPorts
from bot.flow.propose import draft_plan
from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.rbac import Ban
from tests.unit.edges.kube_mesh import SYSTEM, Mesh, running_mesh

ONE = RotationId("1" * 32)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CITADEL = ObjectRef(kind="Deployment", namespace=SYSTEM, name="istio-citadel")


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with running_mesh(tmp_path) as mesh:
        yield mesh


def a_root(mesh: Mesh) -> bytes:
    """The root with one more line end."""
    first = mesh.ca().root.first
    assert first is not None
    return first.pem + b"\n"


def writes(mesh: Mesh, resource: str = "secrets") -> list[tuple[str, int, bool]]:
    """(verb, code, dry run) of the bot's writes so far."""
    return [
        (entry.verb, entry.code, entry.dry_run)
        for entry in mesh.cluster.audit()
        if entry.resource == resource and "rootkeeper" in entry.user and entry.verb not in ("get", "list")
    ]


def test_a_plan_names_the_very_secrets_that_are_written(mesh: Mesh) -> None:
    ports = MeshPorts(name=MeshName("prod"), reader=mesh.reader(), writer=mesh.writer)
    plan = draft_plan(ports, SystemClock(), SystemKeys(), lifetime=timedelta(days=3650)).plan
    assert plan is not None

    mesh.writer.back_up(ONE, expected=plan.secret)
    mesh.writer.replace_root(plan.new_pem, expected=plan.secret, rotation_id=ONE, rehearse=False)

    assert data_of(mesh, plan.backup_ref)[f"{ONE}.ca-cert.pem"].startswith(plan.old_root.pem)
    assert data_of(mesh, plan.secret_ref)["ca-cert.pem"] == plan.new_pem


def data_of(mesh: Mesh, ref: ObjectRef) -> dict[str, bytes]:
    """The data of the Secret of that name, as anybody would look it up."""
    found = mesh.admin.get(SECRETS.within(ref.namespace).named(ref.name), WHOLE_SECRET)
    return {key: base64.b64decode(value) for key, value in (found.data or {}).items()}


def test_another_writers_metadata_is_overtaken(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.inject(Fault(effect=Effect.TOUCH, verb="patch", resource="secrets", times=2))

    mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert writes(mesh) == [("patch", 409, False), ("patch", 409, False), ("patch", 200, False)]


def test_a_writer_who_never_rests_wins_in_the_end(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.inject(Fault(effect=Effect.TOUCH, verb="patch", resource="secrets", times=99))

    with pytest.raises(ClusterConflict):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert len(writes(mesh)) == 4
    assert mesh.ca().state.same_data(before)


def test_a_conflict_names_who_wrote_and_what(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    target = SECRETS.within(SYSTEM).named("istio-ca-secret")
    other = base64.b64encode(b"x").decode()
    mesh.admin.patch(target, {"data": {"ca-cert.pem": other}}, NAMED)

    with pytest.raises(ClusterConflict, match=r"by rootkeeper .*ca-cert\.pem"):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert writes(mesh) == []


def test_an_admission_webhooks_refusal_is_told_and_not_repeated(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.inject(Fault(effect=Effect.DENY, verb="patch", resource="secrets", message="frozen"))

    with pytest.raises(ClusterRefused, match="frozen"):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=True)

    assert [dry_run for _, _, dry_run in writes(mesh)] == [True]


@pytest.mark.parametrize("rehearse", [True, False])
def test_a_webhook_that_changes_what_is_written_is_caught_in_the_rehearsal_already(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, *, rehearse: bool
) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    patch = mesh.client.patch

    def mutated(*args: Any, **more: Any) -> Any:
        written = patch(*args, **more)
        other = base64.b64encode(b"what a webhook made of it").decode()
        return msgspec.structs.replace(written, data={**written.data, "ca-cert.pem": other})

    monkeypatch.setattr(mesh.client, "patch", mutated)

    with pytest.raises(ClusterRefused, match="the server stored something else than was sent"):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=rehearse)


def test_a_secret_that_vanishes_just_before_the_write_is_absent(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.inject(Fault(effect=Effect.VANISH, verb="patch", resource="secrets"))

    with pytest.raises(ObjectAbsent):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert {verb for verb, _, _ in writes(mesh)} == {"patch"}


def test_a_busy_server_gets_its_time(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.inject(Fault(effect=Effect.STATUS, code=429, verb="patch", retry_after=2))

    mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert mesh.slept == [2.0]


def test_a_write_that_is_never_answered_is_unknown(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.inject(Fault(effect=Effect.DROP_BEFORE, verb="patch", times=99))

    with pytest.raises(OutcomeUnknown):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)


def test_a_write_that_cannot_be_looked_at_afterwards_is_unknown(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.inject(Fault(effect=Effect.DROP_AFTER, verb="patch"))
    mesh.cluster.inject(Fault(effect=Effect.STATUS, code=500, verb="get", after=1, times=99))

    with pytest.raises(OutcomeUnknown):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)


def test_a_missing_permission_is_named(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)
    mesh.cluster.forbid(Ban(verb="patch", resource="secrets"))

    with pytest.raises(ClusterForbidden, match="patch secrets istio-ca-secret in namespace istio-system"):
        mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)


def test_nothing_but_patches_is_ever_sent(mesh: Mesh) -> None:
    before, pem = mesh.ca().state, a_root(mesh)

    mesh.writer.hold(ONE, now=NOW)
    mesh.writer.back_up(ONE, expected=before)
    mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=True)
    mesh.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)
    mesh.writer.restart(CITADEL, mark="one")
    mesh.writer.release(ONE)

    verbs = {entry.verb for entry in mesh.cluster.audit() if "rootkeeper" in entry.user}
    assert verbs == {"get", "list", "patch"}


def test_only_deployments_and_daemon_sets_are_restarted(mesh: Mesh) -> None:
    with pytest.raises(ClusterRefused, match="StatefulSet"):
        mesh.writer.restart(ObjectRef(kind="StatefulSet", namespace=SYSTEM, name="x"), mark="one")


# --- the backup's order ---------------------------------------------------------------------------


def kept(*rotations: str, order: str) -> WholeSecret:
    data = {f"{rotation}.{key}": "" for rotation in rotations for key in ("ca-cert.pem", "ca-key.pem")}
    return WholeSecret(metadata=ManagedMeta(annotations={ORDER_ANNOTATION: order}), data=data)


def test_the_newest_backups_and_the_oldest_stay() -> None:
    rotations = [f"{number:032x}" for number in range(KEPT + 1)]

    dropped, annotations = pruned_entries(ONE, kept(*rotations, order=",".join(rotations)))

    assert dropped == (f"{rotations[1]}.ca-cert.pem", f"{rotations[1]}.ca-key.pem")
    assert annotations == {ORDER_ANNOTATION: ",".join([rotations[0], *rotations[2:], ONE])}


def test_a_backup_of_unknown_age_is_never_dropped() -> None:
    known = [f"{number:032x}" for number in range(KEPT + 1)]

    dropped, _ = pruned_entries(ONE, kept("unknown", *known, order=",".join(known)))

    assert not [key for key in dropped if key.startswith("unknown")]


def test_a_backup_that_is_completed_keeps_its_place() -> None:
    _, annotations = pruned_entries(ONE, kept(order=f"{ONE},other"))

    assert annotations == {ORDER_ANNOTATION: f"{ONE},other"}


def test_only_what_is_missing_is_added_to_a_backup() -> None:
    live = WholeSecret(data={"ca-cert.pem": "YQ==", "ca-key.pem": "Yg=="})
    half = WholeSecret(data={f"{ONE}.ca-cert.pem": "YQ==", "other.ca-key.pem": "x"})

    assert missing_entries(ONE, live, half) == {f"{ONE}.ca-key.pem": "Yg=="}


def test_a_backup_with_a_key_that_the_secret_has_not_is_refused() -> None:
    live = WholeSecret(data={"ca-cert.pem": "YQ=="})

    with pytest.raises(ClusterRefused):
        missing_entries(ONE, live, WholeSecret(data={f"{ONE}.ca-key.pem": "Yg=="}))


# --- the lease ------------------------------------------------------------------------------------


def held(**fields: object) -> LeaseSpec:
    values: dict[str, object] = {"holder_identity": "other", "renew_time": "2026-11-23T11:50:00.000000Z"}
    return LeaseSpec(**(values | fields))  # type: ignore[arg-type]


LEASES = {
    "held": (held(lease_duration_seconds=900), "other"),
    "held for its own time": (held(lease_duration_seconds=3600), "other"),
    "lapsed": (held(lease_duration_seconds=600), ""),
    "without a duration": (held(), "other"),
    "never renewed": (held(renew_time=None), ""),
    "without a holder": (held(holder_identity=None), ""),
    "with an empty holder": (held(holder_identity=""), ""),
    "one's own": (held(holder_identity=ONE), ""),
    "empty": (None, ""),
}


@pytest.mark.parametrize(("spec", "holder"), LEASES.values(), ids=LEASES)
def test_a_lease_is_held_by_another_or_not(spec: LeaseSpec | None, holder: str) -> None:
    assert held_by_other(spec, ONE, now=NOW) == holder


def test_taking_a_lease_counts_a_transition_and_renewing_does_not() -> None:
    taken = spec_of_holder(held(lease_transitions=4), ONE, now=NOW)
    renewed = spec_of_holder(held(holder_identity=ONE), ONE, now=NOW + timedelta(minutes=1))

    assert taken["leaseTransitions"] == 5
    assert taken["acquireTime"] == taken["renewTime"] == "2026-11-23T12:00:00.000000Z"
    assert "leaseTransitions" not in renewed
    assert renewed["leaseDurationSeconds"] == 900
