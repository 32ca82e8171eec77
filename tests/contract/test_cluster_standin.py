"""What a Kubernetes API server does with objects, as far as the bot relies on it.

Every assertion is about Kubernetes, not about the stand-in; what only that can do is tested elsewhere.
"""

import pytest
from kubernetes.client.exceptions import ApiException

from tests.contract.cluster_sides import JSON_PATCH, MERGE, Side, refused, text64


def test_every_write_moves_the_resource_version_on(side: Side) -> None:
    before = side.secret("versions", {"a": text64("1")})

    after = side.core.patch_namespaced_secret(
        "versions", side.namespace, {"data": {"a": text64("2")}}, _content_type=MERGE
    )

    assert int(after.metadata.resource_version) > int(before.metadata.resource_version)
    assert after.metadata.uid == before.metadata.uid


def test_writing_what_is_there_already_is_no_write(side: Side) -> None:
    before = side.secret("unmoved", {"a": text64("1")})

    after = side.core.patch_namespaced_secret(
        "unmoved", side.namespace, {"data": {"a": text64("1")}}, _content_type=MERGE
    )

    assert after.metadata.resource_version == before.metadata.resource_version


def test_a_put_from_a_stale_version_is_a_conflict(side: Side) -> None:
    stale = side.secret("stale-put", {"a": text64("1")})
    side.core.patch_namespaced_secret(
        "stale-put", side.namespace, {"data": {"a": text64("2")}}, _content_type=MERGE
    )

    code, body = refused(lambda: side.core.replace_namespaced_secret("stale-put", side.namespace, stale))

    assert (code, body["reason"]) == (409, "Conflict")
    assert body["message"].startswith('Operation cannot be fulfilled on secrets "stale-put": ')
    assert body["details"] == {"name": "stale-put", "kind": "secrets"}


def test_a_merge_patch_with_a_stale_version_is_a_conflict_and_changes_nothing(side: Side) -> None:
    stale = side.secret("stale-patch", {"a": text64("1")}).metadata.resource_version
    side.core.patch_namespaced_secret(
        "stale-patch", side.namespace, {"data": {"a": text64("2")}}, _content_type=MERGE
    )
    patch = {"metadata": {"resourceVersion": stale}, "data": {"a": text64("3")}}

    code, body = refused(
        lambda: side.core.patch_namespaced_secret("stale-patch", side.namespace, patch, _content_type=MERGE)
    )

    assert (code, body["reason"]) == (409, "Conflict")
    assert side.core.read_namespaced_secret("stale-patch", side.namespace).data == {"a": text64("2")}


def test_a_merge_patch_touches_only_the_key_it_names(side: Side) -> None:
    made = side.secret(
        "one-key",
        {"a": text64("1"), "b": "", "c": text64("3")},
        type="istio.io/ca-root",
        metadata={"labels": {"l": "1"}, "annotations": {"n": "1"}},
    )
    patch = {
        "metadata": {"resourceVersion": made.metadata.resource_version},
        "data": {"a": text64("new")},
    }

    side.core.patch_namespaced_secret("one-key", side.namespace, patch, _content_type=MERGE)

    found = side.core.read_namespaced_secret("one-key", side.namespace)
    assert found.data == {"a": text64("new"), "b": "", "c": text64("3")}
    assert (found.type, found.metadata.labels, found.metadata.annotations) == (
        "istio.io/ca-root",
        {"l": "1"},
        {"n": "1"},
    )


def test_a_merge_patch_removes_what_it_sets_to_null(side: Side) -> None:
    side.secret("nulls", {"a": text64("1"), "b": text64("2")})

    after = side.core.patch_namespaced_secret(
        "nulls", side.namespace, {"data": {"b": None}}, _content_type=MERGE
    )

    assert after.data == {"a": text64("1")}


def test_a_json_patch_whose_test_fails_changes_nothing(side: Side) -> None:
    side.secret("tested", {"a": text64("1")})
    patch = [
        {"op": "test", "path": "/data/a", "value": text64("other")},
        {"op": "replace", "path": "/data/a", "value": text64("2")},
    ]

    code, _ = refused(
        lambda: side.core.patch_namespaced_secret("tested", side.namespace, patch, _content_type=JSON_PATCH)
    )

    assert code == 422
    assert side.core.read_namespaced_secret("tested", side.namespace).data == {"a": text64("1")}


def test_a_json_patch_whose_test_holds_is_applied(side: Side) -> None:
    side.secret("passed", {"a": text64("1")})
    patch = [
        {"op": "test", "path": "/data/a", "value": text64("1")},
        {"op": "replace", "path": "/data/a", "value": text64("2")},
    ]

    after = side.core.patch_namespaced_secret("passed", side.namespace, patch, _content_type=JSON_PATCH)

    assert after.data == {"a": text64("2")}


def test_a_dry_run_answers_as_if_but_changes_nothing(side: Side) -> None:
    before = side.secret("dry", {"a": text64("1")})

    answer = side.core.patch_namespaced_secret(
        "dry", side.namespace, {"data": {"a": text64("2")}}, dry_run="All", _content_type=MERGE
    )

    assert answer.data == {"a": text64("2")}
    assert answer.metadata.resource_version == before.metadata.resource_version
    found = side.core.read_namespaced_secret("dry", side.namespace)
    assert (found.data, found.metadata.resource_version) == (before.data, before.metadata.resource_version)


def test_a_dry_run_refuses_what_the_write_would_be_refused(side: Side) -> None:
    side.secret("dry-refused", {"a": text64("1")})

    code, _ = refused(
        lambda: side.core.patch_namespaced_secret(
            "dry-refused", side.namespace, {"type": "other"}, dry_run="All", _content_type=MERGE
        )
    )

    assert code == 422


def test_the_type_of_a_secret_cannot_be_changed(side: Side) -> None:
    side.secret("typed", {"a": text64("1")}, type="istio.io/ca-root")

    code, body = refused(
        lambda: side.core.patch_namespaced_secret(
            "typed", side.namespace, {"type": "Opaque"}, _content_type=MERGE
        )
    )

    assert (code, body["reason"]) == (422, "Invalid")
    assert body["message"] == 'Secret "typed" is invalid: type: Invalid value: "Opaque": field is immutable'
    assert body["details"]["causes"][0]["field"] == "type"


def test_an_immutable_secret_cannot_be_changed(side: Side) -> None:
    side.secret("frozen", {"a": text64("1")}, immutable=True)

    code, body = refused(
        lambda: side.core.patch_namespaced_secret(
            "frozen", side.namespace, {"data": {"a": text64("2")}}, _content_type=MERGE
        )
    )

    assert code == 422
    assert "field is immutable when `immutable` is set" in body["message"]


def test_data_that_is_no_base64_is_a_bad_request(side: Side) -> None:
    code, body = refused(lambda: side.secret("encoded", {"a": "-----BEGIN CERTIFICATE-----"}))

    assert (code, body["reason"]) == (400, "BadRequest")
    assert "illegal base64 data at input byte 0" in body["message"]


def test_a_patch_with_data_that_is_no_base64_is_invalid_and_the_refusal_quotes_the_whole_secret(
    side: Side,
) -> None:
    side.secret("quoted", {"a": text64("1"), "key": text64("private")})

    code, body = refused(
        lambda: side.core.patch_namespaced_secret(
            "quoted", side.namespace, {"data": {"a": "-----BEGIN"}}, _content_type=MERGE
        )
    )

    assert (code, body["reason"]) == (422, "Invalid")
    assert "illegal base64 data at input byte 0" in body["message"]
    assert text64("private") in body["message"]  # so such a refusal must never be logged or told


def test_a_patch_cannot_change_a_uid(side: Side) -> None:
    side.secret("same-uid", {})

    code, body = refused(
        lambda: side.core.patch_namespaced_secret(
            "same-uid", side.namespace, {"metadata": {"uid": "1"}}, _content_type=MERGE
        )
    )

    assert code == 422
    assert body["message"].endswith('metadata.uid: Invalid value: "1": field is immutable')


def test_what_is_not_there_is_not_found(side: Side) -> None:
    code, body = refused(lambda: side.core.read_namespaced_secret("nothing", side.namespace))

    assert code == 404
    assert (body["message"], body["reason"]) == ('secrets "nothing" not found', "NotFound")
    assert body["details"] == {"name": "nothing", "kind": "secrets"}


def test_a_kind_of_a_named_group_is_not_found_by_its_whole_name(side: Side) -> None:
    apps = side.api("AppsV1Api")

    code, body = refused(lambda: apps.read_namespaced_deployment("nothing", side.namespace))

    assert code == 404
    assert body["message"] == 'deployments.apps "nothing" not found'
    assert body["details"] == {"name": "nothing", "group": "apps", "kind": "deployments"}


def test_what_is_there_cannot_be_created(side: Side) -> None:
    side.secret("twice", {})

    code, body = refused(lambda: side.secret("twice", {}))

    assert (code, body["reason"]) == (409, "AlreadyExists")
    assert body["message"] == 'secrets "twice" already exists'


def test_a_list_in_pages_shows_the_state_of_its_beginning(side: Side) -> None:
    for number in range(5):
        side.core.create_namespaced_config_map(
            side.namespace, {"metadata": {"name": f"page-{number}", "labels": {"set": "pages"}}}
        )
    ask = {"label_selector": "set=pages", "limit": 2}
    first = side.core.list_namespaced_config_map(side.namespace, **ask)
    side.core.delete_namespaced_config_map("page-3", side.namespace)

    second = side.core.list_namespaced_config_map(side.namespace, _continue=first.metadata._continue, **ask)
    third = side.core.list_namespaced_config_map(side.namespace, _continue=second.metadata._continue, **ask)

    names = [each.metadata.name for page in (first, second, third) for each in page.items]
    assert names == [f"page-{number}" for number in range(5)]
    assert first.metadata.resource_version == third.metadata.resource_version
    assert not third.metadata._continue


def test_a_continue_token_that_is_none_is_a_bad_request(side: Side) -> None:
    code, _ = refused(lambda: side.core.list_namespaced_config_map(side.namespace, _continue="nonsense"))

    assert code == 400


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("tier=a", ["one", "two"]),
        ("tier!=a,many", ["three"]),
        ("tier in (a, b),!old", ["one", "three"]),
        ("many,tier notin (b)", ["one", "two"]),
    ],
)
def test_labels_select(side: Side, selector: str, found: list[str]) -> None:
    labels = {"one": {"tier": "a"}, "two": {"tier": "a", "old": "y"}, "three": {"tier": "b"}}
    for name, mine in labels.items():
        body = {"metadata": {"name": f"label-{name}", "labels": {**mine, "many": "1"}}}
        try:
            side.core.create_namespaced_config_map(side.namespace, body)
        except ApiException as error:
            assert error.status == 409  # noqa: PT017 - made by the test's first round

    listed = side.core.list_namespaced_config_map(side.namespace, label_selector=selector).items

    names = {each.metadata.name.removeprefix("label-") for each in listed if each.metadata.labels.get("many")}
    assert names == set(found)
