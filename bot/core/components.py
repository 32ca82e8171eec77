"""The control plane's parts: what each reads only at start, and what it costs to restart it.

Source: istio/istio 1.0 to 1.5, pilot/pkg/bootstrap/server.go, pkg/mcp/creds, mixer, galley, nodeagent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.certificates import Certificate
from bot.core.issuing import CLOCK_SKEW
from bot.core.mesh import MeshSnapshot, Pod, Workload
from bot.core.versions import galley_keeps_its_serving_certificate, version_of_image

DISTRIBUTION_WINDOW = timedelta(hours=3)
"""A process that started within this time of a root's making may have read the one before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One kind of control plane part, recognised by its pods' `istio` label."""

    label: str
    title: str
    reads_at_start: str
    """What it keeps from its start; empty when it reloads by itself."""
    felt: str
    """What a restart does to people."""


COMPONENTS = (
    Component(
        label="pilot",
        title="Pilot",
        reads_at_start="the roots it checks its configuration server's and its proxies' certificates against",
        felt="proxies reconnect to Pilot; traffic goes on, configuration changes wait a moment",
    ),
    Component(
        label="galley",
        title="Galley",
        reads_at_start="the roots it checks configuration clients against",
        felt="Istio configuration cannot be applied for a moment",
    ),
    Component(
        label="mixer",
        title="Mixer",
        reads_at_start="the roots it checks its configuration server against",
        felt="policy checks and telemetry reconnect",
    ),
    Component(
        label="nodeagent",
        title="the node agent",
        reads_at_start="the root it checks Citadel against when it asks for certificates",
        felt="new certificate requests of that node wait a moment",
    ),
    Component(
        label="sidecar-injector",
        title="the sidecar injector",
        reads_at_start="",
        felt="new pods wait for injection for a moment",
    ),
)
"""In the order in which they are restarted."""


def component_of(workload: Workload | Pod) -> Component | None:
    """Which part of the control plane this is; None for Citadel, istiod and everything else."""
    if workload.label("app") == "istiod":
        return None
    label = "mixer" if workload.label("istio-mixer-type") else workload.label("istio")
    return next((c for c in COMPONENTS if c.label == label), None)


def why_restart(workload: Workload) -> str | None:
    """Why this workload must be restarted to take a new root; None when it reloads by itself."""
    component = component_of(workload)
    if component is None or not component.reads_at_start:
        return None
    reason = f"{component.title} reads {component.reads_at_start} only when it starts"
    if component.label == "pilot" and not any(c.name == "istio-proxy" for c in workload.containers):
        reason += "; it has no sidecar (1/1), so its own certificate too"
    if component.label == "galley" and any(
        galley_keeps_its_serving_certificate(version_of_image(c.image)) for c in workload.containers
    ):
        reason += "; this version never reloads its webhook certificate either"
    return reason


def restart_candidates(snapshot: MeshSnapshot) -> tuple[tuple[Workload, str], ...]:
    """Every workload that reads the root only at start, with the reason, in restart order."""
    order = {component.label: position for position, component in enumerate(COMPONENTS)}
    found = [
        (workload, reason)
        for workload in snapshot.workloads
        if workload.ref.namespace == snapshot.namespace and (reason := why_restart(workload))
    ]

    def place(item: tuple[Workload, str]) -> tuple[int, str]:
        component = component_of(item[0])
        return (order[component.label] if component else 0, item[0].ref.name)

    return tuple(sorted(found, key=place))


def reissued_at(pod: Pod, snapshot: MeshSnapshot) -> datetime | None:
    """When the secret that this pod mounts was last re-issued; None when that is not known.

    Citadel makes leaves that are valid from the second they are made.
    """
    mounted = set(pod.secret_volumes) | {f"istio.{pod.service_account}"}
    times = [
        secret.leaf.not_before
        for secret in snapshot.secrets
        if secret.ref.namespace == pod.ref.namespace and secret.ref.name in mounted and secret.leaf
    ]
    return max(times, default=None)


def may_hold_older_root(pod: Pod, root: Certificate, *, reissued: datetime | None) -> bool:
    """Whether a process that reads the root at start may hold the one before `root`.

    It certainly does not if it started after its secret was re-issued, or long after the root was
    made. In between it is taken to, because a needless restart costs less than a dead Pilot.
    """
    if pod.started_at is None:
        return True
    if reissued is not None and pod.started_at >= reissued:
        return False
    return pod.started_at < root.not_before + CLOCK_SKEW + DISTRIBUTION_WINDOW
