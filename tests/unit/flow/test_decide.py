"""Decisions: who, once, about what is still so; every refusal is on record."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.approval import DECISIONS, Act
from bot.core.ids import TeamId
from bot.core.mesh import MeshSnapshot, Part
from bot.core.record import Event
from bot.core.replies import Refused
from bot.core.rotation import RotationState
from bot.errors import ClusterUnreachable, DirectoryUnavailable
from tests.unit.flow.world import ANNA, BEN, CLEO, DORA, NOW, Overtaken, World, caller, unchanged


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


def test_an_approval_does_not_lapse_while_a_large_mesh_is_looked_at() -> None:
    world = World()
    world.proposed()
    read = world.cluster.read

    def slowly(parts: frozenset[Part]) -> MeshSnapshot:
        world.clock.pass_by(timedelta(minutes=6))
        return read(parts)

    world.cluster.read = slowly  # type: ignore[method-assign]
    world.press(Act.APPROVE)
    world.advance()

    assert world.state is RotationState.RUNNING


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
    world.directory.people[person.team, person.user] = person  # type: ignore[attr-defined, assignment]
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


def test_18_the_audit_row_of_an_approval_says_who_could_approve_in_that_moment() -> None:
    world = World()
    world.proposed()
    world.directory.approving = (BEN.user, CLEO.user)

    world.press(Act.APPROVE)
    world.directory.approving = (CLEO.user,)

    row = next(row for row in world.store.audit if row.event is Event.APPROVED)
    assert dict(row.detail)["approvers"] == f"{BEN.user} {CLEO.user}"


# --- the mesh is looked at again -----------------------------------------------------------------------------


def test_9_an_approval_of_a_mesh_that_changed_makes_it_stale_with_the_reasons() -> None:
    world = World()
    world.proposed()
    world.cluster.change_data("ca-key.pem", b"not a key")

    world.press(Act.APPROVE)

    assert world.state is RotationState.STALE
    assert world.told() == ["stale"]
    assert world.rotation.outcome
    assert world.replies.said[-1][1] == Refused(
        sentence=f"Too late: the mesh changed since. {world.rotation.outcome}"
    )


def test_36_an_approval_while_not_everything_can_be_read_is_put_off_and_not_turned_down() -> None:
    world = World()
    world.proposed()
    world.cluster.hide(Part.SECRETS, "Secrets in namespace shop", reason="500 from the API server")

    world.press(Act.APPROVE)

    assert world.state is RotationState.PROPOSED
    assert world.told() == []
    [said] = [said for _, said in world.replies.said if isinstance(said, Refused)]
    assert said.sentence == (
        "That did not work: not everything could be read: Secrets in namespace shop (500 from the API server)"
    )
    assert "still stands" in said.hint

    world.cluster.unread.clear()
    world.press(Act.APPROVE)

    assert world.told() == ["approved"]


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


@pytest.mark.parametrize("again", sorted(DECISIONS))
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
