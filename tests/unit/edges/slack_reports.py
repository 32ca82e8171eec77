"""Reports as chat and terminal get them: a mesh in memory, looked at by the bot's own look.

No sentence of them stands here: what a golden file pins is what the core says.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from bot.core.ids import ClusterUid
from bot.core.mesh import MutualTls, Part
from bot.core.record import Report
from bot.core.rotation import Rotation
from bot.flow import look
from tests.fakes.certificates import a_key, root_pem
from tests.fakes.cluster import ACCOUNTS, FakeCluster
from tests.fakes.mesh import CITADEL, ROOT_KEY
from tests.unit.hardcases.meshes import Clock

UNREAD = (
    'may not list secrets in namespace bank: secrets is forbidden: User "rootkeeper" cannot list resource'
)
LATE = "the proxy did not answer within 10 s"


@dataclass(slots=True)
class Ticking:
    """A clock that a look takes three seconds on."""

    at: datetime

    def now(self) -> datetime:
        self.at += timedelta(seconds=3)
        return self.at


def a_mesh(now: datetime, uid: ClusterUid) -> FakeCluster:
    """A root that ends in 11 days, an old sidecar, a silent proxy, a namespace that may not be read."""
    cluster = FakeCluster(Clock(now), days_left=11.5, accounts=(*ACCOUNTS, ("shop", "legacy")))
    cluster.uid = uid
    return cluster


@cache
def a_check(now: datetime, uid: ClusterUid) -> Report:
    """A check with something red, something unknown and something worth knowing."""
    cluster = _troubled(a_mesh(now, uid))
    return look.check(cluster, Ticking(now - timedelta(seconds=6))).report


@cache
def a_check_without_mutual_tls(now: datetime, uid: ClusterUid, *, webhooks: bool) -> Report:
    """A check of a mesh whose traffic does not need the root; its webhooks may."""
    cluster = a_mesh(now, uid)
    cluster.mutual_tls = MutualTls()
    if not webhooks:
        cluster.webhook_roots.clear()
    return look.check(cluster, Ticking(now - timedelta(seconds=6))).report


@cache
def a_verify(now: datetime, uid: ClusterUid) -> Report:
    """A verification in the middle of a rotation: some have the new root, some do not, some are silent."""
    cluster = _troubled(_with_new_root(a_mesh(now, uid), now))
    cluster.member("frontend").stuck = True
    cluster.settle()
    cluster.reissue_secrets(but=frozenset({"cart"}))
    cluster.reload_proxies()
    return look.verify(cluster, Ticking(now - timedelta(seconds=6))).report


def a_verify_beside(rotation: Rotation, now: datetime, uid: ClusterUid) -> Report:
    """A verification while a rotation of the mesh is under way that wrote its root and did no more."""
    cluster = _with_new_root(a_mesh(now, uid), now)
    clock = Ticking(now - timedelta(seconds=6))
    return look.verify(cluster, clock, standing=lambda: rotation).report


@cache
def a_fine_verify(now: datetime, uid: ClusterUid) -> Report:
    """A verification after a rotation."""
    cluster = _with_new_root(a_mesh(now, uid), now)
    for part in cluster.plane:
        part.rolling = True
    cluster.converge()
    return look.verify(cluster, Ticking(now - timedelta(seconds=6))).report


def _troubled(cluster: FakeCluster) -> FakeCluster:
    cluster.member("legacy").version = "1.1.3"
    cluster.member("ledger").fault = LATE
    cluster.hide(Part.SECRETS, "Secrets in namespace bank", reason=UNREAD)
    return cluster


def _with_new_root(cluster: FakeCluster, now: datetime) -> FakeCluster:
    assert cluster.secret is not None
    start = now - timedelta(hours=5)
    new = root_pem(a_key(), not_before=start, not_after=start + timedelta(days=3650), serial=2)
    cluster.secret.write({ROOT_KEY: new}, manager="rootkeeper")
    cluster.of_plane(CITADEL).rolling = True
    return cluster
