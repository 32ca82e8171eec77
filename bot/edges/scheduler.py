"""Comes back later: rotations one step at a time, checks by the calendar, errands as soon as possible.

The one file that knows APScheduler. It keeps nothing: after a restart, whoever starts this adds the
jobs again, calls `advance_soon` for every active rotation, and asks `missed` for what was slept over.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as ApschedulerPool
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from bot.core.ids import RotationId
from bot.core.progress import Done, Outcome, Wait
from bot.errors import LostRace, NotLeader, RecordAbsent, RootkeeperError
from bot.flow.ports import Errand

Work = Callable[[], None]
ReportBug = Callable[[str, BaseException], str]
"""Logs an exception that should not have happened; gives its reference."""

ROTATION_WORKERS = 8
"""Rotations have threads of their own: a pile of checks must not hold up a half-done one."""
ERRAND_WORKERS = {Errand.DECISION: 8, Errand.LOOK: 8, Errand.WORD: 4}
"""Looks take minutes when an API server is slow; a rollback that is pressed meanwhile must not wait."""
MOST_TAKEN = 200
"""Errands of one kind, waiting ones included; who comes then had better come again."""
TICK_WORKERS = 4
"""Short periodic work (telling, renewing the lease): neither may wait for a check."""

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=1)
LOOKS_HAVE = timedelta(seconds=5)
"""At the stop, to end; a look writes nothing, so it is not waited for any longer."""
FAREWELL_HAS = timedelta(seconds=3)
"""To tell everybody whose errand was cut short."""
FAREWELL_WORKERS = 8

QUICK_RETRIES = 3
"""How often a lost race is run again at once before it counts as a failure like any other."""

HEARTBEAT = timedelta(seconds=5)

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

log = structlog.get_logger(__name__)


class Turn(Enum):
    """What is the matter with a rotation now; one that is left alone has no turn."""

    RESTING = auto()
    """It comes back by itself, at the time that it asked for."""
    QUEUED = auto()
    RUNNING = auto()
    RUNNING_AGAIN = auto()
    """Somebody called while it ran: what they changed may have been read too early."""


class AdvanceLoop:
    """Runs `advance` for rotations until they are done: never twice at once for the same one."""

    def __init__(
        self,
        advance: Callable[[RotationId], Outcome],
        *,
        run: Callable[[Work], object],
        later: Callable[[timedelta, RotationId], None],
        report_bug: ReportBug,
    ) -> None:
        self._advance = advance
        self._run = run
        self._later = later
        self._report_bug = report_bug
        self._lock = threading.Lock()
        self._turns: dict[RotationId, Turn] = {}
        self._failures: Counter[RotationId] = Counter()

    def soon(self, rotation_id: RotationId) -> None:
        """Have it run, its rest or not; once more afterwards, if it is running."""
        with self._lock:
            turn = self._turns.get(rotation_id)
            running = turn in {Turn.RUNNING, Turn.RUNNING_AGAIN}
            self._turns[rotation_id] = Turn.RUNNING_AGAIN if running else Turn.QUEUED
        if turn in {None, Turn.RESTING}:
            self._run(lambda: self._take_turn(rotation_id))

    def resume(self, rotation_id: RotationId) -> None:
        """Have it run if it is left alone: one that runs or rests keeps the rest that it asks for."""
        with self._lock:
            if rotation_id in self._turns:
                return
            self._turns[rotation_id] = Turn.QUEUED
        self._run(lambda: self._take_turn(rotation_id))

    def _take_turn(self, rotation_id: RotationId) -> None:
        with self._lock:
            self._turns[rotation_id] = Turn.RUNNING
        # whatever is logged on the way, by any edge, names the rotation
        with structlog.contextvars.bound_contextvars(rotation=rotation_id):
            after = self._advance_once(rotation_id)
        with self._lock:
            again = self._turns.pop(rotation_id) is Turn.RUNNING_AGAIN
            if after is not None and not again:
                self._turns[rotation_id] = Turn.RESTING
        if again:
            self.soon(rotation_id)
        elif after is not None:
            self._later(after, rotation_id)

    def _advance_once(self, rotation_id: RotationId) -> timedelta | None:
        """When to come back; None for not by itself."""
        try:
            outcome = self._advance(rotation_id)
        except (NotLeader, RecordAbsent) as error:
            log.warning("rotation left alone", reason=str(error))
            return None
        except RootkeeperError as error:
            return self._retry_after(rotation_id, error)
        except Exception as error:  # noqa: BLE001 - a bug must not end a rotation that is half done
            self._report_bug(f"advancing rotation {rotation_id}", error)
            return self._back_off(rotation_id)
        del self._failures[rotation_id]
        match outcome:
            case Wait(after=after):
                return after
            case Done():
                return None

    def _retry_after(self, rotation_id: RotationId, error: RootkeeperError) -> timedelta:
        after = error.retry_after or self._back_off(rotation_id)
        if isinstance(error, LostRace) and self._failures[rotation_id] <= QUICK_RETRIES:
            after = timedelta(0)
        log.warning(
            "advancing failed",
            error=type(error).__name__,
            reason=error.message,
            retry_after_seconds=after.total_seconds(),
        )
        return after

    def _back_off(self, rotation_id: RotationId) -> timedelta:
        doublings = min(self._failures[rotation_id], 10)
        self._failures[rotation_id] += 1
        return min(FIRST_RETRY * (1 << doublings), LONGEST_RETRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Work that was given to a pool; without a kind it is no errand, and nobody waits for it."""

    kind: Errand | None = None
    turned_away: Work | None = None


class BotScheduler:
    """The Scheduler port, and the jobs of the calendar."""

    def __init__(self, advance: Callable[[RotationId], Outcome], *, report_bug: ReportBug) -> None:
        self._report_bug = report_bug
        self._rotations = ThreadPoolExecutor(ROTATION_WORKERS, "rotation")
        self._errands = {kind: ThreadPoolExecutor(most, kind) for kind, most in ERRAND_WORKERS.items()}
        self._ticks = ThreadPoolExecutor(TICK_WORKERS, "tick")
        self._taken: dict[Future[None], Taken] = {}
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._beat_at = time.monotonic()
        self._loop = AdvanceLoop(
            advance,
            run=partial(self._submit, self._rotations),
            later=self._advance_later,
            report_bug=report_bug,
        )
        # its own thread only hands over, so one is enough; what is late is run once, however late
        self._calendar = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ApschedulerPool(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True},
        )
        self._calendar.add_job(self._beat, _every(HEARTBEAT), id="heartbeat")

    def start(self) -> None:
        """Begin with what is due; `soon` and `advance_soon` work before this, too."""
        self._calendar.start()

    def soon(self, work: Work, *, kind: Errand, turned_away: Work) -> bool:
        """Run this once, as soon as a worker of that kind is free; False when it is not taken."""
        taken = self._submit(self._errands[kind], work, Taken(kind=kind, turned_away=turned_away))
        if not taken:
            log.warning("errand not taken", kind=kind, stopping=self._stopping)
        return taken

    def advance_soon(self, rotation_id: RotationId) -> None:
        """Have `advance` run for a rotation as soon as a worker is free; never twice at once."""
        self._loop.soon(rotation_id)

    def resume(self, rotation_id: RotationId) -> None:
        """As `advance_soon`, if nothing is the matter with it: its rest was asked for."""
        self._loop.resume(rotation_id)

    def every_day(self, name: str, cron: str, zone: ZoneInfo, work: Work) -> None:
        """Run this by a cron expression; the same name again replaces it.

        Raises:
            ValueError: no cron expression.
        """
        self._add(name, _cron_trigger(cron, zone), pool=self._errands[Errand.LOOK], work=work)

    def every(self, name: str, interval: timedelta, work: Work) -> None:
        """Run this now and then every so often, never twice at once; the same name again replaces it."""
        self._add(name, _every(interval), pool=self._ticks, work=work)
        self._submit_unless_busy(self._ticks, name, work)

    @property
    def silent_for(self) -> timedelta:
        """How long ago the calendar's thread last showed that it lives (every 5 s, when it does)."""
        return timedelta(seconds=time.monotonic() - self._beat_at)

    def stop(self, timeout: timedelta) -> bool:
        """Take no more work, let what runs end; whether all but looks did in time.

        A step that is cut off is found and finished by the next start; a person whose errand is cut
        off is told.
        """
        with self._lock:
            self._stopping = True
            taken = dict(self._taken)
        if self._calendar.running:
            self._calendar.shutdown(wait=False)
        # a cancelled future is not done for `wait` until a worker has seen it, so these are left out of it
        running = {future for future in taken if not future.cancel()}
        for pool in (self._rotations, *self._errands.values(), self._ticks):
            pool.shutdown(wait=False, cancel_futures=True)
        farewell = _Farewell(self._guarded)
        farewell.tell(taken[future] for future in taken.keys() - running)
        looks = {future for future in running if taken[future].kind is Errand.LOOK}
        began = time.monotonic()
        slow = wait(looks, min(timeout, LOOKS_HAVE).total_seconds()).not_done
        farewell.tell(taken[future] for future in slow)
        left = timeout.total_seconds() - (time.monotonic() - began)
        late = wait(running - looks, max(left, 0)).not_done
        farewell.tell(taken[future] for future in late)
        farewell.end(FAREWELL_HAS)
        return not late

    def _beat(self) -> None:
        self._beat_at = time.monotonic()

    def _add(self, name: str, trigger: Any, *, pool: ThreadPoolExecutor, work: Work) -> None:
        self._calendar.add_job(
            self._submit_unless_busy, trigger, args=(pool, name, work), id=name, replace_existing=True
        )

    def _advance_later(self, after: timedelta, rotation_id: RotationId) -> None:
        if self._stopping:
            return
        when = datetime.now(self._calendar.timezone) + after  # noqa: TID251 - APScheduler's own clock
        self._calendar.add_job(
            self._loop.soon,
            "date",
            run_date=when,
            args=(rotation_id,),
            id=_later_job(rotation_id),
            replace_existing=True,
        )

    def _submit_unless_busy(self, pool: ThreadPoolExecutor, name: str, work: Work) -> None:
        """A run that is slower than its interval must not pile up behind itself."""
        with self._lock:
            if name in self._busy:
                return
            self._busy.add(name)

        def once() -> None:
            try:
                work()
            finally:
                with self._lock:
                    self._busy.discard(name)

        self._submit(pool, once)

    def _submit(self, pool: ThreadPoolExecutor, work: Work, taken: Taken | None = None) -> bool:
        taken = taken or Taken()
        with self._lock:
            if self._stopping or self._is_full(taken.kind):
                return False
            future = pool.submit(self._guarded, work)
            self._taken[future] = taken
        future.add_done_callback(self._forget)
        return True

    def _is_full(self, kind: Errand | None) -> bool:
        return kind is not None and sum(one.kind is kind for one in self._taken.values()) >= MOST_TAKEN

    def _guarded(self, work: Work) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the worker lives on, the bug is told
            self._report_bug("running an errand", error)

    def _forget(self, future: "Future[None]") -> None:
        with self._lock:
            self._taken.pop(future, None)


class _Farewell:
    """Tells people, at the stop, that their errand was cut short: several at once, for Slack may be slow."""

    def __init__(self, run: Callable[[Work], None]) -> None:
        self._run = run
        self._pool = ThreadPoolExecutor(FAREWELL_WORKERS, "farewell")
        self._told: list[Future[None]] = []

    def tell(self, cut_short: Iterable[Taken]) -> None:
        for one in cut_short:
            if one.turned_away is not None:
                self._told.append(self._pool.submit(self._run, one.turned_away))

    def end(self, within: timedelta) -> None:
        wait(self._told, within.total_seconds())
        self._pool.shutdown(wait=False, cancel_futures=True)


def _later_job(rotation_id: RotationId) -> str:
    return f"advance/{rotation_id}"


def missed(cron: str, zone: ZoneInfo, *, last: datetime | None, now: datetime) -> bool:
    """Whether a scheduled time lies after `last` and not after `now`; True when there was none ever."""
    if last is None:
        return True
    due = _cron_trigger(cron, zone).get_next_fire_time(None, last + timedelta(microseconds=1))
    return due is not None and due <= now


def _every(interval: timedelta) -> Any:
    return IntervalTrigger(seconds=interval.total_seconds())


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
