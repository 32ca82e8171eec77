"""Reads what signs: the CA secret, signs of other CAs, the control plane's workloads and pods.

Labels are those of Istio's own charts, 1.0 to 1.5 (facts/istio.md, 1.1 and 6.1).
"""

from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from bot.core.certificates import describe_key
from bot.core.mesh import CaSecret, ForeignSigns, ObjectRef, Part, Pod, Workload
from bot.core.names import CA_SECRET, PLUGGED_SECRET
from bot.edges.kube import convert, convert_pods
from bot.edges.kube.look import Look, as_is
from bot.edges.kube.targets import AUTOSCALERS, DAEMON_SETS, DEPLOYMENTS, PODS, SECRETS, STATEFUL_SETS, Target
from bot.edges.kube.wire import (
    AUTOSCALER_PAGE,
    NAMED,
    POD_PAGE,
    WHOLE_SECRET,
    WORKLOAD_PAGE,
    AutoscalerWire,
    Page,
    Stored,
)

COMPONENTS = "istio in (citadel,galley,mixer,nodeagent,pilot,sidecar-injector)"
ISTIOD = "app in (istiod)"
_OURS = (COMPONENTS, ISTIOD)
_FOREIGN = "cert-manager-istio-csr,spiffe-csi-driver,spire-agent,spire-server"
FOREIGN = (f"app in ({_FOREIGN})", f"app.kubernetes.io/name in ({_FOREIGN})")

_KINDS = (("Deployment", DEPLOYMENTS), ("DaemonSet", DAEMON_SETS))


S = TypeVar("S", bound=Stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """The part AUTHORITY of a snapshot."""

    ca_secret: CaSecret | None = None
    foreign: ForeignSigns = field(default_factory=ForeignSigns)
    workloads: tuple[Workload, ...] = ()
    pods: tuple[Pod, ...] = ()


def read_control_plane(look: Look, describe: convert.Describe = describe_key) -> ControlPlane:
    """Read the part AUTHORITY."""
    pods = _selected(look, "Pod", PODS, POD_PAGE, _OURS)
    autoscaled = _autoscaled(look)
    workloads = [
        convert_pods.workload(kind, found, autoscaled=autoscaled, pods=pods)
        for kind, target in _KINDS
        for found in _selected(look, kind, target, WORKLOAD_PAGE, _OURS)
    ]
    return ControlPlane(
        ca_secret=_ca_secret(look, describe),
        foreign=_foreign(look),
        workloads=tuple(sorted(workloads, key=lambda w: (w.ref.namespace, w.ref.kind, w.ref.name))),
        pods=tuple(convert_pods.pod(found) for found in pods),
    )


def _ca_secret(look: Look, describe: convert.Describe) -> CaSecret | None:
    target = SECRETS.within(look.namespace).named(CA_SECRET)
    name = f"Secret {look.namespace}/{CA_SECRET}"
    return look.one(
        Part.AUTHORITY,
        name,
        lambda: convert.ca_secret(look.client.get(target, WHOLE_SECRET), describe),
        absent=None,
        unread=None,
    )


def _foreign(look: Look) -> ForeignSigns:
    """Signs of CAs that are not Citadel; `cacerts` holds a key, so only its metadata is asked for."""
    target = SECRETS.within(look.namespace).named(PLUGGED_SECRET)
    plugged = look.one(
        Part.AUTHORITY,
        f"Secret {look.namespace}/{PLUGGED_SECRET}",
        lambda: bool(look.client.get(target, NAMED, metadata_only=True).metadata.uid),
        absent=False,
        unread=None,
    )
    names = [
        str(ObjectRef(kind=kind, namespace=found.metadata.namespace, name=found.metadata.name))
        for kind, target in (*_KINDS, ("StatefulSet", STATEFUL_SETS))
        for found in _selected(look, kind, target, WORKLOAD_PAGE, FOREIGN)
    ]
    return ForeignSigns(plugged_secret=plugged, workloads=tuple(sorted(names)))


def _selected(
    look: Look,
    kind: str,
    target: Target,
    decoder: msgspec.json.Decoder[Page[S]],
    selectors: tuple[str, ...],
) -> tuple[S, ...]:
    """Everything that one of the selectors matches, each once: istiod wears `istio=pilot` as well."""
    found = {
        each.metadata.uid: each
        for selector in selectors
        for each in look.everywhere(
            Part.AUTHORITY, f"{kind}s", target, decoder, as_is, query=[("labelSelector", selector)]
        )
    }
    return tuple(found.values())


def _autoscaled(look: Look) -> frozenset[str]:
    """`namespace/Kind name` of what an autoscaler may change."""
    found = look.everywhere(Part.AUTHORITY, "HorizontalPodAutoscalers", AUTOSCALERS, AUTOSCALER_PAGE, _scaled)
    return frozenset(each for each in found if each)


def _scaled(found: AutoscalerWire) -> str:
    target, floor = found.spec.scale_target_ref, found.spec.min_replicas
    fixed = found.spec.max_replicas <= (1 if floor is None else floor)
    return "" if fixed else f"{found.metadata.namespace}/{target.kind} {target.name}"
