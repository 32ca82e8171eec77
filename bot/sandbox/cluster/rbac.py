"""Who may do what: RBAC rules and the authorizer's wording.

Source: ``k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac`` and ``pkg/registry/rbac/validation``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.sandbox.cluster.objects import Json

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


def bot_rules(*, system: str = "istio-system") -> tuple[Rule, ...]:
    """What the shipped manifests allow the bot, with the control plane in `system`; nothing beyond.

    The manifests are not part of the package, so a contract test holds the two to each other.
    """
    admission, istio = "admissionregistration.k8s.io", "istio.io"
    return (
        _rule("namespaces", "pods", verbs=("get", "list")),
        _rule("secrets", "serviceaccounts", verbs=("list",)),
        _rule("pods/exec", "pods/portforward", verbs=("get", "create")),
        _rule("deployments", "daemonsets", "statefulsets", group="apps", verbs=("list",)),
        _rule("horizontalpodautoscalers", group="autoscaling", verbs=("list",)),
        _rule(
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
            group=admission,
            verbs=("list",),
        ),
        _rule("meshpolicies", group=f"authentication.{istio}", names=("default",), verbs=("get",)),
        _rule("policies", group=f"authentication.{istio}", verbs=("list",)),
        _rule("peerauthentications", group=f"security.{istio}", verbs=("list",)),
        _rule("destinationrules", group=f"networking.{istio}", verbs=("list",)),
        *(replace(rule, namespaces=(system,)) for rule in _beside_the_control_plane()),
    )


def _beside_the_control_plane() -> tuple[Rule, ...]:
    change = ("get", "patch")
    return (
        _rule("secrets", names=("istio-ca-secret", "rootkeeper-backup"), verbs=change),
        _rule("secrets", names=("cacerts",), verbs=("get",)),
        _rule("configmaps", names=("istio", "istio-security"), verbs=("get",)),
        _rule("deployments", group="apps", names=_PLANE, verbs=("patch",)),
        _rule("daemonsets", group="apps", names=("istio-nodeagent",), verbs=("patch",)),
        _rule("leases", group="coordination.k8s.io", names=("rootkeeper",), verbs=change),
    )


def _rule(*resources: str, verbs: tuple[str, ...], group: str = "", names: tuple[str, ...] = ()) -> Rule:
    return Rule(verbs=verbs, resources=resources, groups=(group,), names=names)
