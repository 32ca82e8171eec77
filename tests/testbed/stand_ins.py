"""What runs for a pod: the real Citadel, a real Envoy, or the two things galley and the injector do here."""

import base64
import contextlib
import http.client
import itertools
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import envoys, processes
from tests.testbed.api import Api, Object, path_of
from tests.testbed.node import Place
from tests.testbed.processes import Process
from tests.testbed.serving import TlsListener

ADMIN_PORT = 15000  # where a sidecar's Envoy has its admin interface, seen from its pod
WEBHOOK_PORT = 443  # where galley and the injector listen in the charts
PROXY = "istio-proxy"
_START = itertools.count(1)

# `pilot-agent request`, as pilot/pkg/request/command.go of Istio 1.5.10 does it: the body and a newline on
# success, an error for a status above 399 other than 404. The port comes from the pod's Exec object.
PILOT_AGENT = """#!{python} -IS
import http.client, os, sys
if len(sys.argv) < 4 or sys.argv[1] != "request":
    sys.exit("usage: pilot-agent request <method> <path> [<body>]")
connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["ENVOY_ADMIN_PORT"]), timeout=60)
connection.request(sys.argv[2], "/" + sys.argv[3].lstrip("/"), sys.argv[4] if len(sys.argv) > 4 else None)
answer = connection.getresponse()
body = answer.read().decode()
if answer.status > 399 and answer.status != 404:
    sys.exit(f"Error: received unsuccessful status code {{answer.status}}: {{body}}")
print(body)
"""


def write_pilot_agent(directory: Path) -> None:
    """Put the stand-in of pilot-agent where `exec` finds it."""
    path = directory / "pilot-agent"
    path.write_text(PILOT_AGENT.format(python=sys.executable))
    path.chmod(0o755)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What stand-ins need of the test bed."""

    api: Api
    binaries: Path
    logs: Path


class Citadel:
    """The real istio_ca, run with the arguments and environment of its container.

    Only what cannot be the same on one machine is set here: ports and the kubeconfig. Its gRPC and monitoring
    ports listen on all addresses; it has no flag for that.
    """

    def __init__(
        self, tools: Tools, place: Place, *, kubeconfig: Path, environment: Mapping[str, str]
    ) -> None:
        self._tools, self._place, self._kubeconfig = tools, place, kubeconfig
        self._environment = environment
        self._process: Process | None = None
        self._port = 0

    def start(self) -> None:
        self._port, monitoring, ctrlz = processes.free_ports(3)
        container = self._place.pod["spec"]["containers"][0]
        theirs = [
            each for each in container["args"] if not each.startswith(("--grpc-port", "--monitoring-port"))
        ]
        ours = [
            f"--grpc-port={self._port}",
            f"--monitoring-port={monitoring}",
            f"--ctrlz_port={ctrlz}",
            f"--kube-config={self._kubeconfig}",
        ]
        variables = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
        self._process = processes.start(
            f"citadel-{next(_START)}",
            [self._tools.binaries / "istio_ca", *theirs, *ours],
            logs=self._tools.logs,
            environment={**variables, **self._environment},
        )

    def alive(self) -> bool:
        return self._process is not None and self._process.alive()

    def ready(self) -> bool:
        return processes.answers(self._port)

    def mounts_changed(self) -> None:
        """Nothing is mounted into a self-signed Citadel."""

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()


class Envoy:
    """A real Envoy for a pod's istio-proxy, reachable by exec and port-forward like in a mesh."""

    def __init__(self, tools: Tools, place: Place, side: envoys.Side) -> None:
        self._tools, self._place, self._side = tools, place, side
        self._process: Process | None = None
        (self._admin,) = processes.free_ports(1)

    def start(self) -> None:
        (mount,) = self._place.mounts.values()
        configuration = envoys.write(
            self._place.directory,
            self._side,
            admin=self._admin,
            name=self._place.name,
            certificates=mount.directory,
        )
        for item in self._doors():
            self._tools.api.ensure(item)
        self._process = processes.start(
            f"envoy-{self._place.name}",
            [
                self._tools.binaries / "envoy",
                "-c",
                configuration,
                "--concurrency",
                "1",
                "--disable-hot-restart",
            ],
            logs=self._tools.logs,
        )

    def alive(self) -> bool:
        return self._process is not None and self._process.alive()

    def ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._admin, timeout=1)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        return False

    def mounts_changed(self) -> None:
        """Envoy watches the directory itself."""

    def stop(self) -> None:
        for item in self._doors():
            with contextlib.suppress(OSError):  # the API server may have ended before us
                self._tools.api.delete(path_of(item))
        if self._process is not None:
            self._process.stop()

    def _doors(self) -> tuple[Object, Object]:
        """Give kwok's two objects for this very pod; they must carry its name."""
        variable = {"name": "ENVOY_ADMIN_PORT", "value": str(self._admin)}
        execs = [{"containers": [PROXY], "local": {"envs": [variable]}}]
        forwards = [{"ports": [ADMIN_PORT], "target": {"port": self._admin, "address": "127.0.0.1"}}]
        return (
            _door(self._place, "Exec", {"execs": execs}),
            _door(self._place, "PortForward", {"forwards": forwards}),
        )


def _door(place: Place, kind: str, spec: Object) -> Object:
    """Give kwok's object that leads into a pod."""
    metadata = {"name": place.name, "namespace": place.namespace}
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


class WebhookOwner:
    """Galley's and the injector's part: the mounted root is their webhooks' caBundle, the mounted leaf is served.

    Both are loaded again when they change, as in 1.5.10.
    """

    def __init__(self, tools: Tools, place: Place, configuration: str) -> None:
        self._tools, self._place = tools, place
        self._listener = TlsListener()
        self._path = f"/apis/admissionregistration.k8s.io/v1/{configuration}"
        self._patched = False

    def start(self) -> None:
        self._tools.api.ensure(self._forward())
        self._listener.start()
        self.mounts_changed()

    def _forward(self) -> Object:
        target = {"port": self._listener.port, "address": "127.0.0.1"}
        return _door(self._place, "PortForward", {"forwards": [{"ports": [WEBHOOK_PORT], "target": target}]})

    def alive(self) -> bool:
        return True

    def ready(self) -> bool:
        return self._patched

    def mounts_changed(self) -> None:
        (mount,) = self._place.mounts.values()
        self._listener.load(mount.directory)
        bundle = base64.b64encode(mount.read("root-cert.pem")).decode()
        configuration = self._tools.api.get(self._path)
        for webhook in configuration["webhooks"]:
            webhook["clientConfig"]["caBundle"] = bundle
        self._tools.api.replace(self._path, configuration)
        self._patched = True

    def stop(self) -> None:
        """End serving; the configuration keeps its last bundle, as it does in a mesh."""
        self._listener.stop()
        with contextlib.suppress(OSError):  # the API server may have ended before us
            self._tools.api.delete(path_of(self._forward()))
