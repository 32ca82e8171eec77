"""What counts as a proof that there is none: of an object Kubernetes' word, of a kind its list of kinds."""

import json
from pathlib import Path

import pytest

from bot.core.mesh import EVERYTHING, Part, Unread
from bot.edges.kube.client import KubeClient
from bot.edges.kube.look import Look
from bot.edges.kube.targets import (
    AUTOSCALERS,
    MESH_POLICIES,
    MUTATING_WEBHOOKS,
    PEER_AUTHENTICATIONS,
    SERVICE_ACCOUNTS,
    Target,
)
from bot.edges.kube.wire import CUSTOM, NAMED_PAGE
from bot.errors import ClusterUnreachable, ObjectAbsent
from bot.sandbox.cluster.faults import Effect, Fault
from tests.unit.edges.kube_mesh import SYSTEM, running_mesh
from tests.unit.edges.kube_stub import NOT_FOUND, Reply, discovered, refused, resources, stubbed

PROXY_PAGE = Reply(code=404, body=b"<html>default backend - 404</html>")
NO_PATH = refused(404, "the server could not find the requested resource")


def listed(client: KubeClient, target: Target) -> tuple[list[object] | None, tuple[Unread, ...]]:
    look = Look(client, SYSTEM)
    found = look.everywhere_if_known(Part.POLICY, "Things", target, NAMED_PAGE, lambda each: each)
    return None if found is None else list(found), look.unread


GONE = {
    "its group is not there": (discovered("apps"),),
    "its group has other kinds": (
        discovered("apps", "security.istio.io", versions=("v1beta1",)),
        resources("authorizationpolicies"),
    ),
    "its group has other kinds in every version": (
        discovered("apps", "security.istio.io", versions=("v1", "v1beta1")),
        resources("authorizationpolicies"),
        resources("authorizationpolicies", "requestauthentications"),
    ),
}


@pytest.mark.parametrize("answers", GONE.values(), ids=GONE)
@pytest.mark.parametrize("first", [NOT_FOUND, NO_PATH])
def test_a_kind_that_the_cluster_says_it_lacks_is_absent(
    tmp_path: Path, first: Reply, answers: tuple[Reply, ...]
) -> None:
    with stubbed(tmp_path, first, *answers) as (client, _):
        found, unread = listed(client, PEER_AUTHENTICATIONS)

    assert found is None
    assert unread == ()


DOUBTFUL = {
    "nothing else answers either": (NOT_FOUND,),
    "its list of groups is forbidden": (refused(403, "no"),),
    "a proxy's page stands for its groups": (Reply(body=b"<html>"),),
    "something else stands for its groups": (Reply(body=b'{"kind":"Status","status":"Failure"}'),),
    "its groups are not all read yet": (discovered("apiregistration.k8s.io"),),
    "its group is listed and not served yet": (discovered("apps", "security.istio.io"), NOT_FOUND),
    "it is served": (
        discovered("apps", "security.istio.io", versions=("v1beta1",)),
        resources("peerauthentications"),
    ),
    "it is served in a version that is not known here": (
        discovered("apps", "security.istio.io", versions=("v2",)),
        resources("peerauthentications"),
    ),
}


@pytest.mark.parametrize("answers", DOUBTFUL.values(), ids=DOUBTFUL)
@pytest.mark.parametrize("first", [NOT_FOUND, NO_PATH, PROXY_PAGE])
def test_a_kind_that_is_not_found_for_any_other_reason_is_unread(
    tmp_path: Path, first: Reply, answers: tuple[Reply, ...]
) -> None:
    with stubbed(tmp_path, first, *answers) as (client, _):
        found, unread = listed(client, PEER_AUTHENTICATIONS)

    assert found == []
    assert [each.what for each in unread] == ["Things in all namespaces"]
    assert "404" in unread[0].reason


@pytest.mark.parametrize("target", [SERVICE_ACCOUNTS, AUTOSCALERS, MUTATING_WEBHOOKS])
def test_kubernetes_own_kinds_are_never_absent_behind_a_proxys_page(tmp_path: Path, target: Target) -> None:
    with stubbed(tmp_path, PROXY_PAGE) as (client, _):
        _, unread = listed(client, target)

    assert unread


def test_an_object_of_a_kind_that_the_cluster_lacks_is_absent(tmp_path: Path) -> None:
    with (
        stubbed(tmp_path, NOT_FOUND, discovered("apps")) as (client, _),
        pytest.raises(ObjectAbsent, match="no such resource"),
    ):
        client.get(MESH_POLICIES.named("default"), CUSTOM)


def test_an_object_of_a_kind_that_is_not_served_yet_is_not_absent(tmp_path: Path) -> None:
    with (
        stubbed(tmp_path, NOT_FOUND, discovered("apps", "authentication.istio.io"), NOT_FOUND) as (client, _),
        pytest.raises(ClusterUnreachable, match="cannot be told"),
    ):
        client.get(MESH_POLICIES.named("default"), CUSTOM)


@pytest.mark.parametrize("body", [{}, {"kind": "Status", "status": "Failure"}, {"kind": "SecretList"}])
def test_an_answer_that_is_no_list_is_unread_and_not_empty(tmp_path: Path, body: dict[str, str]) -> None:
    with stubbed(tmp_path, Reply(body=json.dumps(body).encode())) as (client, _):
        found, unread = listed(client, SERVICE_ACCOUNTS)

    assert found == []
    assert [each.what for each in unread] == ["Things in all namespaces"]


LISTS = {
    "meshpolicies": "MeshPolicy default",
    "policies": "Policies in all namespaces",
    "destinationrules": "DestinationRules in all namespaces",
    "serviceaccounts": "ServiceAccounts in all namespaces",
    "secrets": "Secrets in all namespaces",
    "namespaces": "Namespaces",
    "pods": "Pods in all namespaces",
    "deployments": "Deployments in all namespaces",
    "statefulsets": "StatefulSets in all namespaces",
    "horizontalpodautoscalers": "HorizontalPodAutoscalers in all namespaces",
    "mutatingwebhookconfigurations": "MutatingWebhookConfigurations",
}


def test_every_read_that_one_404_hits_is_named_as_unread(tmp_path: Path) -> None:
    """As while an API server starts (custom resources), or from a proxy in between (all others)."""
    with running_mesh(tmp_path) as mesh:
        for resource in LISTS:
            verb = None if resource == "meshpolicies" else "list"
            mesh.cluster.inject(
                Fault(
                    effect=Effect.STATUS, code=404, verb=verb, resource=resource, message="404 page not found"
                )
            )
        seen = mesh.reader().read(EVERYTHING)

    assert set(LISTS.values()) <= {each.what for each in seen.unread}
    assert seen.mutual_tls.mesh_policy is None
    assert seen.mutual_tls.policies is None
    assert all(each.service_accounts is None for each in seen.namespaces)
