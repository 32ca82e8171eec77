"""Which workload secrets a Citadel keeps, and which it leaves alone by design.

Source: security/pkg/k8s/controller/workloadsecret.go (namespace labels, 1.2 and later) and
security/cmd/istio_ca/main.go (listened namespaces, switched-off default).
"""

from dataclasses import dataclass

from bot.core.authority import citadel_container, is_citadel
from bot.core.flags import text_flag, truth, variable
from bot.core.mesh import Container, MeshSnapshot, NamespaceFacts, WorkloadSecret

ENABLED_BY_DEFAULT = "CITADEL_ENABLE_NAMESPACES_BY_DEFAULT"
LISTENED = "NAMESPACE"
"""The environment variable that stands in for the flag `--listened-namespaces`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """What decides whether this mesh's Citadel keeps a secret."""

    home: str
    """The namespace that it runs in."""
    namespaces: dict[str, NamespaceFacts]
    listened: frozenset[str]
    """Empty when it listens to all."""
    by_default: bool
    """Whether it keeps namespaces that have none of its labels."""


def keeping(snapshot: MeshSnapshot) -> Keeping:
    """What is known of it. Needs the part SECRETS; without AUTHORITY its flags are taken to be usual."""
    citadels = (w for w in snapshot.workloads if is_citadel(w) and w.ref.namespace == snapshot.namespace)
    containers = [citadel_container(citadel) for citadel in citadels]
    return Keeping(
        home=snapshot.namespace,
        namespaces={facts.name: facts for facts in snapshot.namespaces},
        listened=_listened(containers[0]) if containers else frozenset(),
        by_default=not containers or truth(variable(containers[0], ENABLED_BY_DEFAULT)) is not False,
    )


def _listened(container: Container) -> frozenset[str]:
    given = (
        text_flag(container, "listened-namespaces")
        or text_flag(container, "listened-namespace")
        or variable(container, LISTENED)
    )
    return frozenset(name.strip() for name in given.split(",") if name.strip())


def why_unmanaged(secret: WorkloadSecret, keeping: Keeping) -> str:
    """Why Citadel leaves this secret alone by design; empty when it looks after it."""
    return why_left_alone(secret.ref.namespace, secret.service_account, keeping)


def why_left_alone(namespace: str, account: str, keeping: Keeping) -> str:
    """Why Citadel keeps no secret for this service account by design; empty when it does."""
    if keeping.listened and namespace not in keeping.listened:
        return f"Citadel listens to other namespaces only ({', '.join(sorted(keeping.listened))})"
    facts = keeping.namespaces.get(namespace)
    return (_why_namespace(facts, keeping) or _why_account(account, facts)) if facts else ""


def _why_namespace(namespace: NamespaceFacts, keeping: Keeping) -> str:
    if namespace.terminating:
        return "its namespace is being deleted"
    if namespace.override == "false":
        return "its namespace opted out (label ca.istio.io/override=false)"
    if namespace.override == "true":
        return ""
    if namespace.environment not in ("", keeping.home):
        return f"its namespace belongs to the Citadel in {namespace.environment} (label ca.istio.io/env)"
    if not namespace.environment and not keeping.by_default:
        return f"its namespace did not opt in ({ENABLED_BY_DEFAULT}=false)"
    return ""


def _why_account(account: str, namespace: NamespaceFacts) -> str:
    accounts = namespace.service_accounts
    if accounts is None or not account or account in accounts:
        return ""
    return f"its service account {account} no longer exists"
