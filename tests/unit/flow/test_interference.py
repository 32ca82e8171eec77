"""Somebody else in the mesh, faults of the network, and two bots: rows of facts/istio.md 6.5."""

from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.intent import Verb
from bot.core.mesh import Part
from bot.core.progress import Wait
from bot.core.record import Event
from bot.core.rotation import RotationState
from tests.fakes.mesh import CITADEL, ROOT_KEY
from tests.unit.flow.world import BEN, World, unchanged

FOREIGN = b"-----BEGIN CERTIFICATE-----\nof somebody else\n-----END CERTIFICATE-----\n"
SOON = timedelta(minutes=1)
STEPS = (
    "reload-ca",
    "await-secrets",
    "await-webhooks",
    "restart-deployment-istio-pilot",
    "await-proxies",
    "verify",
)


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
    assert world.spoken[-1].note.endswith(
        "changed by somebody else meanwhile. Nothing in the mesh was changed."
    )


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


def test_a_roll_back_whose_backup_is_gone_can_be_given_up() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    assert world.cluster.backup is not None
    world.cluster.backup.data.clear()
    halted(world)
    paused = world.state, world.live_root == world.rotation.plan.new_pem

    world.press(Act.CANCEL)

    assert paused == (RotationState.PAUSED, True)
    assert world.state is RotationState.FAILED
    assert "there is no backup of rotation" in world.rotation.outcome


def test_a_roll_back_writes_nothing_from_a_backup_that_somebody_changed() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    assert world.cluster.backup is not None
    kept = next(key for key in world.cluster.backup.data if key.endswith(ROOT_KEY))
    true_copy = world.cluster.backup.data[kept]
    world.cluster.backup.data[kept] = FOREIGN
    with unchanged(world):
        halted(world)
    paused = world.state, world.rotation.outcome
    world.cluster.backup.data[kept] = true_copy

    world.press(Act.KEEP_WAITING)
    world.run()

    assert paused[0] is RotationState.PAUSED
    assert "does not hold the old root any more" in paused[1]
    assert world.state is RotationState.ROLLED_BACK


def test_a_rotation_whose_citadel_is_gone_can_be_given_up() -> None:
    world = World()
    world.running("reload-ca")
    world.cluster.plane.remove(world.cluster.of_plane(CITADEL))
    halted(world)

    world.press(Act.CANCEL)

    assert world.state is RotationState.FAILED
    assert "Deployment istio-system/istio-citadel no longer exists" in world.rotation.outcome


@pytest.mark.parametrize(
    "what", ["Deployments in namespace istio-system", "Secret istio-system/istio-ca-secret"]
)
def test_what_cannot_be_read_is_no_reason_to_give_up(what: str) -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.cluster.plane.clear()
    world.cluster.hide(Part.AUTHORITY, what, reason="timed out")
    world.cluster.hide(Part.AUTHORITY, "Deployments in namespace istio-system", reason="timed out")

    world.press(Act.CANCEL)

    assert world.state is RotationState.PAUSED
    assert f"{what} could not be read: timed out" in world.said[-1]


def test_the_old_bytes_put_back_by_hand_are_recognised_by_a_roll_back() -> None:
    world = World()
    world.running("await-secrets")
    world.cluster.change_data(ROOT_KEY, world.rotation.plan.old_root.pem)
    halted(world)

    world.press(Act.ROLL_BACK)
    world.run()

    assert world.state is RotationState.ROLLED_BACK
    assert world.cluster.effects.count("replace_root") == 1
    assert world.cluster.effects.count("restart istio-citadel") == 2


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

    paused, why = world.state, world.rotation.outcome
    world.press(Act.CANCEL)
    assert (paused, world.state) == (RotationState.PAUSED, RotationState.FAILED)
    assert "has expired" in why


def test_a_roll_back_that_one_proxy_never_follows_can_be_given_up_once_citadel_has_the_old_root() -> None:
    world = World()
    world.running("await-proxies")
    world.cluster.member("cart").fault = "the pod is Pending"
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    world.run()
    assert (world.state, world.rotation.backwards) == (RotationState.PAUSED, True)

    world.press(Act.CANCEL)

    assert world.state is RotationState.FAILED
    assert "not everything took it (proxy of " in world.spoken[-1].note


def test_a_roll_back_whose_citadel_is_not_reloaded_yet_cannot_be_given_up() -> None:
    world = World()
    world.running("await-proxies")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    world.run(each=lambda: None)
    assert (world.state, world.rotation.backwards) == (RotationState.PAUSED, True)

    world.press(Act.CANCEL)

    assert world.state is RotationState.PAUSED


def test_where_there_is_no_way_back_a_wait_that_never_ends_can_be_given_up() -> None:
    world = World()
    world.cluster.member("cart").stuck = True
    world.running("await-proxies")
    world.run(each=lambda: None)
    world.clock.at = world.rotation.plan.old_root.not_after - SOON

    world.press(Act.CANCEL)

    assert world.state is RotationState.FAILED
    assert "Citadel signs with the new root" in world.spoken[-1].note
