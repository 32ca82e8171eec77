"""The kubelet's part for pods that stand for real processes.

A pod with the annotation `testbed.rootkeeper/stands-for` exists <=> its stand-in runs. It becomes Ready when
the stand-in says so, its secrets are mounted and kept up to date, a process that ends is started again with
a growing delay, and a deleted pod goes only when its process has ended. kwok does all other pods.
"""

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from tests.testbed.api import STRATEGIC_MERGE, Api, ApiError, Mirror, Object
from tests.testbed.mounts import Mount

STANDS_FOR = "testbed.rootkeeper/stands-for"
TICK_SECONDS = 0.2
STOP_SECONDS = 60.0
FIRST_BACK_OFF, LONGEST_BACK_OFF = 0.5, 10.0  # seconds; a kubelet begins at 10 s
GONE = {404, 409}  # the pod went away, or was replaced by one of the same name, while we looked


class StandIn(Protocol):
    """What runs in the place of a pod's containers."""

    def start(self) -> None: ...

    def alive(self) -> bool: ...

    def ready(self) -> bool: ...

    def mounts_changed(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a stand-in is given: its pod as it was created, a directory of its own, its mounted secrets."""

    pod: Object
    directory: Path
    mounts: Mapping[str, Mount]  # by volume name

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])


Factory = Callable[[Place], StandIn]


class Node:
    """A thread that brings the stand-ins in line with the pods, again and again."""

    def __init__(
        self, api: Api, *, directory: Path, log: Path, factories: Mapping[str, Factory], mount_delay: float
    ) -> None:
        self._api, self._directory, self._log = api, directory, log
        self._factories, self._mount_delay = factories, mount_delay
        self._changed, self._ended = threading.Event(), threading.Event()
        self._pods = Mirror(api, "/api/v1/pods", changed=self._changed)
        selector = "type=istio.io/key-and-cert"
        self._secrets = Mirror(api, "/api/v1/secrets", changed=self._changed, fieldSelector=selector)
        self._running: dict[str, _Pod] = {}
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)

    def start(self) -> None:
        for thread in (self._pods, self._secrets, self._thread):
            thread.start()

    def stop(self) -> None:
        """End the thread and every stand-in; the pods stay as objects."""
        self._ended.set()
        self._changed.set()
        self._thread.join(STOP_SECONDS)
        for mirror in (self._pods, self._secrets):
            mirror.end()
        for pod in self._running.values():
            pod.stop()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._changed.wait(TICK_SECONDS)
            self._changed.clear()
            self._bring_in_line()

    def _bring_in_line(self) -> None:
        pods = {uid: pod for uid, pod in self._pods.items().items() if self._stands_for(pod)}
        secrets = {_key(secret["metadata"]): secret for secret in self._secrets.items().values()}
        for uid in self._running.keys() - pods.keys():
            self._running.pop(uid).stop()
        for uid, pod in pods.items():
            try:
                self._bring_pod_in_line(uid, pod, secrets)
            except Exception as error:  # noqa: BLE001  (one pod's trouble is not the others')
                self._note(pod, error)

    def _bring_pod_in_line(self, uid: str, pod: Object, secrets: Mapping[str, Object]) -> None:
        if "deletionTimestamp" in pod["metadata"]:
            if uid in self._running:
                self._running.pop(uid).stop()
            self._api.delete(_path(pod), grace_seconds=0)
            return
        if uid not in self._running:
            self._running[uid] = self._admit(uid, pod)
        self._running[uid].step(secrets)

    def _admit(self, uid: str, pod: Object) -> "_Pod":
        directory = self._directory / uid
        volumes = [volume for volume in pod["spec"].get("volumes", []) if "secret" in volume]
        mounts = {
            volume["name"]: Mount(directory / volume["name"], delay=self._mount_delay) for volume in volumes
        }
        sources = {volume["name"]: volume["secret"]["secretName"] for volume in volumes}
        directory.mkdir(parents=True, exist_ok=True)
        place = Place(pod=pod, directory=directory, mounts=mounts)
        return _Pod(self._api, place, sources, self._factories[self._stands_for(pod)](place))

    def _stands_for(self, pod: Object) -> str:
        return str(pod["metadata"].get("annotations", {}).get(STANDS_FOR, ""))

    def _note(self, pod: Object, error: Exception) -> None:
        if isinstance(error, ApiError) and error.status in GONE:
            return
        with self._log.open("a") as log:
            log.write(f"{datetime.now(UTC):%H:%M:%S} {_key(pod['metadata'])}: {traceback.format_exc()}\n")


class _Pod:
    """One admitted pod: its mounts, its stand-in, and what its status last said."""

    def __init__(self, api: Api, place: Place, sources: Mapping[str, str], stand_in: StandIn) -> None:
        self._api, self._place, self._sources, self._stand_in = api, place, sources, stand_in
        self._running, self._ready, self._restarts = False, False, 0
        self._unseen = False  # the mounts changed and the stand-in was not told yet
        self._start_at = 0.0
        self._told: tuple[bool, bool, int] | None = None

    def step(self, secrets: Mapping[str, Object]) -> None:
        self._unseen |= self._mount(secrets)
        if not self._running:
            self._start_if_due()
        elif not self._stand_in.alive():
            self._restart_later()
        else:
            if self._unseen:
                self._stand_in.mounts_changed()
                self._unseen = False
            self._ready = self._ready or self._stand_in.ready()
        self._tell()

    def stop(self) -> None:
        self._stand_in.stop()

    def _mount(self, secrets: Mapping[str, Object]) -> bool:
        changed = False
        for volume, name in self._sources.items():
            secret = secrets.get(f"{self._place.namespace}/{name}")
            if secret is not None:
                changed |= self._place.mounts[volume].take(secret)
        return changed

    def _start_if_due(self) -> None:
        mounted = all(mount.filled for mount in self._place.mounts.values())
        if mounted and time.monotonic() >= self._start_at:
            self._stand_in.start()
            self._running, self._unseen = True, False

    def _restart_later(self) -> None:
        self._stand_in.stop()
        self._running = self._ready = False
        self._start_at = time.monotonic() + min(FIRST_BACK_OFF * 2**self._restarts, LONGEST_BACK_OFF)
        self._restarts += 1

    def _tell(self) -> None:
        """Write the pod's status, when it differs from what was written last."""
        now = (self._running, self._ready, self._restarts)
        if now != self._told:
            path = f"{_path(self._place.pod)}/status"
            self._api.patch(path, {"status": self._status()}, kind=STRATEGIC_MERGE)
            self._told = now

    def _status(self) -> Object:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        begun = self._running or self._restarts > 0
        conditions = [
            {"type": kind, "status": str(holds), "lastTransitionTime": at}
            for kind, holds in (
                ("Initialized", True),
                ("ContainersReady", self._ready),
                ("Ready", self._ready),
            )
        ]
        containers = self._place.pod["spec"]["containers"]
        return {
            "phase": "Running" if begun else "Pending",
            "conditions": conditions,
            "containerStatuses": [self._container(container, at) for container in containers],
            "hostIP": "127.0.0.1",
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "startTime": self._place.pod["metadata"]["creationTimestamp"],
        }

    def _container(self, container: Object, at: str) -> Object:
        reason = "CrashLoopBackOff" if self._restarts else "ContainerCreating"
        return {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": self._ready,
            "started": self._running,
            "restartCount": self._restarts,
            # null takes the other state out of what a strategic merge would keep
            "state": {
                "running": {"startedAt": at} if self._running else None,
                "waiting": None if self._running else {"reason": reason},
            },
        }


def _key(metadata: Object) -> str:
    return f"{metadata['namespace']}/{metadata['name']}"


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
