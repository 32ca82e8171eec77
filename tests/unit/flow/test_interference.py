"""Somebody else in the mesh, faults of the network, and two bots: rows of facts/istio.md 6.5."""

from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.mesh import Part
from bot.core.progress import Wait
from bot.core.rotation import RotationState
from tests.fakes.mesh import ROOT_KEY
from tests.unit.flow.world import World, unchanged

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


def test_a_roll_back_without_its_backup_is_refused_while_there_is_still_a_way_on() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    assert world.cluster.backup is not None
    world.cluster.backup.data.clear()

    world.press(Act.ROLL_BACK)
    refused = world.said[-1], world.rotation.backwards
    world.press(Act.KEEP_WAITING)
    world.run()

    assert "There is no way back" in refused[0]
    assert refused[1] is False
    assert world.state is RotationState.DONE


def test_a_rotation_whose_mesh_was_taken_out_of_the_settings_can_be_ended() -> None:
    world = World()
    world.running("await-secrets")
    world.meshes_known = False
    world.run()
    paused = world.state

    world.end()

    assert paused is RotationState.PAUSED
    assert world.store.active_rotations() == ()
    assert "mesh prod is not in the settings any more" in world.rotation.outcome
