"""The edge on API servers of Citadel's time: what it falls back to, and what it refuses to do there."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.ids import RotationId
from bot.core.mesh import EVERYTHING, Part
from bot.edges.kube import client as kube_client
from bot.edges.kube.holders import Webhooks, read_webhooks
from bot.edges.kube.look import Look
from bot.edges.kube.targets import LEASES
from bot.edges.kube.wire import LEASE
from bot.errors import ClusterRefused, ObjectAbsent
from bot.sandbox.cluster.scene import Scene
from tests.unit.edges.kube_mesh import SMALL, SYSTEM, running_mesh
from tests.unit.edges.kube_stub import NOT_FOUND, Reply, absent, stubbed

ONE = RotationId("1" * 32)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LEASE_OF_BOT = LEASES.within(SYSTEM).named("rootkeeper")


def aged(version: str) -> Scene:
    return Scene(accounts=SMALL.accounts, kubernetes=version)


@pytest.mark.parametrize(
    "version", ["v1.11.0+d4cacc0", "v1.12.10", "v1.14.10-gke.36", "v1.18.20", "v1.22.17"]
)
def test_the_whole_mesh_is_seen(tmp_path: Path, version: str) -> None:
    with running_mesh(tmp_path, aged(version)) as mesh:
        seen = mesh.reader().read(EVERYTHING)

    assert seen.unread == ()
    assert seen.foreign.plugged_secret is False
    assert {webhook.ref.name for webhook in seen.webhooks} == {"istio-galley", "istio-sidecar-injector"}
    accounts = {name for each in seen.namespaces for name in each.service_accounts or ()}
    assert {"ledger", "cart", "frontend"} <= accounts
    assert seen.proxies
    assert not [proxy.fault for proxy in seen.proxies if proxy.fault]


def test_a_list_of_metadata_in_pages_is_whole_where_such_lists_have_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_client, "PAGE_SIZE", 2)

    with running_mesh(tmp_path, aged("v1.14.10")) as mesh:
        seen = mesh.reader().read(frozenset({Part.SECRETS}))

    accounts = [name for each in seen.namespaces for name in each.service_accounts or ()]
    assert len(accounts) > 2 * 2
    assert len(accounts) >= len(seen.secrets)


def test_a_plugged_in_ca_s_key_is_not_read_where_metadata_cannot_be_had_alone(tmp_path: Path) -> None:
    with running_mesh(tmp_path, Scene(plugged_in=True, kubernetes="v1.9.11")) as mesh:
        seen = mesh.reader().read(frozenset({Part.AUTHORITY}))

    assert seen.foreign.plugged_secret is None
    assert [unread.what for unread in seen.unread] == ["Secret istio-system/cacerts"]
    assert "406" in seen.unread[0].reason


@pytest.mark.parametrize("version", ["v1.9.11", "v1.10.13", "v1.11.0+d4cacc0", "v1.12.10"])
def test_a_server_that_cannot_rehearse_is_not_asked_to(tmp_path: Path, version: str) -> None:
    with running_mesh(tmp_path, aged(version)) as mesh:
        ca = mesh.ca()
        assert ca.root.first is not None
        pem = ca.root.first.pem + b"\n"

        with pytest.raises(ClusterRefused, match="cannot rehearse") as refusal:
            mesh.writer.replace_root(pem, expected=ca.state, rotation_id=ONE, rehearse=True)

        patches = [entry for entry in mesh.cluster.audit() if entry.verb == "patch"]
        after = mesh.ca().state
    assert "1.13" in refusal.value.hint
    assert [entry for entry in patches if "rootkeeper" in entry.user] == []
    assert after.same_data(ca.state)


def test_a_rehearsal_that_was_stored_all_the_same_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_mesh(tmp_path, aged("v1.10.13")) as mesh:
        monkeypatch.setattr(mesh.client, "version", lambda: "v1.37.2")
        ca = mesh.ca()
        assert ca.root.first is not None
        pem = ca.root.first.pem + b"\n"

        with pytest.raises(ClusterRefused, match="meant as a rehearsal"):
            mesh.writer.replace_root(pem, expected=ca.state, rotation_id=ONE, rehearse=True)


def test_a_server_that_does_not_tell_its_version_is_not_asked_to_rehearse(tmp_path: Path) -> None:
    secret = Reply(body=json.dumps({"gitVersion": "custom"}).encode())

    with stubbed(tmp_path, secret) as (client, stub), pytest.raises(ClusterRefused, match="unknown"):
        client.patch(LEASE_OF_BOT, {}, LEASE, rehearse=True)

    assert stub.asked == ["GET /version"]


def test_an_older_version_is_remembered_for_every_verb_until_it_is_gone(tmp_path: Path) -> None:
    found = Reply(body=b'{"metadata":{"uid":"u"},"spec":{"holderIdentity":"a"}}')
    script = (NOT_FOUND, found, found, found, NOT_FOUND, found, found)
    with stubbed(tmp_path, *script) as (client, stub):
        client.get(LEASE_OF_BOT, LEASE)
        client.patch(LEASE_OF_BOT, {}, LEASE)
        client.get(LEASE_OF_BOT, LEASE)
        client.get(LEASE_OF_BOT, LEASE)  # the API server was upgraded meanwhile
        client.get(LEASE_OF_BOT, LEASE)

    versions = ["v1beta1" if "/v1beta1/" in line else "v1" for line in stub.asked]
    assert versions == ["v1", "v1beta1", "v1beta1", "v1beta1", "v1beta1", "v1", "v1"]


def test_what_is_absent_in_the_version_that_is_served_is_absent(tmp_path: Path) -> None:
    with (
        stubbed(tmp_path, NOT_FOUND, absent("rootkeeper")) as (client, stub),
        pytest.raises(ObjectAbsent, match="leases rootkeeper"),
    ):
        client.get(LEASE_OF_BOT, LEASE)

    assert ["v1beta1" in line for line in stub.asked] == [False, True]


def test_a_lease_is_held_and_given_back_on_kubernetes_1_13(tmp_path: Path) -> None:
    with running_mesh(tmp_path, aged("v1.13.12")) as mesh:
        mesh.writer.hold(ONE, now=NOW)
        held = mesh.client.get(LEASE_OF_BOT, LEASE).spec
        mesh.writer.release(ONE)
        free = mesh.client.get(LEASE_OF_BOT, LEASE).spec

    assert held is not None
    assert held.holder_identity == ONE
    assert free is None or free.holder_identity is None


def test_webhooks_that_no_version_lists_are_unread_and_not_none(tmp_path: Path) -> None:
    with stubbed(tmp_path, NOT_FOUND) as (client, _):
        look = Look(client, SYSTEM)
        found = read_webhooks(look)

    assert found == Webhooks()
    assert [unread.what for unread in look.unread] == [
        "MutatingWebhookConfigurations",
        "ValidatingWebhookConfigurations",
    ]
