"""TestBed: a real Kubernetes control plane on 127.0.0.1, without containers.

etcd, kube-apiserver, kube-controller-manager, and kwok in the place of nodes and kubelets. The order, the
flags and the reasons were found by trial; a change of either needs the self-check in tests/real.
"""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.testbed import audit, build, keys, processes
from tests.testbed.api import Api, Object
from tests.testbed.processes import Process

START_SECONDS = 90.0  # on a busy machine; 10 s is usual
KUBECTL_SECONDS = 60.0
TOKEN_LIFE = "24h"
NODE = "worker-1"
ADMIN, KUBELET = "testbed-admin", "testbed-kubelet"  # two users, so that the audit log tells them apart
ISSUER = "https://kubernetes.default.svc"
CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "daemonset-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "namespace-controller",
    "garbage-collector-controller",
)
# Only what kwok is told per pod: node.py writes one of each when a pod that stands for an Envoy starts.
KWOK_KINDS = {"Exec": "execs", "PortForward": "portforwards"}
CONFIGURATION = Path(__file__).parent / "kwok.yaml"


class TestBed:
    """A running control plane, as a context manager.

    With a directory, logs stay there afterwards (the rest, keys among it, is removed); without one
    everything is in a temporary directory and goes.
    """

    __test__ = False  # pytest collects classes named Test*

    def __init__(
        self, directory: Path | None = None, *, binaries: Path | None = None, alone: bool = False
    ) -> None:
        """`alone`: etcd and the API server only, for what is asked of objects and of nobody who acts on them."""
        self._given = directory
        self._binaries = binaries
        self._alone = alone
        self._processes: list[Process] = []
        self._tokens = {ADMIN: keys.token(), KUBELET: keys.token()}
        self._kubeconfigs: dict[tuple[str, str], Path] = {}
        self.start_seconds = 0.0

    def __enter__(self) -> Self:
        started = time.monotonic()
        self._prepare()
        try:
            self._start_all()
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

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of the administrator (group system:masters)."""
        return self.data / "admin.kubeconfig"

    def kubectl(self, *arguments: str, stdin: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run the real kubectl as the administrator (or who the kubeconfig says) and give its output."""
        command = [str(self.binaries / "kubectl"), "--kubeconfig", str(kubeconfig or self.kubeconfig)]
        done = subprocess.run(
            [*command, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=KUBECTL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def token(self, namespace: str, service_account: str) -> str:
        """Make a token of that ServiceAccount, as the API server issues it."""
        arguments = ("create", "token", service_account, "--namespace", namespace, "--duration", TOKEN_LIFE)
        return self.kubectl(*arguments).strip()

    def kubeconfig_for(self, namespace: str, service_account: str) -> Path:
        """Write (once) a kubeconfig that acts as that ServiceAccount, with nothing but its RBAC."""
        key = (namespace, service_account)
        if key not in self._kubeconfigs:
            path = self.data / f"{namespace}.{service_account}.kubeconfig"
            self._write_kubeconfig(path, service_account, self.token(namespace, service_account))
            self._kubeconfigs[key] = path
        return self._kubeconfigs[key]

    def api(self, user: str = ADMIN) -> Api:
        """Give the test bed's own small client, as ADMIN or KUBELET."""
        return Api(server=self.server, certificate=self.server_certificate, token=self._tokens[user])

    def audit_events(self) -> tuple[audit.AuditEvent, ...]:
        """Give every request answered so far; see `audit.AuditEvent`."""
        return audit.read(self.logs / "audit.log")

    def memory(self) -> dict[str, float]:
        """Give the resident MiB of each process by name."""
        return {process.name: process.resident_mebibytes() for process in self._processes}

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    @property
    def server_certificate(self) -> Path:
        return self.data / "apiserver" / "apiserver.crt"

    # Starting

    def _prepare(self) -> None:
        self.binaries = self._binaries or build.build()
        if self._given is None:
            self.directory = Path(tempfile.mkdtemp(prefix="rootkeeper-testbed-"))
        else:
            self.directory = self._given
        self.logs, self.data = self.directory / "logs", self.directory / "data"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700)
        keys.write_service_account_key(self.data / "service-account.key")
        keys.write_serving_pair(self.data / "kubelet.crt", self.data / "kubelet.key")
        users = (f'{token},{user},{user},"system:masters"\n' for user, token in self._tokens.items())
        (self.data / "tokens.csv").write_text("".join(users))
        (self.data / "audit-policy.json").write_text(json.dumps(audit.POLICY))

    def _start_all(self) -> None:
        etcd, self._port, self._kubelet_port = self._start_etcd(), *processes.free_ports(2)
        self._start_api_server(etcd)
        for user, path in ((ADMIN, self.kubeconfig), (KUBELET, self.data / "kubelet.kubeconfig")):
            self._write_kubeconfig(path, user, self._tokens[user])
        if self._alone:
            return
        self._start_controller_manager()
        self._start_kwok()
        ready = processes.wait_until
        ready("the default ServiceAccount exists", self._has_service_account, seconds=START_SECONDS)
        ready("the node is ready", self._has_node, seconds=START_SECONDS)

    def _start_etcd(self) -> str:
        client, peer = (f"http://127.0.0.1:{port}" for port in processes.free_ports(2))
        self._run(
            "etcd",
            *("--data-dir", self.data / "etcd", "--unsafe-no-fsync", "--log-level", "warn"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
        )
        return client

    def _start_api_server(self, etcd: str) -> None:
        key = self.data / "service-account.key"
        server = self._run(
            "kube-apiserver",
            *("--etcd-servers", etcd, "--cert-dir", self.data / "apiserver"),
            *("--bind-address", "127.0.0.1", "--secure-port", str(self._port)),
            *("--endpoint-reconciler-type", "none", "--service-cluster-ip-range", "10.96.0.0/16"),
            *("--authorization-mode", "RBAC", "--token-auth-file", self.data / "tokens.csv"),
            *("--service-account-issuer", ISSUER, "--service-account-key-file", key),
            *("--service-account-signing-key-file", key),
            *("--kubelet-preferred-address-types", "InternalIP"),
            *("--audit-policy-file", self.data / "audit-policy.json"),
            *("--audit-log-path", self.logs / "audit.log"),
        )
        what = "the API server is ready"
        processes.wait_until(what, self._api_answers, seconds=START_SECONDS, of=server)

    def _api_answers(self) -> bool:
        return self.server_certificate.exists() and self.api().healthy()

    def _start_controller_manager(self) -> None:
        (secure,) = processes.free_ports(1)
        self._run(
            "kube-controller-manager",
            *("--kubeconfig", self.kubeconfig, "--leader-elect=false"),
            *("--service-account-private-key-file", self.data / "service-account.key"),
            *("--root-ca-file", self.server_certificate),
            *("--bind-address", "127.0.0.1", "--secure-port", str(secure)),
            *("--cert-dir", self.data / "controller-manager"),
            *("--controllers", ",".join(CONTROLLERS)),
        )

    def _start_kwok(self) -> None:
        api = self.api()
        for kind, plural in KWOK_KINDS.items():
            api.create(custom_kind("kwok.x-k8s.io", kind, plural, version="v1alpha1"))
        served = self._kwok_kinds_served
        processes.wait_until("the API server serves kwok's kinds", served, seconds=START_SECONDS)
        api.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        path = f"{self.exec_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self.exec_directory.mkdir()
        self._run(
            "kwok",
            *("--kubeconfig", self.kubeconfig, "--config", CONFIGURATION, "--manage-all-nodes=true"),
            *("--enable-crds", ",".join(KWOK_KINDS)),
            *("--node-ip", "127.0.0.1", "--node-name", "localhost", "--node-port", str(self._kubelet_port)),
            *("--server-address", f"127.0.0.1:{self._kubelet_port}"),
            *("--tls-cert-file", self.data / "kubelet.crt"),
            *("--tls-private-key-file", self.data / "kubelet.key"),
            environment={"PATH": path},
        )

    @property
    def exec_directory(self) -> Path:
        """Commands put here are found by `exec` into the pods of this test bed."""
        return self.data / "exec"

    def _kwok_kinds_served(self) -> bool:
        return all(
            self.api().list(f"/apis/kwok.x-k8s.io/v1alpha1/{plural}") == [] for plural in KWOK_KINDS.values()
        )

    def _has_service_account(self) -> bool:
        return bool(self.api().get("/api/v1/namespaces/default/serviceaccounts/default"))

    def _has_node(self) -> bool:
        status = self.api().get(f"/api/v1/nodes/{NODE}")["status"]
        return any(
            each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", [])
        )

    def _run(
        self, name: str, *arguments: str | Path, environment: Mapping[str, str] | None = None
    ) -> Process:
        command = [self.binaries / name, *arguments]
        process = processes.start(name, command, logs=self.logs, environment=environment)
        self._processes.append(process)
        return process

    def _write_kubeconfig(self, path: Path, user: str, token: str) -> None:
        cluster = {"server": self.server, "certificate-authority": str(self.server_certificate)}
        context = {"cluster": "testbed", "user": user}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "testbed", "context": context}],
            "current-context": "testbed",
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1))

    # Ending

    def _end(self) -> None:
        while self._processes:
            self._processes.pop().kill()  # nothing here is to be kept, so nothing needs to be asked
        shutil.rmtree(self.data, ignore_errors=True)
        if self._given is None:
            shutil.rmtree(self.directory, ignore_errors=True)


def custom_kind(group: str, kind: str, plural: str, *, version: str, namespaced: bool = True) -> Object:
    """Give a CustomResourceDefinition that accepts any content: the bed tests readers, not schemas."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": names,
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [served],
        },
    }
