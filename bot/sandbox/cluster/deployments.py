"""The Deployment and ReplicaSet controllers in small: rolling updates, one step per look.

Source: ``pkg/controller/deployment`` of Kubernetes; percentages and ``Recreate`` as there.
"""

import hashlib
import math

from bot.sandbox.cluster.insider import Insider
from bot.sandbox.cluster.objects import (
    Json,
    copy_of,
    encode,
    labels_of,
    meta,
    name_of,
    namespace_of,
    path,
    stamp,
    uid_of,
    utc_now,
)
from bot.sandbox.cluster.pace import Pace
from bot.sandbox.cluster.registry import Address
from bot.sandbox.cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS, Resource
from bot.sandbox.cluster.status import ApiError
from bot.sandbox.cluster.store import Change, Happened

_REVISION = "deployment.kubernetes.io/revision"
_MOMENT = 0.2  # seconds of the mesh from a change to the controller's look


def template_hash(template: Json) -> str:
    """The ``pod-template-hash`` of a template (not upstream's function, but as stable)."""
    return hashlib.sha256(encode(template)).hexdigest()[:10]


def replica_set(deployment: Json, *, replicas: int, revision: int) -> Json:
    """The ReplicaSet for a Deployment's present template."""
    template = copy_of(deployment["spec"]["template"])
    digest = template_hash(template)
    labels = {**labels_of(template), "pod-template-hash": digest}
    template["metadata"]["labels"] = labels
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": labels,
            "annotations": {_REVISION: str(revision)},
            "ownerReferences": [owner(deployment)],
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def pod_of(replicas: Json) -> Json:
    """A pod for a ReplicaSet, not yet scheduled."""
    template = copy_of(replicas["spec"]["template"])
    metadata = {
        "generateName": f"{name_of(replicas)}-",
        "namespace": namespace_of(replicas),
        "labels": labels_of(template),
        "ownerReferences": [owner(replicas)],
    }
    if annotations := meta(template).get("annotations"):
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def owner(value: Json) -> Json:
    """A controller's owner reference."""
    return {
        "apiVersion": value["apiVersion"],
        "kind": value["kind"],
        "name": name_of(value),
        "uid": uid_of(value),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owner_uid(value: Json) -> str:
    """The UID of the controlling owner, empty if there is none."""
    owners = meta(value).get("ownerReferences") or []
    return next((each["uid"] for each in owners if each.get("controller")), "")


def is_ready(pod: Json) -> bool:
    """Does the pod count as ready and available?"""
    conditions = path(pod, "status", "conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def going(value: Json) -> bool:
    """Is it being deleted?"""
    return bool(meta(value).get("deletionTimestamp"))


class DeploymentController:
    """Watches Deployments, ReplicaSets and pods, and moves each Deployment towards its spec."""

    def __init__(self, insider: Insider, pace: Pace) -> None:
        self._insider = insider
        self._pace = pace
        self._due: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Begin to watch."""
        self._insider.store.subscribe(self._on_change)
        for each in self._insider.store.values(DEPLOYMENTS):
            self._soon(namespace_of(each), name_of(each))

    def _on_change(self, change: Change) -> None:
        value = change.value
        if change.resource is DEPLOYMENTS:
            self._soon(namespace_of(value), name_of(value))
        elif change.resource in (REPLICA_SETS, PODS):
            self._soon_for(value, is_pod=change.resource is PODS)
        if change.what is Happened.DELETED and change.resource in (DEPLOYMENTS, REPLICA_SETS):
            self._collect(value)

    def _soon_for(self, value: Json, *, is_pod: bool) -> None:
        # A ReplicaSet's name is its Deployment's with "-<hash>", a pod's has one more part.
        parts = (meta(value).get("ownerReferences") or [{}])[0].get("name", "")
        name = parts.rsplit("-", 1)[0] if is_pod else parts
        if name:
            self._soon(namespace_of(value), name)

    def _soon(self, namespace: str, name: str) -> None:
        if (namespace, name) in self._due:
            return
        self._due.add((namespace, name))
        self._pace.later(_MOMENT, lambda: self._look(namespace, name))

    def _collect(self, gone: Json) -> None:
        """Garbage collection: what a deleted owner leaves behind."""
        resource = REPLICA_SETS if gone["kind"] == "Deployment" else PODS
        for each in self._insider.store.values(resource, namespace_of(gone)):
            if owner_uid(each) == uid_of(gone):
                self._insider.delete(_address(each, pod=resource is PODS))

    def _look(self, namespace: str, name: str) -> None:
        self._due.discard((namespace, name))
        found = self._insider.find(DEPLOYMENTS, namespace, name)
        if found is None or going(found):
            return
        try:
            _Rollout(self._insider, found).step()
        except ApiError:
            self._soon(namespace, name)


def _address(value: Json, *, pod: bool = False) -> Address:
    resource = PODS if pod else REPLICA_SETS
    return Address(resource=resource, namespace=namespace_of(value), name=name_of(value))


class _Rollout:
    """One look at one Deployment."""

    def __init__(self, insider: Insider, deployment: Json) -> None:
        self._insider = insider
        self._deployment = deployment
        self._desired: int = deployment["spec"].get("replicas", 1)
        self._paused: bool = deployment["spec"].get("paused", False)
        self._sets = [each for each in self._all(REPLICA_SETS) if owner_uid(each) == uid_of(deployment)]
        uids = {uid_of(each) for each in self._sets}
        self._pods = [each for each in self._all(PODS) if owner_uid(each) in uids]

    def _all(self, resource: Resource) -> list[Json]:
        return self._insider.store.values(resource, namespace_of(self._deployment))

    def step(self) -> None:
        """Scale one notch, make or delete pods, write the statuses."""
        current = self._current()
        if current and not self._paused:
            self._scale(current)
        for each in self._fresh_sets():
            self._fill(each)
        self._report(current)

    def _current(self) -> Json | None:
        """The set of the present template; none is made for it while rollouts are paused."""
        digest = template_hash(self._deployment["spec"]["template"])
        for each in self._sets:
            if labels_of(each).get("pod-template-hash") == digest:
                return each
        if self._paused:
            return None
        revisions = [int((meta(each).get("annotations") or {}).get(_REVISION, 0)) for each in self._sets]
        made = replica_set(self._deployment, replicas=0, revision=max(revisions, default=0) + 1)
        created = self._insider.create(made)
        self._sets.append(created)
        return created

    def _scale(self, current: Json) -> None:
        surge, unavailable = self._limits()
        wanted = {uid_of(each): each["spec"]["replicas"] for each in self._sets}
        mine = uid_of(current)
        room = self._desired + surge - sum(wanted.values())
        grown = min(self._desired, wanted[mine] + max(0, room))
        self._resize(current, grown)
        spare = sum(map(is_ready, self._live())) - (self._desired - unavailable)
        for each in self._sets:
            if uid_of(each) != mine and wanted[uid_of(each)] > 0:
                spare = self._shrink(each, spare)

    def _shrink(self, old: Json, spare: int) -> int:
        """Take pods from an old set: those that are not ready cost nothing."""
        pods = [pod for pod in self._live() if owner_uid(pod) == uid_of(old)]
        size: int = old["spec"]["replicas"]
        unready = max(0, size - sum(map(is_ready, pods)))
        taken = min(size, unready + max(0, spare))
        if taken:
            self._resize(old, size - taken)
        return spare - max(0, taken - unready)

    def _limits(self) -> tuple[int, int]:
        strategy = self._deployment["spec"].get("strategy") or {}
        if strategy.get("type") == "Recreate":
            return 0, self._desired
        rolling = strategy.get("rollingUpdate") or {}
        surge = _share(rolling.get("maxSurge", "25%"), self._desired, up=True)
        unavailable = _share(rolling.get("maxUnavailable", "25%"), self._desired, up=False)
        return surge, unavailable or (0 if surge else 1)

    def _resize(self, replicas: Json, wanted: int) -> None:
        if replicas["spec"]["replicas"] != wanted:
            changed = copy_of(replicas)
            changed["spec"]["replicas"] = wanted
            self._insider.update(changed)

    def _live(self) -> list[Json]:
        return [pod for pod in self._pods if not going(pod)]

    def _fresh_sets(self) -> list[Json]:
        uid = uid_of(self._deployment)
        return [each for each in self._all(REPLICA_SETS) if owner_uid(each) == uid]

    def _fill(self, replicas: Json) -> None:
        pods = [pod for pod in self._live() if owner_uid(pod) == uid_of(replicas)]
        missing = replicas["spec"]["replicas"] - len(pods)
        for _ in range(missing):
            self._insider.create(pod_of(replicas))
        for pod in sorted(pods, key=is_ready)[: max(0, -missing)]:
            self._insider.delete(_address(pod, pod=True))
        self._report_set(replicas, pods)

    def _report_set(self, replicas: Json, pods: list[Json]) -> None:
        ready = sum(map(is_ready, pods))
        status: Json = {"replicas": len(pods), "fullyLabeledReplicas": len(pods)}
        status |= {"readyReplicas": ready, "availableReplicas": ready} if ready else {}
        status["observedGeneration"] = meta(replicas).get("generation", 1)
        if replicas.get("status") != status:
            self._insider.update({**_unversioned(replicas), "status": status}, subresource="status")

    def _report(self, current: Json | None) -> None:
        pods = self._live()
        updated = [pod for pod in pods if current and owner_uid(pod) == uid_of(current)]
        ready = sum(map(is_ready, pods))
        counts = {
            "replicas": len(pods),
            "updatedReplicas": len(updated),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, self._desired - ready),
        }
        status: Json = {"observedGeneration": meta(self._deployment)["generation"]}
        status |= {key: number for key, number in counts.items() if number}
        done = len(updated) == self._desired == len(pods) == ready
        status["conditions"] = self._conditions(current, enough=ready >= self._floor(), done=done)
        if self._deployment.get("status") != status:
            self._insider.update({**_unversioned(self._deployment), "status": status}, subresource="status")

    def _floor(self) -> int:
        return self._desired - self._limits()[1]

    def _conditions(self, current: Json | None, *, enough: bool, done: bool) -> list[Json]:
        name = name_of(current) if current else ""
        reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
        available = _condition("Available", holds=enough, reason=reason)
        available["message"] = f"Deployment {'has' if enough else 'does not have'} minimum availability."
        progressing = _condition("Progressing", holds=True, reason="ReplicaSetUpdated")
        progressing["message"] = f'ReplicaSet "{name}" is progressing.'
        if self._paused:
            progressing |= {
                "status": "Unknown",
                "reason": "DeploymentPaused",
                "message": "Deployment is paused",
            }
        elif done:
            progressing["reason"] = "NewReplicaSetAvailable"
            progressing["message"] = f'ReplicaSet "{name}" has successfully progressed.'
        old = {each["type"]: each for each in path(self._deployment, "status", "conditions") or []}
        return [_kept(each, old.get(each["type"])) for each in (available, progressing)]


def _unversioned(value: Json) -> Json:
    """Without ``resourceVersion``: a status is the controller's own, nobody else writes it."""
    metadata = {key: each for key, each in meta(value).items() if key != "resourceVersion"}
    return {**value, "metadata": metadata}


def _share(limit: int | str, replicas: int, *, up: bool) -> int:
    if isinstance(limit, int):
        return limit
    exact = int(limit.removesuffix("%")) * replicas / 100
    return math.ceil(exact) if up else math.floor(exact)


def _condition(kind: str, *, holds: bool, reason: str) -> Json:
    now = stamp(utc_now())
    times = {"lastUpdateTime": now, "lastTransitionTime": now}
    return {"type": kind, "status": str(holds), **times, "reason": reason}


def _kept(new: Json, old: Json | None) -> Json:
    """The old condition's times where nothing but time has passed."""
    if old is None:
        return new
    same = all(old.get(key) == new[key] for key in ("status", "reason", "message"))
    if same:
        return old
    moved = {} if old["status"] != new["status"] else {"lastTransitionTime": old["lastTransitionTime"]}
    return new | moved
