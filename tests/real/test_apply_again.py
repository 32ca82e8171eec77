"""The manifests applied again over what a rotation wrote: the way back stays."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.core.ids import RotationId
from tests.contract.cluster_benches import SYSTEM, state_of
from tests.real.contract_sides import server_bench
from tests.testbed.bed import TestBed

OVERLAY = Path(__file__).parents[2] / "manifests" / "overlays" / "single"
BACKUP = f"/api/v1/namespaces/{SYSTEM}/secrets/rootkeeper-backup"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/rootkeeper"
ONE = RotationId("1" * 32)


@pytest.mark.parametrize(
    "flags", [(), ("--server-side", "--force-conflicts")], ids=["client-side", "server-side"]
)
def test_backups_and_the_lease_outlive_another_apply(server: TestBed, flags: tuple[str, ...]) -> None:
    api = server.api()
    with server_bench(server) as bench:
        for path in (BACKUP, LEASE):
            api.delete(path)
        rendered = server.kubectl("kustomize", str(OVERLAY))
        server.kubectl("apply", *flags, "--filename", "-", stdin=rendered)
        state = state_of(bench)
        bench.writer.hold(ONE, now=datetime.now(UTC))
        bench.writer.back_up(ONE, expected=state)
        backup, lease = api.get(BACKUP), api.get(LEASE)

        told = server.kubectl("apply", *flags, "--filename", "-", stdin=rendered)

        after = bench.writer.back_up(ONE, expected=state)
    assert "secret/rootkeeper-backup" in told
    assert after.digests == state.digests
    assert api.get(BACKUP)["data"] == backup["data"]
    assert api.get(BACKUP)["metadata"]["annotations"]["rootkeeper.dev/backups"] == ONE
    assert api.get(LEASE)["spec"] == lease["spec"]
    assert lease["spec"]["holderIdentity"] == ONE


def test_the_shipped_manifests_are_accepted_as_they_are(server: TestBed) -> None:
    with server_bench(server):
        told = server.kubectl("apply", "--dry-run=server", "--validate=strict", "--kustomize", str(OVERLAY))

    assert told.count("(server dry run)") == len(told.splitlines())
