"""The pieces of the mesh in memory, and the snapshot's values made of them."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from bot.core.certificates import KeyFacts, describe_key, read_bundle
from bot.core.mesh import (
    CaSecret,
    Container,
    LoadedCertificate,
    ObjectRef,
    Pod,
    Proxy,
    SecretState,
    ServedCertificate,
    Workload,
    WorkloadSecret,
)

SYSTEM = "istio-system"
ROOT_KEY, PRIVATE_KEY = "ca-cert.pem", "ca-key.pem"
VERSION = "1.4.10"
CITADEL = "citadel"


@dataclass(slots=True)
class Plane:
    """A Deployment of the control plane."""

    component: str
    started_at: datetime
    root: bytes
    """What it read at its start."""
    restarted_at: str = ""
    rolling: bool = False
    shown: bytes = b""
    """The certificate that its webhook serves: what its secret held at its start."""
    trouble: str = ""
    starts: int = 0
    by_hand: bool = False
    """A changed template reaches only pods that somebody deletes."""
    paused: bool = False
    """A changed template reaches no pod until somebody sets this back."""
    replicas: int = 1
    """0 when somebody scaled it down: its pod is gone."""
    down: bool = False
    """Its pod is there and not ready."""
    made_at: datetime | None = None
    """When its pod was made; None for one whose container was only started again in place."""

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(kind="Deployment", namespace=SYSTEM, name=f"istio-{self.component}")

    @property
    def held(self) -> bool:
        """No new pod comes by itself."""
        return self.by_hand or self.paused

    def workload(self) -> Workload:
        return Workload(
            ref=self.ref,
            uid=f"uid-{self.ref.name}",
            labels=(("app", self.component), ("istio", self.component)),
            containers=(self._container,),
            desired=self.replicas,
            updated=0 if self.rolling and self.held else self.replicas,
            # of a rollout: the old one, which stays until the new one is ready
            ready=0 if self.down else self.replicas,
            total=self.replicas + 1 if self.rolling and not self.held else self.replicas,
            observed=True,
            restarted_at=self.restarted_at,
            replaced_by_hand=self.by_hand,
            paused=self.paused,
            trouble=self.trouble,
        )

    @property
    def _container(self) -> Container:
        arguments = ("--self-signed-ca=true",) if self.component == CITADEL else ()
        image = f"docker.io/istio/{self.component.replace('-', '_')}:{VERSION}"
        return Container(name=self.component, image=image, arguments=arguments)

    def pod(self) -> Pod:
        return Pod(
            ref=ObjectRef(kind="Pod", namespace=SYSTEM, name=f"{self.ref.name}-{self.starts}"),
            uid=f"uid-{self.ref.name}-{self.starts}",
            workload=f"Deployment {self.ref.name}",
            labels=(("app", self.component), ("istio", self.component)),
            service_account=f"{self.ref.name}-service-account",
            phase="Running",
            ready=True,
            started_at=self.started_at,
            created_at=self.made_at,
            containers=(self._container,),
        )

    def served(self) -> ServedCertificate:
        leaf = read_bundle(self.shown).first
        return ServedCertificate(
            service=f"{SYSTEM}/{self.ref.name}",
            pod=self.pod().ref,
            workload=self.ref,
            leaf=leaf,
            fault="" if leaf else "port 443: did not answer within 5 s",
        )


@dataclass(slots=True)
class Member:
    """A service account: its secret, and what its pod's proxy has loaded of it."""

    namespace: str
    account: str
    root: bytes
    leaf: bytes
    loaded_root: bytes
    loaded_leaf: bytes
    version: str = VERSION
    fault: str = ""
    stuck: bool = False
    """Its proxy never loads anything new."""

    @property
    def identity(self) -> str:
        return f"ns/{self.namespace}/sa/{self.account}"

    def secret(self) -> WorkloadSecret:
        return WorkloadSecret(
            ref=ObjectRef(kind="Secret", namespace=self.namespace, name=f"istio.{self.account}"),
            service_account=self.account,
            root=read_bundle(self.root),
            leaf=read_bundle(self.leaf).first,
        )

    def proxy(self, *, started_at: datetime) -> Proxy:
        image = f"docker.io/istio/proxyv2:{self.version}"
        pod = Pod(
            ref=ObjectRef(kind="Pod", namespace=self.namespace, name=f"{self.account}-0"),
            uid=f"uid-{self.namespace}-{self.account}",
            workload=f"Deployment {self.account}",
            labels=(("app", self.account),),
            service_account=self.account,
            phase="Running",
            ready=True,
            started_at=started_at,
            containers=(Container(name="istio-proxy", image=image),),
            secret_volumes=(f"istio.{self.account}",),
        )
        if self.fault:
            return Proxy(pod=pod, version=self.version, fault=self.fault)
        return Proxy(
            pod=pod,
            version=self.version,
            roots=_loaded(self.loaded_root),
            leaves=_loaded(self.loaded_leaf),
        )


def _loaded(pem: bytes) -> tuple[LoadedCertificate, ...]:
    first = read_bundle(pem).first
    if first is None:
        return ()
    return (LoadedCertificate(serial=first.serial, not_before=first.not_before, not_after=first.not_after),)


@dataclass(slots=True)
class Secret:
    """A secret's data and what is conditional on."""

    uid: str
    data: dict[str, bytes]
    version: int = 1
    immutable: bool = False
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    owners: tuple[str, ...] = ()
    managers: tuple[str, ...] = ("istio_ca",)

    @property
    def state(self) -> SecretState:
        digests = ((key, hashlib.sha256(value).hexdigest()) for key, value in self.data.items())
        return SecretState(uid=self.uid, resource_version=str(self.version), digests=tuple(sorted(digests)))

    def write(self, changes: dict[str, bytes], *, manager: str) -> None:
        """Change data: a new version, and the manager is the last one that wrote it."""
        self.data.update(changes)
        self.version += 1
        self.managers = (*(m for m in self.managers if m != manager), manager)

    def ca_secret(self) -> CaSecret:
        return CaSecret(
            ref=ObjectRef(kind="Secret", namespace=SYSTEM, name="istio-ca-secret"),
            type="istio.io/ca-root",
            state=self.state,
            immutable=self.immutable,
            root=read_bundle(self.data.get(ROOT_KEY, b"")),
            key=_key_facts(self.data.get(PRIVATE_KEY)),
            labels=tuple(sorted(self.labels.items())),
            annotations=tuple(sorted(self.annotations.items())),
            owners=self.owners,
            managers=self.managers,
        )


def _key_facts(pem: bytes | None) -> KeyFacts:
    if pem is None:
        return KeyFacts(public_key_digest="", kind="", fault=f"the secret has no {PRIVATE_KEY}")
    return describe_key(pem)
