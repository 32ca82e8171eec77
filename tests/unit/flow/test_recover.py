"""The sweep and the start: nothing that should go on stands still."""

from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.record import Card, Change, Event
from bot.core.rotation import Rotation, RotationState
from bot.errors import LostRace
from bot.flow.recover import redraw_active
from tests.unit.flow.world import World


def test_a_request_that_nobody_decided_expires_and_says_so() -> None:
    world = World()
    world.proposed()
    world.clock.pass_by(timedelta(hours=1))

    asked = world.sweep()

    assert (world.state, asked) == (RotationState.EXPIRED, [])
    assert world.spoken[-1].note == "Nobody approved it in time; nothing was changed."
    assert world.store.audit[-1].event is Event.EXPIRED


def test_a_request_is_left_alone_until_its_last_second() -> None:
    world = World()
    world.proposed()
    world.clock.pass_by(timedelta(minutes=59, seconds=59))

    assert world.sweep() == []

    assert world.state is RotationState.PROPOSED


def test_an_approval_that_was_slept_over_lapses_as_soon_as_the_bot_is_back() -> None:
    world = World()
    world.approved()
    world.clock.pass_by(timedelta(hours=9))

    asked = world.sweep()
    world.run()

    assert asked == [world.rotation_id]
    assert world.state is RotationState.EXPIRED
    assert world.spoken[-1].note == "It was not started in time; nothing was changed."


@pytest.mark.parametrize("step", ["back-up", "await-secrets", "verify"])
def test_what_a_stopped_process_left_behind_goes_on(step: str) -> None:
    world = World()
    world.running(step)

    assert world.sweep() == [world.rotation_id]


def test_a_roll_back_that_a_stopped_process_left_behind_goes_on() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    assert world.sweep() == []
    world.press(Act.ROLL_BACK)

    assert world.sweep() == [world.rotation_id]


def test_a_paused_rotation_waits_for_people_however_long_it_takes() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.clock.pass_by(timedelta(days=30))

    assert world.sweep() == []

    assert world.state is RotationState.PAUSED


def test_a_decision_in_the_same_moment_wins_over_the_sweep() -> None:
    world = World()
    world.proposed()
    world.clock.pass_by(timedelta(hours=1))
    store = world.store

    class Slower:
        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def commit(self, change: Change) -> Rotation | None:
            raise LostRace(f"{change.rotation and change.rotation.id} was decided meanwhile")

    world.record = Slower()  # type: ignore[assignment]

    assert world.sweep() == []

    assert world.state is RotationState.PROPOSED


def test_every_active_card_is_drawn_anew_at_the_start() -> None:
    world = World()
    rotation_id = world.proposed()
    before = len(world.store.messages)

    redraw_active(world.store)

    assert [m.content for m in world.store.messages[before:]] == [Card(rotation_id=rotation_id)]


def test_without_active_rotations_a_start_writes_nothing() -> None:
    world = World()
    world.proposed()
    world.press(Act.REJECT)
    before = world.store.messages

    redraw_active(world.store)

    assert world.store.messages == before
