"""The real API server for the contract suites: a side to ask as a user, a bench with the real edge on it.

There is nothing behind that server: no controller, no kubelet. So a bench has only what the writer and the
look at the CA secret need; what proxies and webhooks show is for the mesh of this layer.
"""

import base64
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client

from bot.core.names import BACKUP_SECRET, CA_SECRET
from bot.edges.kube import connection
from bot.edges.kube.client import KubeClient
from bot.edges.kube.targets import SECRETS
from tests.contract.cluster_benches import CITADEL, SYSTEM, KubeBench
from tests.contract.cluster_sides import Side, connect
from tests.fakes.certificates import a_key, key_pem, root_pem
from tests.fakes.mesh import PRIVATE_KEY, ROOT_KEY
from tests.testbed import objects, processes
from tests.testbed.api import Api, Object, path_of
from tests.testbed.bed import TestBed

MANIFESTS = Path(__file__).parents[2] / "manifests" / "base"
ROLE = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{SYSTEM}/roles/rootkeeper-rotate"
PATIENCE = 20.0
"""Seconds until the API server's own view of its roles has followed."""

_numbers = itertools.count(1)


def real_side(bed: TestBed) -> Iterator[Side]:
    """A namespace of its own, somebody with few rights, and a pod that nobody runs."""
    namespace = f"contract-{next(_numbers)}"
    admin = connect(bed.kubeconfig)
    core: Any = client.CoreV1Api(admin)
    core.create_namespace({"metadata": {"name": namespace}})
    for name in ("limited", "default"):
        core.create_namespaced_service_account(namespace, {"metadata": {"name": name}})
    _allow_a_little(client.RbacAuthorizationV1Api(admin), namespace)
    _put_pod(core, namespace)
    limited = connect(bed.kubeconfig_for(namespace, "limited"))
    _wait_for_rights(client.CoreV1Api(limited), namespace)
    yield Side(
        admin=admin,
        limited=limited,
        limited_user=f"system:serviceaccount:{namespace}:limited",
        namespace=namespace,
        proxy=(namespace, "proxy"),
    )
    for each in (admin, limited):
        each.rest_client.pool_manager.clear()


def _allow_a_little(rbac: Any, namespace: str) -> None:
    """What `cluster_sides.LIMITED_RULES` say, as a Role."""
    verbs = ["get", "list"]
    rules = [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs},
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["allowed"], "verbs": verbs},
    ]
    rbac.create_namespaced_role(namespace, {"metadata": {"name": "limited"}, "rules": rules})
    binding = {
        "metadata": {"name": "limited"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "limited"},
        "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": namespace}],
    }
    rbac.create_namespaced_role_binding(namespace, binding)


def _put_pod(core: Any, namespace: str) -> None:
    spec = {
        "nodeName": "nobody",
        "containers": [{"name": "istio-proxy", "image": "registry.example/proxy:1"}],
    }
    core.create_namespaced_pod(namespace, {"metadata": {"name": "proxy"}, "spec": spec})
    core.patch_namespaced_pod_status("proxy", namespace, {"status": {"phase": "Running"}})


def _wait_for_rights(core: Any, namespace: str) -> None:
    def listed() -> bool:
        try:
            core.list_namespaced_config_map(namespace)
        except client.ApiException:
            return False
        return True

    processes.wait_until("the role counts", listed, seconds=PATIENCE)


class ServerBench(KubeBench):
    """The real edge on the real API server, with the shipped roles."""

    def __init__(self, api: Api, client: KubeClient, admin: KubeClient) -> None:
        super().__init__(client, admin)
        self._api = api

    def remove_ca_secret(self) -> None:
        self._api.delete(_secret_path(CA_SECRET))

    def remove_backup(self) -> None:
        self._api.delete(_secret_path(BACKUP_SECRET))

    def forbid_ca_secret(self) -> None:
        rules = self._api.get(ROLE)["rules"]
        for rule in rules:
            rule["resourceNames"] = [each for each in rule["resourceNames"] if each != CA_SECRET]
        self._api.patch(ROLE, {"rules": rules})
        target = SECRETS.within(SYSTEM).named(CA_SECRET)
        processes.wait_until(
            "the right is gone", lambda: not self.client.may("get", target), seconds=PATIENCE
        )

    def expire_served(self, component: str) -> None:
        raise NotImplementedError(f"nobody runs {component} here")

    def forbid_secrets_in(self, namespace: str) -> None:
        raise NotImplementedError(f"roles allow, and nothing can be taken out of {namespace}")

    def lose_next_answer(self) -> None:
        raise NotImplementedError("a real API server does not do this on order")

    def lose_next_request(self) -> None:
        raise NotImplementedError("a real API server does not do this on order")

    def cut_off(self) -> None:
        raise NotImplementedError("a real API server does not do this on order")


def _secret_path(name: str) -> str:
    return f"/api/v1/namespaces/{SYSTEM}/secrets/{name}"


@contextmanager
def server_bench(bed: TestBed) -> Iterator[ServerBench]:
    """A CA secret, Citadel's Deployment, and what the manifests prepare, all of it new."""
    api = bed.api()
    _furnish(api)
    client = _impatient(bed.kubeconfig_for("rootkeeper", "rootkeeper"))
    admin = _impatient(bed.kubeconfig)
    target = SECRETS.within(SYSTEM).named(CA_SECRET)
    try:
        processes.wait_until("the roles count", lambda: client.may("patch", target), seconds=PATIENCE)
        yield ServerBench(api, client, admin)
    finally:
        client.close()
        admin.close()


def _furnish(api: Api) -> None:
    for name in (SYSTEM, "rootkeeper"):
        api.ensure({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    prepared = [item for name in ("namespace", "look", "mesh") for item in _manifest(name)]
    for item in (*prepared, _ca_secret(), _citadel()):
        if item["kind"] in ("Secret", "Lease", "Deployment", "Role"):
            api.delete(path_of(item))
        api.ensure(item)


def _manifest(name: str) -> list[Object]:
    return list(yaml.safe_load_all((MANIFESTS / f"{name}.yaml").read_text()))


def _ca_secret() -> Object:
    now = datetime.now(UTC).replace(microsecond=0)
    key = a_key()
    root = root_pem(key, not_before=now - timedelta(days=353), not_after=now + timedelta(days=12))
    data = {
        ROOT_KEY: root,
        PRIVATE_KEY: key_pem(key),
        "cert-chain.pem": b"",
        "key.pem": b"",
        "root-cert.pem": b"",
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CA_SECRET, "namespace": SYSTEM},
        "type": "istio.io/ca-root",
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }


def _citadel() -> Object:
    named = (each for each in objects.deployments() if each["metadata"]["name"] == CITADEL.name)
    return next(named)


def _impatient(kubeconfig: Path) -> KubeClient:
    """A client that does not sleep before it tries again."""
    return KubeClient(connection.from_kubeconfig(kubeconfig), sleep=lambda _seconds: None)
