"""The clusters that the contract is held against, and a few words to speak with them.

The real API server is one more, in the real layer: ``tests/real/contract_sides.py``.
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from bot.sandbox.cluster import Rule, Scene, running_cluster

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
LIMITED_RULES = (
    Rule(verbs=("get", "list"), resources=("configmaps",), namespaces=("contract",)),
    Rule(verbs=("get", "list"), resources=("secrets",), names=("allowed",), namespaces=("contract",)),
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """A cluster with an empty namespace ``contract`` and a pod that has a sidecar.

    ``admin`` may do everything, ``limited`` what LIMITED_RULES say.
    """

    admin: client.ApiClient
    limited: client.ApiClient
    limited_user: str
    namespace: str
    proxy: tuple[str, str]

    @property
    def core(self) -> Any:
        return self.api("CoreV1Api")

    def api(self, kind: str, *, limited: bool = False) -> Any:
        """The client's ``kind``, untyped: its models leave every field optional."""
        return getattr(client, kind)(self.limited if limited else self.admin)

    def secret(self, name: str, data: dict[str, str], **more: Any) -> Any:
        body = {"metadata": {"name": name, **more.pop("metadata", {})}, "data": data, **more}
        return self.core.create_namespaced_secret(self.namespace, body)


def standin_side(directory: Path) -> Iterator[Side]:
    with running_cluster(Scene(accounts=(("shop", ("cart",)),)), rules=LIMITED_RULES) as cluster:
        admin = connect(cluster.write_kubeconfig(directory / "admin", admin=True))
        limited = connect(cluster.write_kubeconfig(directory / "limited"))
        core: Any = client.CoreV1Api(admin)
        pods = core.list_namespaced_pod("shop", label_selector="app=cart").items
        core.create_namespace({"metadata": {"name": "contract"}})
        yield Side(
            admin=admin,
            limited=limited,
            limited_user="system:serviceaccount:rootkeeper:rootkeeper",
            namespace="contract",
            proxy=("shop", pods[0].metadata.name),
        )
        for each in (admin, limited):
            each.rest_client.pool_manager.clear()


SIDES: dict[str, Callable[[Path], Iterator[Side]]] = {"stand-in": standin_side}


def connect(kubeconfig: Path) -> client.ApiClient:
    connected: client.ApiClient = config.new_client_from_config(str(kubeconfig))  # type: ignore[no-untyped-call]
    return connected


def refused(act: Callable[[], object]) -> tuple[int, dict[str, Any]]:
    """The code and the Status with which a call is refused."""
    with pytest.raises(ApiException) as caught:
        act()
    body = json.loads(caught.value.body or "{}")
    assert body["kind"] == "Status"
    assert body["code"] == caught.value.status
    return caught.value.status, body


def raw(api: client.ApiClient, path: str, *, accept: str = "application/json", **query: str) -> Any:
    """A GET without the client's models."""
    found: Any = api.call_api(
        *api.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": accept},
            auth_settings=["BearerToken"],
        )
    )
    data = json.loads(found.read())
    if found.status >= 400:
        raise ApiException(status=found.status, reason=found.reason)
    return data


def text64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
