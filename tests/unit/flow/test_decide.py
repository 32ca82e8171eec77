"""Decisions: who, once, about what is still so; every refusal is on record."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.approval import Act
from bot.core.ids import RotationId, TeamId
from bot.core.record import Change, Event
from bot.core.rotation import Rotation, RotationState
from bot.errors import ClusterUnreachable, DirectoryUnavailable, LostRace
from bot.flow.decide import decide
from tests.fakes.store import FakeStore
from tests.unit.flow.world import ANNA, BEN, CLEO, DORA, NOW, World, caller, unchanged


class Overtaken:
    """A store in which somebody else is faster, as often as a test says."""

    def __init__(self, store: FakeStore, *, by: Callable[[], None], times: int = 1) -> None:
        self._store = store
        self._by = by
        self._times = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, change: Change) -> Rotation | None:
        if change.rotation is not None and self._times:
            self._times -= 1
            self._by()
            raise LostRace("the record moved on")
        return self._store.commit(change)


def refusals(world: World) -> list[tuple[str, str]]:
    """(who, code) of every refusal on record."""
    rows = [row for row in world.store.audit if row.event is Event.REFUSED]
    return [(row.person.name if row.person else "", dict(row.detail)["code"]) for row in rows]


# --- approve --------------------------------------------------------------------------------------------


def test_an_approval_is_recorded_with_who_when_and_for_which_plan() -> None:
    world = World()
    world.proposed()

    world.press(Act.APPROVE)

    (decision,) = world.rotation.decisions
    assert (decision.act, decision.person.user, decision.at) == ("approve", BEN.user, NOW)
    assert decision.digest == world.rotation.plan.digest == world.rotation.digest
    assert world.rotation.start_by == NOW + timedelta(minutes=5)
    assert world.scheduler.asked == [world.rotation_id]
    assert world.store.audit[-1].event is Event.APPROVED
    assert world.store.audit[-1].channel == "C0MESH"


def test_an_approval_writes_nothing_to_the_mesh() -> None:
    world = World()
    world.proposed()

    with unchanged(world):
        world.press(Act.APPROVE)

    assert world.cluster.lease is None


@pytest.mark.parametrize(
    ("who", "code"),
    [
        (ANNA, "own_request"),
        (DORA, "not_an_approver"),
        (replace(BEN, deleted=True), "deactivated"),
        (replace(BEN, is_bot=True), "bot"),
        (replace(BEN, is_guest=True), "guest"),
        (replace(BEN, is_stranger=True), "stranger"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_who_may_not_approve_is_refused_for_their_eyes_and_on_record(who: object, code: str) -> None:
    world = World()
    world.proposed()
    person = who
    world.directory.people[person.team, person.user] = person  # type: ignore[attr-defined, assignment, index]
    messages = world.store.messages

    world.press(Act.APPROVE, by=person)  # type: ignore[arg-type]

    assert world.state is RotationState.PROPOSED
    assert refusals(world)[-1][1] == code
    assert world.store.messages == messages
    assert world.scheduler.asked == []


def test_a_person_of_another_workspace_with_an_approvers_id_is_a_stranger() -> None:
    world = World()
    world.proposed()
    double = replace(BEN, team=TeamId("T0AWAY"))
    world.directory.people[double.team, double.user] = double

    world.press(Act.APPROVE, by=double)

    assert refusals(world)[-1][1] == "stranger"
    assert world.state is RotationState.PROPOSED


def test_a_decision_in_another_channel_is_refused() -> None:
    world = World()
    world.proposed()

    world.desk.decide(caller(BEN, channel="D0DIRECT"), Act.APPROVE, world.rotation_id, note="")

    assert refusals(world)[-1][1] == "wrong_channel"


def test_a_channel_that_was_shared_meanwhile_is_refused() -> None:
    world = World()
    world.proposed()
    world.directory.fault = "is shared with another organisation"

    world.press(Act.APPROVE)

    assert refusals(world)[-1][1] == "channel_unfit"


def test_17_when_the_directory_cannot_be_asked_the_answer_is_no_and_on_record() -> None:
    world = World()
    world.proposed()
    messages = world.store.messages
    world.directory.fails_with = DirectoryUnavailable("users.info: ratelimited")

    world.press(Act.APPROVE)

    assert world.state is RotationState.PROPOSED
    assert refusals(world)[-1] == ("Ben", "lookup_failed")
    assert world.store.audit[-1].rotation_id == world.rotation_id
    assert "users.info: ratelimited" in world.said[-1]
    assert world.store.messages == messages


@pytest.mark.parametrize("change", [{"deleted": True}, {"is_guest": True}])
def test_25_a_requester_who_left_leaves_nothing_to_approve(change: dict[str, bool]) -> None:
    world = World()
    world.proposed()
    world.directory.people[ANNA.team, ANNA.user] = replace(ANNA, **change)  # type: ignore[arg-type]

    world.press(Act.APPROVE)

    assert world.state is RotationState.PROPOSED
    assert refusals(world)[-1][1] == "requester_gone"


def test_a_requester_who_cannot_be_looked_up_makes_it_no() -> None:
    world = World()
    world.proposed()
    del world.directory.people[ANNA.team, ANNA.user]

    world.press(Act.APPROVE)

    assert world.state is RotationState.PROPOSED
    assert refusals(world)[-1][1] == "lookup_failed"


def test_11_an_approval_after_the_deadline_is_refused_although_nobody_swept() -> None:
    world = World()
    world.proposed()
    world.clock.pass_by(timedelta(hours=1))

    world.press(Act.APPROVE)

    assert world.state is RotationState.PROPOSED
    assert refusals(world)[-1][1] == "already_expired"


# --- the mesh is looked at again -----------------------------------------------------------------------------


def test_9_an_approval_of_a_mesh_that_changed_makes_it_stale_with_the_reasons() -> None:
    world = World()
    world.proposed()
    world.cluster.change_data("ca-key.pem", b"not a key")

    world.press(Act.APPROVE)

    assert world.state is RotationState.STALE
    assert world.told() == ["stale"]
    assert world.rotation.outcome
    assert world.said[-1] == f"Too late: the mesh changed since. {world.rotation.outcome}"


def test_10_an_approval_for_another_cluster_of_that_name_makes_it_stale() -> None:
    world = World()
    world.proposed()
    world.cluster.uid = type(world.cluster.uid)("00000000-0000-4000-8000-00000000beef")

    world.press(Act.APPROVE)

    assert world.state is RotationState.STALE
    assert "this is another cluster" in world.rotation.outcome


def test_a_mesh_that_gives_no_plan_and_no_reason_is_stale_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.proposed()
    monkeypatch.setattr("bot.flow.propose.citadel_mesh", lambda *_: None)

    world.press(Act.APPROVE)

    assert world.state is RotationState.STALE
    assert world.rotation.outcome == "the mesh cannot be planned for any more"


def test_metadata_and_counts_that_changed_do_not_void_an_approval() -> None:
    world = World()
    world.proposed()
    world.cluster.touch_metadata()
    world.cluster.members.pop()

    world.press(Act.APPROVE)

    assert world.state is RotationState.APPROVED


def test_a_mesh_that_cannot_be_reached_leaves_the_request_open() -> None:
    world = World()
    world.proposed()
    messages = world.store.messages
    world.cluster.fail("read", ClusterUnreachable("no route to the API server"))

    world.press(Act.APPROVE)
    first = world.state, world.said[-1], world.store.messages == messages
    world.press(Act.APPROVE)

    assert first == (RotationState.PROPOSED, "That did not work: no route to the API server", True)
    assert world.state is RotationState.APPROVED


# --- races -------------------------------------------------------------------------------------------------


def test_5_two_approvers_at_once_have_one_winner_and_one_polite_loser() -> None:
    world = World()
    world.proposed()
    world.record = Overtaken(world.store, by=lambda: first(world))  # type: ignore[assignment]

    world.press(Act.APPROVE, by=CLEO)

    assert [decision.person.name for decision in world.rotation.decisions] == ["Ben"]
    assert world.said[-1] == "Too late: this rotation was already approved by Ben at 18:41 UTC."
    assert world.told() == ["approved"]


def first(world: World) -> None:
    """Ben was faster."""
    world.record = world.store
    world.press(Act.APPROVE, by=BEN)


def test_6_an_approval_that_a_rejection_overtakes_is_refused() -> None:
    world = World()
    world.proposed()

    def reject() -> None:
        world.record = world.store
        world.press(Act.REJECT, by=CLEO, note="not tonight")

    world.record = Overtaken(world.store, by=reject)  # type: ignore[assignment]

    world.press(Act.APPROVE, by=BEN)

    assert world.state is RotationState.REJECTED
    assert world.told() == ["rejected"]
    assert refusals(world)[-1] == ("Ben", "already_rejected")


def test_a_lost_race_is_looked_at_again_and_decided_once() -> None:
    world = World()
    world.proposed()
    world.record = Overtaken(world.store, by=lambda: None, times=2)  # type: ignore[assignment]

    world.press(Act.APPROVE)

    assert world.state is RotationState.APPROVED
    assert len(world.rotation.decisions) == 1


def test_a_race_that_is_lost_again_and_again_is_told() -> None:
    world = World()
    world.proposed()
    world.record = Overtaken(world.store, by=lambda: None, times=99)  # type: ignore[assignment]

    world.press(Act.APPROVE)

    assert world.state is RotationState.PROPOSED
    assert "changing too quickly" in world.said[-1]


@pytest.mark.parametrize("again", list(set(Act) - {Act.REQUEST}))
@pytest.mark.parametrize("act", [Act.REJECT, Act.CANCEL])
def test_3_no_button_of_an_ended_rotation_does_anything(act: Act, again: Act) -> None:
    world = World()
    world.proposed()
    world.press(act)
    ended = world.rotation

    world.press(again)

    assert world.rotation == ended
    assert refusals(world)[-1][1] == f"already_{ended.state}"


def test_4_a_double_click_approves_once() -> None:
    world = World()
    world.proposed()

    world.press(Act.APPROVE)
    world.press(Act.APPROVE)

    assert len(world.rotation.decisions) == 1
    assert world.told() == ["approved"]
    assert refusals(world)[-1][1] == "already_approved"


# --- the other acts -------------------------------------------------------------------------------------------


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
    assert world.said[-1] == "It stops before its next step."


@pytest.mark.parametrize("act", [Act.KEEP_WAITING, Act.ROLL_BACK, Act.CANCEL])
def test_who_is_neither_requester_nor_approver_decides_nothing_about_a_paused_rotation(act: Act) -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()

    world.press(act, by=DORA)

    assert world.state is RotationState.PAUSED
    assert refusals(world)[-1] == ("Dora", "not_an_approver")


def test_roll_back_pressed_again_while_rolling_back_is_paused_only_goes_on() -> None:
    world = World()
    world.running("await-secrets")
    world.press(Act.CANCEL)
    world.run()
    world.press(Act.ROLL_BACK)
    world.run(until="await-secrets", each=world.cluster.settle)
    world.run(each=world.cluster.settle)
    assert world.state is RotationState.PAUSED
    walked = world.rotation.undo_steps[:2]

    world.press(Act.ROLL_BACK)
    resumed = world.state, world.rotation.undo_steps[:2]
    world.run()

    assert resumed == (RotationState.ROLLING_BACK, walked)
    assert world.said[-1] == "It is rolling back already; waiting on."
    assert [d.act for d in world.rotation.decisions].count("roll back") == 2
    assert world.state is RotationState.ROLLED_BACK


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
        for act in set(Act) - {Act.REQUEST}:
            world.press(act)
