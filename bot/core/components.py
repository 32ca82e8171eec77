"""The control plane's parts: what each reads only at start, and what it costs to restart it.

Source: istio/istio 1.0 to 1.5, pilot/pkg/bootstrap/server.go, pkg/mcp/creds, mixer, galley, nodeagent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.core.authority import is_citadel, is_istiod
from bot.core.certificates import Certificate
from bot.core.issuing import CLOCK_SKEW
from bot.core.keeping import keeping, why_unmanaged
from bot.core.mesh import MeshSnapshot, ObjectRef, Pod, Workload, WorkloadSecret
from bot.core.progress import Straggler
from bot.core.versions import galley_keeps_its_serving_certificate, version_of_image

DISTRIBUTION_WINDOW = timedelta(hours=3)
"""A process that started within this time of a root's making may have read the one before it: an
approval takes up to an hour, and Citadel's way through 10,000 secrets 67 minutes."""

MOUNT_DELAY = timedelta(minutes=2)
"""The kubelet's sync: the files of a pod that is there already follow their secret this much later."""

RESTART_MARK = "%Y-%m-%dT%H:%M:%S.%fZ"
"""How a rotation marks what it restarts; kubectl's own marks have no fraction of a second."""

ENDED = ("Succeeded", "Failed")
"""Phases of pods that run nothing any more; evicted ones stay in the list for days."""


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
    if is_istiod(workload):
        return None
    label = "mixer" if workload.label("istio-mixer-type") else workload.label("istio")
    return next((c for c in COMPONENTS if c.label == label), None)


def why_restart(workload: Workload) -> str | None:
    """Why this workload must be restarted to take a new root; None when it reloads by itself."""
    component = component_of(workload)
    if component is None or not component.reads_at_start:
        return None
    reason = f"{component.title} reads {component.reads_at_start} only when it starts"
    if component.label == "pilot" and not any(c.is_proxy for c in workload.containers):
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


def rollout(ref: ObjectRef, verb: str) -> str:
    """The command that has a Deployment or DaemonSet `restart`, or `resume` its rollouts."""
    return f"`kubectl -n {ref.namespace} rollout {verb} {ref.kind.lower()}/{ref.name}`"


def pods_of(workload: Workload, snapshot: MeshSnapshot) -> tuple[Pod, ...]:
    """Its pods that run something or will; those that are ending or have ended are left out."""
    owner = f"{workload.ref.kind} {workload.ref.name}"
    return tuple(
        pod
        for pod in snapshot.control_plane_pods
        if (pod.ref.namespace, pod.workload) == (workload.ref.namespace, owner)
        and not pod.deleting
        and pod.phase not in ENDED
    )


def strange_citadels(snapshot: MeshSnapshot) -> tuple[Straggler, ...]:
    """Pods that sign as Citadel and are of nothing that is recognised as one.

    Such a process keeps the root that it read at its start, and its resync, once a minute, writes that back
    into every workload secret (istio/istio#17677).
    """
    known = {
        f"{w.ref.kind} {w.ref.name}"
        for w in snapshot.workloads
        if w.ref.namespace == snapshot.namespace and is_citadel(w)
    }
    return tuple(
        Straggler(
            what=str(pod.ref),
            reason=f"has the label istio=citadel, and {pod.workload or 'nothing'} made it, "
            "which is no Citadel that is counted",
            cure="stop what made it; if it is no Citadel, take that label off it",
        )
        for pod in _citadel_pods(snapshot)
        if not pod.deleting and pod.workload not in known
    )


def ending_citadels(snapshot: MeshSnapshot) -> tuple[Straggler, ...]:
    """Pods of Citadel that were told to end and are not gone: in no Deployment's counts, and signing on.

    That passes in seconds, or never, where the pod's kubelet is dead.
    """
    return tuple(
        Straggler(
            what=str(pod.ref),
            reason="is still ending, and signs with the root of its start until it is gone",
            cure="wait; if its node is dead, switch that off, then "
            f"`kubectl -n {pod.ref.namespace} delete pod {pod.ref.name} --force --grace-period=0`",
        )
        for pod in _citadel_pods(snapshot)
        if pod.deleting
    )


def _citadel_pods(snapshot: MeshSnapshot) -> tuple[Pod, ...]:
    return tuple(
        pod
        for pod in snapshot.control_plane_pods
        if pod.ref.namespace == snapshot.namespace
        and pod.label("istio") == "citadel"
        and pod.phase not in ENDED
    )


def mounted_names(pod: Pod) -> frozenset[str]:
    """Names of the secrets from which a pod may have its certificate and its roots."""
    return frozenset({*pod.secret_volumes, f"istio.{pod.service_account}"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reissues:
    """When what the control plane's pods read was re-issued under a root."""

    root: Certificate
    home: dict[str, WorkloadSecret]
    """The workload secrets of the control plane's namespace, by name."""
    elsewhere: datetime | None
    """What tells for a pod whose own certificate tells nothing; None when nothing does."""

    @classmethod
    def of(cls, snapshot: MeshSnapshot, root: Certificate) -> "Reissues":
        """Gather them once for all pods.

        Where a pod's own certificate tells nothing, the last one of its namespace does, or of the
        mesh, once all there carry the root.
        """
        kept = keeping(snapshot)
        all_kept = [secret for secret in snapshot.secrets if not why_unmanaged(secret, kept)]
        near = [secret for secret in all_kept if secret.ref.namespace == snapshot.namespace]
        return cls(
            root=root,
            home={s.ref.name: s for s in snapshot.secrets if s.ref.namespace == snapshot.namespace},
            elsewhere=_last_issued(near, root) or _last_issued(all_kept, root),
        )

    def own(self, pod: Pod) -> tuple[WorkloadSecret, ...]:
        """The secrets from which a pod has its certificate and its roots, as far as they were seen."""
        return tuple(self.home[name] for name in sorted(mounted_names(pod)) if name in self.home)

    def at(self, pod: Pod) -> datetime | None:
        """When what this pod reads was last re-issued; None when that is not known."""
        return _last_issued(self.own(pod), self.root) or self.elsewhere


def _last_issued(secrets: Sequence[WorkloadSecret], root: Certificate) -> datetime | None:
    """None unless all carry the root, each with a leaf that is not older than it.

    Citadel makes leaves that are valid from the second they are made.
    """
    leaves = [secret.leaf for secret in secrets if secret.leaf and root in secret.root.certificates]
    if len(leaves) < len(secrets) or any(leaf.not_before < root.not_before for leaf in leaves):
        return None
    return max((leaf.not_before for leaf in leaves), default=None)


def started_after(pod: Pod, reissued: datetime) -> bool:
    """Whether every process of this pod has read what was re-issued then.

    A pod that was made after it mounts it; in an older one, files follow after the mount delay.
    """
    if pod.started_at is None:
        return False
    made_after = pod.created_at is not None and pod.created_at >= reissued
    return made_after or pod.started_at >= reissued + MOUNT_DELAY


def may_hold_older_root(pod: Pod, reissues: Reissues) -> bool:
    """Whether a process that reads the root at start may hold the one before it.

    No, if it started after the re-issue. Yes, if it started before its own certificate was first
    re-issued under this root. Otherwise (certificate renewed since, or none of its own) the root's age
    decides. In doubt yes: a needless restart costs less than a dead Pilot.
    """
    if pod.started_at is None:
        return True
    root, reissued = reissues.root, reissues.at(pod)
    if reissued is not None and (started_after(pod, reissued) or _is_new(pod, reissues, reissued)):
        return False
    if any(secret.leaf and _is_first(secret.leaf, root) for secret in reissues.own(pod)):
        return True
    return pod.started_at < root.not_before + CLOCK_SKEW + DISTRIBUTION_WINDOW


def _is_new(pod: Pod, reissues: Reissues, issued: datetime) -> bool:
    """Whether a mesh was just installed: the pod waited for a secret that never held another root.

    The pod's own age counts too, because a secret may have been deleted to have it made anew.
    """
    if pod.created_at is None or pod.started_at is None:
        return False
    since = reissues.root.not_before
    secrets = [secret.created_at for secret in reissues.own(pod)]
    first = bool(secrets) and all(made is not None and made >= since for made in secrets)
    return first and pod.created_at >= since - CLOCK_SKEW and pod.started_at >= issued


def restarted_under(root: Certificate, workload: Workload, pod: Pod) -> bool:
    """Whether a rotation restarted this pod when every secret had been re-issued under `root`.

    That is when a rotation restarts. Its mark tells so long after Citadel has renewed the certificates
    from which it could be told otherwise, in the middle of their lives.
    """
    marked, made = _mark_time(workload.restarted_at), pod.created_at or pod.started_at
    if marked is None or made is None:
        return False
    return root.not_before + CLOCK_SKEW <= marked and made >= marked.replace(microsecond=0)


def _mark_time(mark: str) -> datetime | None:
    """The time in a rotation's restart mark; None for any other."""
    try:
        return datetime.strptime(mark, RESTART_MARK).replace(tzinfo=UTC)
    except ValueError:
        return None


def _is_first(leaf: Certificate, root: Certificate) -> bool:
    """Whether no leaf came before this one under `root`: Citadel renews in the middle of a life."""
    return timedelta() <= leaf.not_before - root.not_before < (leaf.not_after - leaf.not_before) / 2
