"""What a Kubernetes cluster does with workloads: rollouts by annotation, exec and port-forward."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import stream
from kubernetes.client.exceptions import ApiException

from tests.contract.cluster_sides import MERGE, STRATEGIC, Side

PATIENCE = 30.0  # seconds; a real deployment controller needs a few
ASK_CERTS = ["pilot-agent", "request", "GET", "certs"]


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.example/main:1"}]},
            },
        },
    }


def settled(found: Any) -> bool:
    status = found.status
    counts = (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas)
    return status.observed_generation == found.metadata.generation and counts == (2, 2, 2, 2)


def restart(stamp: str) -> dict[str, Any]:
    annotations = {"kubectl.kubernetes.io/restartedAt": stamp}
    return {"spec": {"template": {"metadata": {"annotations": annotations}}}}


def pods_of(side: Side, name: str) -> dict[str, bool]:
    """UID to readiness."""
    found = side.core.list_namespaced_pod(side.namespace, label_selector=f"app={name}").items
    return {
        each.metadata.uid: any(
            one.type == "Ready" and one.status == "True" for one in each.status.conditions or []
        )
        for each in found
        if each.metadata.deletion_timestamp is None
    }


@pytest.mark.parametrize("kind", [MERGE, STRATEGIC])
def test_an_annotation_of_the_template_replaces_every_pod_and_never_lacks_one(side: Side, kind: str) -> None:
    apps = side.api("AppsV1Api")
    name = "rolled-merge" if kind == MERGE else "rolled-strategic"
    made = apps.create_namespaced_deployment(side.namespace, deployment(name))
    eventually(lambda: settled(apps.read_namespaced_deployment(name, side.namespace)))
    old = set(pods_of(side, name))
    ready: list[int] = []

    def replaced() -> bool:
        ready.append(sum(pods_of(side, name).values()))
        found = apps.read_namespaced_deployment(name, side.namespace)
        return settled(found) and not old & set(pods_of(side, name))

    patched = apps.patch_namespaced_deployment(name, side.namespace, restart("now"), _content_type=kind)
    eventually(replaced)

    assert patched.metadata.generation == made.metadata.generation + 1
    assert min(ready) >= 2
    after = apps.read_namespaced_deployment(name, side.namespace)
    progressing = next(each for each in after.status.conditions if each.type == "Progressing")
    assert (progressing.status, progressing.reason) == ("True", "NewReplicaSetAvailable")


def test_while_rollouts_are_paused_a_changed_template_reaches_no_pod(side: Side) -> None:
    apps = side.api("AppsV1Api")
    name = "paused"
    apps.create_namespaced_deployment(side.namespace, deployment(name))
    eventually(lambda: settled(apps.read_namespaced_deployment(name, side.namespace)))
    old = set(pods_of(side, name))

    def left_as_it_is() -> bool:
        status = apps.read_namespaced_deployment(name, side.namespace).status
        told = {(each.type, each.status, each.reason) for each in status.conditions}
        counts = (status.replicas, status.updated_replicas, status.ready_replicas)
        seen = bool(status.observed_generation == patched.metadata.generation)
        return seen and counts == (2, None, 2) and ("Progressing", "Unknown", "DeploymentPaused") in told

    body = restart("now")
    body["spec"]["paused"] = True
    patched = apps.patch_namespaced_deployment(name, side.namespace, body, _content_type=MERGE)
    eventually(left_as_it_is)
    assert set(pods_of(side, name)) == old

    apps.patch_namespaced_deployment(name, side.namespace, {"spec": {"paused": False}}, _content_type=MERGE)
    eventually(
        lambda: (
            settled(apps.read_namespaced_deployment(name, side.namespace))
            and not old & set(pods_of(side, name))
        )
    )


def test_a_deleted_pod_of_a_deployment_is_replaced(side: Side) -> None:
    apps = side.api("AppsV1Api")
    apps.create_namespaced_deployment(side.namespace, deployment("replaced"))
    eventually(lambda: settled(apps.read_namespaced_deployment("replaced", side.namespace)))
    listed = side.core.list_namespaced_pod(side.namespace, label_selector="app=replaced").items
    gone = listed[0].metadata

    side.core.delete_namespaced_pod(gone.name, side.namespace)

    eventually(lambda: gone.uid not in pods_of(side, "replaced") and len(pods_of(side, "replaced")) == 2)
    eventually(lambda: settled(apps.read_namespaced_deployment("replaced", side.namespace)))


def run(side: Side, command: list[str], *, container: str = "istio-proxy") -> Any:
    namespace, name = side.proxy
    socket = stream.stream(
        side.core.connect_get_namespaced_pod_exec,
        name,
        namespace,
        container=container,
        command=command,
        stdin=False,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
    )
    socket.run_forever(timeout=10)
    socket.sock.shutdown()  # the client's close() does nothing once the server has closed
    return socket


def test_exec_gives_what_the_command_wrote_and_that_it_succeeded(side: Side) -> None:
    socket = run(side, ASK_CERTS)

    answer = json.loads(socket.read_stdout())
    assert set(answer) == {"certificates"}
    assert socket.returncode == 0


def test_exec_in_a_container_that_the_pod_has_not_is_refused_before_the_upgrade(side: Side) -> None:
    with pytest.raises(ApiException) as caught:
        run(side, ASK_CERTS, container="other")

    assert "400 Bad Request" in caught.value.reason
    assert f"container other is not valid for pod {side.proxy[1]}" in caught.value.reason


def test_exec_in_a_pod_that_is_not_there_is_not_found(side: Side) -> None:
    with pytest.raises(ApiException) as caught:
        stream.stream(
            side.core.connect_get_namespaced_pod_exec,
            "nothing",
            side.namespace,
            command=ASK_CERTS,
            stdout=True,
        )

    assert "404 Not Found" in caught.value.reason
    assert 'pods \\"nothing\\" not found' in caught.value.reason


def test_exec_is_forbidden_to_whom_it_is_not_given(side: Side) -> None:
    namespace, name = side.proxy

    with pytest.raises(ApiException) as caught:
        stream.stream(
            side.api("CoreV1Api", limited=True).connect_get_namespaced_pod_exec,
            name,
            namespace,
            container="istio-proxy",
            command=ASK_CERTS,
            stdout=True,
        )

    assert "403 Forbidden" in caught.value.reason
    assert "pods/exec" in caught.value.reason


def test_a_forwarded_port_answers_http(side: Side) -> None:
    namespace, name = side.proxy
    forward = stream.portforward(
        side.core.connect_get_namespaced_pod_portforward, name, namespace, ports="15000"
    )
    connection = http.client.HTTPConnection("127.0.0.1", timeout=10)
    connection.sock = forward.socket(15000)

    connection.request("GET", "/certs")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    forward.close()

    assert answer.status == 200
    assert int(answer.headers["content-length"]) > 0
    assert set(body) == {"certificates"}


def test_a_port_on_which_nobody_listens_tells_so_on_its_error_channel(side: Side) -> None:
    namespace, name = side.proxy
    forward = stream.portforward(side.core.connect_get_namespaced_pod_portforward, name, namespace, ports="1")
    socket = forward.socket(1)
    socket.settimeout(10)

    received = socket.recv(1)
    forward.close()

    assert received == b""
    eventually(lambda: forward.error(1) is not None)
    assert "forwarding port 1" in forward.error(1)
