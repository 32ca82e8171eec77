"""What a Kubernetes API server shows to whom: selectors, metadata only, RBAC, its own access reviews."""

import http.client
import json
import ssl
import urllib.parse
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec
import pytest

from bot.edges.kube.discovery import served_versions
from bot.edges.kube.targets import DEPLOYMENTS, SECRETS, Target
from bot.edges.kube.translate import Doing, NotFound, refusal
from tests.contract.cluster_sides import METADATA_LIST, Side, raw, refused, text64

T = TypeVar("T")


def test_secrets_are_selected_by_their_type(side: Side) -> None:
    wanted = f"sandbox.example/{side.namespace}"
    side.secret("of-a-type", {}, type=wanted)
    side.secret("of-another", {}, type="sandbox.example/other")

    found = side.core.list_secret_for_all_namespaces(field_selector=f"type={wanted}").items

    assert [(each.metadata.namespace, each.metadata.name) for each in found] == [
        (side.namespace, "of-a-type")
    ]


def test_objects_are_selected_by_name_and_namespace(side: Side) -> None:
    side.secret("by-name", {})

    found = side.core.list_secret_for_all_namespaces(
        field_selector=f"metadata.name=by-name,metadata.namespace={side.namespace}"
    ).items

    assert [each.metadata.name for each in found] == ["by-name"]


def test_pods_are_selected_by_phase_and_node(side: Side) -> None:
    namespace, name = side.proxy
    pod = side.core.read_namespaced_pod(name, namespace)

    found = side.core.list_namespaced_pod(
        namespace, field_selector=f"status.phase=Running,spec.nodeName={pod.spec.node_name}"
    ).items

    assert name in {each.metadata.name for each in found}


def test_a_field_that_is_not_indexed_is_a_bad_request(side: Side) -> None:
    code, body = refused(lambda: side.core.list_namespaced_secret(side.namespace, field_selector="data=x"))

    assert code == 400
    assert "field label not supported: data" in body["message"]


def test_a_list_of_metadata_carries_no_data(side: Side) -> None:
    side.secret("metadata-only", {"a": text64("hidden")}, metadata={"labels": {"set": "metadata"}})

    found = raw(
        side.admin,
        f"/api/v1/namespaces/{side.namespace}/secrets",
        accept=METADATA_LIST,
        labelSelector="set=metadata",
    )

    assert found["kind"] == "PartialObjectMetadataList"
    assert [each["metadata"]["name"] for each in found["items"]] == ["metadata-only"]
    assert not {"data", "type"} & set(found["items"][0])


def test_a_list_names_its_version_once(side: Side) -> None:
    side.secret("listed", {})

    found = raw(side.admin, f"/api/v1/namespaces/{side.namespace}/secrets", limit="1")

    assert (found["kind"], found["apiVersion"]) == ("SecretList", "v1")
    assert int(found["metadata"]["resourceVersion"]) > 0
    assert not {"kind", "apiVersion"} & set(found["items"][0])


def test_a_list_without_selectors_says_how_many_are_left(side: Side) -> None:
    for number in range(3):
        side.secret(f"left-{number}", {})
    every = raw(side.admin, f"/api/v1/namespaces/{side.namespace}/secrets")

    first = raw(side.admin, f"/api/v1/namespaces/{side.namespace}/secrets", limit="2")

    assert first["metadata"]["remainingItemCount"] == len(every["items"]) - 2


def test_the_answer_to_the_forbidden_says_who_may_not_do_what(side: Side) -> None:
    core = side.api("CoreV1Api", limited=True)

    code, body = refused(lambda: core.read_namespaced_secret("kept", side.namespace))

    assert (code, body["reason"]) == (403, "Forbidden")
    assert body["message"] == (
        f'secrets "kept" is forbidden: User "{side.limited_user}" cannot get resource "secrets" '
        f'in API group "" in the namespace "{side.namespace}"'
    )
    assert body["details"] == {"name": "kept", "kind": "secrets"}


def test_a_forbidden_list_across_namespaces_is_at_the_cluster_scope(side: Side) -> None:
    apps = side.api("AppsV1Api", limited=True)

    code, body = refused(apps.list_deployment_for_all_namespaces)

    assert code == 403
    assert body["message"] == (
        f'deployments.apps is forbidden: User "{side.limited_user}" cannot list resource "deployments" '
        'in API group "apps" at the cluster scope'
    )


def test_a_right_to_named_objects_lists_only_with_that_name_as_field_selector(side: Side) -> None:
    core = side.api("CoreV1Api", limited=True)
    side.secret("allowed", {})

    code, _ = refused(lambda: core.list_namespaced_secret(side.namespace))
    found = core.list_namespaced_secret(side.namespace, field_selector="metadata.name=allowed").items

    assert code == 403
    assert [each.metadata.name for each in found] == ["allowed"]


def test_an_unknown_token_is_unauthorized(side: Side) -> None:
    host = urllib.parse.urlsplit(side.admin.configuration.host)
    connection = http.client.HTTPConnection(host.netloc)
    if host.scheme == "https":
        context = ssl.create_default_context(cafile=side.admin.configuration.ssl_ca_cert)
        connection = http.client.HTTPSConnection(host.netloc, context=context)

    connection.request("GET", "/api/v1/namespaces", headers={"Authorization": "Bearer nobody"})
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()

    assert (answer.status, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")


@pytest.mark.parametrize(
    ("attributes", "allowed"),
    [
        ({"verb": "list", "resource": "configmaps"}, True),
        ({"verb": "delete", "resource": "configmaps"}, False),
        ({"verb": "get", "resource": "secrets"}, False),
        ({"verb": "get", "resource": "secrets", "name": "allowed"}, True),
        ({"verb": "create", "resource": "pods", "subresource": "exec"}, False),
    ],
)
def test_everybody_may_ask_what_they_may(side: Side, attributes: dict[str, Any], allowed: bool) -> None:  # noqa: FBT001
    api = side.api("AuthorizationV1Api", limited=True)
    spec = {"resourceAttributes": {"namespace": side.namespace, **attributes}}

    review = api.create_self_subject_access_review({"spec": spec})

    assert review.status.allowed is allowed


def test_every_answer_carries_the_servers_clock(side: Side) -> None:
    _, _, headers = side.core.list_namespace_with_http_info(limit=1)

    date = parsedate_to_datetime(headers["Date"])
    assert date.utcoffset() is not None


def test_the_version_is_told(side: Side) -> None:
    version = side.api("VersionApi").get_code()

    assert version.git_version.startswith("v1.")


def test_a_lease_is_replaced_only_from_a_known_version(side: Side) -> None:
    api = side.api("CoordinationV1Api")
    lease = {"metadata": {"name": "lock"}, "spec": {"holderIdentity": "one"}}
    made = api.create_namespaced_lease(side.namespace, lease)

    code, _ = refused(lambda: api.replace_namespaced_lease("lock", side.namespace, lease))
    made.spec.holder_identity = "two"
    after = api.replace_namespaced_lease("lock", side.namespace, made)

    assert code == 422
    assert after.spec.holder_identity == "two"


def test_managed_fields_name_the_last_writer_of_a_key(side: Side) -> None:
    side.secret("managed", {"a": text64("1"), "b": text64("1")})

    after = side.core.patch_namespaced_secret(
        "managed",
        side.namespace,
        {"data": {"a": text64("2")}},
        field_manager="rootkeeper",
        _content_type="application/merge-patch+json",
    )

    mine = next(each for each in after.metadata.managed_fields if each.manager == "rootkeeper")
    assert "f:a" in mine.fields_v1["f:data"]
    assert "f:b" not in mine.fields_v1["f:data"]


KINDS = {
    "a core kind": (SECRETS, ("v1",)),
    "a kind of a group": (DEPLOYMENTS, ("v1",)),
    "no kind of a group": (Target(group="apps", resource="nothings"), ()),
    "no core kind": (Target(resource="nothings"), ()),
    "no group": (Target(group="nowhere.example", resource="things"), ()),
}


@pytest.mark.parametrize(("target", "versions"), KINDS.values(), ids=KINDS)
def test_everybody_is_told_which_kinds_there_are(
    side: Side, target: Target, versions: tuple[str, ...]
) -> None:
    def ask(path: str, decoder: msgspec.json.Decoder[T]) -> T:
        return decoder.decode(json.dumps(raw(side.limited, path)).encode())

    assert served_versions(ask, target) == versions


@pytest.mark.parametrize("path", ["/apis/nowhere.example/v1/things", "/apis/apps/v1/nothings"])
def test_a_404_for_a_kind_that_is_not_there_names_no_object(side: Side, path: str) -> None:
    target = Target(group="any", resource="things").named("one")
    found: Any = side.admin.call_api(
        *side.admin.param_serialize("GET", f"{path}/one", auth_settings=["BearerToken"])
    )

    fault = refusal(Doing(verb="get", target=target), found.status, found.read(), retry_after=None)

    assert found.status == 404
    assert isinstance(fault, NotFound)
