"""Meshes to hold the cluster's ports against: the fake, and the real edge on the stand-in cluster.

A bench is one mesh with its reader and writer and the hands of its administrator. The real API
server is one more, in the real layer: `tests/real/contract_sides.py`.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from bot.core.ids import MeshName
from bot.core.mesh import CaSecret, ObjectRef, Part, SecretState
from bot.core.names import BACKUP_SECRET, CA_SECRET
from bot.edges.kube import connection
from bot.edges.kube.client import KubeClient
from bot.edges.kube.reader import KubeReader
from bot.edges.kube.targets import DEPLOYMENTS, SECRETS, Target
from bot.edges.kube.wire import NAMED, WHOLE_SECRET
from bot.edges.kube.writer import KubeWriter
from bot.errors import ClusterForbidden, ClusterUnreachable, ObjectAbsent, OutcomeUnknown
from bot.flow.ports import ClusterReader, ClusterWriter
from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.rbac import Ban
from bot.sandbox.cluster.running import RunningCluster, running_cluster
from bot.sandbox.cluster.scene import Scene
from bot.sandbox.cluster.serving import Flaw
from tests.fakes.cluster import FakeCluster

SYSTEM = "istio-system"
CITADEL = ObjectRef(kind="Deployment", namespace=SYSTEM, name="istio-citadel")


class SystemTime:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Bench(Protocol):
    """One mesh, and what its administrator may do to it."""

    reader: ClusterReader
    writer: ClusterWriter
    recent: bool
    """Its Kubernetes tells who wrote what and can lock a secret: 1.18 and later."""

    def touch_metadata(self) -> None:
        """Annotate the CA secret."""

    def change_data(self, key: str, value: bytes) -> None:
        """Change the CA secret's data."""

    def lock(self) -> None:
        """Make the CA secret immutable."""

    def spoil_backup(self, key: str, value: bytes) -> None:
        """Change a value in the backup Secret."""

    def backed_up(self) -> dict[str, bytes]:
        """What the backup Secret holds."""

    def times_changed(self, workload: ObjectRef) -> int:
        """A number that grows with every change of a workload's specification."""

    def remove_ca_secret(self) -> None:
        """Delete the CA secret."""

    def remove_backup(self) -> None:
        """Delete the backup Secret."""

    def forbid_ca_secret(self) -> None:
        """Take the permission to read the CA secret away."""

    def expire_served(self, component: str) -> None:
        """Let a webhook's server show a certificate that has ended."""

    def forbid_secrets_in(self, namespace: str) -> None:
        """Take the permission to list secrets away, cluster-wide and in one namespace."""

    def lose_next_answer(self) -> None:
        """Let the next write happen and its answer be lost."""

    def lose_next_request(self) -> None:
        """Cut the next write's connection before anything happens."""

    def cut_off(self) -> None:
        """Make the cluster unreachable."""


def ca_of(bench: Bench) -> CaSecret:
    """The CA secret as it is now."""
    secret = bench.reader.read(frozenset({Part.AUTHORITY})).ca_secret
    assert secret is not None
    return secret


def state_of(bench: Bench) -> SecretState:
    """The state of the CA secret as it is now."""
    return ca_of(bench).state


class FakeBench:
    """The mesh in memory."""

    def __init__(self) -> None:
        self.cluster = FakeCluster(SystemTime())
        self.reader: ClusterReader = self.cluster
        self.writer: ClusterWriter = self.cluster
        self.recent = True

    def touch_metadata(self) -> None:
        self.cluster.touch_metadata()

    def change_data(self, key: str, value: bytes) -> None:
        self.cluster.change_data(key, value)

    def lock(self) -> None:
        assert self.cluster.secret is not None
        self.cluster.secret.immutable = True

    def spoil_backup(self, key: str, value: bytes) -> None:
        assert self.cluster.backup is not None
        self.cluster.backup.data[key] = value

    def backed_up(self) -> dict[str, bytes]:
        assert self.cluster.backup is not None
        return dict(self.cluster.backup.data)

    def times_changed(self, workload: ObjectRef) -> int:
        return self.cluster.effects.count(f"restart {workload.name}")

    def remove_ca_secret(self) -> None:
        self.cluster.secret = None

    def remove_backup(self) -> None:
        self.cluster.backup = None

    def forbid_ca_secret(self) -> None:
        self.cluster.hide(Part.AUTHORITY, f"Secret {SYSTEM}/{CA_SECRET}")
        self.cluster.fail("signing_key", ClusterForbidden("may not"))

    def expire_served(self, component: str) -> None:
        self.cluster.expire_served(component)

    def forbid_secrets_in(self, namespace: str) -> None:
        self.cluster.hide(Part.SECRETS, f"Secrets in namespace {namespace}")

    def lose_next_answer(self) -> None:
        """The fake's caller would learn of it; the real edge looks and knows."""

    def lose_next_request(self) -> None:
        """Likewise."""

    def cut_off(self) -> None:
        self.cluster.fail("read", ClusterUnreachable("no route"), times=99)
        self.cluster.fail("replace_root", OutcomeUnknown("no answer"), times=99)


class KubeBench:
    """The real edge on any API server, with an administrator's client beside it."""

    def __init__(self, client: KubeClient, admin: KubeClient) -> None:
        self.client = client
        self.admin = admin
        self.reader: ClusterReader = KubeReader(
            client, mesh=MeshName("prod"), namespace=SYSTEM, clock=SystemTime(), proxy_seconds=5
        )
        self.writer: ClusterWriter = KubeWriter(client, SYSTEM)
        self.recent = True

    def touch_metadata(self) -> None:
        self._patch(_secret(CA_SECRET), {"metadata": {"annotations": {"somebody/was": "here"}}})

    def change_data(self, key: str, value: bytes) -> None:
        self._patch(_secret(CA_SECRET), {"data": {key: base64.b64encode(value).decode()}})

    def lock(self) -> None:
        self._patch(_secret(CA_SECRET), {"immutable": True})

    def spoil_backup(self, key: str, value: bytes) -> None:
        self._patch(_secret(BACKUP_SECRET), {"data": {key: base64.b64encode(value).decode()}})

    def _patch(self, target: Target, body: dict[str, object]) -> None:
        self.admin.patch(target, body, NAMED)

    def backed_up(self) -> dict[str, bytes]:
        data = self.admin.get(_secret(BACKUP_SECRET), WHOLE_SECRET).data or {}
        return {key: base64.b64decode(value, validate=True) for key, value in data.items()}

    def times_changed(self, workload: ObjectRef) -> int:
        target = DEPLOYMENTS.within(workload.namespace).named(workload.name)
        return self.admin.get(target, NAMED).metadata.generation


def _secret(name: str) -> Target:
    return SECRETS.within(SYSTEM).named(name)


class StandInBench(KubeBench):
    """The real edge on the stand-in cluster."""

    def __init__(self, cluster: RunningCluster, client: KubeClient, admin: KubeClient) -> None:
        super().__init__(client, admin)
        self.cluster = cluster
        self.recent = cluster.do(lambda it: it.age.tells_writers)

    def remove_ca_secret(self) -> None:
        self._vanish(CA_SECRET)

    def remove_backup(self) -> None:
        self._vanish(BACKUP_SECRET)

    def _vanish(self, name: str) -> None:
        fault = Fault(effect=Effect.VANISH, verb="get", resource="secrets", name=name)
        self.cluster.inject(fault)
        with pytest.raises(ObjectAbsent):
            self.admin.get(_secret(name), NAMED)

    def forbid_ca_secret(self) -> None:
        self.cluster.forbid(Ban(verb="get", resource="secrets", name=CA_SECRET))

    def expire_served(self, component: str) -> None:
        self.cluster.do(lambda it: it.world.spoil_server(component, Flaw.EXPIRED))

    def forbid_secrets_in(self, namespace: str) -> None:
        self.cluster.forbid(Ban(verb="list", resource="secrets", cluster=True))
        self.cluster.forbid(Ban(verb="list", resource="secrets", namespace=namespace))

    def lose_next_answer(self) -> None:
        self.cluster.inject(Fault(effect=Effect.DROP_AFTER, verb="patch"))

    def lose_next_request(self) -> None:
        self.cluster.inject(Fault(effect=Effect.DROP_BEFORE, verb="patch"))

    def cut_off(self) -> None:
        self.cluster.inject(Fault(effect=Effect.DROP_BEFORE, times=10_000))


SMALL = Scene(accounts=(("bank", ("ledger",)), ("shop", ("cart", "frontend"))))
OLDEST_ROTATED = "v1.13.12-gke.30"
"""The oldest Kubernetes through which a root may be rotated."""


@contextmanager
def fake_bench(_directory: Path) -> Iterator[Bench]:
    """The fake."""
    yield FakeBench()


@contextmanager
def stand_in_bench(directory: Path, *, scene: Scene = SMALL) -> Iterator[StandInBench]:
    """A stand-in cluster of its own."""
    with running_cluster(scene) as cluster:
        client = _impatient(cluster.write_kubeconfig(directory / "bot"))
        admin = _impatient(cluster.write_kubeconfig(directory / "admin", admin=True))
        try:
            yield StandInBench(cluster, client, admin)
        finally:
            client.close()
            admin.close()


def _impatient(kubeconfig: Path) -> KubeClient:
    """A client that does not sleep before it tries again."""
    return KubeClient(connection.from_kubeconfig(kubeconfig), sleep=lambda _seconds: None)


BENCHES: dict[str, Callable[[Path], AbstractContextManager[Bench]]] = {
    "fake": fake_bench,
    "stand-in": stand_in_bench,
    "stand-in of 1.13": partial(stand_in_bench, scene=replace(SMALL, kubernetes=OLDEST_ROTATED)),
}
