"""What a mesh looks like when the curtain rises: knobs, and the objects they make.

Everything is made anew each time, keys too; nothing is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from bot.sandbox.cluster import apps, mesh
from bot.sandbox.cluster.age import NEWEST
from bot.sandbox.cluster.certificates import Authority, new_key, organization, pem_of, root_certificate
from bot.sandbox.cluster.objects import Json, utc_now
from bot.sandbox.cluster.proxies import Oddity
from bot.sandbox.cluster.serving import Flaw
from bot.sandbox.cluster.stage import Stage
from bot.sandbox.cluster.world import Habits

ACCOUNTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("shop", ("frontend", "cart", "catalog", "checkout", "recommendations", "search")),
    ("payments", ("gateway", "ledger", "fraud", "invoices", "payouts")),
    ("platform", ("sessions", "accounts", "mail", "media", "audit", "reports")),
)


class MutualTls(StrEnum):
    """How far the mesh uses mutual TLS: the three scenarios of the classic procedure."""

    ON = "on"
    PLANNED = "planned"
    OFF = "off"


class Stray(StrEnum):
    """A pod that is no ordinary member of the mesh; each stands in the first namespace of ``accounts``."""

    COMPLETED = "completed"  # a Job's pod with a sidecar
    PENDING = "pending"  # never scheduled
    PLAIN = "plain"  # without istio-proxy
    HOST_NETWORK = "host-network"
    CRASHING = "crashing"
    REDIS = "redis"  # no label of Istio, runs, its container is called istio-proxy2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The knobs; the defaults are the mesh of the story: 12 days left, mutual TLS on, nobody in the way.

    ``proxy_versions`` and ``oddities`` are keyed by ``namespace/serviceaccount``, ``flaws`` (of webhook servers)
    by ``galley`` and ``sidecar-injector``.
    """

    root_days_left: float = 12
    root_lifetime_days: int = 365
    organization: str = "cluster.local"
    trust_domain: str = "cluster.local"
    kubernetes: str = NEWEST  # what the API server says it is, and how old it behaves
    citadel_version: str = "1.4.10"
    citadel_replicas: int = 1
    rotator: bool = False  # off by CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL=0s where the version has one
    plugged_in: bool = False
    pilot_sidecar: bool = True
    webhooks_reload: bool = True
    webhooks: bool = True  # the injector's and Galley's are registered
    mutual_tls: MutualTls = MutualTls.ON
    automatic_tls: bool = False  # enableAutoMtls, where the version has it
    accounts: tuple[tuple[str, tuple[str, ...]], ...] = ACCOUNTS
    unmanaged: tuple[str, ...] = ()  # of these namespaces, labelled ca.istio.io/override=false
    proxy_version: str = "1.4.10"
    proxy_versions: Mapping[str, str] = field(default_factory=dict)
    oddities: Mapping[str, Oddity] = field(default_factory=dict)
    flaws: Mapping[str, Flaw] = field(default_factory=dict)
    strays: tuple[Stray, ...] = ()
    ca_labels: Mapping[str, str] = field(default_factory=dict)
    ca_annotations: Mapping[str, str] = field(default_factory=dict)
    bulk_accounts: int = 0  # more service accounts with secrets, in namespaces of 100
    bulk_pods: bool = False  # and a pod with a sidecar for each
    contexts: int = 3
    rate: float = 2.5  # secrets a second that Citadel writes
    home: str = "rootkeeper"
    system: str = "istio-system"
    seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A scene's objects in the order of their making, and how its mesh behaves."""

    objects: tuple[Json, ...]
    habits: Habits


def build(scene: Scene) -> Built:
    """The objects of a scene, with UIDs and dates that fit its age."""
    stage = Stage(now=utc_now().replace(microsecond=0), random=Random(scene.seed), system=scene.system)
    stage.authority = _authority(scene, stage.now)
    stage.trust_domain = scene.trust_domain
    mesh.furnish(stage, scene)
    apps.furnish(stage, scene)
    contexts = 0 if scene.mutual_tls is MutualTls.OFF and not scene.automatic_tls else scene.contexts
    habits = Habits(
        contexts=contexts,
        rate=scene.rate,
        webhooks_reload=scene.webhooks_reload,
        oddities=dict(scene.oddities),
        flaws=dict(scene.flaws),
    )
    return Built(objects=tuple(stage.objects), habits=habits)


def _authority(scene: Scene, now: datetime) -> Authority:
    key = new_key()
    not_after = now + timedelta(days=scene.root_days_left)
    certificate = root_certificate(
        key,
        organization(scene.organization),
        not_before=not_after - timedelta(days=scene.root_lifetime_days),
        not_after=not_after,
    )
    return Authority(bundle=pem_of(certificate), certificate=certificate, key=key)
