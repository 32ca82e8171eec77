"""The calendar: a missed check is made up, a warning is given once for ever, silence is never good news."""

from bot.core.record import Event
from bot.sandbox.cluster.faults import Effect
from bot.sandbox.cluster.rbac import Ban
from tests.scenario.room import Room, open_room, shown


def warnings(room: Room) -> list[str]:
    """The warnings in the channel."""
    return [m.content.text for m in room.slack.messages() if m.content.text.startswith("⚠️")]


def wait_for_checks(room: Room, count: int, *events: Event) -> None:
    room.until(lambda: len(room.audited(*events)) >= count, f"{count} checks on record")
    room.settled()


def forget_checks(room: Room) -> None:
    """While the bot is down: as if the last check lay days back."""
    room.execute(
        "UPDATE checks SET at = '2020-01-01 00:00:00.000000', body = replace(body, '2026-', '2020-')"
    )


def test_a_missed_check_is_made_up_at_start_and_warns_of_twelve_days_once_for_ever() -> None:
    with open_room() as room:
        room.seen(lambda m: "root certificate has 11 days" in m.content.text, "the warning")
        room.restart(kill=False)
        room.settled()
        checks_after_a_restart = len(room.audited(Event.CHECKED))

        room.bot.end()
        room.without_connection()
        forget_checks(room)
        room.start()
        wait_for_checks(room, 2, Event.CHECKED)

        assert checks_after_a_restart == 1, "nothing was missed, so nothing is made up"
        assert len(warnings(room)) == 1
        daily = [m for m in room.slack.messages() if m.is_reply]
        assert len(daily) == 1, "a line in the warning's thread"
        assert "Threshold crossed: 14 days" in shown(room.message(str(daily[0].thread_ts)).content)


def test_a_check_that_could_not_run_is_loud_and_says_what_to_do() -> None:
    with open_room() as room:
        wait_for_checks(room, 1, Event.CHECKED)
        room.bot.end()
        room.without_connection()
        forget_checks(room)
        room.inject(effect=Effect.DROP_BEFORE, times=100_000)

        room.start()

        loud = room.seen(lambda m: "the scheduled check could not run" in m.content.text, "a loud message")
        assert "So nothing is known of this mesh" in shown(loud.content)
        assert "What to do" in shown(loud.content)
        assert not loud.is_reply
        wait_for_checks(room, 1, Event.CHECK_FAILED)


def test_a_check_that_may_not_read_the_ca_secret_is_as_loud() -> None:
    with open_room() as room:
        wait_for_checks(room, 1, Event.CHECKED)
        room.bot.end()
        room.without_connection()
        forget_checks(room)
        room.cluster.forbid(Ban(verb="get", resource="secrets", name="istio-ca-secret"))

        room.start()

        loud = room.seen(lambda m: "the scheduled check could not run" in m.content.text, "a loud message")
        assert "istio-ca-secret" in shown(loud.content)
