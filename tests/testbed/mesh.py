"""CitadelMesh: a real Citadel and real Envoys with its certificates, in a TestBed.

After entering it, every ServiceAccount has its secret, the webhooks carry the root, every pod is Ready, and
requests pass from one Envoy to the other over mTLS.
"""

import base64
import itertools
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from tests.testbed import envoys, objects, processes, stand_ins
from tests.testbed.api import Object
from tests.testbed.bed import KUBELET, TestBed
from tests.testbed.envoys import Side
from tests.testbed.node import Factory, Node, Place
from tests.testbed.traffic import Backend, Probe, ask

READY_SECONDS = 120.0  # 15 secrets take 6 s; the rest is for a busy machine
MOUNT_DELAY = 1.0  # seconds; a kubelet takes 60 to 90
CA_SECRET = f"/api/v1/namespaces/{objects.SYSTEM}/secrets/istio-ca-secret"
CITADEL_DEPLOYMENT = f"/apis/apps/v1/namespaces/{objects.SYSTEM}/deployments/istio-citadel"
KEY_AND_CERTIFICATE = "type=istio.io/key-and-cert"


class CitadelMesh:
    """The mesh, as a context manager over a running TestBed.

    `root_lifetime` is the validity of the root that the first Citadel makes (its own default: ten years);
    Citadels after it find that root and keep it. `mount_delay`: how late a changed secret shows in a pod.
    """

    def __init__(
        self, bed: TestBed, *, root_lifetime: timedelta | None = None, mount_delay: float = MOUNT_DELAY
    ) -> None:
        self.bed = bed
        self.start_seconds = 0.0
        self._api = bed.api()
        self._root_lifetime = root_lifetime
        self._citadels = itertools.count()
        self.client_port, self._server_port, self._backend_port, self._pilot_port = processes.free_ports(4)
        self._backend = Backend(self._backend_port)
        self._tools = stand_ins.Tools(api=bed.api(KUBELET), binaries=bed.binaries, logs=bed.logs)
        self._node = Node(
            self._tools.api,
            directory=bed.data / "pods",
            log=bed.logs / "node.log",
            factories=self._factories(),
            mount_delay=mount_delay,
        )

    def __enter__(self) -> Self:
        started = time.monotonic()
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        self.start_seconds = time.monotonic() - started
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    # What a test asks of it

    def probe(self, *, rate: float = 50.0) -> Probe:
        """Make a client that asks through both Envoys, `rate` times a second, each with a full handshake."""
        return Probe(self.client_port, rate=rate)

    def ca_secret(self) -> Object:
        """Give `istio-ca-secret` as the administrator sees it."""
        return self._api.get(CA_SECRET)

    def root(self) -> bytes:
        """Give the PEM of the root that the CA secret has now."""
        return base64.b64decode(self.ca_secret()["data"]["ca-cert.pem"])

    def workload_roots(self) -> dict[str, bytes]:
        """Give `root-cert.pem` of every workload secret, by namespace/name."""
        return {
            f"{secret['metadata']['namespace']}/{secret['metadata']['name']}": base64.b64decode(
                secret["data"].get("root-cert.pem", "")
            )
            for secret in self._api.list("/api/v1/secrets", fieldSelector=KEY_AND_CERTIFICATE)
        }

    def workload_leaf(self, name: str) -> bytes:
        """Give the first certificate of `cert-chain.pem` of a workload secret (namespace/name)."""
        namespace, _, secret = name.partition("/")
        data = self._api.get(f"/api/v1/namespaces/{namespace}/secrets/{secret}")["data"]
        return base64.b64decode(data["cert-chain.pem"])

    def expected_secrets(self) -> set[str]:
        """Name the workload secrets that must be there: one per ServiceAccount of any namespace."""
        return {
            f"{account['metadata']['namespace']}/istio.{account['metadata']['name']}"
            for account in self._api.list("/api/v1/serviceaccounts")
        }

    def pods(self, app: str, *, namespace: str) -> list[Object]:
        """Give the pods of that label `app` that are not being deleted."""
        found = self._api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"app={app}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def proxies(self) -> tuple[tuple[str, str], ...]:
        """Name the pods (namespace, name) that have a real Envoy as their istio-proxy."""
        where = (("default", "sleep"), ("default", "httpbin"), (objects.SYSTEM, "pilot"))
        return tuple(
            (namespace, str(pod["metadata"]["name"]))
            for namespace, app in where
            for pod in self.pods(app, namespace=namespace)
        )

    def all_ready(self) -> bool:
        """Whether every Deployment has rolled out completely."""
        return all(_rolled_out(each) for each in self._api.list("/apis/apps/v1/deployments"))

    def citadel_ready(self) -> bool:
        """Whether Citadel's Deployment has rolled out and its pods say the same (its status comes later)."""
        deployment = self._api.get(CITADEL_DEPLOYMENT)
        found = self._api.list(f"/api/v1/namespaces/{objects.SYSTEM}/pods", labelSelector="istio=citadel")
        wanted = deployment["spec"]["replicas"]
        return _rolled_out(deployment) and len(found) == wanted and all(_ready(pod) for pod in found)

    # Starting

    def _factories(self) -> dict[str, Factory]:
        client = envoys.spiffe_id("default", objects.CLIENT)
        server = envoys.spiffe_id("default", objects.SERVER)
        sides = {
            objects.CLIENT: Side(
                listens=self.client_port, sends=self._server_port, peer=server, mutual_tls_in=False
            ),
            objects.SERVER: Side(
                listens=self._server_port, sends=self._backend_port, peer=client, mutual_tls_in=True
            ),
            # nobody calls pilot's; it is there to be asked which root it has loaded
            objects.PILOT: Side(
                listens=self._pilot_port, sends=self._backend_port, peer=client, mutual_tls_in=True
            ),
        }
        return {
            objects.CITADEL: self._citadel,
            objects.GALLEY: self._owner(objects.GALLEY_WEBHOOK),
            objects.INJECTOR: self._owner(objects.INJECTOR_WEBHOOK),
            **{name: self._envoy(side) for name, side in sides.items()},
        }

    def _citadel(self, place: Place) -> stand_ins.Citadel:
        environment = {}
        if next(self._citadels) == 0 and self._root_lifetime is not None:
            seconds = int(self._root_lifetime.total_seconds())
            environment["CITADEL_SELF_SIGNED_CA_CERT_TTL"] = f"{seconds}s"
        kubeconfig = self.bed.kubeconfig_for(objects.SYSTEM, objects.CITADEL_ACCOUNT)
        return stand_ins.Citadel(self._tools, place, kubeconfig=kubeconfig, environment=environment)

    def _envoy(self, side: Side) -> Factory:
        return lambda place: stand_ins.Envoy(self._tools, place, side)

    def _owner(self, configuration: str) -> Factory:
        return lambda place: stand_ins.WebhookOwner(self._tools, place, configuration)

    def _start(self) -> None:
        stand_ins.write_pilot_agent(self.bed.exec_directory)
        self._backend.start()
        for item in (*objects.kinds(), *objects.foundations()):
            self._api.ensure(item)
        for item in objects.policies():
            self._ensure_when_served(item)
        self._node.start()
        for item in objects.deployments():
            self._api.ensure(item)
        steps = {
            "every ServiceAccount has its secret": self._all_issued,
            "every pod is ready": self.all_ready,
            "requests pass over mTLS": lambda: ask(self.client_port) is None,
        }
        for what, question in steps.items():
            processes.wait_until(what, question, seconds=READY_SECONDS)

    def _ensure_when_served(self, item: Object) -> None:
        def done() -> bool:
            self._api.ensure(item)
            return True

        processes.wait_until(f"{item['kind']} is served", done, seconds=READY_SECONDS)

    def _all_issued(self) -> bool:
        return self.expected_secrets() <= self.workload_roots().keys()

    def _end(self) -> None:
        self._node.stop()
        self._backend.stop()


def _rolled_out(deployment: Object) -> bool:
    """Whether the controller has seen this generation and all its pods are new and ready."""
    wanted, status = deployment["spec"]["replicas"], deployment.get("status", {})
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas"))
    return seen and all(count == wanted for count in counts)


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return is_ready and "deletionTimestamp" not in pod["metadata"]
