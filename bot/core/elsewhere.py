"""Parts of a control plane that stand in a namespace without a CA: whose they are cannot be told.

Istio's own installer of 1.3 to 1.5 puts Citadel into `istio-system` and Pilot, Galley, the injector and
Mixer into others (istio/istio manifests/README.md); Citadel signs for all of them. A namespace with a CA
of its own is another mesh's.
"""

from bot.core.authority import is_citadel, is_istiod
from bot.core.components import ENDED, component_of
from bot.core.mesh import MeshSnapshot, Pod, Webhook, Workload


def parts_elsewhere(snapshot: MeshSnapshot) -> tuple[str, ...]:
    """By name: workloads, pods that are of none of them, and webhooks. Needs the part AUTHORITY."""
    homes = _with_a_ca(snapshot)
    workloads = [w for w in snapshot.workloads if component_of(w) and w.ref.namespace not in homes]
    owned = {(w.ref.namespace, f"{w.ref.kind} {w.ref.name}") for w in workloads}
    pods = (
        p
        for p in snapshot.control_plane_pods
        if component_of(p)
        and p.ref.namespace not in homes
        and (p.ref.namespace, p.workload) not in owned
        and p.phase not in ENDED
        and not p.deleting
    )
    webhooks = (f"{h.ref} ({h.entry}), which calls Service {h.service}" for h in webhooks_elsewhere(snapshot))
    return (*(str(w.ref) for w in workloads), *sorted(str(p.ref) for p in pods), *webhooks)


def webhooks_elsewhere(snapshot: MeshSnapshot) -> tuple[Webhook, ...]:
    """Istio's webhooks that are served there. Those that cert-manager fills are trusted by another root."""
    homes = _with_a_ca(snapshot)
    return tuple(
        hook
        for hook in snapshot.webhooks_elsewhere
        if not hook.injected and hook.service.partition("/")[0] not in homes
    )


def _with_a_ca(snapshot: MeshSnapshot) -> frozenset[str]:
    """The mesh's own namespace, and every other one with a CA in it."""
    seen: tuple[Workload | Pod, ...] = (*snapshot.workloads, *snapshot.control_plane_pods)
    return frozenset(
        {snapshot.namespace, *(each.ref.namespace for each in seen if is_citadel(each) or is_istiod(each))}
    )
