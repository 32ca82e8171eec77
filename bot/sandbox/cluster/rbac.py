"""Who may do what: RBAC rules and the authorizer's wording.

Source: ``k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac`` and ``pkg/registry/rbac/validation``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.sandbox.cluster.objects import Json

_READ = ("get", "list", "watch")
_PLANE = tuple(
    f"istio-{part}" for part in ("citadel", "galley", "pilot", "policy", "sidecar-injector", "telemetry")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a Role or ClusterRole; ``namespaces`` empty means a ClusterRole bound cluster-wide."""

    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    groups: tuple[str, ...] = ("",)
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()

    def allows(self, act: "Act") -> bool:
        """Does this rule let ``act`` through?"""
        return (
            (not self.namespaces or act.namespace in self.namespaces)
            and _covers(self.verbs, act.verb)
            and _covers(self.groups, act.group)
            and _covers(self.resources, act.whole)
            and (not self.names or act.name in self.names)
        )


def _covers(allowed: tuple[str, ...], wanted: str) -> bool:
    return wanted in allowed or "*" in allowed


def rules_of(rules: Iterable[Json], *, namespaces: tuple[str, ...] = ()) -> tuple[Rule, ...]:
    """Rules from the ``rules`` of a Role (with its namespaces) or a ClusterRole, as YAML gives them."""
    return tuple(
        Rule(
            verbs=tuple(each["verbs"]),
            resources=tuple(each["resources"]),
            groups=tuple(each.get("apiGroups") or ("",)),
            names=tuple(each.get("resourceNames") or ()),
            namespaces=namespaces,
        )
        for each in rules
        if each.get("resources")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody wants to do."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def whole(self) -> str:
        """The resource as rules name it, ``pods/exec``."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """Takes away what a rule gives; None matches anything, ``cluster`` only a request without namespace."""

    verb: str | None = None
    resource: str | None = None
    namespace: str | None = None
    name: str | None = None
    cluster: bool = False

    def hits(self, act: Act) -> bool:
        """Is ``act`` what this ban is about?"""
        pairs = (
            (self.verb, act.verb),
            (self.resource, act.whole),
            (self.namespace, act.namespace),
            (self.name, act.name),
        )
        return all(mine in (None, theirs) for mine, theirs in pairs) and not (self.cluster and act.namespace)


@dataclass(slots=True, kw_only=True)
class User:
    """An identity behind a bearer token; ``master`` may do everything."""

    name: str
    rules: tuple[Rule, ...] = ()
    bans: list[Ban] = field(default_factory=list)
    master: bool = False

    def may(self, act: Act) -> bool:
        """The authorizer's answer."""
        if any(ban.hits(act) for ban in self.bans):
            return False
        return self.master or any(rule.allows(act) for rule in self.rules)


def denial(user: User, act: Act) -> str:
    """Kubernetes' sentence after "is forbidden: "."""
    where = f'in the namespace "{act.namespace}"' if act.namespace else "at the cluster scope"
    what = f'cannot {act.verb} resource "{act.whole}" in API group "{act.group}"'
    return f'User "{user.name}" {what} {where}'


def bot_rules(*, home: str = "rootkeeper", system: str = "istio-system") -> tuple[Rule, ...]:
    """What the shipped manifests allow the bot: no create and no delete of a Secret anywhere."""
    return (
        _read("namespaces", "pods", "configmaps", "serviceaccounts", "events", "nodes"),
        Rule(verbs=("list",), resources=("secrets",)),
        _read("deployments", "daemonsets", "replicasets", "statefulsets", group="apps"),
        _read("horizontalpodautoscalers", group="autoscaling"),
        _read("poddisruptionbudgets", group="policy"),
        _read(
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
            group="admissionregistration.k8s.io",
        ),
        _read("meshpolicies", "policies", group="authentication.istio.io"),
        _read("peerauthentications", group="security.istio.io"),
        _read("destinationrules", group="networking.istio.io"),
        Rule(verbs=("create", "get"), resources=("pods/exec", "pods/portforward")),
        Rule(
            verbs=("create",),
            resources=("selfsubjectaccessreviews",),
            groups=("authorization.k8s.io",),
        ),
        *_writing(system),
        Rule(
            verbs=("get", "list", "create", "update", "patch"),
            resources=("events", "configmaps"),
            namespaces=(home,),
        ),
    )


def _writing(system: str) -> tuple[Rule, ...]:
    change = ("get", "update", "patch")
    secrets = ("istio-ca-secret", "cacerts", "rootkeeper-backup")
    return (
        Rule(verbs=change, resources=("secrets",), names=secrets, namespaces=(system,)),
        Rule(
            verbs=change,
            resources=("leases",),
            groups=("coordination.k8s.io",),
            names=("rootkeeper",),
            namespaces=(system,),
        ),
        Rule(
            verbs=("patch",),
            resources=("deployments",),
            groups=("apps",),
            names=_PLANE,
            namespaces=(system,),
        ),
        Rule(
            verbs=("patch",),
            resources=("daemonsets",),
            groups=("apps",),
            names=("istio-nodeagent",),
            namespaces=(system,),
        ),
    )


def _read(*resources: str, group: str = "") -> Rule:
    return Rule(verbs=_READ, resources=resources, groups=(group,))
