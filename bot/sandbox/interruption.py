"""Signals to end, taken only where nothing is half made: a child or a folder that nobody knows is never ended."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""A hang-up is heard unless it is ignored, as under nohup."""


class Interrupted(BaseException):
    """The process was asked to end; no `except Exception` may keep that to itself."""

    def __init__(self, number: int) -> None:
        self.name = signal.Signals(number).name
        super().__init__(self.name)


class Interruption:
    """The one ask to end, held back until a block that may be left at any point; every later one is the same ask."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._open = False

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Hear the signals until the block ends, instead of being ended by them; for the main thread only."""
        heard = [number for number in SIGNALS if number is not signal.SIGHUP or not _is_ignored(number)]
        before = {number: signal.signal(number, self._heard) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def welcome(self) -> Iterator[None]:
        """A block that ends by `Interrupted` as soon as somebody asks, or has asked before.

        Raises:
            Interrupted: within the block, once; what is cleaned up after it is left in peace.
        """
        self._open = True
        try:
            if self._asked is not None:
                raise Interrupted(self._asked)
            yield
        finally:
            self._open = False

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        first, self._asked = self._asked is None, number
        if first and self._open:
            raise Interrupted(number)


def _is_ignored(number: signal.Signals) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
