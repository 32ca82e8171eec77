"""Asks the mesh's own processes what they hold, past everything of the bot's."""

import contextlib
import http.client
import json
import ssl
from typing import Any

from kubernetes import client, config, stream

from tests.testbed.mesh import CitadelMesh


def _core(mesh: CitadelMesh) -> client.CoreV1Api:
    configuration = client.Configuration()
    config.load_kube_config(  # type: ignore[no-untyped-call]
        config_file=str(mesh.bed.kubeconfig), client_configuration=configuration
    )
    return client.CoreV1Api(client.ApiClient(configuration))


def certificates_by_exec(mesh: CitadelMesh, namespace: str, pod: str) -> dict[str, Any]:
    """What `pilot-agent request GET certs` says in a pod's proxy."""
    answer = stream.stream(
        _core(mesh).connect_get_namespaced_pod_exec,
        pod,
        namespace,
        container="istio-proxy",
        command=["pilot-agent", "request", "GET", "certs"],
        stdout=True,
        stderr=True,
        stdin=False,
        tty=False,
        _preload_content=False,
    )
    try:
        answer.run_forever(timeout=20)
        assert answer.returncode == 0, answer.read_stderr()
        parsed: dict[str, Any] = json.loads(answer.read_stdout())
    finally:
        answer.sock.shutdown()  # close() does nothing once the server has closed, and the socket stays open
    return parsed


def served(mesh: CitadelMesh, namespace: str, pod: str) -> bytes:
    """The certificate in DER that a pod's port 443 shows, without judging it."""
    forward = stream.portforward(
        _core(mesh).connect_get_namespaced_pod_portforward, pod, namespace, ports="443"
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    # 1.3 sends tickets after the handshake; unread, they make the client's thread fail at the end
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    through = forward.socket(443)
    through.settimeout(10)
    with context.wrap_socket(through, server_hostname="webhook") as connection:
        return connection.getpeercert(binary_form=True) or b""


def certificates_by_port_forward(mesh: CitadelMesh, namespace: str, pod: str) -> dict[str, Any]:
    """Read by the answer's own framing (Envoy sends chunks): the end of the connection is never told."""
    forward = stream.portforward(
        _core(mesh).connect_get_namespaced_pod_portforward, pod, namespace, ports="15000"
    )
    connection = http.client.HTTPConnection("127.0.0.1")
    connection.sock = forward.socket(15000)
    connection.sock.settimeout(10)
    connection.request("GET", "/certs")
    with contextlib.closing(connection):
        parsed: dict[str, Any] = json.loads(connection.getresponse().read())
    return parsed


def loaded_roots(mesh: CitadelMesh) -> dict[str, set[tuple[int, str]]]:
    """By pod, every root that its Envoy has loaded: serial and `valid_from` (RFC 3339)."""
    return {
        f"{namespace}/{pod}": {
            (int(root["serial_number"], 16), root["valid_from"])
            for context in certificates_by_exec(mesh, namespace, pod)["certificates"]
            for root in context["ca_cert"]
        }
        for namespace, pod in mesh.proxies()
    }
