"""The calendar means what cron means, by the operator's clock."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from bot.edges.scheduler.cron import CronTimes

BERLIN = ZoneInfo("Europe/Berlin")


def at(day: int, hour: int, minute: int = 0, *, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


MISSED = {
    "never checked": ("0 9 * * *", None, at(23, 8), True),
    "checked today": ("0 9 * * *", at(23, 8), at(23, 20), False),
    "down at the time": ("0 9 * * *", at(23, 7, 59), at(23, 8), True),
    "checked at that very time": ("0 9 * * *", at(23, 8), at(23, 8, 1), False),
    "down for a week": ("0 9 * * *", at(1, 8), at(8, 7), True),
    "nine o'clock in summer is another hour": ("0 9 * * *", at(1, 6, month=7), at(1, 7, month=7), True),
    "not on a Sunday (22 November is one)": ("0 9 * * mon-fri", at(21, 9), at(22, 23), False),
    "on Monday": ("0 9 * * mon-fri", at(21, 9), at(23, 9), True),
    "0 is Sunday": ("0 9 * * 0", at(21, 9), at(22, 9), True),
    "1 is not Sunday": ("0 9 * * 1", at(21, 9), at(22, 9), False),
    "7 is Sunday as well": ("0 9 * * 7", at(21, 9), at(22, 9), True),
    "either the day or the weekday": ("0 9 1 * mon", at(21, 9), at(23, 9), True),
    "a step over all weekdays (sun, tue, thu, sat)": ("0 9 * * */2", at(22, 9), at(23, 23), False),
    "every six hours": ("0 */6 * * *", at(23, 6), at(23, 11), True),
    "by the month's name": ("0 9 * dec *", at(1, 9), at(30, 9), False),
}


@pytest.mark.parametrize(("cron", "last", "now", "expected"), MISSED.values(), ids=MISSED.keys())
def test_what_was_slept_over_is_known(
    cron: str, last: datetime | None, now: datetime, *, expected: bool
) -> None:
    assert CronTimes(cron, BERLIN).missed(last=last, now=now) is expected


@pytest.mark.parametrize("cron", ["", "0 9 * *", "0 24 * * *", "x 9 * * *", "*/0 9 * * *", "0 9-8 * * *"])
def test_what_is_no_cron_expression_is_refused(cron: str) -> None:
    with pytest.raises(ValueError):
        CronTimes(cron, BERLIN)
