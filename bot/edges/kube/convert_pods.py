"""Turns pods, Deployments and DaemonSets from the wire into the values of `core.mesh`."""

from collections.abc import Iterable
from datetime import datetime

from bot.core.components import ENDED
from bot.core.mesh import Container, Pod, Workload
from bot.edges.kube.convert import pairs, ref_of, time_of
from bot.edges.kube.translate import cut
from bot.edges.kube.wire import (
    Condition,
    ContainerState,
    ContainerStatus,
    ContainerWire,
    Meta,
    PodSpec,
    PodWire,
    Volume,
    WorkloadWire,
)

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


def container(found: ContainerWire) -> Container:
    """A container; a command's words come before its arguments, which is how the process sees them."""
    return Container(
        name=found.name,
        image=found.image,
        arguments=(*(found.command or ()), *(found.args or ())),
        environment=tuple(
            (each.name, None if each.value_from is not None else each.value or "") for each in found.env or ()
        ),
        ports=tuple(each.container_port for each in found.ports or ()),
    )


def lasting(spec: PodSpec) -> tuple[ContainerWire, ...]:
    """The containers that keep running: the usual ones and native sidecars."""
    sidecars = (each for each in spec.init_containers or () if each.restart_policy == "Always")
    return (*sidecars, *(spec.containers or ()))


def pod(found: PodWire) -> Pod:
    """A pod."""
    meta, spec, status = found.metadata, found.spec, found.status
    return Pod(
        ref=ref_of("Pod", meta),
        uid=meta.uid,
        workload=workload_name(meta),
        labels=pairs(meta.labels),
        service_account=spec.service_account_name,
        phase=status.phase,
        ready=any(c.type == "Ready" and c.status == "True" for c in status.conditions or ()),
        started_at=_started_at(found),
        created_at=time_of(meta.creation_timestamp),
        containers=tuple(container(each) for each in lasting(spec)),
        secret_volumes=_secret_volumes(spec.volumes),
        host_network=bool(spec.host_network),
        deleting=meta.deletion_timestamp is not None,
    )


def workload_name(meta: Meta) -> str:
    """`Kind name` of a pod's controller; a ReplicaSet's hash is removed, for a Deployment made it."""
    owner = next((each for each in meta.owner_references or () if each.controller), None)
    if owner is None:
        return ""
    if owner.kind != "ReplicaSet":
        return f"{owner.kind} {owner.name}"
    suffix = (meta.labels or {}).get("pod-template-hash", "")
    if suffix and owner.name.endswith(f"-{suffix}"):
        return f"Deployment {owner.name.removesuffix(f'-{suffix}')}"
    return f"ReplicaSet {owner.name}"


def _started_at(found: PodWire) -> datetime | None:
    """The oldest lasting container's start; finished init containers do not count.

    A sidecar that was restarted does not make the process beside it any younger.
    """
    names = {each.name for each in lasting(found.spec)}
    starts = [
        time_of(each.state.running.started_at)
        for each in _statuses(found)
        if each.name in names and each.state and each.state.running
    ]
    return min((start for start in starts if start), default=None)


def _statuses(found: PodWire) -> Iterable[ContainerStatus]:
    yield from found.status.init_container_statuses or ()
    yield from found.status.container_statuses or ()


def _secret_volumes(volumes: list[Volume] | None) -> tuple[str, ...]:
    names = []
    for volume in volumes or ():
        if volume.secret:
            names.append(volume.secret.secret_name)
        for source in (volume.projected.sources if volume.projected else None) or ():
            if source.secret:
                names.append(source.secret.name)
    return tuple(name for name in names if name)


def workload(
    kind: str, found: WorkloadWire, *, autoscaled: frozenset[str], pods: tuple[PodWire, ...]
) -> Workload:
    """A Deployment or DaemonSet; `autoscaled` holds `namespace/Kind name`, `pods` everyone's."""
    meta, status, template = found.metadata, found.status, found.spec.template
    own = f"{kind} {meta.name}"
    desired, updated, ready, total = _counts(kind, found)
    members = [p for p in pods if p.metadata.namespace == meta.namespace and workload_name(p.metadata) == own]
    return Workload(
        ref=ref_of(kind, meta),
        uid=meta.uid,
        labels=pairs(template.metadata.labels),
        containers=tuple(container(each) for each in lasting(template.spec)),
        secret_volumes=_secret_volumes(template.spec.volumes),
        desired=desired,
        updated=updated,
        ready=ready,
        total=total,
        observed=status.observed_generation >= meta.generation,
        restarted_at=(template.metadata.annotations or {}).get(RESTARTED_AT, ""),
        autoscaled=f"{meta.namespace}/{own}" in autoscaled,
        replaced_by_hand=bool(found.spec.update_strategy and found.spec.update_strategy.type == "OnDelete"),
        paused=bool(found.spec.paused),
        trouble=_workload_trouble(status.conditions or (), members),
    )


def _counts(kind: str, found: WorkloadWire) -> tuple[int, int, int, int]:
    """Desired, updated, ready, total."""
    status = found.status
    if kind == "DaemonSet":
        return (
            status.desired_number_scheduled,
            status.updated_number_scheduled,
            status.number_ready,
            status.current_number_scheduled,
        )
    desired = 1 if found.spec.replicas is None else found.spec.replicas
    return desired, status.updated_replicas, status.ready_replicas, status.replicas


def _workload_trouble(conditions: Iterable[Condition], pods: Iterable[PodWire]) -> str:
    reasons = [
        f"{c.reason}: {c.message}" for c in conditions if c.type == "ReplicaFailure" and c.status == "True"
    ]
    reasons += [f"{p.metadata.name}: {reason}" for p in pods if (reason := trouble(p))]
    return cut("; ".join(dict.fromkeys(reasons)))


def trouble(found: PodWire) -> str:
    """Why a pod is not ready, in words; empty when it is, or has ended (evicted, too), or is going."""
    status = found.status
    conditions = {c.type: c for c in status.conditions or ()}
    ready = conditions.get("Ready")
    going = found.metadata.deletion_timestamp is not None or status.phase in ENDED
    if going or (ready and ready.status == "True"):
        return ""
    for each in _statuses(found):
        if reason := _stop(each.state, each.last_state):
            return f"container {each.name} {reason}"
    scheduled = conditions.get("PodScheduled")
    if scheduled and scheduled.status == "False":
        return f"{scheduled.reason or 'not scheduled'}: {scheduled.message}"
    return status.message or status.reason or f"is {status.phase or 'Pending'} and not ready"


def _stop(state: ContainerState | None, last: ContainerState | None) -> str:
    stopped = state and (state.waiting or state.terminated)
    # An init container that ended well is terminated with code 0: no reason for anything.
    if not state or not stopped or (state.terminated and state.terminated.exit_code == 0):
        return ""
    before = f", exit code {last.terminated.exit_code}" if last and last.terminated else ""
    return f"{stopped.reason or 'stopped'}{before}{': ' + stopped.message if stopped.message else ''}"
