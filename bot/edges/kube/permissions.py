"""What the bot must be allowed, and what it must not be: one table for `doctor`, manifests and tests.

Every request of this edge for an object is a row here (a test holds it against an audit log), and the
RBAC in manifests/ grants exactly these rows. `/version` and `/apis` are open to every account by
Kubernetes' `system:discovery`. A control plane with other names needs rows of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bot.core.mesh import ObjectRef
from bot.core.names import BACKUP_SECRET, CA_SECRET, PLUGGED_SECRET, TRUST_CONFIG_MAP
from bot.edges.kube.lease import LEASE_NAME
from bot.edges.kube.policy import MESH_CONFIG_MAP, MESH_POLICY
from bot.edges.kube.targets import (
    AUTOSCALERS,
    CONFIG_MAPS,
    DAEMON_SETS,
    DEPLOYMENTS,
    DESTINATION_RULES,
    LEASES,
    MESH_POLICIES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    PEER_AUTHENTICATIONS,
    PODS,
    POLICIES,
    RESTARTED,
    SECRETS,
    SERVICE_ACCOUNTS,
    STATEFUL_SETS,
    VALIDATING_WEBHOOKS,
    Target,
)

RESTARTED_BY_NAME = {
    "Deployment": (
        "istio-citadel",
        "istio-galley",
        "istio-pilot",
        "istio-policy",
        "istio-sidecar-injector",
        "istio-telemetry",
    ),
    "DaemonSet": ("istio-nodeagent",),
}
"""What Istio's own charts, 1.0 to 1.5, install of what a rotation may restart. No gateway is among it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One verb on one target; a target without a namespace is meant cluster-wide."""

    verb: str
    target: Target
    why: str

    def __str__(self) -> str:
        return f"{self.verb} {self.target}"


def needed_permissions(namespace: str) -> tuple[Permission, ...]:
    """Everything that the bot asks of the API server for a mesh whose control plane is in `namespace`."""
    usual = [
        ObjectRef(kind=kind, namespace=namespace, name=name)
        for kind, names in RESTARTED_BY_NAME.items()
        for name in names
    ]
    return lasting_permissions(namespace) + restart_permissions(usual)


def lasting_permissions(namespace: str) -> tuple[Permission, ...]:
    """What is needed of every mesh, whatever its control plane consists of."""
    return _looking() + _looking_within(namespace) + _writing(namespace)


def restart_permissions(workloads: Iterable[ObjectRef]) -> tuple[Permission, ...]:
    """What is needed to restart these workloads."""
    rows = [
        ("patch", RESTARTED[ref.kind].within(ref.namespace).named(ref.name), "restarts of the control plane")
        for ref in workloads
    ]
    return _permissions(tuple(rows))


def _looking() -> tuple[Permission, ...]:
    rows = (
        ("get", NAMESPACES, "the cluster's identity"),
        ("list", NAMESPACES, "which namespaces Citadel looks after"),
        ("list", SECRETS, "the certificates in workload secrets"),
        ("list", SERVICE_ACCOUNTS, "which workload secrets there should be"),
        ("list", DEPLOYMENTS, "the control plane and other CAs"),
        ("list", DAEMON_SETS, "the node agent and other CAs"),
        ("list", STATEFUL_SETS, "other CAs"),
        ("list", AUTOSCALERS, "whether the control plane is being scaled"),
        ("list", PODS, "the control plane's pods and every proxy"),
        ("get", PODS, "a pod that was replaced while it was asked"),
        ("get", PODS.under("exec"), "the certificates that a proxy has loaded"),
        ("create", PODS.under("exec"), "the certificates that a proxy has loaded"),
        ("get", PODS.under("portforward"), "the same, where exec does not work; what webhooks serve"),
        ("create", PODS.under("portforward"), "the same, where exec does not work; what webhooks serve"),
        ("list", MUTATING_WEBHOOKS, "the injector's caBundle"),
        ("list", VALIDATING_WEBHOOKS, "Galley's caBundle"),
        ("get", MESH_POLICIES.named(MESH_POLICY), "whether mutual TLS is used"),
        ("list", POLICIES, "whether mutual TLS is used"),
        ("list", PEER_AUTHENTICATIONS, "whether mutual TLS is used, from Istio 1.5 on"),
        ("list", DESTINATION_RULES, "whether mutual TLS is used"),
    )
    return _permissions(rows)


def _looking_within(namespace: str) -> tuple[Permission, ...]:
    secrets, maps = SECRETS.within(namespace), CONFIG_MAPS.within(namespace)
    rows = (
        ("get", secrets.named(CA_SECRET), "the root, and the key when a rotation signs"),
        ("get", secrets.named(PLUGGED_SECRET), "whether another CA is plugged in"),
        ("get", maps.named(TRUST_CONFIG_MAP), "the root that node agents read"),
        ("get", maps.named(MESH_CONFIG_MAP), "whether the control plane and its clients use mutual TLS"),
    )
    return _permissions(rows)


def _writing(namespace: str) -> tuple[Permission, ...]:
    secrets, leases = SECRETS.within(namespace), LEASES.within(namespace)
    rows = (
        ("patch", secrets.named(CA_SECRET), "the new root, in place"),
        ("get", secrets.named(BACKUP_SECRET), "the backup"),
        ("patch", secrets.named(BACKUP_SECRET), "the backup"),
        ("get", leases.named(LEASE_NAME), "keeping a second bot out"),
        ("patch", leases.named(LEASE_NAME), "keeping a second bot out"),
    )
    return _permissions(rows)


def unwanted_permissions(namespace: str) -> tuple[Permission, ...]:
    """What the bot never does and must not be able to do: lose or replace the CA's only key."""
    secrets = SECRETS.within(namespace)
    why = "a CA that starts without its secret makes a new CA"
    rows = (
        ("delete", secrets.named(CA_SECRET), why),
        ("delete", secrets.named(BACKUP_SECRET), "the backup is the way back"),
        ("deletecollection", secrets, why),
        ("create", secrets, "nothing here makes secrets"),
    )
    return _permissions(rows)


def _permissions(rows: tuple[tuple[str, Target, str], ...]) -> tuple[Permission, ...]:
    return tuple(Permission(verb=verb, target=target, why=why) for verb, target, why in rows)
