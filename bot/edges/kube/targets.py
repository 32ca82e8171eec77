"""What a request is about: resources of the Kubernetes API, their paths and their names for people."""

from dataclasses import dataclass, replace
from urllib.parse import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A resource: all of it, one namespace's, one object, or one object's subresource."""

    resource: str
    """Plural, as in a URL: `secrets`."""
    group: str = ""
    version: str = "v1"
    older: str = ""
    """The version that API servers of Citadel's time have instead; the fields that are used are the same."""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def within(self, namespace: str) -> "Target":
        """The same resource in one namespace."""
        return replace(self, namespace=namespace)

    def named(self, name: str) -> "Target":
        """One object of it."""
        return replace(self, name=name)

    def under(self, subresource: str) -> "Target":
        """A subresource of the object."""
        return replace(self, subresource=subresource)

    @property
    def before(self) -> "Target":
        """The same resource in its older version."""
        return self.in_version(self.older)

    def in_version(self, version: str) -> "Target":
        """The same resource in this version and no other."""
        return replace(self, version=version, older="")

    @property
    def kind(self) -> tuple[str, str]:
        """The resource without its version: what RBAC knows it by."""
        return self.group, self.resource

    @property
    def root(self) -> str:
        """The URL path of the group's version, where its resources are listed."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def path(self) -> str:
        """The URL path, each step escaped."""
        place = f"/namespaces/{quote(self.namespace, safe='')}" if self.namespace else ""
        steps = [step for step in (self.resource, self.name, self.subresource) if step]
        return self.root + place + "".join(f"/{quote(step, safe='')}" for step in steps)

    @property
    def whole(self) -> str:
        """The resource as RBAC rules write it: `pods/exec`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def __str__(self) -> str:
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.whole} {self.name}{place}" if self.name else f"{self.whole}{place}"


NAMESPACES = Target(resource="namespaces")
SECRETS = Target(resource="secrets")
CONFIG_MAPS = Target(resource="configmaps")
SERVICE_ACCOUNTS = Target(resource="serviceaccounts")
PODS = Target(resource="pods")
DEPLOYMENTS = Target(group="apps", resource="deployments")
DAEMON_SETS = Target(group="apps", resource="daemonsets")
RESTARTED = {"Deployment": DEPLOYMENTS, "DaemonSet": DAEMON_SETS}
"""What can be rolled over by its template, by kind."""
STATEFUL_SETS = Target(group="apps", resource="statefulsets")
AUTOSCALERS = Target(group="autoscaling", resource="horizontalpodautoscalers")
LEASES = Target(group="coordination.k8s.io", older="v1beta1", resource="leases")
"""v1 since Kubernetes 1.14; v1beta1 from 1.12 to 1.21."""
MUTATING_WEBHOOKS = Target(
    group="admissionregistration.k8s.io", older="v1beta1", resource="mutatingwebhookconfigurations"
)
VALIDATING_WEBHOOKS = Target(
    group="admissionregistration.k8s.io", older="v1beta1", resource="validatingwebhookconfigurations"
)
"""v1 since Kubernetes 1.16; v1beta1 from 1.9 to 1.21."""
MESH_POLICIES = Target(group="authentication.istio.io", version="v1alpha1", resource="meshpolicies")
POLICIES = Target(group="authentication.istio.io", version="v1alpha1", resource="policies")
PEER_AUTHENTICATIONS = Target(group="security.istio.io", version="v1beta1", resource="peerauthentications")
DESTINATION_RULES = Target(group="networking.istio.io", version="v1alpha3", resource="destinationrules")
ACCESS_REVIEWS = Target(group="authorization.k8s.io", resource="selfsubjectaccessreviews")
