"""The few Kubernetes API calls that the test bed makes itself.

Standard library only, and not the client that the program under test uses: a fault in that client must not
look like a fault of the cluster.
"""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]  # a Kubernetes object as JSON

REQUEST_SECONDS = 30.0
WATCH_SECONDS = 300  # asked of the server; then the watch is opened again
STRATEGIC_MERGE = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"

# Plural names of the kinds that the test bed writes; the rest of a path follows from the object.
PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CustomResourceDefinition": "customresourcedefinitions",
    "Deployment": "deployments",
    "DestinationRule": "destinationrules",
    "Exec": "execs",
    "Lease": "leases",
    "MeshPolicy": "meshpolicies",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
    "Namespace": "namespaces",
    "Node": "nodes",
    "Policy": "policies",
    "PortForward": "portforwards",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}


class ApiError(OSError):
    """The API server refused; an OSError, because to a waiting caller it is one more "not yet"."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """A client for one user: address, the server's certificate, bearer token."""

    server: str
    certificate: Path
    token: str

    def get(self, path: str) -> Object:
        return self._request("GET", path)

    def list(self, path: str, **selectors: str) -> list[Object]:
        query = f"?{urlencode(selectors)}" if selectors else ""
        items: list[Object] = self._request("GET", path + query)["items"]
        return items

    def create(self, item: Object) -> Object:
        return self._request("POST", collection(item), body=item)

    def ensure(self, item: Object) -> None:
        """Create it, or leave what is already there."""
        try:
            self.create(item)
        except ApiError as error:
            if error.status != http.HTTPStatus.CONFLICT:
                raise

    def patch(self, path: str, change: Object, *, kind: str = MERGE) -> Object:
        return self._request("PATCH", path, body=change, content_type=kind)

    def replace(self, path: str, item: Object) -> Object:
        return self._request("PUT", path, body=item)

    def delete(self, path: str, *, grace_seconds: int | None = None) -> None:
        """Delete it; fine if it is gone."""
        options = {} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        try:
            self._request("DELETE", path, body=options)
        except ApiError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def healthy(self) -> bool:
        connection = self._connect(REQUEST_SECONDS)
        try:
            connection.request("GET", "/readyz", headers=self._headers())
            return connection.getresponse().status == http.HTTPStatus.OK
        finally:
            connection.close()

    def watch(self, path: str, *, version: str, selectors: Mapping[str, str]) -> Iterator[Object]:
        """Events since that resource version, until the server ends the watch."""
        asked = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(WATCH_SECONDS), **selectors}
        connection = self._connect(WATCH_SECONDS + REQUEST_SECONDS)
        try:
            connection.request("GET", f"{path}?{urlencode(asked)}", headers=self._headers())
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise ApiError(answer.status, answer.read().decode(errors="replace"))
            for line in answer:
                yield json.loads(line)
        finally:
            connection.close()

    def _request(
        self, method: str, path: str, *, body: Object | None = None, content_type: str = "application/json"
    ) -> Object:
        connection = self._connect(REQUEST_SECONDS)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {**self._headers(), "Content-Type": content_type})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ApiError(answer.status, f"{method} {path}: {text[:500]}")
        parsed: Object = json.loads(text)
        return parsed

    def _connect(self, seconds: float) -> http.client.HTTPSConnection:
        address = urlsplit(self.server)
        context = ssl.create_default_context(cafile=self.certificate)
        return http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=seconds, context=context
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}


def collection(item: Object) -> str:
    """The path under which objects of this kind (and namespace) are created."""
    version = item["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = item["metadata"].get("namespace")
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{scope}/{PLURALS[item['kind']]}"


def path_of(item: Object) -> str:
    """The path of the object itself."""
    return f"{collection(item)}/{item['metadata']['name']}"


class Mirror:
    """All objects of one kind, kept up to date by a thread that lists and then watches."""

    def __init__(self, api: Api, path: str, *, changed: threading.Event, **selectors: str) -> None:
        self._api, self._path, self._selectors, self._changed = api, path, selectors, changed
        self._lock = threading.Lock()
        self._items: dict[str, Object] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mirror {path}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Stop taking in; the watch itself ends with the API server or its own time-out."""
        self._ended.set()

    def items(self) -> dict[str, Object]:
        """By uid, as last seen."""
        with self._lock:
            return dict(self._items)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                version = self._take_all()
                for event in self._api.watch(self._path, version=version, selectors=self._selectors):
                    if self._ended.is_set() or event["type"] == "ERROR":
                        break
                    self._take(event)
            except (OSError, ValueError, http.client.HTTPException):
                self._ended.wait(0.5)  # the API server is starting, stopping or busy: list again

    def _take_all(self) -> str:
        query = f"?{urlencode(self._selectors)}" if self._selectors else ""
        answer = self._api.get(self._path + query)
        with self._lock:
            self._items = {item["metadata"]["uid"]: item for item in answer["items"]}
        self._changed.set()
        return str(answer["metadata"]["resourceVersion"])

    def _take(self, event: Object) -> None:
        item = event["object"]
        with self._lock:
            if event["type"] == "DELETED":
                self._items.pop(item["metadata"]["uid"], None)
            else:
                self._items[item["metadata"]["uid"]] = item
        self._changed.set()
