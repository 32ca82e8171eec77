"""Verdicts on meshes as they are: a second control plane, half-updated proxies, a secret kept elsewhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.core.authority import recognise
from bot.core.certificates import Certificate, read_bundle
from bot.core.findings import Verdict
from bot.core.mesh import EVERYTHING, LoadedCertificate, MeshSnapshot
from bot.core.verification import judge_processes, judge_proxies
from tests.fakes.cluster import FakeCluster

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Stopped:
    """A clock that stands."""

    def now(self) -> datetime:
        return NOW


def mesh() -> tuple[MeshSnapshot, Certificate]:
    cluster = FakeCluster(Stopped())
    assert cluster.secret is not None
    root = read_bundle(cluster.secret.data["ca-cert.pem"]).first
    assert root is not None
    return cluster.read(EVERYTHING), root


def test_a_proxy_with_one_context_of_the_old_root_has_not_loaded_the_new_one() -> None:
    seen, root = mesh()
    old = LoadedCertificate(serial=1, not_before=NOW - timedelta(days=360), not_after=NOW)
    proxy = replace(seen.proxies[0], roots=(*seen.proxies[0].roots, old))

    before = judge_proxies(replace(seen, proxies=seen.proxies[:1]), root)
    (after,) = judge_proxies(replace(seen, proxies=(proxy,)), root)

    assert [v.verdict for v in before] == [Verdict.OK]
    assert after.verdict is Verdict.NOT_OK
    assert "2025-11-28" in after.reason


def test_the_processes_of_another_control_plane_are_not_this_meshs() -> None:
    seen, root = mesh()
    elsewhere = tuple(
        replace(pod, ref=replace(pod.ref, namespace="istio-two"), started_at=None)
        for pod in seen.control_plane_pods
    )

    alone = judge_processes(seen, root)
    beside = judge_processes(replace(seen, control_plane_pods=(*seen.control_plane_pods, *elsewhere)), root)

    assert alone
    assert beside == alone


@pytest.mark.parametrize(("place", "supported"), [("istio-system", True), ("security", False)])
def test_a_citadel_that_keeps_its_secret_elsewhere_is_left_alone(place: str, *, supported: bool) -> None:
    seen, _ = mesh()
    flag = f"--citadel-storage-namespace={place}"
    workloads = tuple(
        replace(
            workload,
            containers=tuple(replace(c, arguments=(*c.arguments, flag)) for c in workload.containers),
        )
        for workload in seen.workloads
    )

    assert recognise(replace(seen, workloads=workloads)).supported is supported
