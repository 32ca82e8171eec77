"""The bot is killed, ended and cut off in the middle, and goes on where it was: same card, same thread."""

import time
from collections import Counter

from bot.core.rotation import RotationState
from bot.sandbox.slack.faults import MethodFault
from bot.sandbox.slack.workspace import GRACE
from tests.scenario.moments import Moment, backed_up, restarted, root_written, workload_renewed
from tests.scenario.room import Room, buttons, open_room

MOMENTS: dict[str, Moment] = {
    "the backup was made": backed_up,
    "the root was written": root_written,
    "citadel was rolled over": restarted("istio-citadel"),
    "the secrets began to change": workload_renewed,
    "pilot was restarted": restarted("istio-pilot"),
    "telemetry was restarted": restarted("istio-telemetry"),
}


def finished_once(room: Room, ts: str) -> None:
    """One card, every milestone told once and in order, the mesh right, the CA secret written once."""
    assert len(room.cards()) == 1
    told = room.thread(ts)
    assert [line for line, times in Counter(told).items() if times > 1] == []
    steps = [line.split("step ")[1].split(":")[0] for line in told if "· step " in line]
    count = len(room.rotations()[0].plan.steps)
    assert steps == [f"{number} of {count}" for number in range(1, count + 1)]
    assert "Approved" in told[0]
    assert "Started" in told[1]
    assert "Rotation done" in told[-1]
    assert len(told) == count + 3
    assert [r.state for r in room.rotations()] == [RotationState.DONE]
    assert len(room.held_serials()) == 1
    assert len(room.writes()) == 1
    assert room.forbidden_acts() == []
    assert room.audit_is_intact()


def test_killed_at_six_moments_of_one_rotation_it_ends_as_if_nothing_had_been() -> None:
    with open_room() as room:
        ts = room.propose()
        room.settled()
        room.restart()
        room.hush()
        struck = {what: room.when(fits, room.strike_dead) for what, fits in MOMENTS.items()}
        room.press(GRACE, "approve", ts)

        for what, happened in struck.items():
            room.came(happened, what)
            room.bot.end(kill=True)
            room.bot.start()
        room.speak()

        room.result(ts)
        room.titled(ts, "root rotation done")
        finished_once(room, ts)


def test_killed_between_a_post_and_its_record_it_says_that_again_rather_than_never() -> None:
    """Slack has no key by which a post could be recognised as a repeat (facts/slack.md, 2: Threads)."""
    with open_room() as room:
        room.settled()
        room.slack.fail("chat.postMessage", MethodFault(answer="timeout", after_effect=True))
        ts = room.propose()

        room.restart()

        again = room.seen(lambda m: m.ts != ts and "approve" in buttons(m), "the card, once more")
        room.approve(again.ts)
        room.press(GRACE, "approve", ts)
        room.whispered(GRACE, "too late")
        room.result(again.ts)
        assert [r.state for r in room.rotations()] == [RotationState.DONE]
        assert len(room.writes()) == 1


def test_killed_and_started_again_while_slack_is_down_it_rotates_and_tells_all_of_it_later() -> None:
    with open_room() as room:
        ts = room.propose()
        room.settled()
        written = room.when(root_written)
        renewed = room.when(workload_renewed, room.strike_dead)
        piloted = room.when(restarted("istio-telemetry"))
        assert room.press(GRACE, "approve", ts).ok  # it may be struck dead before it has drawn its card anew
        room.came(written, "the root was written")
        room.slack.fail("*", MethodFault(answer="server_error"), times=100_000)
        room.slack.say_goodbye("drop")

        room.came(renewed, "the secrets began to change")
        room.bot.end(kill=True)
        room.bot.start()
        room.came(piloted, "a rotation that goes on without Slack")
        room.slack.ask(lambda world: world.faults.clear())

        room.result(ts)
        room.titled(ts, "root rotation done")
        finished_once(room, ts)


def test_asked_to_stop_in_the_middle_it_ends_within_five_seconds_and_goes_on_later() -> None:
    with open_room() as room:
        ts = room.propose()
        renewed = room.when(workload_renewed)
        room.approve(ts)
        room.came(renewed, "the secrets began to change")

        began = time.monotonic()
        code = room.bot.end()
        took = time.monotonic() - began

        assert code == 0
        assert took < 5
        assert "Traceback" not in room.bot.said
        room.without_connection()
        room.start()
        room.result(ts)
        room.titled(ts, "root rotation done")
        finished_once(room, ts)
