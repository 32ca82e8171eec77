"""Every act but the approval: reject, cancel, keep waiting, roll back."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from bot.core.approval import DECISIONS, Act, acts_open_to
from bot.core.ids import RotationId
from bot.core.intent import Verb
from bot.core.record import Event
from bot.core.rotation import RotationState
from bot.errors import LostRace
from bot.flow.decide import decide
from tests.unit.flow.world import ANNA, BEN, DORA, World, caller, unchanged


def refusals(world: World) -> list[tuple[str, str]]:
    """(who, code) of every refusal on record."""
    rows = [row for row in world.store.audit if row.event is Event.REFUSED]
    return [(row.person.name if row.person else "", dict(row.detail)["code"]) for row in rows]


def test_a_rejection_keeps_the_reason() -> None:
    world = World()
    world.proposed()

    world.press(Act.REJECT, note="not before the release")

    assert world.state is RotationState.REJECTED
    assert world.spoken[-1].note == "not before the release"
    assert world.rotation.outcome == "not before the release"


def test_the_requester_cancels_and_cannot_reject() -> None:
    world = World()
    world.proposed()

    world.press(Act.REJECT, by=ANNA)
    world.press(Act.CANCEL, by=ANNA)

    assert refusals(world) == [("Anna", "own_request")]
    assert world.state is RotationState.CANCELLED


def test_24_a_cancel_between_approval_and_start_keeps_it_from_starting() -> None:
    world = World()
    world.approved()

    world.press(Act.CANCEL, by=ANNA)
    world.run()

    assert world.state is RotationState.CANCELLED
    assert world.cluster.effects == []


def test_a_stop_of_a_running_rotation_is_told_at_once() -> None:
    world = World()
    world.running("await-secrets")

    world.press(Act.CANCEL, by=ANNA)

    assert world.state is RotationState.RUNNING
    assert world.rotation.stop_requested
    assert world.told()[-1] == "stop_requested"
    assert world.said[-1].startswith("It begins nothing more")


@pytest.mark.parametrize("act", [Act.KEEP_WAITING, Act.ROLL_BACK, Act.END, Act.CANCEL])
def test_who_is_neither_requester_nor_approver_decides_nothing_about_a_paused_rotation(act: Act) -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()

    world.press(act, by=DORA)

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1] == ("Dora", "not_an_approver")


def test_roll_back_pressed_again_on_an_old_card_changes_nothing_and_names_the_choices() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    world.run(until="await-secrets", each=world.cluster.settle)
    world.run(each=world.cluster.settle)
    paused = world.rotation

    world.press(Act.ROLL_BACK)

    assert paused.state is RotationState.PAUSED
    assert world.rotation == paused
    assert refusals(world)[-1] == ("Ben", "already_rolling_back")
    assert world.said[-1] == ("It is rolling back already: choose *Keep waiting* or *End here* on its card.")


def test_a_stop_asked_for_twice_is_one_stop() -> None:
    world = World()
    world.running("await-secrets")

    world.press(Act.CANCEL)
    world.press(Act.CANCEL)

    assert [d.act for d in world.rotation.decisions] == ["approve", "cancel"]
    assert refusals(world)[-1] == ("Ben", "already_stopping")


def test_a_rotation_that_is_rolling_back_cannot_be_stopped() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)

    world.press(Act.CANCEL)

    assert refusals(world)[-1][1] == "already_rolling_back"
    assert not world.rotation.stop_requested


def test_a_note_is_kept_up_to_500_characters() -> None:
    world = World()
    world.proposed()

    world.press(Act.REJECT, note="x" * 5000)

    assert len(world.rotation.decisions[0].note) == 500


@pytest.mark.parametrize("value", ["", "0" * 2000, '{"id": 1}', "../../etc", "x\ny"])
def test_7_a_forged_id_is_answered_for_their_eyes_only(value: str) -> None:
    world = World()
    world.proposed()
    messages = world.store.messages

    world.desk.decide(caller(BEN), Act.APPROVE, RotationId(value), note="")

    assert world.said[-1] == "There is no such rotation."
    assert world.store.messages == messages
    assert world.bugs == []


def test_a_request_is_no_decision() -> None:
    world = World()
    world.proposed()

    with pytest.raises(ValueError, match="a request is proposed"):
        decide(world.court, world.ports, caller(BEN), Act.REQUEST, rotation_id=world.rotation_id, note="")

    assert world.state is RotationState.PROPOSED


def test_no_decision_touches_the_mesh() -> None:
    world = World()
    world.proposed()

    with unchanged(world):
        for act in DECISIONS:
            world.press(act)


# --- what a card shows is what counts --------------------------------------------------------------


def stuck(world: World) -> None:
    world.cluster.member("cart").fault = "its pod is Pending"
    world.running("await-proxies")
    world.run()


def stuck_on_the_way_back(world: World) -> None:
    stuck(world)
    world.press(Act.ROLL_BACK)
    world.run()


def stopping(world: World) -> None:
    world.running("await-secrets")
    world.press(Act.CANCEL)


def rolling_back(world: World) -> None:
    stuck(world)
    world.press(Act.ROLL_BACK)


def done(world: World) -> None:
    world.approved()
    world.run()


def ended_short(world: World) -> None:
    stuck(world)
    world.end()


STANDINGS: dict[str, tuple[Callable[[World], object], RotationState]] = {
    "proposed": (World.proposed, RotationState.PROPOSED),
    "approved": (World.approved, RotationState.APPROVED),
    "running": (lambda world: world.running("await-secrets"), RotationState.RUNNING),
    "stopping": (stopping, RotationState.RUNNING),
    "paused": (stuck, RotationState.PAUSED),
    "rolling back": (rolling_back, RotationState.ROLLING_BACK),
    "paused on the way back": (stuck_on_the_way_back, RotationState.PAUSED),
    "done": (done, RotationState.DONE),
    "ended short": (ended_short, RotationState.ENDED_SHORT),
}


@pytest.mark.parametrize("act", sorted(DECISIONS))
@pytest.mark.parametrize("name", STANDINGS)
def test_an_act_is_taken_exactly_where_the_card_has_its_button(name: str, act: Act) -> None:
    world = World()
    bring, state = STANDINGS[name]
    bring(world)
    before, refused = world.rotation, len(refusals(world))
    assert before.state is state

    if act is Act.END:
        world.end()
    else:
        world.press(act)

    taken = act in acts_open_to(before)
    assert (len(refusals(world)) == refused, world.rotation != before) == (taken, taken)


@pytest.mark.parametrize("name", STANDINGS)
def test_the_cancel_that_is_typed_counts_as_the_button_does(name: str) -> None:
    world = World()
    bring, _ = STANDINGS[name]
    bring(world)
    before = world.rotation

    world.type(Verb.CANCEL, by=BEN)

    assert (world.rotation != before) is (Act.CANCEL in acts_open_to(before))


class Interrupted:
    """The cluster, with somebody who presses a button while one call of it is under way."""

    def __init__(self, world: World, method: str, press: Callable[[], None]) -> None:
        self.cluster, self.method = world.cluster, method
        self.presses = [press]

    def __getattr__(self, name: str) -> object:
        real = getattr(self.cluster, name)

        def call(*args: object, **more: object) -> object:
            answer = real(*args, **more)
            if name == self.method and self.presses:
                self.presses.pop()()
            return answer

        return call


@pytest.mark.parametrize("method", ["read", "hold"])
@pytest.mark.parametrize("step", ["back-up", "write-root", "reload-ca", "restart-deployment-istio-pilot"])
def test_a_stop_that_was_confirmed_while_a_step_was_looking_comes_before_its_effect(
    step: str, method: str
) -> None:
    world = World()
    world.running(step)
    before = list(world.cluster.effects)
    world.reader = world.writer = cast("Any", Interrupted(world, method, lambda: world.press(Act.CANCEL)))

    with pytest.raises(LostRace):
        world.advance()
    world.run()

    assert world.cluster.effects == before
    assert world.state is (RotationState.CANCELLED if step == "back-up" else RotationState.PAUSED)


def test_how_long_a_rotation_took_counts_its_pauses() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.clock.pass_by(timedelta(days=1))
    world.press(Act.KEEP_WAITING)
    world.run()

    assert world.state is RotationState.DONE
    assert "It took 1 day" in world.rotation.outcome
