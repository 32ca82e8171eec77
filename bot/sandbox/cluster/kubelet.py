"""Scheduler and kubelet in small: pods start, become ready, crash, go; mounted secrets are swapped late.

It runs the pods of ReplicaSets; pods that a scene made without one stand as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from bot.sandbox.cluster import podstatus
from bot.sandbox.cluster.citadel import CrashError
from bot.sandbox.cluster.deployments import going, owner_uid
from bot.sandbox.cluster.insider import Insider
from bot.sandbox.cluster.objects import (
    Json,
    copy_of,
    labels_of,
    name_of,
    namespace_of,
    path,
    stamp,
    uid_of,
    utc_now,
)
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.processes import Files, Process
from bot.sandbox.cluster.registry import Address
from bot.sandbox.cluster.resources import PODS, SECRETS
from bot.sandbox.cluster.status import ApiError
from bot.sandbox.cluster.store import Change, Happened

# Seconds of the mesh.
_CREATION = 2.0
_READINESS = 3.0
_TERMINATION = 2.0
_SYNC = (60.0, 90.0)  # from a changed Secret to swapped files
_BACK_OFF = 10.0  # doubled after each crash, up to five minutes
_MAX_BACK_OFF = 300.0


class Trouble(StrEnum):
    """What a test can make of a Deployment's new pods."""

    NEVER_READY = "never-ready"
    CRASH_LOOP = "crash-loop"
    IMAGE_PULL = "image-pull"
    PENDING = "pending"


@dataclass(slots=True, kw_only=True)
class _Running:
    """A pod on this node."""

    namespace: str
    name: str
    processes: tuple[Process, ...]
    secrets: tuple[str, ...]
    mounted: Files = field(default_factory=dict)
    started: bool = False
    crashes: int = 0
    syncing: bool = False


Cast = Callable[[Json], tuple[Process, ...]]


class Kubelet:
    """All nodes at once; ``cast`` says what runs in a pod."""

    def __init__(self, insider: Insider, pace: Pace, cast: Cast) -> None:
        self.troubles: dict[str, Trouble] = {}  # by the value of the pods' label "istio" or "app"
        self._insider = insider
        self._pace = pace
        self._cast = cast
        self._pods: dict[str, _Running] = {}
        self._readers: dict[tuple[str, str], set[str]] = {}  # namespace and secret to the UIDs of pods

    def start(self) -> None:
        """Take over the pods that are there and watch for more."""
        for pod in self._insider.store.values(PODS):
            if owner_uid(pod) and path(pod, "status", "phase") == "Running":
                self._resume(pod)
        self._insider.store.subscribe(self._on_change)

    def _resume(self, pod: Json) -> None:
        running = self._admit(pod)
        try:
            self._begin(running, pod)
        except CrashError as error:
            self._crashed(uid_of(pod), running, pod, str(error))

    def stop(self) -> None:
        """End every process."""
        self._insider.store.unsubscribe(self._on_change)
        for uid in list(self._pods):
            self._forget(uid)

    def processes(self, uid: str) -> tuple[Process, ...]:
        """What runs in a pod, nothing if it has not started."""
        running = self._pods.get(uid)
        return running.processes if running and running.started else ()

    def running(self) -> list[tuple[str, str, tuple[Process, ...]]]:
        """Namespace, name and processes of every pod that has started."""
        return [(each.namespace, each.name, each.processes) for each in self._pods.values() if each.started]

    def _on_change(self, change: Change) -> None:
        if change.resource is SECRETS:
            self._secret_changed(change.value)
        if change.resource is not PODS:
            return
        uid = uid_of(change.value)
        if change.what is Happened.ADDED and path(change.value, "status", "phase") == "Running":
            self._resume(change.value)
        elif change.what is Happened.ADDED and owner_uid(change.value):
            self._admit(change.value)
            self._pace.later(0, lambda: self._schedule(uid))
        elif change.what is Happened.DELETED:
            self._forget(uid)
        elif going(change.value) and change.before is not None and not going(change.before):
            self._pace.later(_TERMINATION, lambda: self._remove(change.value))

    def _admit(self, pod: Json) -> _Running:
        running = _Running(
            namespace=namespace_of(pod),
            name=name_of(pod),
            processes=self._cast(pod),
            secrets=_mounts(pod),
        )
        self._pods[uid_of(pod)] = running
        for secret in running.secrets:
            self._readers.setdefault((running.namespace, secret), set()).add(uid_of(pod))
        return running

    def _schedule(self, uid: str) -> None:
        pod = self._current(uid)
        if pod is None or self._trouble(pod) is Trouble.PENDING:
            return
        changed = copy_of(pod)
        changed["spec"]["nodeName"] = f"node-{int(uid[:2], 16) % 3 + 1}"
        self._insider.update(changed)
        self._write(uid, podstatus.creating(changed))
        if self._trouble(pod) is Trouble.IMAGE_PULL:
            text = "Failed to pull image: rpc error: code = NotFound desc = failed to pull and unpack image"
            self._write(uid, podstatus.waiting(changed, "ImagePullBackOff", text))
            self._event(changed, "Failed", text)
            return
        self._pace.later(_CREATION, lambda: self._launch(uid))

    def _launch(self, uid: str) -> None:
        pod, running = self._current(uid), self._pods.get(uid)
        if pod is None or running is None or going(pod):
            return
        try:
            self._begin(running, pod)
        except CrashError as error:
            self._crashed(uid, running, pod, str(error))
            return
        self._write(uid, podstatus.running(pod, ready=False, restarts=running.crashes))
        if self._trouble(pod) is Trouble.NEVER_READY:
            self._event(pod, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
        else:
            self._pace.later(_READINESS, lambda: self._ready(uid))

    def _begin(self, running: _Running, pod: Json) -> None:
        if self._trouble(pod) is Trouble.CRASH_LOOP:
            raise CrashError("exit status 255")
        running.mounted = self._files(namespace_of(pod), running.secrets)
        for process in running.processes:
            process.start(running.mounted)
        running.started = True

    def _ready(self, uid: str) -> None:
        pod, running = self._current(uid), self._pods.get(uid)
        if pod is not None and running is not None and running.started:
            self._write(uid, podstatus.running(pod, ready=True, restarts=running.crashes))

    def _crashed(self, uid: str, running: _Running, pod: Json, line: str) -> None:
        running.crashes += 1
        for process in running.processes:
            process.stop()
        self._write(uid, podstatus.crashed(pod, line, restarts=running.crashes))
        self._event(pod, "BackOff", "Back-off restarting failed container")
        delay = min(_MAX_BACK_OFF, _BACK_OFF * 2 ** (running.crashes - 1))
        self._pace.later(delay, lambda: self._launch(uid))

    def crash(self, uid: str, line: str) -> None:
        """End a pod's processes as if one had died; it starts again after the back-off."""
        pod, running = self._current(uid), self._pods.get(uid)
        if pod is not None and running is not None:
            running.started = False
            self._crashed(uid, running, pod, line)

    def _remove(self, pod: Json) -> None:
        self._forget(uid_of(pod))
        address = Address(resource=PODS, namespace=namespace_of(pod), name=name_of(pod))
        found = self._insider.find(PODS, address.namespace, address.name)
        if found is not None and uid_of(found) == uid_of(pod):
            self._insider.delete(address, now=True)

    def _forget(self, uid: str) -> None:
        running = self._pods.pop(uid, None)
        if running is None:
            return
        for secret in running.secrets:
            self._readers[running.namespace, secret].discard(uid)
        for process in running.processes:
            process.stop()

    def _secret_changed(self, secret: Json) -> None:
        for uid in self._readers.get((namespace_of(secret), name_of(secret)), ()):
            self._sync_later(uid, self._pods[uid])

    def _sync_later(self, uid: str, running: _Running) -> None:
        if running.syncing or not running.started:
            return
        running.syncing = True
        self._pace.later(self._pace.between(*_SYNC), lambda: self._sync(uid))

    def _sync(self, uid: str) -> None:
        running = self._pods.get(uid)
        if running is None:
            return
        running.syncing = False
        fresh = self._files(running.namespace, running.secrets)
        if fresh != running.mounted:
            running.mounted = fresh
            for process in running.processes:
                process.files_changed(fresh)

    def _files(self, namespace: str, secrets: tuple[str, ...]) -> Files:
        found = {name: self._insider.find(SECRETS, namespace, name) for name in secrets}
        return {name: each.get("data") or {} for name, each in found.items() if each is not None}

    def _current(self, uid: str) -> Json | None:
        running = self._pods.get(uid)
        found = self._insider.find(PODS, running.namespace, running.name) if running else None
        return found if found is not None and uid_of(found) == uid else None

    def _trouble(self, pod: Json) -> Trouble | None:
        labels = labels_of(pod)
        return self.troubles.get(labels.get("istio", "")) or self.troubles.get(labels.get("app", ""))

    def _write(self, uid: str, status: Json) -> None:
        pod = self._current(uid)
        if pod is None:
            return
        metadata = {key: each for key, each in pod["metadata"].items() if key != "resourceVersion"}
        self._insider.update({**pod, "metadata": metadata, "status": status}, subresource="status")

    def _event(self, pod: Json, reason: str, message: str) -> None:
        reference = {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}
        now = stamp(utc_now())
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{name_of(pod)}.", "namespace": namespace_of(pod)},
            "involvedObject": {**reference, "apiVersion": "v1"},
            "reason": reason,
            "message": message,
            "type": "Warning",
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": "kubelet"},
        }
        try:
            self._insider.create(event)
        except ApiError:
            return  # events are best effort upstream, too


def _mounts(pod: Json) -> tuple[str, ...]:
    volumes = path(pod, "spec", "volumes") or []
    return tuple(each["secret"]["secretName"] for each in volumes if each.get("secret"))
