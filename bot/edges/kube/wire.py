"""Kubernetes' objects as they come over the wire, cut down to the fields that are needed.

msgspec skips what is not declared here: `key.pem` of a workload secret is passed over as bytes and
never becomes a Python object. Nearly every field has a default, because the API leaves out empty ones
and sends `null` for empty lists.
"""

from typing import Annotated, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct, field

T = TypeVar("T")


class Wire(Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of an object, in the API's spelling."""


class ListMeta(Wire, frozen=True):
    """`metadata` of a list."""

    token: str = field(default="", name="continue")


class Page(Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list. Without `kind` and `items` it is none, and not an empty one."""

    kind: Annotated[str, msgspec.Meta(pattern="List$")]
    metadata: ListMeta = ListMeta()
    items: list[T] | None

    @property
    def entries(self) -> list[T]:
        """The objects; none when the server sends `null`."""
        return self.items or []

    @property
    def token(self) -> str:
        """What to continue with; empty on the last page."""
        return self.metadata.token


class Owner(Wire, frozen=True):
    """One of `ownerReferences`."""

    kind: str = ""
    name: str = ""
    controller: bool | None = None


class Meta(Wire, frozen=True):
    """`metadata`, without managedFields, which are the larger half of many objects."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[Owner] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class Manager(Wire, frozen=True):
    """One of `managedFields`."""

    manager: str = ""
    time: str = ""
    fields: dict[str, msgspec.Raw] | None = field(default=None, name="fieldsV1")


class ManagedMeta(Meta, frozen=True):
    """`metadata` of an object whose writers matter."""

    managed_fields: list[Manager] | None = None


class Stored(Protocol):
    """What the API server stores as an object."""

    @property
    def metadata(self) -> Meta:
        """Has a uid, unless it is no object."""


class Named(Wire, frozen=True):
    """Any object of which only the metadata is wanted."""

    metadata: Meta = Meta()


class WholeSecret(Wire, frozen=True):
    """A secret that is wanted whole: the CA's and its backup. Never for a list of secrets."""

    metadata: ManagedMeta = ManagedMeta()
    type: str = ""
    immutable: bool | None = None
    data: dict[str, str] | None = None


class WorkloadData(Struct, frozen=True, kw_only=True):
    """Of a workload secret's `data` the certificates, and nothing else."""

    root: str | None = field(default=None, name="root-cert.pem")
    chain: str | None = field(default=None, name="cert-chain.pem")


class WorkloadSecretWire(Wire, frozen=True):
    """An `istio.io/key-and-cert` secret."""

    metadata: Meta = Meta()
    data: WorkloadData | None = None


class ConfigMapWire(Wire, frozen=True):
    """A ConfigMap."""

    metadata: Meta = Meta()
    data: dict[str, str] | None = None


class NamespaceStatus(Wire, frozen=True):
    """`status` of a namespace."""

    phase: str = ""


class NamespaceWire(Wire, frozen=True):
    """A namespace."""

    metadata: Meta = Meta()
    status: NamespaceStatus = NamespaceStatus()


class ServiceReference(Wire, frozen=True):
    """The Service that a webhook calls."""

    namespace: str = ""
    name: str = ""


class ClientConfig(Wire, frozen=True):
    """How a webhook is called."""

    ca_bundle: str | None = None
    service: ServiceReference | None = None


class WebhookEntry(Wire, frozen=True):
    """One webhook of a configuration."""

    name: str = ""
    client_config: ClientConfig = ClientConfig()


class WebhookConfiguration(Wire, frozen=True):
    """A mutating or validating webhook configuration."""

    metadata: Meta = Meta()
    webhooks: list[WebhookEntry] | None = None


class ValueSource(Wire, frozen=True):
    """`valueFrom` of a variable; that there is one is all that matters."""


class EnvironmentVariable(Wire, frozen=True):
    """One of `env`."""

    name: str = ""
    value: str | None = None
    value_from: ValueSource | None = None


class PortWire(Wire, frozen=True):
    """One of `ports` of a container."""

    container_port: int = 0


class ContainerWire(Wire, frozen=True):
    """A container of a pod or a template."""

    name: str = ""
    image: str = ""
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[EnvironmentVariable] | None = None
    ports: list[PortWire] | None = None
    restart_policy: str | None = None


class SecretVolume(Wire, frozen=True):
    """`secret` of a volume."""

    secret_name: str = ""


class ProjectedSecret(Wire, frozen=True):
    """`secret` of a projected source."""

    name: str = ""


class ProjectedSource(Wire, frozen=True):
    """One source of a projected volume."""

    secret: ProjectedSecret | None = None


class ProjectedVolume(Wire, frozen=True):
    """`projected` of a volume."""

    sources: list[ProjectedSource] | None = None


class Volume(Wire, frozen=True):
    """A volume, as far as it is a secret."""

    secret: SecretVolume | None = None
    projected: ProjectedVolume | None = None


class PodSpec(Wire, frozen=True):
    """`spec` of a pod or a template."""

    containers: list[ContainerWire] | None = None
    init_containers: list[ContainerWire] | None = None
    volumes: list[Volume] | None = None
    service_account_name: str = ""
    host_network: bool | None = None


class ContainerStop(Wire, frozen=True):
    """`waiting` or `terminated` of a container's state."""

    reason: str = ""
    message: str = ""
    exit_code: int = 0


class ContainerRun(Wire, frozen=True):
    """`running` of a container's state."""

    started_at: str | None = None


class ContainerState(Wire, frozen=True):
    """`state` of a container."""

    waiting: ContainerStop | None = None
    running: ContainerRun | None = None
    terminated: ContainerStop | None = None


class ContainerStatus(Wire, frozen=True):
    """One of `containerStatuses`."""

    name: str = ""
    ready: bool = False
    state: ContainerState | None = None
    last_state: ContainerState | None = None


class Condition(Wire, frozen=True):
    """One of `conditions`."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""


class PodStatus(Wire, frozen=True):
    """`status` of a pod."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None


class PodWire(Wire, frozen=True):
    """A pod."""

    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class Template(Wire, frozen=True):
    """A pod template."""

    metadata: Meta = Meta()
    spec: PodSpec = PodSpec()


class UpdateStrategy(Wire, frozen=True):
    """`updateStrategy` of a DaemonSet."""

    type: str = ""


class WorkloadSpec(Wire, frozen=True):
    """`spec` of a Deployment or DaemonSet."""

    replicas: int | None = None
    paused: bool | None = None
    update_strategy: UpdateStrategy | None = None
    template: Template = Template()


class WorkloadStatus(Wire, frozen=True):
    """`status` of a Deployment (first half) or a DaemonSet (second half)."""

    observed_generation: int = 0
    conditions: list[Condition] | None = None
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    number_ready: int = 0


class WorkloadWire(Wire, frozen=True):
    """A Deployment or a DaemonSet."""

    metadata: Meta = Meta()
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()


class ScaleTarget(Wire, frozen=True):
    """What an autoscaler scales."""

    kind: str = ""
    name: str = ""


class AutoscalerSpec(Wire, frozen=True):
    """`spec` of a HorizontalPodAutoscaler."""

    scale_target_ref: ScaleTarget = ScaleTarget()
    min_replicas: int | None = None
    max_replicas: int = 0


class AutoscalerWire(Wire, frozen=True):
    """A HorizontalPodAutoscaler."""

    metadata: Meta = Meta()
    spec: AutoscalerSpec = AutoscalerSpec()


class LeaseSpec(Wire, frozen=True):
    """`spec` of a Lease."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class LeaseWire(Wire, frozen=True):
    """A Lease."""

    metadata: Meta = Meta()
    spec: LeaseSpec | None = None


class Custom(Wire, frozen=True):
    """A custom object; its spec is the user's and is looked at field by field."""

    metadata: Meta = Meta()
    spec: msgspec.Raw = msgspec.Raw(b"{}")


NAMED = msgspec.json.Decoder(Named)
NAMED_PAGE = msgspec.json.Decoder(Page[Named])
NAMESPACE_PAGE = msgspec.json.Decoder(Page[NamespaceWire])
WHOLE_SECRET = msgspec.json.Decoder(WholeSecret)
WORKLOAD_SECRET_PAGE = msgspec.json.Decoder(Page[WorkloadSecretWire])
CONFIG_MAP = msgspec.json.Decoder(ConfigMapWire)
WEBHOOK_PAGE = msgspec.json.Decoder(Page[WebhookConfiguration])
POD = msgspec.json.Decoder(PodWire)
POD_PAGE = msgspec.json.Decoder(Page[PodWire])
WORKLOAD_PAGE = msgspec.json.Decoder(Page[WorkloadWire])
AUTOSCALER_PAGE = msgspec.json.Decoder(Page[AutoscalerWire])
LEASE = msgspec.json.Decoder(LeaseWire)
CUSTOM = msgspec.json.Decoder(Custom)
CUSTOM_PAGE = msgspec.json.Decoder(Page[Custom])
