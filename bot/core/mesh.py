"""What was seen of one mesh at one time: a MeshSnapshot and its parts.

Plain values for checks and plans to judge; nothing here judges. The reader fills it, says by name
what it could not read, and drops everything private: of a workload secret only its certificates
arrive here, of the CA's key only facts about its public half.
"""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from bot.core.certificates import Bundle, Certificate, KeyFacts
from bot.core.ids import ClusterUid, MeshName


class Part(StrEnum):
    """What a look at a mesh may include; a gate asks only for what it judges."""

    AUTHORITY = "authority"
    """CA secret, other CA sources, control plane Deployments and pods, autoscalers, server time."""
    SECRETS = "secrets"
    """Workload secrets and the `istio-security` ConfigMap."""
    WEBHOOKS = "webhooks"
    """caBundles of the mesh's admission webhooks, and the certificates that their servers show."""
    PROXIES = "proxies"
    """Every pod with a proxy, and the certificates that each proxy has loaded."""
    POLICY = "policy"
    """Whether mutual TLS is used."""
    ACCESS = "access"
    """What the API server can do, and what the bot may do there: asked before a rotation only."""


EVERYTHING = frozenset(Part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """One Kubernetes object; `namespace` is empty for cluster-wide kinds."""

    kind: str
    namespace: str = ""
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Something that exists or may exist and could not be read, and why, in words."""

    part: Part
    what: str
    """`Secrets in namespace bank`, `proxy of shop/cart-5d9`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretState:
    """One state of a secret's data: what an approval is bound to and a write is conditional on."""

    uid: str
    resource_version: str
    digests: tuple[tuple[str, str], ...]
    """(key, SHA-256 hex over the decoded value), sorted by key."""

    def same_data(self, other: "SecretState") -> bool:
        """Whether it is the same object with the same bytes; metadata may differ."""
        return self.uid == other.uid and self.digests == other.digests

    def with_value(self, key: str, value: bytes) -> "SecretState":
        """The state after `key` is set to `value` and nothing else changes."""
        digests = dict(self.digests) | {key: hashlib.sha256(value).hexdigest()}
        return replace(self, digests=tuple(sorted(digests.items())))


@dataclass(frozen=True, slots=True, kw_only=True)
class CaSecret:
    """The secret that the CA signs from."""

    ref: ObjectRef
    type: str
    state: SecretState
    immutable: bool
    root: Bundle
    """`ca-cert.pem`: the signer first, then further trusted roots."""
    key: KeyFacts
    """About `ca-key.pem`."""
    labels: tuple[tuple[str, str], ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    owners: tuple[str, ...] = ()
    """`Kind name` of each owner reference."""
    managers: tuple[str, ...] = ()
    """Names of field managers that wrote `data`, latest last."""
    faults: tuple[str, ...] = ()
    """What is wrong with its data as a whole: none at all, a value that is not base64."""


PROXY_ROLES = ("sidecar", "router", "ingress")
"""What `pilot-agent proxy` is told to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod or a pod template."""

    name: str
    image: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str | None], ...] = ()
    """(name, value); None where the value comes from somewhere else."""
    ports: tuple[int, ...] = ()
    """Those it declares; it may listen on others."""

    @property
    def is_proxy(self) -> bool:
        """Whether it is one of Istio's proxies.

        By its name, or by what it runs: the gateways of 1.0.0's charts bear their own names.
        """
        return self.name == "istio-proxy" or any(
            one == "proxy" and other in PROXY_ROLES for one, other in pairwise(self.arguments)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment or DaemonSet of the control plane."""

    ref: ObjectRef
    uid: str
    labels: tuple[tuple[str, str], ...]
    """Of the pod template: components are recognised by these."""
    containers: tuple[Container, ...]
    secret_volumes: tuple[str, ...] = ()
    """Names of mounted secrets."""
    desired: int
    updated: int
    ready: int
    total: int
    """All pods, old ones included."""
    observed: bool
    """The controller has seen the newest generation."""
    restarted_at: str = ""
    """The template's `kubectl.kubernetes.io/restartedAt` annotation."""
    autoscaled: bool = False
    replaced_by_hand: bool = False
    """Its update strategy is OnDelete: a changed template reaches only pods that somebody deletes."""
    paused: bool = False
    """Its rollouts are paused: a changed template reaches no pod until somebody resumes them."""
    trouble: str = ""
    """Why pods are not ready, from their statuses, in words; empty when they are."""

    @property
    def settled(self) -> bool:
        """No rollout is under way and every wanted replica is new and ready."""
        return self.observed and self.updated == self.ready == self.total == self.desired

    @property
    def renewed(self) -> int:
        """How many pods are surely new and ready: its status does not tell whether a ready one is new."""
        old = self.total - self.updated
        return min(self.updated, max(0, self.ready - old)) if self.observed else 0

    def label(self, key: str) -> str:
        """A pod template label's value; empty when absent."""
        return dict(self.labels).get(key, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod of the control plane or with a proxy."""

    ref: ObjectRef
    uid: str
    workload: str
    """`Kind name` of the controller, with the ReplicaSet's hash removed; empty for a bare pod."""
    labels: tuple[tuple[str, str], ...]
    service_account: str
    phase: str
    ready: bool
    started_at: datetime | None
    """When its oldest running container started: no process of it read its files before this."""
    containers: tuple[Container, ...]
    """Init containers that keep running (native sidecars) included."""
    created_at: datetime | None = None
    """When the pod was made: secrets are mounted as they are after this."""
    secret_volumes: tuple[str, ...] = ()
    host_network: bool = False
    deleting: bool = False

    def label(self, key: str) -> str:
        """A label's value; empty when absent."""
        return dict(self.labels).get(key, "")

    @property
    def proxy(self) -> Container | None:
        """Its Istio proxy, which is one at most."""
        return next((c for c in self.containers if c.is_proxy), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSecret:
    """An `istio.io/key-and-cert` secret that Citadel keeps for a service account."""

    ref: ObjectRef
    service_account: str
    """From its annotation; empty when the annotation is missing."""
    root: Bundle
    leaf: Certificate | None
    """The first certificate of `cert-chain.pem`."""
    leaf_fault: str = ""
    created_at: datetime | None = None
    """When the secret was first made; Citadel re-issues it in place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceFacts:
    """What decides whether Citadel looks after a namespace's secrets."""

    name: str
    terminating: bool
    override: str = ""
    """Label `ca.istio.io/override`."""
    environment: str = ""
    """Label `ca.istio.io/env`."""
    service_accounts: frozenset[str] | None = None
    """None when they could not be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustConfigMap:
    """A ConfigMap that distributes the root (`istio-security`, key `caTLSRootCert`)."""

    ref: ObjectRef
    root: Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One entry of an admission webhook configuration that belongs to the mesh."""

    ref: ObjectRef
    entry: str
    root: Bundle
    injected: bool = False
    """Somebody else fills the caBundle (annotation `cert-manager.io/inject-ca-from`)."""
    service: str = ""
    """`namespace/name` of the Service it calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedCertificate:
    """What one pod behind a webhook's Service shows in a TLS handshake; `fault` says why nothing."""

    service: str
    """`namespace/name` of the Service, as in `Webhook.service`."""
    pod: ObjectRef | None
    """None where no ready pod stands behind the Service."""
    workload: ObjectRef | None = None
    """What is to be restarted to get another pod; None for a bare pod."""
    leaf: Certificate | None = None
    fault: str = ""
    asked: bool = True
    """False for a pod that gets no requests: being deleted, or not ready beside one that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCertificate:
    """A certificate as Envoy's `/certs` tells of it: enough to recognise one, not to verify with."""

    serial: int
    not_before: datetime
    not_after: datetime

    def is_of(self, certificate: Certificate) -> bool:
        """Whether this is that certificate: same serial number and same start, to the second."""
        return self.serial == certificate.serial and self.not_before == certificate.not_before


NO_TLS_CONTEXT = "has no TLS context"
"""How a proxy's fault begins where its whole page was read and shows nothing of any mesh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """One Envoy and what it has loaded; `fault` says why nothing could be told."""

    pod: Pod
    version: str
    """Of its image: `1.4.10`; empty when the tag is no version."""
    roots: tuple[LoadedCertificate, ...] = ()
    leaves: tuple[LoadedCertificate, ...] = ()
    fault: str = ""
    asked: bool = True
    """False for a pod that is not to be asked: completed, or being deleted."""

    @property
    def bare(self) -> bool:
        """Whether it was asked and surely has no certificate of any mesh loaded."""
        return self.fault.startswith(NO_TLS_CONTEXT) and not self.roots and not self.leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class MutualTls:
    """What says whether workloads use mutual TLS; None where it could not be read."""

    mesh_policy: str | None = ""
    """`strict`, `permissive`, or empty when there is none."""
    policies: int | None = 0
    """Namespace or workload policies that ask for mutual TLS."""
    peers: str | None = ""
    """The strongest that PeerAuthentications make servers do anywhere, `strict` or `permissive`; empty
    before Istio 1.5, which has none. Where it has them and none is for the whole mesh: `permissive`."""
    automatic: bool | None = False
    """Clients send mutual TLS by themselves to every server that accepts it (`enableAutoMtls`)."""
    destination_rules: int | None = 0
    """Destination rules whose clients use `ISTIO_MUTUAL`."""
    control_plane: bool | None = False
    """Proxies talk to the control plane over mutual TLS (`controlPlaneAuthPolicy: MUTUAL_TLS`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignSigns:
    """Traces of CAs that are not Citadel."""

    plugged_secret: bool | None = False
    """A secret `cacerts` exists in the mesh's namespace; None when that could not be read."""
    workloads: tuple[str, ...] = ()
    """`kind namespace/name` of istio-csr, SPIRE and the like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a rotation needs of the API server beside objects."""

    kubernetes: str = ""
    """The version that it tells: `v1.14.10-gke.36`; empty when that could not be read."""
    unpatchable: tuple[ObjectRef, ...] = ()
    """What the bot may not patch of what it writes to, and of the control plane's workloads in this look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshSnapshot:
    """Everything that was seen of one mesh at `taken_at`, and what could not be read."""

    mesh: MeshName
    namespace: str
    """Where the control plane lives."""
    cluster_uid: ClusterUid
    parts: frozenset[Part]
    """What was looked at; the fields of other parts are empty and say nothing."""
    taken_at: datetime
    """By the bot's clock."""
    clock_skew: timedelta | None = None
    """API server's clock minus the bot's; None when the server sent no date."""
    ca_secret: CaSecret | None = None
    """None when it is absent or unread: `unread` tells which."""
    foreign: ForeignSigns = field(default_factory=ForeignSigns)
    workloads: tuple[Workload, ...] = ()
    control_plane_pods: tuple[Pod, ...] = ()
    namespaces: tuple[NamespaceFacts, ...] = ()
    secrets: tuple[WorkloadSecret, ...] = ()
    trust: TrustConfigMap | None = None
    webhooks: tuple[Webhook, ...] = ()
    webhooks_elsewhere: tuple[Webhook, ...] = ()
    """Istio's webhooks that call Services in other namespaces: another mesh's, or parts of this one."""
    served: tuple[ServedCertificate, ...] = ()
    proxies: tuple[Proxy, ...] = ()
    mutual_tls: MutualTls = field(default_factory=MutualTls)
    access: Access = field(default_factory=Access)
    unread: tuple[Unread, ...] = ()

    def unread_in(self, part: Part) -> tuple[Unread, ...]:
        """What of one part could not be read."""
        return tuple(u for u in self.unread if u.part is part)
