"""The applications of a scene: a Deployment with a sidecar per service account, and pods that are odd."""

from typing import TYPE_CHECKING

from bot.sandbox.cluster import podstatus, workloads
from bot.sandbox.cluster.mesh import namespace
from bot.sandbox.cluster.objects import Json, stamp
from bot.sandbox.cluster.stage import PODS_AGE, Stage, container, secret_volume, sidecar, template
from bot.sandbox.cluster.workloads import secret_name

if TYPE_CHECKING:
    from bot.sandbox.cluster.scene import Scene

_BULK_NAMESPACE = 100  # accounts in each namespace of a large mesh
_BULK_LEAVES = 200  # different leaves of a large mesh; further accounts share them, for signing takes time


def furnish(stage: Stage, scene: "Scene") -> None:
    """Everything outside the control plane."""
    for name, accounts in scene.accounts:
        labels = {"istio-injection": "enabled"}
        if name in scene.unmanaged:
            labels["ca.istio.io/override"] = "false"
        namespace(stage, name, labels)
        for account in ("default", *accounts):
            stage.account(name, account)
            stage.issue(name, account)
        for account in accounts:
            _workload(stage, scene, name, account)
    for stray in scene.strays:
        _stray(stage, scene, str(stray))
    _bulk(stage, scene)


def _workload(stage: Stage, scene: "Scene", home: str, account: str) -> None:
    version = scene.proxy_versions.get(f"{home}/{account}", scene.proxy_version)
    labels = {"app": account, "version": "v1"}
    made = template(
        labels,
        account=account,
        containers=[container(account, f"registry.example/{home}/{account}:1.0"), sidecar(version)],
        volumes=[secret_volume("istio-certs", secret_name(account))],
    )
    made["metadata"]["annotations"] = {"sidecar.istio.io/status": '{"version":"sandbox"}'}
    stage.deployment(account, namespace=home, replicas=1, template=made, labels=labels)


def _stray(stage: Stage, scene: "Scene", kind: str) -> None:
    """A pod without a ReplicaSet, which nothing runs or replaces."""
    home = scene.accounts[0][0]
    containers = [container("main", "registry.example/tools/main:1.0")]
    if kind not in ("plain", "redis"):
        containers.append(sidecar(scene.proxy_version))
    if kind == "redis":
        containers.append(container("istio-proxy2", "registry.example/tools/redis:7"))
    made = template({"app": kind}, account="default", containers=containers)
    pod = stage.pod(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"stray-{kind}", "namespace": home, "labels": {"app": kind}},
            "spec": made["spec"],
        }
    )
    since = stamp(stage.now - PODS_AGE)
    if kind == "completed":
        pod["status"] = podstatus.completed(pod, since=since)
    elif kind == "host-network":
        pod["spec"]["hostNetwork"] = True
    elif kind == "crashing":
        pod["status"] = podstatus.crashed(pod, "exit status 1", restarts=41)
    elif kind == "pending":
        del pod["spec"]["nodeName"]
        pod["status"] = {"phase": "Pending", "conditions": [_unscheduled(since)]}


def _unscheduled(since: str) -> Json:
    text = "0/3 nodes are available: 3 Insufficient memory."
    why = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    return {**why, "lastProbeTime": None, "lastTransitionTime": since}


def _bulk(stage: Stage, scene: "Scene") -> None:
    """A large mesh, cheaply: real secrets, of which many share leaf and key."""
    leaves: list[dict[str, str]] = []
    for number in range(scene.bulk_accounts):
        home, account = f"bulk-{number // _BULK_NAMESPACE:03}", f"worker-{number:05}"
        if number % _BULK_NAMESPACE == 0:
            namespace(stage, home)
        if len(leaves) < _BULK_LEAVES:
            leaves.append(stage.certified(home, account))
        stage.account(home, account)
        stage.put(workloads.secret(home, account, leaves[number % _BULK_LEAVES]))
        if scene.bulk_pods:
            _bulk_pod(stage, scene, home, account)


def _bulk_pod(stage: Stage, scene: "Scene", home: str, account: str) -> None:
    volumes = [secret_volume("istio-certs", secret_name(account))]
    spec = template({}, account=account, containers=[sidecar(scene.proxy_version)], volumes=volumes)["spec"]
    phantom: Json = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": f"{account}-0", "uid": account},
    }
    metadata = {"generateName": f"{account}-0-", "namespace": home, "labels": {"app": account}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    stage.pod(pod, owner_of=phantom)
