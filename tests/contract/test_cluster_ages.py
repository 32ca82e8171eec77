"""A stand-in that is told to be an old Kubernetes serves, overlooks and leaves out what that one did.

What is asserted was read in Kubernetes' sources of that time (see ``bot/sandbox/cluster/age.py``): there is
no such server to ask any more.
"""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from bot.sandbox.cluster import Scene, running_cluster

SYSTEM = "/api/v1/namespaces/istio-system"
LEASE = "/apis/coordination.k8s.io/{}/namespaces/istio-system/leases/rootkeeper"
WEBHOOKS = "/apis/admissionregistration.k8s.io/{}/mutatingwebhookconfigurations"
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v={}"
MERGE = "application/merge-patch+json"


class Wire:
    """HTTP as the administrator, without a library that knows Kubernetes."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def ask(self, path: str, body: object = None, *, accept: str = "application/json") -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": accept, "Content-Type": MERGE}
        data = None if body is None else json.dumps(body).encode()
        method = "GET" if data is None else "PATCH"
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as refusal:
            with refusal:
                text = refusal.read()
            return refusal.code, json.loads(text) if text.startswith(b"{") else text.decode()


@contextmanager
def aged(version: str, directory: Path) -> Iterator[Wire]:
    with running_cluster(Scene(accounts=(("shop", ("cart",)),), kubernetes=version)) as cluster:
        kubeconfig = json.loads(cluster.write_kubeconfig(directory / "admin", admin=True).read_text())
        yield Wire(cluster.url, kubeconfig["users"][0]["user"]["token"])


SERVED = {
    "1.11": ("v1.11.10", [], ["v1beta1"]),
    "1.12": ("v1.12.10", ["v1beta1"], ["v1beta1"]),
    "1.14": ("v1.14.10", ["v1", "v1beta1"], ["v1beta1"]),
    "1.16": ("v1.16.15", ["v1", "v1beta1"], ["v1", "v1beta1"]),
    "1.22": ("v1.22.17", ["v1"], ["v1"]),
    "now": ("v1.37.2", ["v1"], ["v1"]),
}


@pytest.mark.parametrize(("version", "leases", "webhooks"), SERVED.values(), ids=SERVED)
def test_versions_of_a_group_come_and_go(
    tmp_path: Path, version: str, leases: list[str], webhooks: list[str]
) -> None:
    with aged(version, tmp_path) as wire:
        answers = {
            path: {each: wire.ask(path.format(each)) for each in ("v1", "v1beta1")}
            for path in (LEASE, WEBHOOKS)
        }
        _, told = wire.ask("/version")
        _, groups = wire.ask("/apis")

    for path, served in ((LEASE, leases), (WEBHOOKS, webhooks)):
        assert [each for each, (code, _) in answers[path].items() if code == 200] == served
        assert {code for code, _ in answers[path].values()} <= {200, 404}
        for each in served:
            assert answers[path][each][1]["apiVersion"].endswith(f"/{each}")
    assert told["gitVersion"] == version
    listed = {each["name"]: [one["version"] for one in each["versions"]] for each in groups["groups"]}
    assert listed.get("coordination.k8s.io", []) == leases


@pytest.mark.parametrize(
    ("version", "code", "changed"),
    [
        ("v1.10.13", 200, True),
        ("v1.11.10", 400, False),
        ("v1.12.10", 400, False),
        ("v1.13.12", 200, False),
    ],
)
def test_a_dry_run_is_overlooked_then_refused_then_done(
    tmp_path: Path,
    version: str,
    code: int,
    changed: bool,  # noqa: FBT001
) -> None:
    path = f"{SYSTEM}/secrets/istio-ca-secret"
    note = {"metadata": {"annotations": {"note": "rehearsed"}}}
    with aged(version, tmp_path) as wire:
        answered, _ = wire.ask(f"{path}?dryRun=All", note)
        _, after = wire.ask(path)

    assert answered == code
    assert ("note" in (after["metadata"].get("annotations") or {})) is changed


def test_a_list_of_metadata_before_1_15_is_v1beta1_and_has_no_token(tmp_path: Path) -> None:
    path = f"{SYSTEM}/serviceaccounts?limit=1"
    with aged("v1.14.10", tmp_path) as wire:
        newer, _ = wire.ask(path, accept=METADATA.format("v1"))
        _, older = wire.ask(path, accept=METADATA.format("v1beta1"))
        _, first_that_is_known = wire.ask(path, accept=f"{METADATA.format('v1')}, application/json")

    assert newer == 406
    assert (older["kind"], older["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1beta1")
    assert "metadata" not in older
    assert len(older["items"]) == 1
    assert first_that_is_known["kind"] == "ServiceAccountList"
    assert first_that_is_known["metadata"]["continue"]


def test_before_1_18_nobody_is_told_who_wrote(tmp_path: Path) -> None:
    path = f"{SYSTEM}/secrets/istio-ca-secret?fieldManager=somebody"
    note = {"metadata": {"annotations": {"note": "1"}}, "immutable": True}
    with aged("v1.17.17", tmp_path) as wire:
        _, older = wire.ask(path, note)
    with aged("v1.18.20", tmp_path) as wire:
        _, newer = wire.ask(path, note)

    assert "managedFields" not in older["metadata"]
    assert "immutable" not in older
    assert newer["metadata"]["managedFields"][-1]["manager"] == "somebody"
    assert newer["immutable"] is True
