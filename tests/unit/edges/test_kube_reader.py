"""Looking at a cluster that does not let itself be seen whole."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from bot.core.ids import MeshName
from bot.core.mesh import EVERYTHING, Part
from bot.core.mesh import MutualTls as MutualTlsSeen
from bot.core.verification import judge_holders
from bot.edges.kube.holders import read_webhooks
from bot.edges.kube.look import Look
from bot.edges.kube.reader import KubeReader
from bot.edges.kube.targets import CONFIG_MAPS, DEPLOYMENTS
from bot.edges.kube.targets import NAMESPACES as NAMESPACE
from bot.edges.kube.wire import NAMED
from bot.errors import ClusterForbidden, ClusterUnreachable
from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.kubelet import Trouble
from bot.sandbox.cluster.objects import copy_of, key_of
from bot.sandbox.cluster.rbac import Ban
from bot.sandbox.cluster.resources import NAMESPACES, of_kind
from bot.sandbox.cluster.scene import MutualTls, Scene
from bot.sandbox.cluster.standin import ClusterStandIn
from tests.unit.edges.kube_mesh import SMALL, SYSTEM, Mesh, SystemTime, running_mesh
from tests.unit.edges.kube_stub import NOT_FOUND, Reply, absent, refused, stubbed

SECRETS = frozenset({Part.SECRETS})
AUTHORITY = frozenset({Part.AUTHORITY})
POLICY = frozenset({Part.POLICY})

ALPHA = "authentication.istio.io/v1alpha1"


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with running_mesh(tmp_path) as mesh:
        yield mesh


def only_by_namespace(mesh: Mesh, resource: str) -> None:
    """Take the cluster-wide list away; single namespaces stay."""
    mesh.cluster.forbid(Ban(verb="list", resource=resource, cluster=True))


def test_secrets_are_listed_by_namespace_where_they_may_not_be_listed_at_once(mesh: Mesh) -> None:
    whole = mesh.reader().read(SECRETS)
    only_by_namespace(mesh, "secrets")

    single = mesh.reader().read(SECRETS)

    assert sorted(str(s.ref) for s in single.secrets) == sorted(str(s.ref) for s in whole.secrets)
    assert single.unread == ()


def test_each_namespace_that_cannot_be_read_is_named(mesh: Mesh) -> None:
    only_by_namespace(mesh, "secrets")
    for namespace in ("bank", "shop"):
        mesh.cluster.forbid(Ban(verb="list", resource="secrets", namespace=namespace))

    seen = mesh.reader().read(SECRETS)

    assert [unread.what for unread in seen.unread] == [
        "Secrets in namespace bank",
        "Secrets in namespace shop",
    ]
    assert {secret.ref.namespace for secret in seen.secrets} >= {SYSTEM, "default"}


def test_a_namespace_that_is_going_is_no_miss(mesh: Mesh) -> None:
    only_by_namespace(mesh, "secrets")
    mesh.cluster.forbid(Ban(verb="list", resource="secrets", namespace="shop"))
    mesh.cluster.do(lambda cluster: _terminate(cluster, "shop"))

    seen = mesh.reader().read(SECRETS)

    assert seen.unread == ()
    assert [namespace.name for namespace in seen.namespaces if namespace.terminating] == ["shop"]


def _terminate(cluster: ClusterStandIn, name: str) -> None:
    found = cluster.store.get(NAMESPACES, key_of("", name))
    assert found is not None
    value = copy_of(found.value)
    value.setdefault("status", {})["phase"] = "Terminating"
    cluster.store.put(NAMESPACES, value)


def test_without_any_list_the_meshs_own_namespace_is_left(mesh: Mesh) -> None:
    only_by_namespace(mesh, "secrets")
    mesh.cluster.forbid(Ban(verb="list", resource="namespaces"))

    seen = mesh.reader().read(SECRETS)

    assert {secret.ref.namespace for secret in seen.secrets} == {SYSTEM}
    assert {unread.what for unread in seen.unread} >= {"Namespaces", f"Secrets outside namespace {SYSTEM}"}


def test_service_accounts_that_cannot_be_listed_are_unknown_and_not_none(mesh: Mesh) -> None:
    mesh.cluster.forbid(Ban(verb="list", resource="serviceaccounts"))

    seen = mesh.reader().read(SECRETS)

    assert {namespace.service_accounts for namespace in seen.namespaces} == {None}
    assert [unread for unread in seen.unread if "ServiceAccounts" in unread.what]


@pytest.mark.parametrize("code", [401, 403, 500])
def test_row_35_a_list_that_breaks_off_keeps_what_was_read_and_the_rest_is_unread(
    tmp_path: Path, code: int
) -> None:
    """401: the bot's token ended in the middle."""
    with running_mesh(tmp_path, Scene(bulk_accounts=600)) as mesh:
        mesh.cluster.inject(
            Fault(effect=Effect.STATUS, code=code, verb="list", resource="secrets", continued=True, times=9)
        )

        seen = mesh.reader().read(SECRETS)

    assert len(seen.secrets) == 500
    assert [unread.what for unread in seen.unread] == ["Secrets in all namespaces"]


def test_row_35_a_token_that_has_ended_is_not_tried_namespace_by_namespace(mesh: Mesh) -> None:
    mesh.cluster.inject(Fault(effect=Effect.STATUS, code=401, resource="secrets", times=999))
    before = len(mesh.cluster.audit())

    seen = mesh.reader().read(SECRETS)

    asked = [one for one in mesh.cluster.audit()[before:] if one.resource == "secrets"]
    assert [unread.what for unread in seen.unread] == ["Secrets in all namespaces"]
    assert len([one for one in asked if "rootkeeper" in one.user]) == 1


def test_row_43_a_namespace_whose_name_contains_kube_system_is_one_like_any_other(tmp_path: Path) -> None:
    """Names are compared whole: the cluster's identity, the mesh's own namespace, everybody else's."""
    names = ("my-kube-system-tools", "kube-system-tools", "istio-system-tools")
    with running_mesh(tmp_path, Scene(accounts=tuple((name, ("agent",)) for name in names))) as mesh:
        identity = mesh.admin.get(NAMESPACE.named("kube-system"), NAMED).metadata.uid

        seen = mesh.reader().read(EVERYTHING)

    assert seen.cluster_uid == identity
    assert {"istio-system", *names} <= {secret.ref.namespace for secret in seen.secrets}
    assert {"istio-system", *names} == {proxy.pod.ref.namespace for proxy in seen.proxies if proxy.roots}
    assert {pod.ref.namespace for pod in seen.control_plane_pods} == {"istio-system"}
    assert seen.ca_secret is not None
    assert seen.ca_secret.root.first is not None
    judged = judge_holders(seen, seen.ca_secret.root.first)
    assert {(v.verdict, v.reason) for v in judged if any(name in v.what for name in names)} == {("ok", "")}


def test_a_list_that_expires_midway_is_whole_in_the_end(tmp_path: Path) -> None:
    with running_mesh(tmp_path, Scene(bulk_accounts=600)) as mesh:
        whole = len(mesh.reader().read(SECRETS).secrets)
        mesh.cluster.inject(
            Fault(effect=Effect.STATUS, code=410, verb="list", resource="secrets", continued=True)
        )

        assert len(mesh.reader().read(SECRETS).secrets) == whole


PARTS = {
    "deployments": (Part.AUTHORITY, "Deployments"),
    "daemonsets": (Part.AUTHORITY, "DaemonSets"),
    "pods": (Part.AUTHORITY, "Pods"),
    "horizontalpodautoscalers": (Part.AUTHORITY, "HorizontalPodAutoscalers"),
    "mutatingwebhookconfigurations": (Part.WEBHOOKS, "MutatingWebhookConfigurations"),
    "validatingwebhookconfigurations": (Part.WEBHOOKS, "ValidatingWebhookConfigurations"),
    "policies": (Part.POLICY, "Policies"),
    "peerauthentications": (Part.POLICY, "PeerAuthentications"),
    "destinationrules": (Part.POLICY, "DestinationRules"),
}


@pytest.mark.parametrize(("resource", "missed"), PARTS.items())
def test_what_is_forbidden_is_unread_in_its_part_and_nothing_raises(
    mesh: Mesh, resource: str, missed: tuple[Part, str]
) -> None:
    part, what = missed
    mesh.cluster.forbid(Ban(verb="list", resource=resource))

    seen = mesh.reader().read(frozenset({part}))

    assert seen.unread
    assert {unread.part for unread in seen.unread} == {part}
    assert all(unread.what.startswith(what) for unread in seen.unread)


def test_numbers_of_policies_that_could_not_be_read_are_none(mesh: Mesh) -> None:
    for resource in ("meshpolicies", "policies", "peerauthentications", "destinationrules", "configmaps"):
        mesh.cluster.forbid(Ban(resource=resource))

    found = mesh.reader().read(POLICY).mutual_tls

    assert found == MutualTlsSeen(
        mesh_policy=None,
        policies=None,
        peers=None,
        automatic=None,
        destination_rules=None,
        control_plane=None,
    )


def test_a_mesh_without_mutual_tls_says_so(tmp_path: Path) -> None:
    with running_mesh(tmp_path, Scene(accounts=SMALL.accounts, mutual_tls=MutualTls.OFF)) as mesh:
        seen = mesh.reader().read(POLICY)

    assert seen.mutual_tls == MutualTlsSeen()
    assert seen.unread == ()


def test_before_istio_1_5_the_absence_of_peer_authentications_is_no_gap(tmp_path: Path) -> None:
    """Where lists are granted namespace by namespace, too."""
    with running_mesh(tmp_path, Scene(accounts=SMALL.accounts, mutual_tls=MutualTls.OFF)) as mesh:
        mesh.cluster.forbid(Ban(resource="peerauthentications", cluster=True))

        seen = mesh.reader().read(POLICY)

    assert seen.mutual_tls == MutualTlsSeen()
    assert seen.unread == ()


@contextmanager
def newer(tmp_path: Path, **knobs: Any) -> Iterator[Mesh]:
    """A mesh of Istio 1.5 without any policy of the older kind."""
    scene = Scene(accounts=SMALL.accounts, mutual_tls=MutualTls.OFF, citadel_version="1.5.4", **knobs)
    with running_mesh(tmp_path, scene) as mesh:
        yield mesh


def put_peers(mesh: Mesh, namespace: str, spec: dict[str, Any], *, name: str = "default") -> None:
    put(mesh, "security.istio.io/v1beta1", "PeerAuthentication", spec, namespace=namespace, name=name)


def put(mesh: Mesh, group: str, kind: str, spec: dict[str, Any], **place: str) -> None:
    metadata = {"uid": str(uuid.uuid4()), **place}
    value = {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}
    mesh.cluster.do(lambda cluster: cluster.store.put(of_kind(group, kind), value))


def test_from_istio_1_5_on_servers_accept_mutual_tls_where_no_policy_says_otherwise(tmp_path: Path) -> None:
    with newer(tmp_path, automatic_tls=True) as mesh:
        found = mesh.reader().read(POLICY).mutual_tls

    assert (found.peers, found.automatic) == ("permissive", True)


def test_from_istio_1_5_on_clients_do_it_by_themselves_where_the_settings_are_silent(tmp_path: Path) -> None:
    with newer(tmp_path) as mesh:
        target = CONFIG_MAPS.within(SYSTEM).named("istio")
        mesh.admin.patch(target, {"data": {"mesh": "trustDomain: cluster.local\n"}}, NAMED)

        found = mesh.reader().read(POLICY).mutual_tls

    assert found.automatic is True


def test_a_peer_authentication_of_the_root_namespace_switches_it_off_for_the_mesh(tmp_path: Path) -> None:
    with newer(tmp_path, automatic_tls=True) as mesh:
        put_peers(mesh, SYSTEM, {"mtls": {"mode": "DISABLE"}})

        found = mesh.reader().read(POLICY).mutual_tls

    assert found.peers == ""


def test_a_peer_authentication_of_one_namespace_switches_nothing_off_for_the_mesh(tmp_path: Path) -> None:
    with newer(tmp_path, automatic_tls=True) as mesh:
        put_peers(mesh, "shop", {"mtls": {"mode": "DISABLE"}})

        found = mesh.reader().read(POLICY).mutual_tls

    assert found.peers == "permissive"


def test_one_port_that_asks_for_mutual_tls_is_seen(tmp_path: Path) -> None:
    with newer(tmp_path) as mesh:
        put_peers(mesh, SYSTEM, {"mtls": {"mode": "DISABLE"}})
        spec = {"selector": {"matchLabels": {"app": "cart"}}, "portLevelMtls": {"8080": {"mode": "STRICT"}}}
        put_peers(mesh, "shop", spec, name="cart")

        found = mesh.reader().read(POLICY).mutual_tls

    assert found.peers == "strict"


def test_a_policy_that_is_not_understood_is_unread_by_name_and_never_no(tmp_path: Path) -> None:
    with newer(tmp_path) as mesh:
        put_peers(mesh, "shop", {"mtls": {"mode": "RELAXED"}})
        put(mesh, ALPHA, "Policy", {"peers": "all"}, namespace="shop", name="default")
        put(mesh, ALPHA, "MeshPolicy", {"peers": ["x"]}, name="default")
        rule = "networking.istio.io/v1alpha3"
        put(mesh, rule, "DestinationRule", {"subsets": 7}, namespace="shop", name="default")

        seen = mesh.reader().read(POLICY)

    found = seen.mutual_tls
    assert (found.mesh_policy, found.policies, found.peers, found.destination_rules) == (None,) * 4
    assert sorted(unread.what for unread in seen.unread) == [
        "DestinationRule shop/default",
        "MeshPolicy default",
        "PeerAuthentication shop/default",
        "Policy shop/default",
    ]


def test_a_plugged_in_ca_is_seen_without_reading_its_key(tmp_path: Path) -> None:
    with running_mesh(tmp_path, Scene(accounts=SMALL.accounts, plugged_in=True)) as mesh:
        assert mesh.reader().read(AUTHORITY).foreign.plugged_secret is True


def test_the_servers_clock_is_compared_with_the_bots(mesh: Mesh) -> None:
    mesh.cluster.do(lambda cluster: setattr(cluster, "skew", timedelta(minutes=10)))

    skew = mesh.reader().read(frozenset()).clock_skew

    assert skew is not None
    assert timedelta(minutes=9, seconds=58) <= skew <= timedelta(minutes=10, seconds=2)


def test_a_rollout_that_sticks_says_why(mesh: Mesh) -> None:
    mesh.cluster.do(lambda cluster: cluster.trouble("citadel", Trouble.CRASH_LOOP))
    target = DEPLOYMENTS.within(SYSTEM).named("istio-citadel")
    mesh.admin.patch(target, {"spec": {"template": {"metadata": {"annotations": {"x": "y"}}}}}, NAMED)

    trouble, end = "", monotonic() + 20
    while "CrashLoopBackOff" not in trouble and monotonic() < end:
        workloads = mesh.reader().read(AUTHORITY).workloads
        citadel = next(workload for workload in workloads if workload.ref.name == "istio-citadel")
        trouble = citadel.trouble

    assert "CrashLoopBackOff" in trouble
    assert not citadel.settled


def test_a_token_that_is_not_accepted_raises(tmp_path: Path) -> None:
    with stubbed(tmp_path, refused(401, "Unauthorized")) as (client, _):
        reader = KubeReader(client, mesh=MeshName("prod"), namespace=SYSTEM, clock=SystemTime())

        with pytest.raises(ClusterForbidden):
            reader.read(EVERYTHING)


@pytest.mark.parametrize(
    "reply", [NOT_FOUND, absent("kube-system"), Reply(body=b"{}"), Reply(body=b"<html>")]
)
def test_what_is_no_cluster_raises(tmp_path: Path, reply: Reply) -> None:
    with stubbed(tmp_path, reply) as (client, _):
        reader = KubeReader(client, mesh=MeshName("prod"), namespace=SYSTEM, clock=SystemTime())

        with pytest.raises(ClusterUnreachable):
            reader.read(EVERYTHING)


def test_webhooks_that_are_served_in_another_namespace_are_told_apart(tmp_path: Path) -> None:
    def entry(name: str, namespace: str) -> dict[str, object]:
        service = {"namespace": namespace, "name": "istio-galley"}
        return {"name": f"{name}.istio.io", "clientConfig": {"service": service}}

    entries = [entry("here", SYSTEM), entry("there", "istio-control")]
    page = {"items": [{"metadata": {"name": "istio-galley"}, "webhooks": entries}]}
    kinds = ("MutatingWebhookConfigurationList", "ValidatingWebhookConfigurationList")
    replies = [Reply(body=json.dumps({"kind": kind, **page}).encode()) for kind in kinds]
    with stubbed(tmp_path, *replies) as (client, _stub):
        found = read_webhooks(Look(client, SYSTEM))

    assert {webhook.entry for webhook in found.own} == {"here.istio.io"}
    assert {webhook.service for webhook in found.elsewhere} == {"istio-control/istio-galley"}


def test_before_kubernetes_1_16_webhooks_are_read_in_their_older_version(tmp_path: Path) -> None:
    entry = {
        "name": "pilot.validation.istio.io",
        "clientConfig": {"service": {"namespace": SYSTEM, "name": "istio-galley"}, "caBundle": ""},
    }
    items = [{"metadata": {"name": "istio-galley"}, "webhooks": [entry]}]
    page = {"kind": "MutatingWebhookConfigurationList", "items": items}
    known, unknown = Reply(body=json.dumps(page).encode()), NOT_FOUND
    with stubbed(tmp_path, unknown, known, unknown, known) as (client, stub):
        look = Look(client, SYSTEM)

        found = [read_webhooks(look), read_webhooks(look)]

    assert [webhook.entry for webhooks in found for webhook in webhooks.own] == [
        "pilot.validation.istio.io"
    ] * 4
    assert look.unread == ()
    first, again = [False, True, False, True], [True, True]
    assert ["v1beta1" in line for line in stub.asked] == [*first, *again]


def test_what_may_not_be_patched_is_named(mesh: Mesh) -> None:
    mesh.cluster.forbid(Ban(verb="patch", resource="secrets", name="rootkeeper-backup"))
    mesh.cluster.forbid(Ban(verb="patch", resource="deployments", name="istio-galley"))

    seen = mesh.reader().read(frozenset({Part.AUTHORITY, Part.ACCESS}))

    assert [str(ref) for ref in seen.access.unpatchable] == [
        f"Secret {SYSTEM}/rootkeeper-backup",
        f"Deployment {SYSTEM}/istio-galley",
    ]
    assert seen.unread == ()


def test_a_right_to_restart_everything_is_asked_for_once_a_kind(mesh: Mesh) -> None:
    before = len(mesh.cluster.audit())
    reader = KubeReader(mesh.admin, mesh=MeshName("prod"), namespace=SYSTEM, clock=SystemTime())

    reader.read(frozenset({Part.AUTHORITY, Part.ACCESS}))

    asked = [e for e in mesh.cluster.audit()[before:] if e.resource == "selfsubjectaccessreviews"]
    assert len(asked) == 3 + 1  # CA secret, backup, Lease; this mesh has no DaemonSet


def test_rights_that_cannot_be_asked_for_are_unread(mesh: Mesh) -> None:
    mesh.cluster.inject(Fault(effect=Effect.STATUS, code=500, resource="selfsubjectaccessreviews", times=9))

    seen = mesh.reader().read(frozenset({Part.AUTHORITY, Part.ACCESS}))

    assert [(unread.part, unread.what) for unread in seen.unread] == [(Part.ACCESS, "what the bot may patch")]
