"""A Scheduler without threads.

scheduler = FakeScheduler()                     keeps errands until `run`, and turns them away at `stop`
scheduler = FakeScheduler(at_once=True)         runs each errand in the moment it is given
scheduler.waiting                               errands that were taken and not run, with their kinds
scheduler.asked                                 every rotation of `advance_soon`, in order
"""

from collections.abc import Callable
from dataclasses import dataclass

from bot.core.ids import RotationId
from bot.flow.ports import Errand

Work = Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An errand that no worker has begun yet."""

    kind: Errand
    work: Work
    turned_away: Work


class FakeScheduler:
    """The Scheduler port."""

    def __init__(self, *, at_once: bool = False) -> None:
        self.waiting: list[Waiting] = []
        self.asked: list[RotationId] = []
        self._at_once = at_once
        self._stopped = False

    def soon(self, work: Work, *, kind: Errand, turned_away: Work) -> bool:
        if self._stopped:
            return False
        self.waiting.append(Waiting(kind=kind, work=work, turned_away=turned_away))
        if self._at_once:
            self.run()
        return True

    def advance_soon(self, rotation_id: RotationId) -> None:
        self.asked.append(rotation_id)

    def resume(self, rotation_id: RotationId) -> None:
        self.asked.append(rotation_id)

    def run(self) -> None:
        """Let the workers work until nothing waits."""
        while self.waiting:
            self.waiting.pop(0).work()

    def stop(self) -> None:
        """Take no more, and turn away what waits."""
        self._stopped = True
        while self.waiting:
            self.waiting.pop(0).turned_away()
