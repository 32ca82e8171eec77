"""What every cluster keeps to when it is looked at and when its root is replaced.

Ports ClusterReader and ClusterWriter: the fake, and the real edge.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.ids import RotationId
from bot.core.mesh import EVERYTHING, Part
from bot.core.verifiers import why_not_issued_by
from bot.errors import (
    ClusterConflict,
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnreachable,
    ObjectAbsent,
)
from tests.contract.cluster_benches import BENCHES, CITADEL, Bench, ca_of, state_of

ONE = RotationId("1" * 32)
ROOT_KEY = "ca-cert.pem"


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    with BENCHES[request.param](tmp_path) as bench:
        yield bench


def new_root(bench: Bench) -> bytes:
    """Other bytes with the same certificate: a line end more."""
    first = ca_of(bench).root.first
    assert first is not None
    return first.pem + b"\n"


# --- reading ---------------------------------------------------------------------------------


def test_a_look_at_everything_sees_the_whole_mesh(bench: Bench) -> None:
    seen = bench.reader.read(EVERYTHING)

    assert seen.cluster_uid
    assert seen.clock_skew is not None
    assert abs(seen.clock_skew) <= timedelta(seconds=2)
    assert seen.unread == ()
    assert seen.ca_secret is not None
    assert seen.ca_secret.key.fault == ""
    assert seen.foreign.plugged_secret is False
    assert CITADEL in [workload.ref for workload in seen.workloads]
    assert all(workload.settled for workload in seen.workloads)
    assert {"bank", "shop"} <= {namespace.name for namespace in seen.namespaces}
    assert {"cart", "frontend", "ledger"} <= {secret.service_account for secret in seen.secrets}
    assert seen.trust is not None
    assert {webhook.ref.name for webhook in seen.webhooks} == {"istio-galley", "istio-sidecar-injector"}
    assert seen.mutual_tls.mesh_policy == "strict"
    assert seen.access.kubernetes.startswith("v1.")
    assert seen.access.unpatchable == ()


def test_everything_that_holds_a_root_holds_the_one_that_signs(bench: Bench) -> None:
    seen = bench.reader.read(EVERYTHING)

    assert seen.ca_secret is not None
    assert seen.trust is not None
    root = seen.ca_secret.root.first
    assert root is not None
    assert all(secret.root.first == root and secret.leaf for secret in seen.secrets)
    assert seen.trust.root.first == root
    assert all(webhook.root.first == root for webhook in seen.webhooks)
    assert seen.proxies
    assert all(loaded.is_of(root) for proxy in seen.proxies for loaded in proxy.roots)
    assert all(proxy.roots and proxy.leaves and not proxy.fault for proxy in seen.proxies)


def test_what_webhooks_serve_is_seen_pod_by_pod_and_verifies_under_the_root(bench: Bench) -> None:
    seen = bench.reader.read(frozenset({Part.WEBHOOKS}))

    root = ca_of(bench).root.first
    assert root is not None
    assert [served.service for served in seen.served] == [
        "istio-system/istio-galley",
        "istio-system/istio-sidecar-injector",
    ]
    for served in seen.served:
        assert served.asked
        assert not served.fault
        assert served.pod is not None
        assert f"{served.workload}" == f"Deployment {served.service}"
        assert served.leaf is not None
        assert why_not_issued_by(served.leaf, root, at=seen.taken_at) is None


def test_an_expired_certificate_that_a_webhook_serves_is_read_all_the_same(bench: Bench) -> None:
    bench.expire_served("sidecar-injector")

    seen = bench.reader.read(frozenset({Part.WEBHOOKS}))

    expired = [s.service for s in seen.served if s.leaf and s.leaf.not_after < seen.taken_at]
    assert expired == ["istio-system/istio-sidecar-injector"]


@pytest.mark.parametrize("part", sorted(Part))
def test_what_is_not_asked_for_is_not_read(bench: Bench, part: Part) -> None:
    seen = bench.reader.read(frozenset({part}))

    filled = {
        Part.AUTHORITY: bool(seen.ca_secret or seen.workloads or seen.control_plane_pods),
        Part.SECRETS: bool(seen.secrets or seen.namespaces or seen.trust),
        Part.WEBHOOKS: bool(seen.webhooks or seen.served),
        Part.PROXIES: bool(seen.proxies),
        Part.POLICY: bool(seen.mutual_tls.mesh_policy),
        Part.ACCESS: bool(seen.access.kubernetes),
    }
    assert seen.parts == {part}
    assert [each for each in sorted(Part) if filled[each]] == [part]


def test_a_ca_secret_that_is_absent_is_not_unread(bench: Bench) -> None:
    bench.remove_ca_secret()

    seen = bench.reader.read(frozenset({Part.AUTHORITY}))

    assert seen.ca_secret is None
    assert seen.unread == ()


def test_a_ca_secret_that_may_not_be_read_is_unread_by_name(bench: Bench) -> None:
    bench.forbid_ca_secret()

    seen = bench.reader.read(frozenset({Part.AUTHORITY}))

    assert seen.ca_secret is None
    assert [(unread.part, unread.what) for unread in seen.unread] == [
        (Part.AUTHORITY, "Secret istio-system/istio-ca-secret")
    ]
    assert seen.unread[0].reason


def test_secrets_of_a_namespace_that_may_not_be_listed_are_unread_by_name(bench: Bench) -> None:
    bench.forbid_secrets_in("shop")

    seen = bench.reader.read(frozenset({Part.SECRETS}))

    assert [unread.what for unread in seen.unread] == ["Secrets in namespace shop"]
    assert "ledger" in {secret.service_account for secret in seen.secrets}
    assert "cart" not in {secret.service_account for secret in seen.secrets}


def test_only_a_cluster_without_an_identity_raises(bench: Bench) -> None:
    bench.cut_off()

    with pytest.raises(ClusterUnreachable):
        bench.reader.read(EVERYTHING)


# --- the signing key ---------------------------------------------------------------------------


def test_the_signing_key_belongs_to_the_root(bench: Bench) -> None:
    secret = ca_of(bench)

    key = bench.reader.signing_key(secret.state)

    assert secret.root.first is not None
    assert key.public_key_digest == secret.root.first.public_key_digest
    assert key.public_key_digest == secret.key.public_key_digest


def test_the_signing_key_is_refused_for_another_state(bench: Bench) -> None:
    before = state_of(bench)
    bench.change_data(ROOT_KEY, b"something else\n")

    with pytest.raises(ClusterConflict):
        bench.reader.signing_key(before)


def test_the_signing_key_is_refused_without_permission(bench: Bench) -> None:
    before = state_of(bench)
    bench.forbid_ca_secret()

    with pytest.raises(ClusterForbidden):
        bench.reader.signing_key(before)


def test_the_signing_key_of_an_absent_secret_is_absent(bench: Bench) -> None:
    before = state_of(bench)
    bench.remove_ca_secret()

    with pytest.raises(ObjectAbsent):
        bench.reader.signing_key(before)


# --- replacing the root ------------------------------------------------------------------------


def test_a_replaced_root_is_there_byte_for_byte_and_nothing_else_changed(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)

    written = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    after = ca_of(bench)
    assert written.same_data(after.state)
    assert after.state.uid == before.uid
    assert {key for key, _ in set(before.digests) ^ set(after.state.digests)} == {ROOT_KEY}
    assert dict(after.annotations)["rootkeeper.dev/rotation"] == ONE
    assert ("rootkeeper" in after.managers) is bench.recent


def test_a_rehearsal_writes_nothing_and_says_what_would_be(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)

    rehearsed = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=True)

    assert state_of(bench) == before
    assert not rehearsed.same_data(before)
    written = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)
    assert written.same_data(rehearsed)


def test_replacing_a_root_twice_writes_once(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)

    first = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)
    second = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert second == first == state_of(bench)


def test_metadata_that_changed_meanwhile_is_no_obstacle(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.touch_metadata()

    bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    after = ca_of(bench)
    assert not after.state.same_data(before)
    assert dict(after.annotations)["somebody/was"] == "here"


@pytest.mark.parametrize("rehearse", [True, False])
def test_data_that_changed_meanwhile_is_a_conflict_and_stays(bench: Bench, *, rehearse: bool) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.change_data("ca-key.pem", b"another key\n")
    changed = state_of(bench)

    with pytest.raises(ClusterConflict):
        bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=rehearse)

    assert state_of(bench) == changed


def test_an_immutable_secret_is_refused(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.lock()

    # Before Kubernetes 1.18 there is no such field: what sets it sets nothing.
    with pytest.raises(ClusterRefused, match="immutable") if bench.recent else nullcontext():
        bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=True)


def test_a_vanished_secret_is_never_made_anew(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.remove_ca_secret()

    with pytest.raises(ObjectAbsent):
        bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert bench.reader.read(frozenset({Part.AUTHORITY})).ca_secret is None


def test_a_write_whose_answer_was_lost_is_found_done(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.lose_next_answer()

    written = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert written == state_of(bench)
    assert not written.same_data(before)


def test_a_write_that_was_lost_is_done_again(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.lose_next_request()

    written = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    assert written == state_of(bench)


def test_a_write_to_a_cluster_that_is_cut_off_raises(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.cut_off()

    with pytest.raises(ClusterError):
        bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)


def test_the_old_root_can_be_put_back_from_the_backup(bench: Bench) -> None:
    before, pem = state_of(bench), new_root(bench)
    bench.writer.back_up(ONE, expected=before)
    written = bench.writer.replace_root(pem, expected=before, rotation_id=ONE, rehearse=False)

    old = bench.writer.backed_up_root(ONE)
    bench.writer.replace_root(old, expected=written, rotation_id=ONE, rehearse=False)

    assert state_of(bench).same_data(before)
