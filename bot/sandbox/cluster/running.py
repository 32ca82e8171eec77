"""The stand-in in a thread of its own, for synchronous callers: tests and ``rootkeeper sandbox``."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bot.sandbox.cluster.audit import Entry
from bot.sandbox.cluster.faults import Fault
from bot.sandbox.cluster.rbac import Ban, Rule
from bot.sandbox.cluster.scene import Scene
from bot.sandbox.cluster.standin import SPEED, ClusterStandIn
from bot.sandbox.cluster.world import Truth

T = TypeVar("T")

_PATIENCE = 30.0  # seconds for anything asked of the other thread


class RunningCluster:
    """A stand-in that runs in another thread; every method may be called from any thread."""

    def __init__(self, cluster: ClusterStandIn, loop: asyncio.AbstractEventLoop) -> None:
        self._cluster = cluster
        self._loop = loop

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._cluster.url

    def do(self, act: Callable[[ClusterStandIn], T]) -> T:
        """Run ``act`` in the cluster's thread and give back what it returns."""

        async def run() -> T:
            return act(self._cluster)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(_PATIENCE)

    def inject(self, fault: Fault) -> None:
        """Arm a fault."""
        self.do(lambda cluster: cluster.faults.add(fault))

    def forbid(self, ban: Ban) -> None:
        """Take something away from the bot's user."""
        self.do(lambda cluster: cluster.bot.bans.append(ban))

    def audit(self) -> list[Entry]:
        """The audit log so far."""
        return self.do(lambda cluster: list(cluster.audit.entries))

    def truths(self) -> list[Truth]:
        """What every process of the mesh holds."""
        return self.do(lambda cluster: cluster.world.truths())

    def write_kubeconfig(self, path: Path, *, context: str = "sandbox", admin: bool = False) -> Path:
        """See :meth:`ClusterStandIn.write_kubeconfig`."""
        return self._cluster.write_kubeconfig(path, context=context, admin=admin)


@contextmanager
def running_cluster(
    scene: Scene | None = None,
    *,
    speed: float = SPEED,
    rules: tuple[Rule, ...] | None = None,
    port: int = 0,
) -> Iterator[RunningCluster]:
    """A stand-in that lives as long as the ``with`` block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="cluster stand-in", daemon=True)
    thread.start()
    cluster = ClusterStandIn(scene, speed=speed, rules=rules)
    try:
        asyncio.run_coroutine_threadsafe(cluster.start(port), loop).result(_PATIENCE)
        yield RunningCluster(cluster, loop)
    finally:
        asyncio.run_coroutine_threadsafe(cluster.stop(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
