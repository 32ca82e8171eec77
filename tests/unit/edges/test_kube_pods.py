"""Pods, Deployments and DaemonSets: whose they are, what runs in them, why they are not ready."""

import json
from datetime import UTC, datetime

import msgspec
import pytest

from bot.core.mesh import Container
from bot.edges.kube import convert_pods
from bot.edges.kube.wire import POD, PodWire, WorkloadWire

WORKLOAD = msgspec.json.Decoder(WorkloadWire)


def pod(**parts: object) -> PodWire:
    return POD.decode(json.dumps(parts))


OWNERS = {
    "a Deployment's": (
        {
            "labels": {"pod-template-hash": "5d9f"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-5d9f", "controller": True}],
        },
        "Deployment cart",
    ),
    "a bare ReplicaSet's": (
        {"ownerReferences": [{"kind": "ReplicaSet", "name": "cart-5d9f", "controller": True}]},
        "ReplicaSet cart-5d9f",
    ),
    "a StatefulSet's": (
        {"ownerReferences": [{"kind": "StatefulSet", "name": "db", "controller": True}]},
        "StatefulSet db",
    ),
    "nobody's": ({}, ""),
    "somebody's who does not control it": ({"ownerReferences": [{"kind": "Backup", "name": "b"}]}, ""),
}


@pytest.mark.parametrize(("metadata", "name"), OWNERS.values(), ids=OWNERS)
def test_a_pod_is_of_a_workload(metadata: dict[str, object], name: str) -> None:
    assert convert_pods.pod(pod(metadata=metadata)).workload == name


def test_a_native_sidecar_is_a_container_and_a_finished_init_container_is_not() -> None:
    found = pod(
        spec={
            "initContainers": [{"name": "istio-init"}, {"name": "istio-proxy", "restartPolicy": "Always"}],
            "containers": [{"name": "app"}],
        },
        status={
            "initContainerStatuses": [
                {"name": "istio-init", "state": {"running": {"startedAt": "2026-03-01T00:00:00Z"}}},
                {"name": "istio-proxy", "state": {"running": {"startedAt": "2026-02-01T00:00:00Z"}}},
            ],
            "containerStatuses": [
                {"name": "app", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
            ],
        },
    )

    made = convert_pods.pod(found)

    assert made.proxy == Container(name="istio-proxy", image="")
    assert [container.name for container in made.containers] == ["istio-proxy", "app"]
    assert made.started_at == datetime(2026, 1, 1, tzinfo=UTC)  # of what has run longest


PROXIES: dict[str, dict[str, object]] = {
    "a sidecar": {"name": "istio-proxy", "args": ["proxy", "sidecar", "--domain", "x"]},
    "a sidecar whose arguments are somebody's own": {"name": "istio-proxy"},
    "a gateway of the charts of 1.0.0": {"name": "ingressgateway", "args": ["proxy", "router", "-v", "2"]},
    "the old ingress": {"name": "ingress", "args": ["proxy", "ingress", "-v", "2"]},
    "a gateway of somebody's own chart": {
        "name": "edge",
        "command": ["/usr/local/bin/pilot-agent", "proxy", "router"],
    },
}


@pytest.mark.parametrize("container", PROXIES.values(), ids=PROXIES)
def test_a_proxy_is_known_by_its_name_or_by_what_it_runs(container: dict[str, object]) -> None:
    made = convert_pods.pod(pod(spec={"containers": [{"name": "app"}, container]}))

    assert made.proxy is not None
    assert made.proxy.name == container["name"]


NO_PROXIES: dict[str, dict[str, object]] = {
    "named like one": {"containers": [{"name": "istio-proxy2"}]},
    "ended before the pod began": {"initContainers": [{"name": "istio-proxy"}]},
    "a proxy of another kind": {"containers": [{"name": "cache", "args": ["proxy", "--router"]}]},
}


@pytest.mark.parametrize("spec", NO_PROXIES.values(), ids=NO_PROXIES)
def test_a_container_that_is_no_istio_proxy_is_none(spec: dict[str, object]) -> None:
    assert convert_pods.pod(pod(spec=spec)).proxy is None


def test_an_environment_that_comes_from_elsewhere_is_unknown() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "C", "valueFrom": {"fieldRef": {}}}]

    made = convert_pods.pod(pod(spec={"containers": [{"name": "x", "env": env}]}))

    assert made.containers[0].environment == (("A", "1"), ("B", ""), ("C", None))


def test_projected_secrets_are_mounted_secrets_too() -> None:
    volumes = [
        {"secret": {"secretName": "istio.default"}},
        {"projected": {"sources": [{"secret": {"name": "cacerts"}}, {"configMap": {"name": "x"}}]}},
        {"emptyDir": {}},
    ]

    assert convert_pods.pod(pod(spec={"volumes": volumes})).secret_volumes == ("istio.default", "cacerts")


def status(*, phase: str = "Running", state: object = None, last: object = None) -> dict[str, object]:
    each = {"name": "citadel", "state": state, "lastState": last}
    return {"phase": phase, "containerStatuses": [each], "conditions": [{"type": "Ready", "status": "False"}]}


TROUBLES = {
    "crashing": (
        status(
            state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
            last={"terminated": {"exitCode": 255}},
        ),
        "container citadel CrashLoopBackOff, exit code 255: back-off 5m0s",
    ),
    "without its image": (
        status(phase="Pending", state={"waiting": {"reason": "ImagePullBackOff"}}),
        "container citadel ImagePullBackOff",
    ),
    "nowhere to run": (
        {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
            ],
        },
        "Unschedulable: 0/3 nodes",
    ),
    "evicted, and replaced long ago": ({"phase": "Failed", "reason": "Evicted", "message": "no memory"}, ""),
    "running and not ready": (status(state={"running": {}}), "is Running and not ready"),
    "ready": ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, ""),
    "finished": ({"phase": "Succeeded"}, ""),
}


@pytest.mark.parametrize(("found", "reason"), TROUBLES.values(), ids=TROUBLES)
def test_a_pod_says_why_it_is_not_ready(found: dict[str, object], reason: str) -> None:
    assert convert_pods.trouble(pod(status=found)) == reason


def test_a_workload_s_reason_is_its_living_pods_and_not_one_that_was_evicted_long_ago() -> None:
    def of_citadel(name: str, **status: object) -> PodWire:
        owner = {"kind": "ReplicaSet", "name": "istio-citadel-abc", "controller": True}
        labels = {"pod-template-hash": "abc"}
        return pod(metadata={"name": name, "labels": labels, "ownerReferences": [owner]}, status=status)

    found = WORKLOAD.decode(json.dumps({"metadata": {"name": "istio-citadel"}}))
    pods = (of_citadel("old", phase="Failed", reason="Evicted"), of_citadel("new", phase="Pending"))

    made = convert_pods.workload("Deployment", found, autoscaled=frozenset(), pods=pods)

    assert made.trouble == "new: is Pending and not ready"


def test_a_deployment_says_why_it_gets_no_pods() -> None:
    found = WORKLOAD.decode(
        json.dumps(
            {
                "metadata": {"name": "istio-citadel", "generation": 2},
                "spec": {"replicas": 0},
                "status": {
                    "observedGeneration": 1,
                    "conditions": [
                        {
                            "type": "ReplicaFailure",
                            "status": "True",
                            "reason": "FailedCreate",
                            "message": "exceeded quota",
                        }
                    ],
                },
            }
        )
    )

    made = convert_pods.workload("Deployment", found, autoscaled=frozenset(), pods=())

    assert made.trouble == "FailedCreate: exceeded quota"
    assert made.desired == 0
    assert not made.observed


@pytest.mark.parametrize(
    ("strategy", "by_hand"), [("OnDelete", True), ("RollingUpdate", False), (None, False)]
)
def test_a_daemon_set_may_have_to_be_replaced_by_hand(strategy: str | None, *, by_hand: bool) -> None:
    spec = {"updateStrategy": strategy and {"type": strategy}}
    found = WORKLOAD.decode(json.dumps({"spec": spec}))

    made = convert_pods.workload("DaemonSet", found, autoscaled=frozenset(), pods=())

    assert made.replaced_by_hand is by_hand


@pytest.mark.parametrize("paused", [True, False, None])
def test_a_deployment_may_have_its_rollouts_paused(paused: bool | None) -> None:  # noqa: FBT001
    found = WORKLOAD.decode(json.dumps({"spec": {"paused": paused}}))

    made = convert_pods.workload("Deployment", found, autoscaled=frozenset(), pods=())

    assert made.paused is bool(paused)


def test_a_daemon_set_is_counted_by_its_nodes() -> None:
    counts = {
        "desiredNumberScheduled": 4,
        "currentNumberScheduled": 3,
        "updatedNumberScheduled": 2,
        "numberReady": 1,
    }

    made = convert_pods.workload(
        "DaemonSet", WORKLOAD.decode(json.dumps({"status": counts})), autoscaled=frozenset(), pods=()
    )

    assert (made.desired, made.total, made.updated, made.ready) == (4, 3, 2, 1)


def test_a_deployment_without_replicas_wants_one() -> None:
    made = convert_pods.workload("Deployment", WORKLOAD.decode("{}"), autoscaled=frozenset(), pods=())

    assert made.desired == 1
    assert not made.settled
