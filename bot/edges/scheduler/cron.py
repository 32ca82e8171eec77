"""The times of a cron expression, by the operator's clock; the one file that knows APScheduler.

Its triggers only: its scheduler rests by the time of day, and stands still when somebody sets that back.
"""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class CronTimes:
    """The moments that a cron expression stands for.

    Raises:
        ValueError: no cron expression.
    """

    def __init__(self, cron: str, zone: ZoneInfo) -> None:
        self._trigger = _cron_trigger(cron, zone)

    def missed(self, *, last: datetime | None, now: datetime) -> bool:
        """Whether one of them lies after `last` and not after `now`; True when there was no last."""
        if last is None:
            return True
        due = self._trigger.get_next_fire_time(None, last + timedelta(microseconds=1))
        return due is not None and due <= now


def _cron_trigger(cron: str, zone: ZoneInfo) -> Any:
    """A trigger that means what cron means.

    Not `CronTrigger.from_crontab`: its weekday 0 is Monday, and it wants day of month and day of week
    both to match where cron is content with either (crontab(5)).
    """
    fields = cron.lower().split()
    if len(fields) != 5:
        raise ValueError(f"{cron!r} has {len(fields)} fields; a cron expression has five")
    minute, hour, day, month, weekday = fields
    common = {
        "minute": _listed(minute, 0, 59),
        "hour": _listed(hour, 0, 23),
        "month": _listed(month, 1, 12, names=_MONTHS),
        "timezone": zone,
    }
    days, weekdays = {"day": _listed(day, 1, 31)}, {"day_of_week": _weekdays(weekday)}
    if day.startswith("*") or weekday.startswith("*"):
        return CronTrigger(**common, **days, **weekdays)
    return OrTrigger([CronTrigger(**common, **days), CronTrigger(**common, **weekdays)])


def _weekdays(field: str) -> str:
    numbers = {int(number) % 7 for number in _listed(field, 0, 7, names=_WEEKDAYS).split(",")}
    return ",".join(_WEEKDAYS[number] for number in sorted(numbers))


def _listed(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> str:
    """A cron field as a list of numbers: `8-10/2` → `8,10`."""
    numbers: set[int] = set()
    for item in field.split(","):
        span, slash, step = item.partition("/")
        first, dash, last = (str(low), "-", str(high)) if span == "*" else span.partition("-")
        start = _number(first, low, names)
        end = _number(last, low, names) if dash else high if slash else start
        if not low <= start <= end <= high:
            raise ValueError(f"{item!r} in a cron expression lies outside {low} to {high}")
        numbers.update(range(start, end + 1, int(step or 1)))
    return ",".join(map(str, sorted(numbers)))


def _number(text: str, low: int, names: tuple[str, ...]) -> int:
    return names.index(text) + low if text in names else int(text)
