"""Somebody else in the mesh, faults of the network, and two bots: rows of facts/istio.md 6.5."""

from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.intent import Verb
from bot.core.mesh import Part
from bot.core.progress import Done, StepStatus, Wait
from bot.core.record import Event
from bot.core.rotation import RotationState
from bot.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnreachable,
    ObjectAbsent,
    OutcomeUnknown,
)
from tests.fakes.mesh import ROOT_KEY
from tests.unit.flow.world import BEN, World, unchanged

FOREIGN = b"-----BEGIN CERTIFICATE-----\nof somebody else\n-----END CERTIFICATE-----\n"
SOON = timedelta(minutes=1)
STEPS = ("reload-ca", "await-secrets", "await-webhooks", "restart-deployment-istio-pilot", "await-proxies", "verify")


def halted(world: World) -> None:
    """It stopped by itself, soon, and did nothing to the mesh meanwhile."""
    began = world.clock.now()
    with unchanged(world):
        world.run(each=lambda: None)
    assert world.clock.now() - began < SOON


# --- the CA secret ---------------------------------------------------------------------------------


@pytest.mark.parametrize("acted", [False, True], ids=["before the step acts", "while it waits"])
@pytest.mark.parametrize("step", STEPS)
def test_54_another_operator_replaces_the_root_mid_plan_pauses_at_once_and_names_the_writer(
    step: str, *, acted: bool
) -> None:
    world = World()
    world.running(step)
    if acted:
        world.advance()
    world.cluster.change_data(ROOT_KEY, FOREIGN)

    halted(world)

    assert world.state is RotationState.PAUSED
    assert world.told()[-1] == "paused"
    assert "changed" in world.rotation.outcome
    assert world.live_root == FOREIGN


def test_the_writer_is_named_when_a_wait_ends_that_way() -> None:
    world = World()
    world.running("await-secrets")
    world.advance()
    world.cluster.change_data(ROOT_KEY, FOREIGN)

    halted(world)

    assert "istio-ca-secret was changed by kubectl-edit meanwhile" in world.rotation.outcome


def test_31_only_metadata_changed_is_no_obstacle() -> None:
    world = World()
    world.running("write-root")
    world.cluster.touch_metadata()

    world.run()

    assert world.state is RotationState.DONE


def test_31_data_changed_before_the_write_ends_it_without_a_write() -> None:
    world = World()
    world.running("back-up")
    world.cluster.change_data(ROOT_KEY, FOREIGN)

    halted(world)

    assert world.state is RotationState.FAILED
    assert world.spoken[-1].note.endswith("changed by somebody else meanwhile. Nothing in the mesh was changed.")


@pytest.mark.parametrize("acted", [False, True], ids=["before the step acts", "while it waits"])
@pytest.mark.parametrize("step", STEPS)
def test_32_the_secret_vanished_stops_everything_and_says_not_to_restart_citadel(
    step: str, *, acted: bool
) -> None:
    world = World()
    world.running(step)
    if acted:
        world.advance()
    world.cluster.secret = None
    effects = list(world.cluster.effects)

    world.run(each=lambda: None)

    assert world.state is RotationState.PAUSED
    assert world.cluster.effects == effects
    assert "has vanished. Do not restart Citadel" in world.rotation.outcome


def test_an_unread_secret_is_waited_for_and_not_taken_for_gone() -> None:
    world = World()
    world.running("await-secrets")
    world.cluster.hide(Part.AUTHORITY, "Secret istio-system/istio-ca-secret", reason="timed out")

    assert isinstance(world.advance(), Wait)

    world.cluster.unread.clear()
    world.run()
    assert world.state is RotationState.DONE


def test_keep_waiting_after_a_foreign_change_asks_again_until_the_change_is_undone() -> None:
    world = World()
    world.running("await-secrets")
    ours = world.live_root
    world.cluster.change_data(ROOT_KEY, FOREIGN)
    halted(world)
    world.press(Act.KEEP_WAITING)
    halted(world)
    again = world.state
    world.cluster.change_data(ROOT_KEY, ours)

    world.press(Act.KEEP_WAITING)
    world.run()

    assert (again, world.state) == (RotationState.PAUSED, RotationState.DONE)


def test_rolling_back_over_a_foreign_root_is_refused_by_the_gate() -> None:
    world = World()
    world.running("await-secrets")
    world.cluster.change_data(ROOT_KEY, FOREIGN)
    halted(world)

    world.press(Act.ROLL_BACK)
    halted(world)

    assert (world.state, world.rotation.backwards) == (RotationState.PAUSED, True)
    assert world.live_root == FOREIGN


@pytest.mark.parametrize("backwards", [False, True])
def test_a_rotation_that_can_go_neither_on_nor_back_can_be_given_up_and_asked_for_anew(
    *, backwards: bool
) -> None:
    world = World()
    world.running("await-secrets")
    world.cluster.change_data(ROOT_KEY, FOREIGN)
    halted(world)
    if backwards:
        world.press(Act.ROLL_BACK)
        halted(world)

    world.type(Verb.CANCEL, by=BEN)

    assert world.state is RotationState.FAILED
    assert world.spoken[-1].event is Event.FAILED
    assert "gave it up" in world.spoken[-1].note
    assert world.store.active_rotations() == ()


def test_a_rotation_that_can_go_on_cannot_be_given_up() -> None:
    world = World()
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")
    world.run()
    told = world.told()

    world.press(Act.CANCEL)

    assert world.state is RotationState.PAUSED
    assert world.told() == told
    assert "choose *Roll back* or *Keep waiting*" in world.said[-1]
    assert world.store.audit[-1].detail == (("act", "cancel"), ("code", "already_changed"))


def test_58_an_old_root_that_ends_too_soon_is_not_put_back() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.clock.at = world.rotation.plan.old_root.not_after - SOON

    world.press(Act.ROLL_BACK)

    assert (world.state, world.rotation.backwards) == (RotationState.PAUSED, False)
    assert "putting it back would stop the mesh" in world.said[-1]


def test_an_old_root_that_expires_before_it_is_written_stays_out() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    world.clock.at = world.rotation.plan.old_root.not_after
    with unchanged(world):
        world.run()

    assert world.state is RotationState.PAUSED
    assert "has expired" in world.rotation.outcome
    world.press(Act.CANCEL)
    assert world.state is RotationState.FAILED


# --- faults ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [ClusterUnreachable, OutcomeUnknown])
@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
@pytest.mark.parametrize(
    ("method", "step"),
    [("back_up", "back-up"), ("replace_root", "write-root"), ("restart", "reload-ca"), ("hold", "verify")],
)
def test_33_a_write_without_an_answer_is_settled_by_looking(
    method: str, step: str, fault: type[ClusterError], *, after: bool
) -> None:
    world = World()
    world.running(step)
    world.cluster.fail(method, fault("no answer"), after=after)

    world.run()

    assert world.state is RotationState.DONE
    assert len(world.cluster.effects) == len(set(world.cluster.effects))
    assert world.told().count("paused") == 0


def test_36_the_api_servers_own_wish_when_to_come_back_is_honoured() -> None:
    world = World()
    world.running("await-secrets")
    busy = ClusterUnreachable("429", retry_after=timedelta(seconds=42))
    world.cluster.fail("read", busy)

    assert world.advance() == Wait(after=timedelta(seconds=42))


def test_a_fault_that_may_pass_is_shown_on_the_card_and_not_told() -> None:
    world = World()
    world.running("await-secrets")
    told = world.told()
    world.cluster.fail("read", ClusterUnreachable("connection reset"), times=3)

    for _ in range(3):
        world.advance()

    current = world.rotation.current
    assert current is not None
    assert current[1].note == "connection reset"
    assert world.told() == told


@pytest.mark.parametrize(
    "fault",
    [
        ClusterForbidden("may not patch secrets"),
        ClusterRefused("denied by policy no-edits"),
        ObjectAbsent("secrets rootkeeper-backup does not exist"),
        ClusterConflict("somebody was faster"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_34_what_cannot_pass_by_itself_ends_it_before_and_pauses_it_after_the_write(
    fault: ClusterError,
) -> None:
    early, late = World(), World()
    early.running("back-up")
    early.cluster.fail("back_up", fault)
    late.running("reload-ca")
    late.cluster.fail("restart", fault)

    halted(early)
    halted(late)

    assert early.state is RotationState.FAILED
    assert late.state is RotationState.PAUSED
    assert all(fault.message in world.rotation.outcome for world in (early, late))


def test_34_a_refused_rehearsal_writes_nothing() -> None:
    world = World()
    world.running("write-root")
    world.cluster.fail("replace_root", ClusterRefused("admission webhook says no"))

    halted(world)

    assert world.state is RotationState.PAUSED
    assert "replace_root" not in world.cluster.effects


def test_keep_waiting_after_a_halt_tries_the_step_again() -> None:
    world = World()
    world.running("reload-ca")
    world.cluster.fail("restart", ClusterForbidden("may not patch deployments"))
    halted(world)

    world.press(Act.KEEP_WAITING)
    world.run()

    assert world.state is RotationState.DONE
    assert world.cluster.effects.count("restart istio-citadel") == 1


# --- two bots ----------------------------------------------------------------------------------------------


def test_a_lease_that_another_holds_at_the_start_makes_it_stale_and_names_the_holder() -> None:
    world = World()
    world.approved()
    world.cluster.lease = ("of-another-bot", world.clock.now())  # type: ignore[assignment]

    world.run()

    assert world.state is RotationState.STALE
    assert "held by rotation of-another-bot" in world.rotation.outcome
    assert world.cluster.effects == []
    assert world.cluster.lease is not None


def test_a_lease_that_another_took_while_it_was_paused_pauses_it_again() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.cluster.lease = ("of-another-bot", world.clock.now())  # type: ignore[assignment]

    world.press(Act.KEEP_WAITING)
    halted(world)

    assert world.state is RotationState.PAUSED
    assert "of-another-bot" in world.rotation.outcome


def test_a_lease_that_a_killed_rotation_left_behind_does_not_keep_the_next_one_out() -> None:
    world = World()
    world.approved()
    world.cluster.fail("release", ClusterUnreachable("gone"))
    world.run()
    assert world.cluster.lease is not None

    world.approved()
    world.run()

    assert world.state is RotationState.DONE
    assert world.cluster.lease is None


@pytest.mark.parametrize("fault", [ClusterForbidden("no"), ObjectAbsent("gone")])
def test_a_start_that_is_refused_gives_the_lease_back(fault: ClusterError) -> None:
    world = World()
    world.approved()
    world.cluster.fail("read", fault)

    world.advance()

    assert world.state is RotationState.STALE
    assert world.cluster.lease is None


# --- the start --------------------------------------------------------------------------------------------


def test_an_approval_that_was_not_used_in_time_lapses() -> None:
    world = World()
    world.approved()
    world.clock.pass_by(timedelta(minutes=5))

    assert world.advance() == Done()

    assert world.state is RotationState.EXPIRED
    assert world.told() == ["approved", "expired"]
    assert world.cluster.effects == []


def test_a_mesh_that_cannot_be_reached_at_the_start_is_waited_for_until_the_approval_lapses() -> None:
    world = World()
    world.approved()
    world.cluster.fail("read", ClusterUnreachable("no route"), times=1000)

    world.run()

    assert world.state is RotationState.EXPIRED
    assert world.cluster.lease is None


def test_9_a_mesh_that_changed_between_approval_and_start_makes_it_stale_with_the_reason() -> None:
    world = World()
    world.approved()
    world.cluster.plane.remove(world.cluster.of_plane("galley"))

    world.run()

    assert world.state is RotationState.STALE
    assert world.rotation.outcome == "other steps would be needed now"


def test_63_another_cluster_of_the_same_name_is_not_touched() -> None:
    world = World()
    world.approved()
    world.cluster.uid = type(world.cluster.uid)("00000000-0000-4000-8000-00000000beef")

    world.run()

    assert world.state is RotationState.STALE
    assert "this is another cluster" in world.rotation.outcome
    assert world.cluster.effects == []


def test_a_mesh_taken_out_of_the_settings_does_not_stand_still_in_silence() -> None:
    approved, early, late = World(), World(), World()
    approved.approved()
    early.running("back-up")
    late.running("await-secrets")

    for world in (approved, early, late):
        world.meshes_known = False
        world.run()

    assert [world.state for world in (approved, early, late)] == [
        RotationState.STALE,
        RotationState.FAILED,
        RotationState.PAUSED,
    ]
    assert all("is not in the settings any more" in world.rotation.outcome for world in (approved, early, late))
    late.meshes_known = True
    late.press(Act.KEEP_WAITING)
    late.run()
    assert late.state is RotationState.DONE


def test_55_a_restart_between_write_and_reload_goes_on_from_what_is_live() -> None:
    world = World()
    world.running("write-root")
    plan = world.rotation.plan
    world.cluster.replace_root(
        plan.new_pem, expected=plan.secret, rotation_id=world.rotation_id, rehearse=False
    )

    world.run()

    assert world.state is RotationState.DONE
    assert world.cluster.effects.count("replace_root") == 1
    assert all(state.status is StepStatus.DONE for state in world.rotation.steps)


def test_52_proxies_that_never_load_stop_the_plan_and_it_does_not_advance_by_itself() -> None:
    world = World()
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")

    world.run()
    told = world.told()
    for _ in range(5):
        world.advance()

    assert world.state is RotationState.PAUSED
    assert world.told() == told
    assert [s.what for s in world.spoken[-1].stragglers] == ["proxy of shop/cart-0"]
