"""ClusterReader over the Kubernetes API: gathers one MeshSnapshot, and the signing key when it is due.

Only what `parts` asks for is read. Only the cluster's identity must be readable; everything else that
is not becomes an Unread. Judging is for `core.checks`.
"""

from datetime import datetime, timedelta

from bot.core.certificates import SigningKey, read_signing_key
from bot.core.ids import ClusterUid, MeshName
from bot.core.mesh import Access, MeshSnapshot, MutualTls, Part, Pod, Proxy, SecretState
from bot.core.names import CA_SECRET
from bot.edges.kube import convert, convert_pods
from bot.edges.kube.access import read_access
from bot.edges.kube.client import KubeClient, decoded
from bot.edges.kube.control_plane import ControlPlane, read_control_plane
from bot.edges.kube.holders import SecretHolders, Webhooks, read_secret_holders, read_webhooks
from bot.edges.kube.look import Look
from bot.edges.kube.policy import read_mutual_tls
from bot.edges.kube.probe import PROXY_SECONDS, TOTAL_SECONDS, Probe
from bot.edges.kube.served import HANDSHAKE_SECONDS, read_served
from bot.edges.kube.targets import NAMESPACES, PODS, SECRETS
from bot.edges.kube.translate import Doing
from bot.edges.kube.wire import NAMED, POD_PAGE, WHOLE_SECRET, PodWire
from bot.errors import ClusterConflict, ClusterUnreachable, KeyUnusable, ObjectAbsent
from bot.flow.ports import Clock

IDENTITY = "kube-system"
"""The namespace whose uid is the cluster's: it is made once and cannot be deleted."""


class KubeReader:
    """One mesh's cluster, for looking. Implements `flow.ports.ClusterReader`."""

    def __init__(
        self,
        client: KubeClient,
        *,
        mesh: MeshName,
        namespace: str,
        clock: Clock,
        probe_concurrency: int = 16,
        proxy_seconds: float = PROXY_SECONDS,
        probe_seconds: float = TOTAL_SECONDS,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._client = client
        self._mesh = mesh
        self._namespace = namespace
        self._clock = clock
        self._probe_concurrency = probe_concurrency
        self._proxy_seconds = proxy_seconds
        self._probe_seconds = probe_seconds
        self._handshake_seconds = handshake_seconds
        self._describe = convert.DescribedKey()

    def read(self, parts: frozenset[Part]) -> MeshSnapshot:
        """Look once; see the port."""
        uid, skew, now = identify(self._client, self._clock)
        look = Look(self._client, self._namespace)
        plane = read_control_plane(look, self._describe) if Part.AUTHORITY in parts else ControlPlane()
        holders = read_secret_holders(look) if Part.SECRETS in parts else SecretHolders()
        webhooks = read_webhooks(look) if Part.WEBHOOKS in parts else Webhooks()
        return MeshSnapshot(
            mesh=self._mesh,
            namespace=self._namespace,
            cluster_uid=uid,
            parts=parts,
            taken_at=now,
            clock_skew=skew,
            ca_secret=plane.ca_secret,
            foreign=plane.foreign,
            workloads=plane.workloads,
            control_plane_pods=plane.pods,
            namespaces=holders.namespaces,
            secrets=holders.secrets,
            trust=holders.trust,
            webhooks=webhooks.own,
            webhooks_elsewhere=webhooks.elsewhere,
            served=read_served(look, webhooks.own, seconds=self._handshake_seconds),
            proxies=self._proxies(look) if Part.PROXIES in parts else (),
            mutual_tls=read_mutual_tls(look) if Part.POLICY in parts else MutualTls(),
            access=read_access(look, plane.workloads) if Part.ACCESS in parts else Access(),
            unread=look.unread,
        )

    def _proxies(self, look: Look) -> tuple[Proxy, ...]:
        found = look.everywhere(Part.PROXIES, "Pods", PODS, POD_PAGE, _with_proxy)
        probe = Probe(
            self._client,
            concurrency=self._probe_concurrency,
            proxy_seconds=self._proxy_seconds,
            total_seconds=self._probe_seconds,
        )
        return probe.ask_all([pod for pod in found if pod])

    def signing_key(self, expected: SecretState) -> SigningKey:
        """The CA's private key; see the port."""
        target = SECRETS.within(self._namespace).named(CA_SECRET)
        secret = self._client.get(target, WHOLE_SECRET)
        if not convert.state_of(secret).same_data(expected):
            raise ClusterConflict(f"{target} changed since it was looked at")
        pem = convert.value_of((secret.data or {}).get(convert.PRIVATE_KEY, ""))
        if pem is None:
            raise KeyUnusable(f"{convert.PRIVATE_KEY} {convert.NOT_BASE64}")
        return read_signing_key(pem)


def identify(client: KubeClient, clock: Clock) -> tuple[ClusterUid, timedelta | None, datetime]:
    """The cluster's uid, how far its clock is ahead of the bot's, and the bot's time.

    Raises:
        ClusterUnreachable, ClusterForbidden.
    """
    target = NAMESPACES.named(IDENTITY)
    try:
        answer = client.fetch(target)
    except ObjectAbsent:
        raise ClusterUnreachable(f"what answers is no cluster: it has no namespace {IDENTITY}") from None
    now = clock.now()
    uid = decoded(answer, NAMED, Doing(verb="get", target=target)).metadata.uid
    if not uid:
        raise ClusterUnreachable(f"what answers is no cluster: namespace {IDENTITY} has no uid")
    # The header has whole seconds; a bot's fraction of one is no skew.
    skew = answer.date - now.replace(microsecond=0) if answer.date else None
    return ClusterUid(uid), skew, now


def _with_proxy(found: PodWire) -> Pod | None:
    seen = convert_pods.pod(found)
    return seen if seen.proxy else None
