"""The life of `rootkeeper run`: take the lease, pick up what was left, listen, and stop in good order.

The record comes first and Slack last: a rotation that was under way goes on whether or not Slack
answers.
"""

import gc
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from bot import bootstrap
from bot.bootstrap import Meshes, Record, Voice
from bot.core.ids import MeshName
from bot.edges.health import HealthServer
from bot.edges.metrics import Metrics
from bot.edges.scheduler.cron import CronTimes
from bot.edges.scheduler.scheduler import BotScheduler
from bot.edges.system import SystemClock, SystemKeys, process_name, surely_gone
from bot.errors import NotLeader, RootkeeperError, SlackError, StoreError
from bot.flow.look import Looks, finished_in, standing_in
from bot.flow.ports import Clock, Keys
from bot.flow.recover import redraw_active, sweep
from bot.flow.remind import overtaken, remind
from bot.settings import Settings

LEASE_LASTS = timedelta(seconds=15)
"""How long another process must wait for a dead one."""
LEASE_RENEWED = timedelta(seconds=5)
SWEEP = timedelta(seconds=30)
STOPPING = timedelta(seconds=20)
"""What a step or a decision under way has to end. Closing the ears, farewells, the poster's last call and a
locked database add 25 s at the worst; the manifest's grace period covers all of it (a test adds it up)."""
ONE_BOT = "Run one bot on a database; give a second one a database of its own."
HANGS_AFTER = timedelta(minutes=1)
DEAF_AFTER = timedelta(minutes=5)
SLACK_RETRY = timedelta(seconds=5)
GIVE_WAY = timedelta(milliseconds=1)
"""How long a thread that computes keeps the others waiting: an ack passes through five; Python's own is 5 ms."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a process takes from outside; a test hands it something else."""

    clock: Clock = field(default_factory=SystemClock)
    keys: Keys = field(default_factory=SystemKeys)
    monotonic: Callable[[], float] = time.monotonic
    name: str = field(default_factory=process_name)
    gone: Callable[[str], bool] = surely_gone
    meshes: Callable[..., Meshes] = bootstrap.connect_meshes
    voice: Callable[..., Voice] = bootstrap.build_slack


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """Now, by both clocks."""

    at: datetime
    ticks: float
    """Seconds of the monotonic clock."""

    def since(self, before: "_Moment") -> timedelta:
        """How long ago that was, by the clock that says more.

        The time of day may have been set back, and the monotonic clock stands still while the machine sleeps.
        """
        return max(self.at - before.at, timedelta(seconds=self.ticks - before.ticks))


class BotProcess:
    """One running bot. `run` returns when `stop` was called, or raises why it cannot go on."""

    def __init__(self, settings: Settings, parts: Parts | None = None) -> None:
        self._parts = parts or Parts()
        self._settings = settings
        self._slack = settings.require_slack()
        self._clock = self._parts.clock
        self._keys = self._parts.keys
        self._holder = self._parts.name
        self._epoch = 0
        self._stopping = threading.Event()
        self._lost: NotLeader | None = None
        self._voice: Voice | None = None
        self._metrics = Metrics()
        self._renewal: _Moment | None = None
        self.record: Record = bootstrap.open_record(
            settings,
            self._clock,
            metrics=self._metrics,
            epoch=lambda: self._epoch,
            on_commit=self._wake_poster,
        )
        self.meshes: Meshes = self._parts.meshes(settings, self._clock, metrics=self._metrics)
        store = self.record.store
        self._looks = Looks(self._clock, standing=standing_in(store), finished=finished_in(store))
        stage = bootstrap.build_stage(
            settings, self.record, self.meshes, clock=self._clock, keys=self._keys, fence=self._fence
        )
        self.scheduler: BotScheduler = bootstrap.build_scheduler(stage)
        self._metrics.watch(self.record.store, self.record.outbox, self._clock)
        self.health: HealthServer = bootstrap.build_health(
            settings,
            self._metrics,
            live={"scheduler": self._scheduler_fault, "slack": self._deaf_fault},
            ready={"lease": self._lease_fault, "slack": self._slack_fault},
        )

    def stop(self) -> None:
        """End soon; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until told to stop.

        Raises:
            NotLeader: another process took the lease.
            SlackError: Slack does not take the tokens, and no rotation is waiting for this process.
            StoreError: the database cannot be used.
        """
        sys.setswitchinterval(GIVE_WAY.total_seconds())
        self.health.start()
        try:
            if self._take_lease():
                self._pick_up()
                self._listen()
                self._stopping.wait()
        finally:
            self._close()
        if self._lost:
            raise self._lost

    # --- the lease -------------------------------------------------------------------------------

    def _take_lease(self) -> bool:
        """Wait for it, for as long as another lives; False when told to stop meanwhile."""
        waited_for = ""
        while not self._stopping.is_set():
            asked = self._moment()
            epoch = self.record.lease.acquire(
                self._holder, now=asked.at, duration=LEASE_LASTS, gone=self._parts.gone
            )
            if epoch is not None:
                self._epoch = epoch
                self._renewal = asked
                _log.info("lease taken", holder=self._holder, epoch=epoch)
                return True
            if waited_for != (waited_for := self.record.lease.holder()):
                _log.warning("lease held by another process", holder=waited_for, hint=ONE_BOT)
            self._stopping.wait(1)
        return False

    def _renew_lease(self) -> None:
        asked = self._moment()
        if self.record.lease.renew(self._holder, epoch=self._epoch, now=asked.at, duration=LEASE_LASTS):
            self._renewal = asked
            return
        self._renewal = None
        self._lost = NotLeader(
            "another process took the lease; this one stops",
            hint=ONE_BOT,
        )
        self.stop()

    def _moment(self) -> _Moment:
        return _Moment(at=self._clock.now(), ticks=self._parts.monotonic())

    def _fence(self) -> None:
        """A lease that could not be renewed may be somebody else's by now, so nothing is done under it."""
        if fault := self._lease_fault():
            raise NotLeader(fault)

    # --- work --------------------------------------------------------------------------------------

    def _pick_up(self) -> None:
        redraw_active(self.record.store)
        self.scheduler.every("lease", LEASE_RENEWED, _told("renewing the lease", self._renew_lease))
        for name in self.meshes:
            self._schedule_check(name)
        self.scheduler.every("sweep", SWEEP, _told("the sweep", self._sweep))
        self.scheduler.start()

    def _sweep(self) -> None:
        sweep(self.record.store, self._clock, self.scheduler)
        for mesh, _ in overtaken(self.record.store, self.meshes, now=self._clock.now()):
            self.scheduler.run_now(_check_of(mesh))

    def _schedule_check(self, name: MeshName) -> None:
        """By the calendar, and at once when one was missed."""

        def remind_of() -> None:
            remind(self.record.store, self.meshes[name], self._clock, self._keys, looks=self._looks)

        check = _told(f"the check of {name}", remind_of)
        times = CronTimes(self._settings.check_schedule, self._settings.time_zone)
        last = self.record.store.last_check(name)
        self.scheduler.at_times(_check_of(name), times, check, last=last.at if last else None)

    # --- Slack ---------------------------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                self._voice = self._connected()
            except SlackError as fault:
                if fault.retry_after is None and not self.record.store.active_rotations():
                    raise
                _log.warning("slack not connected", reason=fault.message, hint=fault.hint)
                self._stopping.wait((fault.retry_after or SLACK_RETRY).total_seconds())
            else:
                self._voice.poster.start()
                _log.info("ready", meshes=list(self.meshes), channel=self._slack.channel)
                _leave_out_of_collections()
                return

    def _connected(self) -> Voice:
        voice = self._parts.voice(
            self._settings,
            self._slack,
            record=self.record,
            meshes=self.meshes,
            looks=self._looks,
            scheduler=self.scheduler,
            metrics=self._metrics,
            clock=self._clock,
            keys=self._keys,
            fence=self._fence,
        )
        try:
            voice.edge.connect()
        except SlackError:
            voice.edge.close()  # its threads would pile up with every try
            raise
        return voice

    def _wake_poster(self) -> None:
        if self._voice:
            self._voice.poster.wake()

    # --- health ------------------------------------------------------------------------------------

    def _scheduler_fault(self) -> str:
        silent = self.scheduler.silent_for
        waiting = self._epoch == 0
        return (
            ""
            if waiting or silent < HANGS_AFTER
            else f"the scheduler is silent for {silent.total_seconds():.0f} s"
        )

    def _deaf_fault(self) -> str:
        """A socket that was open once and has been deaf for minutes: a restart helps."""
        age = self._voice.edge.pong_age() if self._voice else None
        return (
            ""
            if age is None or age < DEAF_AFTER
            else f"Slack has not answered for {age.total_seconds():.0f} s"
        )

    def _slack_fault(self) -> str:
        if self._voice is None or not self._voice.edge.is_ready():
            return "the socket to Slack is not open"
        return self._voice.poster.trouble

    def _lease_fault(self) -> str:
        """Renewing writes, so this also says whether the database takes writes."""
        fresh = self._renewal is not None and self._moment().since(self._renewal) < LEASE_LASTS
        return "" if fresh else "the lease is not held, or the database takes no writes"

    # --- the end ---------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Hear nothing new, let the step under way end, tell what there is to tell, give the lease back."""
        self.health.stop()
        if self._voice:
            self._voice.edge.close()
        in_time = self.scheduler.stop(STOPPING)
        if self._voice:
            self._voice.poster.stop()
        if self._epoch and in_time:
            self._give_lease_back()
        self.record.engine.dispose()
        _log.info("stopped", in_time=in_time)

    def _give_lease_back(self) -> None:
        try:
            self.record.lease.release(self._holder, epoch=self._epoch)
        except StoreError as fault:
            _log.warning("lease not given back", reason=fault.message)


def _leave_out_of_collections() -> None:
    """What the start loaded stays; looking through it stopped every thread, and acks, for 70 to 100 ms a time."""
    gc.collect()
    gc.freeze()


def _check_of(mesh: MeshName) -> str:
    """The calendar's name of a mesh's check; one that the stop cuts off is found missed by the next start."""
    return f"check {mesh}"


def _told(what: str, work: Callable[[], None]) -> Callable[[], None]:
    """Runs `work`; an expected fault is logged as what it is, not as a bug, and the timer tries again."""

    def guarded() -> None:
        try:
            work()
        except RootkeeperError as fault:
            _log.error("not done", what=what, reason=fault.message, hint=fault.hint)

    return guarded
