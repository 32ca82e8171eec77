"""Who may decide, tried by those who may not (facts/approvals.md, attacks 1-3, 7, 15-17, 20)."""

from collections.abc import Iterator

import pytest

from bot.core.record import Event
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.workspace import ADA, APPROVERS, BOT, DORA, GRACE, GUS, MESH_OPS, RANDOM, STEN
from tests.scenario.room import MESH, Room, buttons, open_room


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Room]:
    with open_room() as room:
        yield room


@pytest.fixture
def room(sandbox: Room) -> Iterator[Room]:
    """The module's sandbox; afterwards everybody is who they were. A request that waits may stay."""
    yield sandbox
    sandbox.slack.ask(lambda world: world.faults.clear())
    sandbox.slack.change(lambda w: w.change_person(GRACE, deleted=False, is_restricted=False))
    sandbox.slack.change(lambda w: w.change_group(APPROVERS, users=(ADA, GRACE), disabled=False))
    sandbox.slack.change(lambda w: w.change_channel(MESH_OPS, is_ext_shared=False))


def refused(room: Room, *, user: str, words: str, code: str, state: str = "proposed") -> None:
    """The person was told why not, nothing moved, and it is on record."""
    room.whispered(user, words)
    assert room.states()[-1] == state
    assert room.refusals()[-1] == {"act": "approve", "code": code, "user": user}
    assert room.audit_is_intact()


def test_the_requester_cannot_approve(room: Room) -> None:
    ts = room.pending()

    room.press(ADA, "approve", ts)

    refused(room, user=ADA, words="second person must approve", code="own_request")
    assert "approve" in buttons(room.message(ts))


def test_the_requester_cannot_approve_by_another_name(room: Room) -> None:
    ts = room.pending()
    room.slack.change(lambda w: w.change_person(ADA, name="grace2", real_name="Grace Okafor"))

    room.press(ADA, "approve", ts)

    refused(room, user=ADA, words="second person must approve", code="own_request")
    room.slack.change(lambda w: w.change_person(ADA, name="ada", real_name="Ada Lindqvist"))


@pytest.mark.parametrize(
    ("user", "words", "code"),
    [
        (GUS, "Rootkeeper is not for guests", "guest"),
        (STEN, "for members of this workspace", "stranger"),
        (DORA, "deactivated", "deactivated"),
        (BOT, "Rootkeeper is for people", "bot"),
    ],
)
def test_guests_strangers_the_deactivated_and_bots_cannot_approve(
    room: Room, user: str, words: str, code: str
) -> None:
    ts = room.pending()

    room.press(user, "approve", ts, forged=True)

    refused(room, user=user, words=words, code=code)


def test_somebody_taken_from_the_group_a_moment_ago_cannot_approve(room: Room) -> None:
    ts = room.pending()
    room.slack.change(lambda w: w.change_group(APPROVERS, users=(ADA,)))

    room.press(GRACE, "approve", ts)

    refused(room, user=GRACE, words="not among the approvers", code="not_an_approver")


def test_somebody_deactivated_a_moment_ago_cannot_approve(room: Room) -> None:
    ts = room.pending()
    room.slack.change(lambda w: w.change_person(GRACE, deleted=True))

    room.press(GRACE, "approve", ts, forged=True)

    refused(room, user=GRACE, words="deactivated", code="deactivated")


def test_a_button_removed_by_a_rejection_starts_nothing_when_pressed_again(room: Room) -> None:
    ts = room.pending()
    opened = room.press(GRACE, "reject", ts, wait=10)
    assert opened.view is not None
    room.slack.submit(GRACE, {"reason": {"reason": "not today"}})
    room.titled(ts, "rejected")

    room.press(GRACE, "approve", ts, forged=True)

    refused(room, user=GRACE, words="too late", code="already_rejected", state="rejected")
    assert "approve" not in buttons(room.message(ts))


def test_a_button_removed_by_a_cancel_starts_nothing_when_pressed_again(room: Room) -> None:
    ts = room.pending()
    room.type(ADA, f"/istio-root cancel {MESH}")
    room.titled(ts, "cancelled")

    room.press(GRACE, "approve", ts, forged=True)

    refused(room, user=GRACE, words="already cancelled by ada", code="already_cancelled", state="cancelled")


@pytest.mark.parametrize(
    "value",
    ["", "0" * 32, "f" * 2000, '{"rotation": "x"}', "../../etc/passwd", "a\nb", "g" * 32, None, 7, ["x"]],
    ids=repr,
)
def test_a_forged_value_starts_nothing(room: Room, value: object) -> None:
    ts = room.pending()

    outcome = room.press(GRACE, "approve", ts, forged=True, value=value if value is not None else "")

    assert outcome.ok
    room.whispered(GRACE, "✋")
    assert room.states()[-1] == "proposed"
    assert "Traceback" not in room.bot.said


def test_a_value_of_another_request_decides_that_one_by_its_own_rules(room: Room) -> None:
    room.pending()
    room.type(ADA, f"/istio-root cancel {MESH}")
    room.whispered(ADA, "cancelled")
    ended = room.rotations()[-1].id
    ts = room.propose()

    room.press(GRACE, "approve", ts, forged=True, value=ended)

    refused(room, user=GRACE, words="too late", code="already_cancelled")


def test_a_request_that_nobody_else_could_approve_is_refused_at_once(room: Room) -> None:
    room.slack.change(lambda w: w.change_group(APPROVERS, users=(ADA,)))
    before = len(room.cards())

    room.type(ADA, f"/istio-root transition {MESH} lifetime=10y because")

    room.whispered(ADA, "Nobody but you could approve")
    assert len(room.cards()) == before
    assert room.refusals()[-1] == {"act": "request", "code": "nobody_to_approve", "user": ADA}


@pytest.mark.parametrize(
    "fault",
    [
        MethodFault(answer="error", error="no_such_subteam"),
        MethodFault(answer="server_error"),
        MethodFault(answer="ratelimited"),
        MethodFault(answer="drop"),
    ],
    ids=lambda fault: f"{fault.answer} {fault.error}",
)
def test_when_the_approvers_cannot_be_looked_up_the_answer_is_no_and_says_why(
    room: Room, fault: MethodFault
) -> None:
    ts = room.pending()
    room.slack.fail("usergroups.users.list", fault, times=20)

    room.press(GRACE, "approve", ts)

    room.whispered(GRACE, "could not be looked up in Slack")
    assert room.states()[-1] == "proposed"
    assert "approve" in buttons(room.message(ts))


def test_an_emptied_group_means_nobody_and_not_everybody(room: Room) -> None:
    ts = room.pending()
    room.slack.change(lambda w: w.change_group(APPROVERS, users=()))

    room.press(GRACE, "approve", ts)

    refused(room, user=GRACE, words="not among the approvers", code="not_an_approver")


def test_a_transition_is_not_asked_for_in_another_channel(room: Room) -> None:
    before = len(room.cards())

    room.type(ADA, f"/istio-root transition {MESH} lifetime=10y because", channel=RANDOM)

    room.whispered(ADA, "decided in <#C0MESHOPS1> only")
    assert len(room.cards()) == before
    assert room.refusals()[-1]["code"] == "wrong_channel"


def test_a_transition_is_not_asked_for_in_a_direct_message(room: Room) -> None:
    room.slack.change(lambda w: w.direct_channel(ADA))

    room.type(ADA, f"/istio-root transition {MESH} lifetime=10y because", channel="D" + ADA[1:])

    room.whispered(ADA, "decided in <#C0MESHOPS1> only")
    assert room.refusals()[-1]["code"] == "wrong_channel"


@pytest.mark.parametrize("user", [GUS, STEN])
def test_a_transition_is_not_asked_for_by_a_guest_or_stranger(room: Room, user: str) -> None:
    before = len(room.cards())

    room.type(user, f"/istio-root transition {MESH} lifetime=10y because")

    room.whispered(user, "Rootkeeper is")
    assert len(room.cards()) == before
    assert room.refusals()[-1]["code"] in ("guest", "stranger")


def test_a_rotation_is_not_cancelled_by_a_guest_a_stranger_or_from_elsewhere(room: Room) -> None:
    room.pending()
    for user, channel in ((GUS, MESH_OPS), (STEN, MESH_OPS), (GRACE, RANDOM)):
        room.type(user, f"/istio-root cancel {MESH}", channel=channel)
        room.whispered(user, "✋")

    assert room.states()[-1] == "proposed"
    assert [r["code"] for r in room.refusals()[-3:]] == ["guest", "stranger", "wrong_channel"]


def test_a_channel_shared_with_another_organisation_decides_nothing(room: Room) -> None:
    ts = room.pending()
    room.slack.change(lambda w: w.change_channel(MESH_OPS, is_ext_shared=True))

    room.press(GRACE, "approve", ts)

    refused(room, user=GRACE, words="shared with another organisation", code="channel_unfit")


def test_in_all_of_this_nothing_was_approved_and_nothing_written(room: Room) -> None:
    assert room.audited(Event.APPROVED, Event.STARTED) == []
    assert room.writes() == []
    assert room.writes("rootkeeper-backup") == []
