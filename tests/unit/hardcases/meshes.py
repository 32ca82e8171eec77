"""A healthy mesh, and what the checks say of it once something about it is odd.

mesh = healthy()                             rotated yesterday's way: everything holds the same young root
verdicts(ROUTINE, mesh)["ca.present"]        what one check says
with_secret(mesh, immutable=True)            the same mesh with another CA secret
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from bot.core.certificates import Certificate, SigningKey, describe_key, read_bundle
from bot.core.checks.rule import Check, Policy
from bot.core.checks.table import PREFLIGHT, evaluate, obstacles
from bot.core.findings import Finding, Verdict
from bot.core.issuing import extend_root, throw_away_leaf
from bot.core.mesh import EVERYTHING, CaSecret, Container, MeshSnapshot, Workload
from tests.fakes.certificates import a_key
from tests.fakes.cluster import FakeCluster
from tests.fakes.mesh import ROOT_KEY
from tests.unit.hardcases.making import NOW, YEAR, pem_of

KEY = SigningKey(a_key())
KEY_PEM = pem_of(a_key())


class Clock:
    """A clock that stands."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


def ending(days_left: float = 12) -> MeshSnapshot:
    """A mesh in good order whose root ends soon."""
    return FakeCluster(Clock(), days_left=days_left).read(EVERYTHING)


@cache
def healthy() -> MeshSnapshot:
    """A mesh in good order whose root was extended a moment ago."""
    cluster = FakeCluster(Clock())
    old = read_bundle(_ca(cluster.secret.data if cluster.secret else {})).certificates[0]
    new = extend_root(old, KEY, serial=2, now=NOW - timedelta(hours=5), lifetime=10 * YEAR)
    assert cluster.secret is not None
    cluster.secret.write({ROOT_KEY: new.pem}, manager="rootkeeper")
    for part in cluster.plane:
        part.rolling = True
    cluster.converge()
    return cluster.read(EVERYTHING)


def _ca(data: dict[str, bytes]) -> bytes:
    return data[ROOT_KEY]


def signer_of(mesh: MeshSnapshot) -> Certificate:
    """What the CA signs with."""
    assert mesh.ca_secret is not None
    assert mesh.ca_secret.root.first is not None
    return mesh.ca_secret.root.first


def with_secret(mesh: MeshSnapshot, **changes: Any) -> MeshSnapshot:
    """The mesh with another CA secret."""
    assert mesh.ca_secret is not None
    secret: CaSecret = replace(mesh.ca_secret, **changes)
    return replace(mesh, ca_secret=secret)


def with_root(mesh: MeshSnapshot, pem: bytes, *, key_pem: bytes = KEY_PEM) -> MeshSnapshot:
    """The mesh with these bytes as ca-cert.pem."""
    return with_secret(mesh, root=read_bundle(pem), key=describe_key(key_pem))


def with_citadel(mesh: MeshSnapshot, **changes: Any) -> MeshSnapshot:
    """The mesh with another Citadel Deployment."""
    return replace(
        mesh,
        workloads=tuple(
            replace(w, **changes) if w.label("istio") == "citadel" else w for w in mesh.workloads
        ),
    )


def citadel_of(mesh: MeshSnapshot) -> Workload:
    """Citadel's Deployment."""
    return next(w for w in mesh.workloads if w.label("istio") == "citadel")


def citadel_container(version: str = "1.4.10", *, arguments: tuple[str, ...] = (), **more: Any) -> Container:
    """Citadel's container of some version."""
    image = f"docker.io/istio/citadel:{version}"
    return Container(name="citadel", image=image, arguments=("--self-signed-ca=true", *arguments), **more)


def findings(
    chain: Sequence[Check], mesh: MeshSnapshot, *, now: datetime = NOW, policy: Policy | None = None
) -> tuple[Finding, ...]:
    """What a chain says."""
    return evaluate(chain, mesh, policy=policy or Policy(), now=now)


def verdicts(
    chain: Sequence[Check], mesh: MeshSnapshot, *, now: datetime = NOW, policy: Policy | None = None
) -> dict[str, Verdict]:
    """What a chain says, by check."""
    return {f.check_id: f.verdict for f in findings(chain, mesh, now=now, policy=policy)}


def finding(chain: Sequence[Check], mesh: MeshSnapshot, check_id: str) -> Finding:
    """What one check says."""
    return next(f for f in findings(chain, mesh) if f.check_id == check_id)


def proved(mesh: MeshSnapshot) -> Policy:
    """The policy of a preflight: with the candidate that would be offered, and its throw-away leaf."""
    old = signer_of(mesh)
    new = extend_root(old, KEY, serial=0xCAFE, now=NOW, lifetime=20 * YEAR)
    public = a_key(77).public_key()
    tried = throw_away_leaf(new, KEY, public_key=public, serial=7, now=NOW)
    return Policy(candidate=new, throw_away=tried)


def forbidden_by(mesh: MeshSnapshot, *, policy: Policy | None = None) -> set[str]:
    """The checks that forbid a rotation of this mesh."""
    return {f.check_id for f in obstacles(findings(PREFLIGHT, mesh, policy=policy))}
