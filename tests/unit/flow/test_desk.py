"""The desk: every command, every refusal, and no fault without an answer."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.approval import Act
from bot.core.findings import Verdict
from bot.core.ids import UserId
from bot.core.intent import Verb
from bot.core.mesh import MeshSnapshot
from bot.core.record import Change, CheckRecord, Event, Message, Placement, ReportPosted, StragglerFile
from bot.core.replies import HelpShown, HistoryShown, StatusShown
from bot.core.rotation import Rotation, RotationState
from bot.errors import DirectoryUnavailable, LostRace
from tests.fakes.cluster import MESH
from tests.fakes.store import FakeStore
from tests.unit.flow.world import ANNA, APPROVERS, BEN, DORA, NOW, World, caller, unchanged


class Busy:
    """A store that somebody else writes to just before the first commit of a rotation."""

    def __init__(self, world: World, *, meanwhile: object, times: int = 1) -> None:
        self._world = world
        self._store: FakeStore = world.store
        self._meanwhile = meanwhile
        self._times = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def commit(self, change: Change) -> Rotation | None:
        if change.rotation is not None and self._times:
            self._times -= 1
            self._world.record = self._store
            self._meanwhile()  # type: ignore[operator]
            self._world.record = self  # type: ignore[assignment]
            if self._times:
                raise LostRace("the record moved on")
        return self._store.commit(change)


def reports(world: World) -> list[tuple[Message, ReportPosted]]:
    return [(m, m.content) for m in world.store.messages if isinstance(m.content, ReportPosted)]


def broken(_parts: object) -> MeshSnapshot:
    raise ZeroDivisionError("a bug")


# --- looking ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [Verb.CHECK, Verb.VERIFY])
def test_a_look_is_posted_for_all_and_changes_nothing(verb: Verb) -> None:
    world = World()

    with unchanged(world):
        world.type(verb, by=DORA)

    ((message, posted),) = reports(world)
    assert (posted.report.kind, posted.report.mesh, posted.person.name) == (verb.value, MESH, "Dora")
    assert message.placement is Placement.NEW
    (row,) = world.store.audit
    assert (row.event, dict(row.detail)["kind"]) == (Event.CHECKED, verb.value)


def test_row_37_more_stragglers_than_a_message_shows_follow_as_one_file_in_its_thread() -> None:
    world = World()
    for member in world.cluster.members:
        member.fault = "the proxy did not answer"
    world.cluster.webhook_roots = dict.fromkeys(world.cluster.webhook_roots, b"")
    world.cluster.trust_root = b""
    for member in world.cluster.members:
        member.root = b""

    world.type(Verb.VERIFY)

    (message, posted), file = reports(world)[0], world.store.messages[-1]
    assert posted.report.verdict is Verdict.NOT_OK
    assert isinstance(file.content, StragglerFile)
    assert (file.subject, file.placement) == (message.subject, Placement.REPLY)
    assert len(file.content.stragglers) == len(posted.report.stragglers) > 10


def test_two_looks_are_two_messages() -> None:
    world = World()

    world.type(Verb.CHECK)
    world.type(Verb.CHECK)

    assert len({message.subject for message, _ in reports(world)}) == 2


# --- talk ----------------------------------------------------------------------------------------------------


def test_status_shows_rotations_checks_and_what_was_never_checked() -> None:
    world = World()
    world.type(Verb.STATUS)
    world.proposed()
    world.store.commit(Change(check=CheckRecord(mesh=MESH, at=NOW, ok=True, summary="fine")))

    world.type(Verb.STATUS)

    (_, before), *_, (_, after) = world.replies.said
    assert before == StatusShown(active=(), checks=(), never_checked=(MESH,))
    assert isinstance(after, StatusShown)
    assert [r.id for r in after.active] == [world.rotation_id]
    assert (after.never_checked, after.checks[0].summary) == ((), "fine")


def test_status_says_which_check_is_from_before_a_rotation() -> None:
    world = World()
    world.store.commit(Change(check=CheckRecord(mesh=MESH, at=NOW, ok=True, summary="11 days left")))
    world.approved()
    world.run()

    world.type(Verb.STATUS)

    shown = world.replies.said[-1][1]
    assert isinstance(shown, StatusShown)
    assert shown.overtaken == ((MESH, world.rotation.finished_at),)


def test_history_is_the_meshs_own_newest_first() -> None:
    world = World()
    first = world.proposed()
    world.press(Act.CANCEL)
    world.clock.pass_by(timedelta(minutes=1))
    second = world.proposed()

    world.type(Verb.HISTORY)

    shown = world.replies.said[-1][1]
    assert isinstance(shown, HistoryShown)
    assert [r.id for r in shown.rotations] == [second, first]


@pytest.mark.parametrize(("asked_for", "older"), [(10, False), (11, True)])
def test_history_says_whether_there_is_more_than_it_shows(asked_for: int, *, older: bool) -> None:
    world = World()
    for _ in range(asked_for):
        world.proposed()
        world.press(Act.REJECT, note="not now")
        world.clock.pass_by(timedelta(minutes=1))

    world.type(Verb.HISTORY)

    shown = world.replies.said[-1][1]
    assert isinstance(shown, HistoryShown)
    assert (len(shown.rotations), shown.older) == (10, older)


def test_help_names_the_meshes() -> None:
    world = World()

    world.type(Verb.HELP)

    assert world.replies.said[-1][1] == HelpShown(meshes=(MESH,))


def test_cancel_without_a_rotation_says_so() -> None:
    world = World()

    world.type(Verb.CANCEL)

    assert world.said == ["No rotation of mesh prod is going on."]


def test_cancel_typed_is_the_same_as_cancel_pressed() -> None:
    world = World()
    world.proposed()

    world.type(Verb.CANCEL, by=DORA)
    refused = world.said[-1]
    world.type(Verb.CANCEL, by=ANNA)

    assert refused == "You are not among the approvers of this mesh."
    assert world.state is RotationState.CANCELLED


# --- requests ------------------------------------------------------------------------------------------------


def test_a_request_becomes_a_card_that_waits() -> None:
    world = World()

    with unchanged(world):
        world.proposed()

    assert world.state is RotationState.PROPOSED
    assert (world.rotation.requester.name, world.rotation.reason) == ("Anna", "root ends soon")
    assert world.rotation.expires_at == NOW + timedelta(hours=1)
    assert [m.placement for m in world.store.messages] == [Placement.ANCHOR]
    assert world.said[-1] == "The plan passed its preflight; its card asks for an approval."


def test_a_request_may_name_the_roots_lifetime() -> None:
    world = World()

    world.type(Verb.TRANSITION, lifetime=timedelta(days=30))

    (rotation,) = world.store.active_rotations()
    assert rotation.plan.new_root.not_after == NOW + timedelta(days=30)


def test_16_a_request_that_nobody_else_could_approve_is_refused_at_once() -> None:
    world = World()
    world.directory.approving = (ANNA.user,)

    world.type(Verb.TRANSITION)

    assert world.store.active_rotations() == ()
    assert world.said[-1].startswith("Nobody but you could approve this")
    assert [(row.event, dict(row.detail)) for row in world.store.audit] == [
        (Event.REFUSED, {"act": "request", "code": "nobody_to_approve"})
    ]
    assert world.cluster.reads == []


@pytest.mark.parametrize("unfit", [{"deleted": True}, {"is_guest": True}, {"is_bot": True}])
def test_a_request_that_no_approver_is_fit_to_approve_is_refused(unfit: dict[str, Any]) -> None:
    world = World()
    for user in APPROVERS:
        approver = world.directory.people[ANNA.team, UserId(user)]
        world.directory.people[ANNA.team, UserId(user)] = replace(approver, **unfit)

    world.type(Verb.TRANSITION)

    assert world.said[-1].startswith("Nobody could approve this")
    assert world.store.active_rotations() == ()


def test_one_fit_approver_is_enough_though_another_cannot_be_looked_up() -> None:
    world = World()
    world.directory.approving = ("U0ABSENT", *world.directory.approving)

    world.type(Verb.TRANSITION)

    assert len(world.store.active_rotations()) == 1


def test_a_request_is_refused_when_the_directory_cannot_be_asked() -> None:
    world = World()
    world.directory.fails_with = DirectoryUnavailable("no_such_subteam")

    world.type(Verb.TRANSITION)

    assert world.store.active_rotations() == ()
    assert "no_such_subteam" in world.said[-1]
    assert world.store.messages == ()
    assert dict(world.store.audit[-1].detail)["code"] == "lookup_failed"


def test_a_newer_request_supersedes_an_open_one_for_all_to_see() -> None:
    world = World()
    old = world.proposed()

    new = world.proposed(by=BEN)

    assert world.store.rotation(old).state is RotationState.SUPERSEDED
    assert world.store.rotation(old).outcome == "Ben asked anew"
    assert world.store.rotation(new).state is RotationState.PROPOSED
    subjects = [m.subject for m in world.store.messages]
    assert subjects == [f"rotation/{old}", f"rotation/{old}", f"rotation/{new}"]


def test_21_the_old_card_of_a_superseded_request_decides_nothing() -> None:
    world = World()
    old = world.proposed()
    world.proposed(by=BEN)

    world.desk.decide(caller(BEN), Act.APPROVE, old, note="")

    assert "superseded" in world.said[-1]
    assert world.state is RotationState.PROPOSED


@pytest.mark.parametrize("state", ["approved", "running", "paused"])
def test_a_rotation_under_way_is_not_pushed_aside(state: str) -> None:
    world = World()
    world.approved()
    if state != "approved":
        world.run(until="await-secrets")
    if state == "paused":
        world.press(Act.CANCEL)
        world.run()
    reads = len(world.cluster.reads)

    world.type(Verb.TRANSITION, by=DORA)

    assert world.said[-1].startswith("A rotation of mesh prod ")
    assert state in world.said[-1]
    assert [r.id for r in world.store.active_rotations()] == [world.rotation_id]
    assert len(world.cluster.reads) == reads


def test_an_obstacle_is_told_in_the_channel_with_every_finding() -> None:
    world = World()
    world.cluster.of_plane("citadel").rolling = True
    assert world.cluster.secret is not None
    world.cluster.secret.immutable = True

    world.type(Verb.TRANSITION)

    (failed,) = world.failures
    assert (failed.what, failed.mesh, failed.person.name) == ("transition", MESH, "Anna")
    assert {"ca.healthy", "ca.secret_fit"} <= {finding.check_id for finding in failed.findings}
    assert failed.message.endswith("Nothing was written.")
    assert world.store.active_rotations() == ()
    assert world.store.audit[-1].event is Event.REFUSED


def test_a_request_approved_while_another_was_planned_is_not_superseded() -> None:
    world = World()
    world.proposed()
    world.record = Busy(world, meanwhile=lambda: world.press(Act.APPROVE))  # type: ignore[assignment]

    world.type(Verb.TRANSITION, by=DORA)

    assert world.state is RotationState.APPROVED
    assert world.said[-1].startswith("A rotation of mesh prod was already approved by Ben")


def test_a_request_that_ended_while_another_was_planned_gives_way() -> None:
    world = World()
    old = world.proposed()
    world.record = Busy(world, meanwhile=lambda: world.press(Act.REJECT))  # type: ignore[assignment]

    new = world.proposed(by=BEN)

    assert world.store.rotation(old).state is RotationState.REJECTED
    assert world.store.rotation(new).state is RotationState.PROPOSED


def test_a_request_that_loses_every_race_says_so() -> None:
    world = World()
    world.record = Busy(world, meanwhile=lambda: None, times=99)  # type: ignore[assignment]

    world.type(Verb.TRANSITION)

    assert world.said[-1] == "others are asking for mesh prod, too"
    assert world.store.active_rotations() == ()
