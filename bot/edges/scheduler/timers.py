"""Rests and intervals, by the monotonic clock: who sets the time of day neither delays nor hastens them."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

from bot.edges.scheduler.advance_loop import ReportBug, Work


class Timers:
    """One thread that runs what is due. That must return at once: it only hands over to workers."""

    def __init__(self, *, report_bug: ReportBug, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._report_bug = report_bug
        self._monotonic = monotonic
        self._set: dict[str, tuple[float, Work]] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="timers", daemon=True)

    def start(self) -> None:
        """Begin; what was set before is run when its time comes, counted from when it was set."""
        self._thread.start()

    def stop(self) -> None:
        """Run nothing more; what runs at this moment is not waited for."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def after(self, rest: timedelta, work: Work, *, name: str) -> None:
        """Run this once, so long from now; the same name again replaces it."""
        with self._changed:
            self._set[name] = (self._monotonic() + rest.total_seconds(), work)
            self._changed.notify()

    def every(self, interval: timedelta, work: Work, *, name: str) -> None:
        """Run this again and again, for the first time one interval from now."""

        def again() -> None:
            self.after(interval, again, name=name)
            work()

        self.after(interval, again, name=name)

    def _run(self) -> None:
        while not self._ended:
            for work in self._due():
                self._guarded(work)

    def _due(self) -> list[Work]:
        """What is due, oldest first; waits when nothing is, until something may be."""
        with self._changed:
            now = self._monotonic()
            due = sorted((at, name) for name, (at, _) in self._set.items() if at <= now)
            if not due and not self._ended:
                first = min((at for at, _ in self._set.values()), default=None)
                self._changed.wait(None if first is None else first - now)
            return [self._set.pop(name)[1] for _, name in due]

    def _guarded(self, work: Work) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the thread lives on, the bug is told
            self._report_bug("running a timer", error)
