"""Slack itself misbehaves, or is made to: floods, deleted cards, archived channels (attacks 22 and 23)."""

from bot.core.record import Event
from bot.sandbox.cluster.faults import Effect
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.workspace import ADA, GRACE, GUS, MESH_OPS
from tests.scenario.moments import restarted, workload_renewed
from tests.scenario.room import Room, buttons, open_room


def test_a_flood_of_commands_and_clicks_starves_nobody() -> None:
    with open_room() as room:
        ts = room.propose()
        room.inject(effect=Effect.STATUS, verb="patch", resource="leases", code=503, times=100_000)
        room.widen_limits(1.0)

        acks = []
        for number in range(50):
            acks.append(room.slack.press(GUS, "approve", ts=ts))
            acks.append(room.slack.command(ADA, f"/istio-root {('status', 'check', 'history')[number % 3]}"))
        room.press(GRACE, "approve", ts)

        assert all(one.ok for one in acks)
        assert max(one.ack_ms or 9999 for one in acks) < 1500
        room.whispered(GRACE, "Approved; the rotation starts now", seconds=60)
        assert room.states() == ["approved"]
        refusals = [one["code"] for one in room.refusals() if one["user"] == GUS]
        assert set(refusals) == {"guest"}
        assert "Traceback" not in room.bot.said


def archive(room: Room, *, archived: bool) -> None:
    room.slack.change(lambda w: w.change_channel(MESH_OPS, is_archived=archived))


def hurry(room: Room) -> None:
    """The bot starts again after the pause that it had granted a closed channel."""
    room.bot.end()
    room.without_connection()
    room.execute("UPDATE messages SET not_before = NULL")
    room.start()


def test_a_card_deleted_midway_is_posted_anew_and_the_rest_is_told_under_it() -> None:
    with open_room() as room:
        ts = room.propose()
        renewed = room.when(workload_renewed)
        room.approve(ts)
        room.came(renewed, "the secrets began to change")

        room.slack.delete_message(ts)

        result = room.seen(lambda m: "Rotation done" in m.content.text, "the result", seconds=75)
        assert result.broadcast
        assert result.thread_ts not in (None, ts)
        room.titled(str(result.thread_ts), "root rotation done")
        assert len(room.cards()) == 1
        assert room.states() == ["done"]
        assert len(room.writes()) == 1
        room.press(GRACE, "approve", ts, forged=True)
        room.whispered(GRACE, "too late")


def test_a_card_that_cannot_be_edited_and_then_an_archived_channel_hold_nothing_up() -> None:
    with open_room() as room:
        ts = room.propose()
        room.slack.fail("chat.update", MethodFault(answer="error", error="edit_window_closed"), times=1)
        last = room.when(restarted("istio-telemetry"))
        renewed = room.when(workload_renewed, lambda: None)
        room.press(GRACE, "approve", ts)
        room.came(renewed, "the secrets began to change")
        archive(room, archived=True)

        room.came(last, "a rotation that goes on without a channel")
        room.until(lambda: room.states() == ["done"], "the end of the rotation", seconds=60)
        archive(room, archived=False)
        hurry(room)

        result = room.seen(lambda m: "Rotation done" in m.content.text, "the result", seconds=75)
        room.titled(str(result.thread_ts), "root rotation done")
        assert "approve" not in buttons(room.cards()[-1])
        assert len(room.audited(Event.STARTED)) == 1
        assert len(room.held_serials()) == 1
        room.press(GRACE, "approve", ts, forged=True)
        room.whispered(GRACE, "too late")
