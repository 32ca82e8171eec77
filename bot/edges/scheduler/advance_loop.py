"""Runs a rotation until it is done: when it comes back, and how often it is tried again."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from enum import Enum, auto

import structlog

from bot.core.ids import RotationId
from bot.core.progress import Done, Outcome, Wait
from bot.errors import LostRace, NotLeader, RecordAbsent, RootkeeperError

Work = Callable[[], None]
ReportBug = Callable[[str, BaseException], str]
"""Logs an exception that should not have happened; gives its reference."""

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=1)

QUICK_RETRIES = 3
"""How often a lost race is run again at once before it counts as a failure like any other."""

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
