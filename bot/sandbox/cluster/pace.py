"""The speed of the mesh: its delays are divided by one number, its dates are not.

With ``speed=8`` Citadel's 60 s resync takes 7.5 s of real time, while certificates carry true dates.
"""

import asyncio
from collections.abc import Callable
from random import Random


class Pace:
    """Delays given in seconds of the mesh, waited for in real ones."""

    def __init__(self, speed: float, random: Random) -> None:
        self.speed = speed
        self.random = random
        self._timers: set[asyncio.TimerHandle] = set()

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds of the mesh."""
        await asyncio.sleep(seconds / self.speed)

    def later(self, seconds: float, action: Callable[[], None]) -> asyncio.TimerHandle:
        """Call ``action`` after so many seconds of the mesh."""

        def run() -> None:
            self._timers.discard(handle)
            action()

        handle = asyncio.get_running_loop().call_later(seconds / self.speed, run)
        self._timers.add(handle)
        return handle

    def between(self, low: float, high: float) -> float:
        """A number of seconds anywhere between the two."""
        return self.random.uniform(low, high)

    def stop(self) -> None:
        """Nothing that was put off happens any more."""
        for handle in self._timers:
            handle.cancel()
        self._timers.clear()
