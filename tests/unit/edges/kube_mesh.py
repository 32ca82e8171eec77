"""A stand-in mesh with the real reader and writer on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bot.core.ids import MeshName
from bot.core.mesh import CaSecret, Part
from bot.edges.kube import connection
from bot.edges.kube.client import KubeClient
from bot.edges.kube.reader import KubeReader
from bot.edges.kube.writer import KubeWriter
from bot.sandbox.cluster.rbac import Rule
from bot.sandbox.cluster.running import RunningCluster, running_cluster
from bot.sandbox.cluster.scene import Scene

SYSTEM = "istio-system"
SMALL = Scene(accounts=(("bank", ("ledger",)), ("shop", ("cart", "frontend"))))


class SystemTime:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """One running stand-in and the edge's ends to it."""

    cluster: RunningCluster
    client: KubeClient
    admin: KubeClient
    writer: KubeWriter
    slept: list[float]

    def reader(
        self,
        *,
        proxy_seconds: float = 10,
        probe_seconds: float = 60,
        handshake_seconds: float = 5,
        probe_concurrency: int = 16,
    ) -> KubeReader:
        return KubeReader(
            self.client,
            mesh=MeshName("prod"),
            namespace=SYSTEM,
            clock=SystemTime(),
            probe_concurrency=probe_concurrency,
            proxy_seconds=proxy_seconds,
            probe_seconds=probe_seconds,
            handshake_seconds=handshake_seconds,
        )

    def ca(self) -> CaSecret:
        secret = self.reader().read(frozenset({Part.AUTHORITY})).ca_secret
        assert secret is not None
        return secret


@contextmanager
def running_mesh(
    directory: Path, scene: Scene = SMALL, *, rules: tuple[Rule, ...] | None = None
) -> Iterator[Mesh]:
    """A mesh that lives as long as the `with` block; the client's pauses are noted, not slept."""
    slept: list[float] = []
    with running_cluster(scene, rules=rules) as cluster:
        bot = cluster.write_kubeconfig(directory / "bot")
        admin = cluster.write_kubeconfig(directory / "admin", admin=True)
        client = KubeClient(connection.from_kubeconfig(bot), sleep=slept.append)
        master = KubeClient(connection.from_kubeconfig(admin), sleep=slept.append)
        try:
            writer = KubeWriter(client, SYSTEM)
            yield Mesh(cluster=cluster, client=client, admin=master, writer=writer, slept=slept)
        finally:
            client.close()
            master.close()
