"""Parts of a control plane that stand in a namespace without a CA: whose they are cannot be told.

Istio's own installer of 1.3 to 1.5 puts Citadel into `istio-system` and Pilot, Galley, the injector and
Mixer into others (istio/istio manifests/README.md); Citadel signs for all of them. A namespace with a CA
of its own is another mesh's.
"""

from bot.core.authority import is_citadel, is_istiod
from bot.core.components import ENDED, component_of
from bot.core.mesh import MeshSnapshot, Pod, Webhook, Workload
from bot.core.versions import parse, version_of_image

FIRST_ISTIOD = (1, 5, 0)


def parts_elsewhere(snapshot: MeshSnapshot) -> tuple[str, ...]:
    """By name: workloads, pods that are of none of them, and webhooks. Needs the part AUTHORITY."""
    workloads = [w for w in snapshot.workloads if component_of(w) and not _has_another(w, snapshot)]
    owned = {(w.ref.namespace, f"{w.ref.kind} {w.ref.name}") for w in workloads}
    pods = (
        p
        for p in snapshot.control_plane_pods
        if component_of(p)
        and not _has_another(p, snapshot)
        and (p.ref.namespace, p.workload) not in owned
        and p.phase not in ENDED
        and not p.deleting
    )
    webhooks = (f"{h.ref} ({h.entry}), which calls Service {h.service}" for h in webhooks_elsewhere(snapshot))
    return (*(str(w.ref) for w in workloads), *sorted(str(p.ref) for p in pods), *webhooks)


def webhooks_elsewhere(snapshot: MeshSnapshot) -> tuple[Webhook, ...]:
    """Istio's webhooks that are served there. Those that cert-manager fills are trusted by another root."""
    homes = {w.ref.namespace for w in snapshot.workloads if is_citadel(w) or is_istiod(w)}
    return tuple(
        hook
        for hook in snapshot.webhooks_elsewhere
        if not hook.injected and hook.service.partition("/")[0] not in homes
    )


def _has_another(part: Workload | Pod, snapshot: MeshSnapshot) -> bool:
    """Whether it stands in the mesh's own namespace, or a CA beside it is its own.

    That is a Citadel; or an istiod, but for a part that is surely older than any istiod: a mesh of Citadel's
    time is upgraded with an istiod beside its Pilot. A pod alone is no CA, as anybody can give one a label.
    """
    beside = [w for w in snapshot.workloads if w.ref.namespace == part.ref.namespace]
    if part.ref.namespace == snapshot.namespace or any(map(is_citadel, beside)):
        return True
    versions = (parse(version_of_image(c.image)) for c in part.containers if not c.is_proxy)
    return any(map(is_istiod, beside)) and not any(v is not None and v < FIRST_ISTIOD for v in versions)
