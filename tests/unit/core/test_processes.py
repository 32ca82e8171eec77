"""What must be restarted for a new root, and which process may still hold the old one."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.core.certificates import Certificate
from bot.core.checks import table
from bot.core.components import (
    COMPONENTS,
    DISTRIBUTION_WINDOW,
    MOUNT_DELAY,
    RESTART_MARK,
    Reissues,
    component_of,
    may_hold_older_root,
    pods_of,
    restart_candidates,
    started_after,
    why_restart,
)
from bot.core.findings import Verdict
from bot.core.issuing import CLOCK_SKEW
from bot.core.mesh import MeshSnapshot, ObjectRef, Pod, Workload, WorkloadSecret
from bot.core.verification import judge_processes
from tests.unit.core.builders import (
    SIDECAR,
    SYSTEM,
    Case,
    a_citadel,
    a_container,
    a_leaf,
    a_mesh,
    a_namespace,
    a_new_root,
    a_pod,
    a_secret,
    a_workload,
    bundle,
    the_root,
)
from tests.unit.hardcases.making import DAY, NOW

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
NEW = a_new_root()
MADE = NEW.not_before + CLOCK_SKEW
REISSUED = MADE + HOUR
"""An approval later."""


def a_mixer(kind: str) -> Workload:
    labels = (("istio", "mixer"), ("istio-mixer-type", kind))
    return a_workload(kind, labels=labels, containers=(a_container("mixer"),))


NODE_AGENT = a_workload(
    "nodeagent", ref=ObjectRef(kind="DaemonSet", namespace=SYSTEM, name="istio-nodeagent")
)
LONE_PILOT = a_workload("pilot", a_container("discovery"))
PAIRED_PILOT = a_workload("pilot", a_container("discovery"), SIDECAR)


def galley(version: str) -> Workload:
    return a_workload("galley", a_container("galley", f"docker.io/istio/galley:{version}"))


# --- what reads the root at start ---------------------------------------------------------------

RESTARTED = {
    "Pilot with a sidecar (2/2)": (
        PAIRED_PILOT,
        "proxies' certificates against only when it starts",
        "(1/1)",
    ),
    "Galley": (galley("1.4.10"), "Galley reads the roots it checks configuration clients against", "webhook"),
    "Mixer": (a_mixer("policy"), "Mixer reads the roots it checks its configuration server against", "(1/1)"),
    "the node agent": (NODE_AGENT, "the node agent reads the root it checks Citadel against", "(1/1)"),
}


@pytest.mark.parametrize("case", RESTARTED)
def test_what_reads_the_root_at_start_must_be_restarted(case: str) -> None:
    workload, reason, absent = RESTARTED[case]

    said = why_restart(workload) or ""

    assert reason in said
    assert absent not in said


def test_a_pilot_without_sidecar_keeps_its_own_certificate_too() -> None:
    assert (why_restart(LONE_PILOT) or "").endswith("it has no sidecar (1/1), so its own certificate too")


@pytest.mark.parametrize(
    ("version", "never"),
    [("1.2.10", False), ("1.3.0", True), ("1.3.3", True), ("1.3.4", False), ("1.4.10", False)],
)
def test_some_galleys_never_reload_their_webhook_certificate(version: str, *, never: bool) -> None:
    said = why_restart(galley(version)) or ""

    assert ("never reloads its webhook certificate either" in said) is never


RELOADING = {
    "the sidecar injector": a_workload("sidecar-injector"),
    "Citadel, which has a step of its own": a_citadel(),
    "istiod": a_workload("pilot", labels=(("app", "istiod"), ("istio", "pilot"))),
    "a gateway": a_workload("ingressgateway"),
    "something else": a_workload("x", labels=()),
}


@pytest.mark.parametrize("case", RELOADING)
def test_what_reloads_by_itself_is_not_restarted(case: str) -> None:
    assert why_restart(RELOADING[case]) is None


def test_restarts_come_in_order_of_component_and_name_and_stay_in_the_namespace() -> None:
    ref = ObjectRef(kind="Deployment", namespace="istio-two", name="istio-pilot")
    elsewhere = replace(LONE_PILOT, ref=ref)
    mixers = (a_mixer("telemetry"), a_mixer("policy"))
    workloads = (NODE_AGENT, *mixers, galley("1.4.10"), elsewhere, LONE_PILOT, a_citadel())

    found = restart_candidates(a_mesh(workloads=workloads))

    assert [workload.ref.name for workload, _ in found] == [
        "istio-pilot",
        "istio-galley",
        "istio-policy",
        "istio-telemetry",
        "istio-nodeagent",
    ]


def test_every_component_that_is_restarted_says_what_is_felt() -> None:
    assert [c.title for c in COMPONENTS if not c.felt] == []
    assert component_of(a_pod("galley")) is not None


# --- when what a pod reads was re-issued -----------------------------------------------------------


def issued(
    at: datetime, account: str = "istio-pilot-service-account", root: Certificate = NEW
) -> WorkloadSecret:
    """A secret of the control plane with a leaf of that second."""
    leaf = a_leaf(root, since=at, until=at + 90 * DAY)
    return a_secret(account, SYSTEM, root=bundle(root), leaf=leaf)


def with_secrets(*secrets: WorkloadSecret) -> MeshSnapshot:
    return a_mesh(secrets=secrets, namespaces=(a_namespace("shop"),))


def test_a_pod_s_secret_is_found_by_its_volumes_or_its_service_account() -> None:
    elsewhere = a_secret("mounted", "shop", root=bundle(NEW), leaf=a_leaf(NEW, since=NOW))
    mesh = with_secrets(
        issued(MADE), issued(MADE + HOUR, "mounted"), issued(MADE + 2 * HOUR, "other"), elsewhere
    )

    assert Reissues.of(mesh, NEW).at(a_pod()) == MADE
    assert Reissues.of(mesh, NEW).at(a_pod(secret_volumes=("istio.mounted",))) == MADE + HOUR


WORKLOAD = a_secret(root=bundle(NEW), leaf=a_leaf(NEW, since=NOW))
KNOWN = {
    "its own certificate": ((issued(MADE), issued(REISSUED, "galley")), MADE),
    "the last of its namespace, where it has none of its own": (
        (issued(MADE, "citadel"), issued(REISSUED, "galley")), REISSUED),
    "the last of the mesh, where its namespace has none": (
        (WORKLOAD, replace(WORKLOAD, leaf=a_leaf(NEW, since=NOW - MINUTE))), NOW),
    "those that Citadel keeps, whatever others hold": (
        (WORKLOAD, a_secret("gone", root=bundle(the_root()))), NOW),
    "nothing, where it has none and one beside it is behind": (
        (issued(MADE, "citadel"), issued(MADE, "galley", root=the_root())), None),
    "nothing, where its own certificate cannot be read and no other is there": (
        (replace(issued(MADE), leaf=None),), None),
    "nothing, where its own certificate is older than the root": ((issued(MADE - HOUR),), None),
    "nothing, where no secret was seen": ((), None),
}  # fmt: skip


@pytest.mark.parametrize("case", KNOWN)
def test_the_time_of_a_re_issue_is_told_by(case: str) -> None:
    secrets, at = KNOWN[case]

    assert Reissues.of(with_secrets(*secrets), NEW).at(a_pod()) == at


STARTS = {
    "it has not started": (a_pod(started_at=None), False),
    "a pod made after it": (a_pod(created_at=NOW, started_at=NOW + SECOND), True),
    "a pod made before it and started again when files had followed": (
        a_pod(created_at=NOW - DAY, started_at=NOW + MOUNT_DELAY), True),
    "a pod made before it and started again before files can have followed": (
        a_pod(created_at=NOW - SECOND, started_at=NOW + MOUNT_DELAY - SECOND), False),
    "a pod of which the making is unknown, soon after it": (a_pod(started_at=NOW + MINUTE), False),
}  # fmt: skip


@pytest.mark.parametrize("case", STARTS)
def test_a_process_has_read_what_was_re_issued(case: str) -> None:
    pod, has = STARTS[case]

    assert started_after(pod, NOW) is has


# --- which process may hold the older root --------------------------------------------------------

FIRST = issued(REISSUED)
RENEWED = issued(MADE + 46 * DAY)
NEIGHBOUR = issued(REISSUED, "galley")
WINDOW = MADE + DISTRIBUTION_WINDOW

HOLDS: dict[str, tuple[Pod, WorkloadSecret | None, bool]] = {
    "it has not started": (a_pod(started_at=None), FIRST, True),
    "it started before the root was made": (a_pod(started_at=MADE - DAY), None, True),
    "it started in the window and nothing is known": (a_pod(started_at=WINDOW - SECOND), None, True),
    "it started when the window was over": (a_pod(started_at=WINDOW), None, False),
    "it started before its first certificate under the root": (a_pod(started_at=REISSUED - SECOND), FIRST, True),
    "it was made after that": (a_pod(created_at=REISSUED, started_at=REISSUED + SECOND), FIRST, False),
    "its approval took days, and it started before the re-issue": (
        a_pod(started_at=MADE + 2 * DAY), issued(MADE + 3 * DAY), True),
    "its certificate was renewed since, and it started in between": (a_pod(started_at=MADE + DAY), RENEWED, False),
    "its certificate was renewed since, and it is older than the root": (
        a_pod(started_at=MADE - DAY), RENEWED, True),
    "it has no secret, and was made after the last re-issue": (
        a_pod(created_at=REISSUED, started_at=REISSUED + MINUTE), NEIGHBOUR, False),
    "it has no secret, and started before the last re-issue": (a_pod(started_at=REISSUED), NEIGHBOUR, True),
}  # fmt: skip


INSTALLED = replace(issued(REISSUED), created_at=REISSUED)
HOLDS |= {
    "it waited for its very first certificate": (
        a_pod(created_at=REISSUED - MINUTE, started_at=REISSUED + SECOND), INSTALLED, False),
    "it started before its very first certificate": (
        a_pod(created_at=REISSUED - MINUTE, started_at=REISSUED - SECOND), INSTALLED, True),
    "its secret was deleted to be made anew, and it is older than the root": (
        a_pod(created_at=MADE - DAY, started_at=REISSUED + SECOND), INSTALLED, True),
    "its secret was re-issued in place while it started": (
        a_pod(created_at=REISSUED - MINUTE, started_at=REISSUED + SECOND),
        replace(INSTALLED, created_at=MADE - DAY), True),
}  # fmt: skip


@pytest.mark.parametrize("case", HOLDS)
def test_a_process_may_hold_the_root_before(case: str) -> None:
    pod, secret, holds = HOLDS[case]

    seen = with_secrets(*([secret] if secret else []))

    assert may_hold_older_root(pod, Reissues.of(seen, NEW)) is holds


# --- verdicts -------------------------------------------------------------------------------------


def judged(pod: Pod, *secrets: WorkloadSecret, **changes: Any) -> str:
    mesh = a_mesh(control_plane_pods=(pod,), secrets=secrets, **changes)
    return ", ".join(f"{v.verdict}: {v.reason}" for v in judge_processes(mesh, NEW))


def test_a_process_whose_secret_still_has_the_old_root_is_behind_whenever_it_started() -> None:
    behind = issued(NOW - DAY, root=the_root())

    for started in (NOW - 5 * DAY, NOW, NOW + 5 * DAY):
        assert judged(a_pod(started_at=started), behind) == (
            "not_ok: reads Secret istio-system/istio.istio-pilot-service-account, "
            "which does not carry the root yet"
        )


def test_a_process_that_started_before_its_re_issue_is_behind_and_names_its_start() -> None:
    assert judged(a_pod(started_at=NOW - DAY), issued(NOW)) == (
        "not_ok: reads the root only at start and started at 2026-11-22 18:41 UTC, "
        "before the new one was surely there"
    )
    assert judged(a_pod(created_at=NOW, started_at=NOW), issued(NOW)) == "ok: "


MARKED = MADE + 20 * MINUTE
MARK = (MARKED + timedelta(microseconds=123)).strftime(RESTART_MARK)
RESTARTS = {
    "by a rotation, before its certificate was renewed": (MARK, MARKED, "ok"),
    "by a rotation, and again since": (MARK, MARKED + DAY, "ok"),
    "by nobody: the pod is older than the mark": (MARK, MARKED - MINUTE, "not_ok"),
    "by the rotation before this root": ((MADE - DAY).strftime(RESTART_MARK), MARKED, "not_ok"),
    "by hand, which proves nothing": (MARKED.strftime("%Y-%m-%dT%H:%M:%SZ"), MARKED, "not_ok"),
    "never": ("", MARKED, "not_ok"),
}


@pytest.mark.parametrize("case", RESTARTS)
def test_half_a_certificate_s_life_after_a_rotation_a_process_was_restarted(case: str) -> None:
    mark, made, verdict = RESTARTS[case]
    pilot = replace(LONE_PILOT, restarted_at=mark)
    pod = a_pod(created_at=made, started_at=made + SECOND)

    assert judged(pod, RENEWED, workloads=(a_citadel(), pilot)).partition(":")[0] == verdict


def test_a_process_that_has_not_started_is_unknown() -> None:
    assert judged(a_pod(started_at=None, phase="Pending")) == "unknown: has not started"


@pytest.mark.parametrize(
    "pod",
    [a_pod(deleting=True), a_pod(phase="Failed", started_at=None), a_pod(phase="Succeeded", started_at=None)],
    ids=["being deleted", "evicted", "ended"],
)
def test_a_pod_that_runs_nothing_any_more_is_not_judged(pod: Pod) -> None:
    assert judged(pod) == ""
    assert pods_of(LONE_PILOT, a_mesh(control_plane_pods=(pod,))) == ()


def test_a_pod_of_a_workload_of_another_kind_is_not_judged() -> None:
    assert judged(a_pod(workload="DaemonSet istio-pilot")) == ""


def test_the_cure_of_a_process_is_its_workload_s_restart() -> None:
    (verdict,) = judge_processes(a_mesh(control_plane_pods=(a_pod(),), secrets=()), NEW)

    assert verdict.verdict is Verdict.NOT_OK
    assert verdict.what == "Pod istio-system/istio-pilot-x1"
    assert verdict.cure == "restart Deployment istio-pilot"


CASES = {
    "every process is younger than the root": Case(
        table.PROCESSES, a_mesh(control_plane_pods=(a_pod(),)), "ok",
        "1 of 1 control plane process has started with the root"),
    "no root to compare with": Case(
        table.PROCESSES, a_mesh(ca_secret=None, control_plane_pods=(a_pod(),)), "silent"),
    "nothing reads the root at start": Case(
        table.PROCESSES, a_mesh(control_plane_pods=(a_pod("citadel"),)), "silent"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_processes(case: str) -> None:
    CASES[case].holds()


@pytest.mark.parametrize(
    ("desired", "updated", "ready", "total", "renewed"),
    [
        (1, 1, 1, 1, 1),  # done
        (1, 1, 1, 2, 0),  # the new one is there and not ready, the old one still serves
        (1, 0, 1, 1, 0),  # not begun
        (3, 2, 3, 4, 1),  # two old ones are left; one of the ready ones must be new
        (3, 3, 2, 3, 2),  # all are new, one is not ready
        (0, 0, 0, 0, 0),
    ],
)
def test_a_replica_counts_as_renewed_only_when_no_old_one_can_be_meant(
    desired: int, updated: int, ready: int, total: int, renewed: int
) -> None:
    workload = a_workload(desired=desired, updated=updated, ready=ready, total=total)

    assert workload.renewed == renewed
    assert replace(workload, observed=False).renewed == 0
