"""The Scheduler port, its workers, and the jobs of the calendar."""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.core.ids import RotationId
from bot.core.progress import Outcome
from bot.edges.scheduler.advance_loop import AdvanceLoop, ReportBug, Work
from bot.edges.scheduler.cron import CronTimes
from bot.edges.scheduler.timers import Timers
from bot.flow.ports import Clock, Errand

ROTATION_WORKERS = 8
"""Rotations have threads of their own: a pile of checks must not hold up a half-done one."""
ERRAND_WORKERS = {Errand.DECISION: 8, Errand.LOOK: 8, Errand.WORD: 4}
"""Looks take minutes when an API server is slow; a rollback that is pressed meanwhile must not wait."""
MOST_TAKEN = 200
"""Errands of one kind, waiting ones included; who comes then had better come again."""
TICK_WORKERS = 4
"""Short periodic work (telling, renewing the lease): neither may wait for a check."""

LOOKS_HAVE = timedelta(seconds=5)
"""At the stop, to end; a look writes nothing, so it is not waited for any longer."""
FAREWELL_HAS = timedelta(seconds=3)
"""To tell everybody whose errand was cut short."""
FAREWELL_WORKERS = 8

HEARTBEAT = timedelta(seconds=5)
"""How often the calendar is looked at; a job of it is late by that much at most."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Work that was given to a pool; without a kind it is no errand."""

    kind: Errand | None = None
    turned_away: Work | None = None
    """Tells whoever waits for it; without, nobody does."""


@dataclass(slots=True, kw_only=True)
class Appointment:
    """A job of the calendar."""

    times: CronTimes
    work: Work
    done_until: datetime | None
    """Its times up to then are dealt with; None when it never ran."""


class BotScheduler:
    """The Scheduler port, and the jobs of the calendar."""

    def __init__(
        self, advance: Callable[[RotationId], Outcome], *, clock: Clock, report_bug: ReportBug
    ) -> None:
        """`clock` is for times of the calendar only; rests and intervals go by the monotonic one."""
        self._clock = clock
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
        self._calendar: dict[str, Appointment] = {}
        self._timers = Timers(report_bug=report_bug)
        self._timers.every(HEARTBEAT, self._look_at_the_calendar, name="heartbeat")

    def start(self) -> None:
        """Begin with what is due; `soon` and `advance_soon` work before this, too."""
        self._look_at_the_calendar()
        self._timers.start()

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

    def at_times(self, name: str, times: CronTimes, work: Work, *, last: datetime | None) -> None:
        """Run this at these times, never twice at once; the same name again replaces it.

        `last` is when it was done last, None for never: what was missed since is made up, once. It is
        a look, so the stop hardly waits for it. A time that the clock comes to twice, because it was
        set back, is met twice.
        """
        self._calendar[name] = Appointment(times=times, work=work, done_until=last)

    def run_now(self, name: str) -> None:
        """Run a job of the calendar out of its time, as soon as a worker is free, unless it runs already.

        Raises:
            KeyError: there is none of this name.
        """
        job = self._calendar[name]
        job.done_until = self._clock.now()
        self._submit_unless_busy(self._errands[Errand.LOOK], name, job.work, Taken(kind=Errand.LOOK))

    def every(self, name: str, interval: timedelta, work: Work) -> None:
        """Run this now and then every so often, never twice at once; the same name again replaces it."""
        tick = partial(self._submit_unless_busy, self._ticks, name, work, Taken())
        self._timers.every(interval, tick, name=name)
        tick()

    @property
    def silent_for(self) -> timedelta:
        """How long ago the timers' thread last showed that it lives (every 5 s, when it does)."""
        return timedelta(seconds=time.monotonic() - self._beat_at)

    def stop(self, timeout: timedelta) -> bool:
        """Take no more work, let what runs end; whether all but looks did in time.

        A step that is cut off is found and finished by the next start; a person whose errand is cut
        off is told.
        """
        with self._lock:
            self._stopping = True
            taken = dict(self._taken)
        self._timers.stop()
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

    def _look_at_the_calendar(self) -> None:
        self._beat_at = time.monotonic()
        now = self._clock.now()
        for name, job in tuple(self._calendar.items()):
            if job.times.missed(last=job.done_until, now=now):
                self.run_now(name)
            job.done_until = now

    def _advance_later(self, after: timedelta, rotation_id: RotationId) -> None:
        self._timers.after(after, partial(self._loop.soon, rotation_id), name=f"advance/{rotation_id}")

    def _submit_unless_busy(self, pool: ThreadPoolExecutor, name: str, work: Work, taken: Taken) -> None:
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

        self._submit(pool, once, taken)  # refused at the stop only, after which no name is asked for

    def _submit(self, pool: ThreadPoolExecutor, work: Work, taken: Taken | None = None) -> bool:
        taken = taken or Taken()
        with self._lock:
            if self._stopping or self._is_full(taken):
                return False
            future = pool.submit(self._guarded, work)
            self._taken[future] = taken
        future.add_done_callback(self._forget)
        return True

    def _is_full(self, taken: Taken) -> bool:
        """What nobody waits for is bounded by its name: a flood of wishes must not cost a mesh its check."""
        if taken.turned_away is None:
            return False
        return sum(one.kind is taken.kind for one in self._taken.values()) >= MOST_TAKEN

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
