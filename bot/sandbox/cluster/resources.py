"""The table of resources that the stand-in serves, and what differs between them.

A new kind of object is one row.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One row: how a kind is addressed and which of the API server's general rules it follows."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short: tuple[str, ...] = ()
    has_status: bool = False
    counts_generations: bool = False
    blind_update: bool = True  # a PUT without resourceVersion is accepted
    upsert: bool = False  # a PUT of what is not there creates it
    custom: bool = False  # defined by a CRD
    since: str = ""  # the version of Istio whose CRDs have it; empty: all
    fields: tuple[str, ...] = ()  # field selectors beside metadata.name and metadata.namespace
    subresources: tuple[str, ...] = ()

    @property
    def group_version(self) -> str:
        """What ``apiVersion`` holds."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The plural as messages name it, ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        """The kind as messages name it, ``Deployment.apps``."""
        return f"{self.kind}.{self.group}" if self.group else self.kind


def _core(plural: str, kind: str, **more: object) -> Resource:
    return Resource(plural=plural, kind=kind, **more)  # type: ignore[arg-type]


_WORKLOAD = {"has_status": True, "counts_generations": True, "group": "apps", "subresources": ("status",)}

NAMESPACES = _core(
    "namespaces", "Namespace", namespaced=False, short=("ns",), has_status=True, fields=("status.phase",)
)
SECRETS = _core("secrets", "Secret", fields=("type",))
CONFIG_MAPS = _core("configmaps", "ConfigMap", short=("cm",))
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount", short=("sa",))
PODS = _core(
    "pods",
    "Pod",
    short=("po",),
    has_status=True,
    fields=("status.phase", "spec.nodeName", "status.podIP", "spec.serviceAccountName"),
    subresources=("status", "exec", "portforward"),
)
NODES = _core("nodes", "Node", namespaced=False, short=("no",), has_status=True)
SERVICES = _core("services", "Service", short=("svc",), has_status=True)
EVENTS = _core(
    "events",
    "Event",
    short=("ev",),
    upsert=True,
    fields=(
        "involvedObject.kind",
        "involvedObject.name",
        "involvedObject.namespace",
        "involvedObject.uid",
        "reason",
        "type",
    ),
)
DEPLOYMENTS = _core("deployments", "Deployment", short=("deploy",), **_WORKLOAD)
REPLICA_SETS = _core("replicasets", "ReplicaSet", short=("rs",), **_WORKLOAD)
DAEMON_SETS = _core("daemonsets", "DaemonSet", short=("ds",), **_WORKLOAD)
STATEFUL_SETS = _core("statefulsets", "StatefulSet", short=("sts",), **_WORKLOAD)
AUTOSCALERS = Resource(
    group="autoscaling",
    plural="horizontalpodautoscalers",
    kind="HorizontalPodAutoscaler",
    short=("hpa",),
    has_status=True,
)
DISRUPTION_BUDGETS = Resource(
    group="policy",
    plural="poddisruptionbudgets",
    kind="PodDisruptionBudget",
    short=("pdb",),
    has_status=True,
    counts_generations=True,
    blind_update=False,
)
LEASES = Resource(group="coordination.k8s.io", plural="leases", kind="Lease", upsert=True, blind_update=False)
MUTATING_WEBHOOKS = Resource(
    group="admissionregistration.k8s.io",
    plural="mutatingwebhookconfigurations",
    kind="MutatingWebhookConfiguration",
    namespaced=False,
    counts_generations=True,
    blind_update=False,
)
VALIDATING_WEBHOOKS = Resource(
    group="admissionregistration.k8s.io",
    plural="validatingwebhookconfigurations",
    kind="ValidatingWebhookConfiguration",
    namespaced=False,
    counts_generations=True,
    blind_update=False,
)
ACCESS_REVIEWS = Resource(
    group="authorization.k8s.io",
    plural="selfsubjectaccessreviews",
    kind="SelfSubjectAccessReview",
    namespaced=False,
)
ROLES = Resource(group="rbac.authorization.k8s.io", plural="roles", kind="Role")
ROLE_BINDINGS = Resource(group="rbac.authorization.k8s.io", plural="rolebindings", kind="RoleBinding")
CLUSTER_ROLES = Resource(
    group="rbac.authorization.k8s.io", plural="clusterroles", kind="ClusterRole", namespaced=False
)
CLUSTER_ROLE_BINDINGS = Resource(
    group="rbac.authorization.k8s.io",
    plural="clusterrolebindings",
    kind="ClusterRoleBinding",
    namespaced=False,
)
MESH_POLICIES = Resource(
    group="authentication.istio.io",
    version="v1alpha1",
    plural="meshpolicies",
    kind="MeshPolicy",
    namespaced=False,
    custom=True,
    counts_generations=True,
    blind_update=False,
)
POLICIES = Resource(
    group="authentication.istio.io",
    version="v1alpha1",
    plural="policies",
    kind="Policy",
    custom=True,
    counts_generations=True,
    blind_update=False,
)
PEER_AUTHENTICATIONS = Resource(
    group="security.istio.io",
    version="v1beta1",
    plural="peerauthentications",
    kind="PeerAuthentication",
    custom=True,
    since="1.5.0",
    counts_generations=True,
    blind_update=False,
)
DESTINATION_RULES = Resource(
    group="networking.istio.io",
    version="v1alpha3",
    plural="destinationrules",
    kind="DestinationRule",
    custom=True,
    counts_generations=True,
    blind_update=False,
)

TABLE = (
    NAMESPACES,
    SECRETS,
    CONFIG_MAPS,
    SERVICE_ACCOUNTS,
    PODS,
    NODES,
    SERVICES,
    EVENTS,
    DEPLOYMENTS,
    REPLICA_SETS,
    DAEMON_SETS,
    STATEFUL_SETS,
    AUTOSCALERS,
    DISRUPTION_BUDGETS,
    LEASES,
    MUTATING_WEBHOOKS,
    VALIDATING_WEBHOOKS,
    ACCESS_REVIEWS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    MESH_POLICIES,
    POLICIES,
    PEER_AUTHENTICATIONS,
    DESTINATION_RULES,
)

_BY_ADDRESS = {(row.group, row.version, row.plural): row for row in TABLE}
_BY_KIND = {(row.group_version, row.kind): row for row in TABLE}
GROUP_VERSIONS = frozenset((row.group, row.version) for row in TABLE)


def find(group: str, version: str, plural: str) -> Resource | None:
    """The row for an address of the API, if it is served."""
    return _BY_ADDRESS.get((group, version, plural))


def of_kind(api_version: str, kind: str) -> Resource:
    """The row for an object's own ``apiVersion`` and ``kind``.

    Raises:
        KeyError: Nothing of that kind is served.
    """
    return _BY_KIND[api_version, kind]
