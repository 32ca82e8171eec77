"""Right person, wrong moment: stale, expired, superseded, twice, all at once (attacks 4, 9, 11-13, 19, 21, 24)."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.core.record import Event
from bot.core.rotation import Rotation
from bot.sandbox.cluster.faults import Effect
from bot.sandbox.slack.workspace import ADA, APPROVERS, GRACE, MESH_OPS, Person
from tests.scenario.moments import change_secret, somebody_adds_a_key
from tests.scenario.room import MESH, Room, buttons, open_room, shown

LIN = "U0LIN00001"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Room]:
    with open_room() as room:
        yield room
        assert room.writes() == []
        assert room.audit_is_intact()


@pytest.fixture
def room(sandbox: Room) -> Iterator[Room]:
    """The module's sandbox, in which nothing can start: the cluster's Lease cannot be taken."""
    sandbox.cluster.do(lambda c: c.faults.clear())
    sandbox.inject(effect=Effect.STATUS, verb="patch", resource="leases", code=503, times=100_000)
    yield sandbox
    if sandbox.states()[-1:] in (["proposed"], ["approved"]):
        sandbox.type(ADA, f"/istio-root cancel {MESH}")
        sandbox.whispered(ADA, "cancelled")


def nothing_started(room: Room) -> bool:
    return room.audited(Event.STARTED) == []


def test_a_double_click_and_a_repeated_envelope_approve_once(room: Room) -> None:
    ts = room.propose()
    before = len(room.audited(Event.APPROVED))
    room.slack.duplicate_next_envelope(2)

    for _ in range(2):
        room.slack.press(GRACE, "approve", ts=ts, forged=True)

    room.whispered(GRACE, "Approved; the rotation starts now")
    # as the second press comes, the first is still being looked at, or over
    room.whispered(GRACE, "You pressed that before", "already approved by grace")
    assert len(room.audited(Event.APPROVED)) == before + 1
    assert room.states()[-1] == "approved"


def test_of_two_approvals_at_once_one_counts_and_the_other_hears_whose(room: Room) -> None:
    room.slack.change(
        lambda w: w.people.update({LIN: Person(id=LIN, name="lin", real_name="Lin", role="SRE")})
    )
    room.slack.change(lambda w: w.change_group(APPROVERS, users=(ADA, GRACE, LIN)))
    room.slack.change(lambda w: w.change_channel(MESH_OPS, members=(*w.channels[MESH_OPS].members, LIN)))
    ts = room.propose()
    before = len(room.audited(Event.APPROVED))
    room.listen(GRACE)
    room.listen(LIN)

    pressing = [
        threading.Thread(target=room.slack.press, args=(user, "approve"), kwargs={"ts": ts, "forged": True})
        for user in (GRACE, LIN)
    ]
    for one in pressing:
        one.start()
    for one in pressing:
        one.join()

    room.until(lambda: bool(room.whispers(GRACE)) and bool(room.whispers(LIN)), "two answers")
    heard = [shown(room.whispers(user)[-1].content) for user in (GRACE, LIN)]
    assert sum("starts now" in text for text in heard) == 1
    assert sum("Too late: this rotation was already approved by" in text for text in heard) == 1
    assert len(room.audited(Event.APPROVED)) == before + 1


def test_approved_and_then_cancelled_by_the_requester_it_does_not_start(room: Room) -> None:
    ts = room.propose()
    room.approve(ts)

    room.press(ADA, "cancel", ts)

    room.whispered(ADA, "Cancelled; nothing was changed")
    room.titled(ts, "cancelled")
    room.cluster.do(lambda c: c.faults.clear())
    room.press(GRACE, "approve", ts, forged=True)
    room.whispered(GRACE, "already cancelled")
    assert room.states()[-1] == "cancelled"
    assert nothing_started(room)


def test_a_secret_changed_between_request_and_click_makes_the_plan_stale(room: Room) -> None:
    ts = room.propose()
    whole = room.ca_secret()
    room.cluster.do(change_secret("istio-ca-secret", somebody_adds_a_key))

    room.press(GRACE, "approve", ts)

    room.whispered(GRACE, "Too late: the mesh changed since. the CA secret's content changed")
    card = room.titled(ts, "out of date")
    assert buttons(card) == []
    assert room.states()[-1] == "stale"
    room.cluster.do(change_secret("istio-ca-secret", lambda v: v.update(data=whole["data"])))


def test_a_secret_changed_between_approval_and_start_makes_the_plan_stale(room: Room) -> None:
    ts = room.propose()
    whole = room.ca_secret()
    room.approve(ts)
    room.cluster.do(change_secret("istio-ca-secret", somebody_adds_a_key))

    room.cluster.do(lambda c: c.faults.clear())

    room.titled(ts, "out of date")
    assert room.states()[-1] == "stale"
    assert nothing_started(room)
    room.cluster.do(change_secret("istio-ca-secret", lambda v: v.update(data=whole["data"])))


def test_metadata_that_changed_between_request_and_click_is_no_obstacle(room: Room) -> None:
    ts = room.propose()
    room.cluster.do(change_secret("istio-ca-secret", lambda v: v["metadata"].update(annotations={"a": "b"})))

    room.press(GRACE, "approve", ts)

    room.whispered(GRACE, "Approved")


def test_a_newer_request_takes_the_place_of_the_old_whose_button_then_does_nothing(room: Room) -> None:
    old = room.propose()
    new = room.propose(GRACE, "the same, but mine")
    room.titled(old, "replaced by a newer request")

    room.press(GRACE, "approve", old, forged=True)

    room.whispered(GRACE, "too late")
    assert buttons(room.message(old)) == []
    assert [r.state.value for r in room.rotations()[-2:]] == ["superseded", "proposed"]
    assert "approve" in buttons(room.message(new))


def test_a_dialog_left_open_while_its_plan_was_superseded_rejects_nothing(room: Room) -> None:
    old = room.propose()
    opened = room.press(GRACE, "reject", old, wait=10)
    assert opened.view is not None
    room.propose(ADA, "a newer one")

    room.listen(GRACE)
    room.slack.submit(GRACE, {"reason": {"reason": "no"}}, forged=True)

    room.whispered(GRACE, "too late")
    assert [r.state.value for r in room.rotations()[-2:]] == ["superseded", "proposed"]


def _expired(rotation: Rotation) -> Rotation:
    return replace(rotation, expires_at=rotation.expires_at - timedelta(hours=2))


def test_a_request_whose_deadline_passed_while_the_bot_was_down_expires_and_loses_its_buttons(
    room: Room,
) -> None:
    ts = room.propose()
    room.settled()
    room.bot.end()
    room.without_connection()
    pressed_into_the_void = room.slack.press(GRACE, "approve", ts=ts)
    room.time_passes(_expired)

    room.start()

    card = room.titled(ts, "expired")
    assert not pressed_into_the_void.ok
    assert buttons(card) == []
    assert room.states()[-1] == "expired"
    room.press(GRACE, "approve", ts, forged=True)
    room.whispered(GRACE, "too late")
    assert "nothing was changed" in room.thread(ts)[-1]


def test_a_click_counts_by_the_deadline_on_record_also_before_anybody_swept(room: Room) -> None:
    ts = room.propose()
    room.settled()
    room.bot.end(kill=True)
    room.without_connection()
    room.time_passes(lambda r: replace(r, expires_at=r.created_at + timedelta(seconds=1)))
    room.start()

    room.press(GRACE, "approve", ts, forged=True)

    room.whispered(GRACE, "too late")
    room.titled(ts, "expired")
    assert not [
        row for row in room.audited(Event.APPROVED) if row.event.rotation_id == room.rotations()[-1].id
    ]


def test_an_approval_that_could_not_start_in_time_lapses(room: Room) -> None:
    ts = room.propose()
    room.approve(ts)
    room.settled()
    room.bot.end(kill=True)
    room.without_connection()
    room.time_passes(lambda r: replace(r, start_by=r.created_at))
    room.cluster.do(lambda c: c.faults.clear())

    room.start()

    room.titled(ts, "expired")
    room.settled()
    assert "not started in time" in room.thread(ts)[-1]
    assert nothing_started(room)


MISCHIEF = (
    "<!channel> <@U0GRACE001> <https://evil.example|Approve> *bold* `code` & \u202etxet desrever\u200b "
    + "x" * 5000
)


def test_mischief_in_a_reason_is_shown_as_text_and_cut(room: Room) -> None:
    ts = room.propose(ADA, MISCHIEF)

    said = shown(room.message(ts).content)

    for evil in ("<!channel>", "<https://evil", "<https:", "\u202e", "\u200b"):
        assert evil not in said
    assert "&lt;!channel&gt;" in said
    assert "&amp;lt;" not in said, "escaped twice"
    assert "x" * 600 not in said
    assert len(room.rotations()[-1].reason) <= 500


def test_mischief_in_a_rejection_is_shown_as_text(room: Room) -> None:
    ts = room.propose()
    assert room.press(GRACE, "reject", ts, wait=10).view is not None

    room.slack.submit(GRACE, {"reason": {"reason": MISCHIEF}}, forged=True)

    said = shown(room.titled(ts, "rejected").content) + "".join(room.thread(ts))
    assert "<!channel>" not in said
    assert "<https://evil" not in said


def test_a_private_key_typed_as_a_reason_is_neither_kept_nor_shown(room: Room) -> None:
    before = len(room.rotations())

    room.type(ADA, f"/istio-root transition {MESH} lifetime=10y -----BEGIN RSA PRIVATE KEY----- MIIEowIB")

    room.whispered(ADA, "looks like a private key")
    assert len(room.rotations()) == before
    assert "MIIEowIB" not in room.bot.said
