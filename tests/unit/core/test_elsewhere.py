"""Parts of a control plane in other namespaces than its CA: another mesh's, or nobody knows whose."""

from dataclasses import replace

import pytest

from bot.core.checks.rule import Check
from bot.core.checks.table import ONE_PLACE, PREFLIGHT, ROUTINE, VERIFICATION, obstacles
from bot.core.findings import Finding, Verdict, overall
from bot.core.mesh import MeshSnapshot, ObjectRef, Pod, Webhook, Workload
from tests.unit.core.builders import a_citadel, a_container, a_mesh, a_pod, a_webhook, a_workload, found, said

ELSEWHERE = "istio-control"


def there(ref: ObjectRef) -> ObjectRef:
    return replace(ref, namespace=ELSEWHERE)


def split(*others: Workload, pods: tuple[Pod, ...] = (), hooks: tuple[Webhook, ...] = ()) -> MeshSnapshot:
    """A healthy mesh, and more of a control plane in another namespace."""
    mesh = a_mesh()
    return replace(
        mesh,
        workloads=(*mesh.workloads, *(replace(each, ref=there(each.ref)) for each in others)),
        control_plane_pods=(*mesh.control_plane_pods, *(replace(each, ref=there(each.ref)) for each in pods)),
        webhooks_elsewhere=hooks,
    )


AN_INJECTOR = a_webhook("istio-sidecar-injector", service=f"{ELSEWHERE}/istio-sidecar-injector")

WITHOUT_A_CA = {
    "a Deployment": (split(a_workload("galley")), "Deployment istio-control/istio-galley"),
    "a DaemonSet": (
        split(a_workload("nodeagent", ref=ObjectRef(kind="DaemonSet", namespace="", name="istio-nodeagent"))),
        "DaemonSet istio-control/istio-nodeagent",
    ),
    "a pod of neither": (
        split(pods=(a_pod("pilot", workload="StatefulSet pilot"),)),
        "Pod istio-control/istio-pilot-x1",
    ),
    "a Deployment beside an istiod of another version": (
        split(
            a_workload(
                "pilot", a_container("discovery", "docker.io/istio/pilot:1.5.4"), labels=(("app", "istiod"),)
            ),
            a_workload("galley"),
        ),
        "Deployment istio-control/istio-galley",
    ),
    "a Deployment beside a pod that is only labelled as Citadel": (
        split(a_workload("galley"), pods=(a_pod("citadel"),)),
        "Deployment istio-control/istio-galley",
    ),
    "a webhook's Service": (split(hooks=(AN_INJECTOR,)), "istio-control/istio-sidecar-injector"),
}


@pytest.mark.parametrize("chain", [ROUTINE, VERIFICATION], ids=["check", "verify"])
@pytest.mark.parametrize(("mesh", "name"), WITHOUT_A_CA.values(), ids=WITHOUT_A_CA)
def test_what_stands_where_no_ca_does_is_unknown_by_name(
    mesh: MeshSnapshot, name: str, chain: tuple[Check, ...]
) -> None:
    findings = found(chain, mesh)

    assert [name in one for one in findings["cp.elsewhere"].offenders] == [True]
    assert overall(findings.values()) is Verdict.UNKNOWN


def test_it_forbids_a_rotation_and_says_what_to_do() -> None:
    findings = found(PREFLIGHT, split(a_workload("galley"))).values()

    told = next(one for one in obstacles(tuple(findings)) if one.check_id == "cp.elsewhere")

    assert told.hint


def in_one(mesh: MeshSnapshot) -> Finding | None:
    return said(ONE_PLACE, mesh)


def test_a_workload_is_named_once_and_not_with_its_pods() -> None:
    finding = in_one(split(a_workload("pilot"), pods=(a_pod("pilot"),)))

    assert finding is not None
    assert finding.offenders == ("Deployment istio-control/istio-pilot",)


ISTIOD = a_workload("pilot", labels=(("app", "istiod"), ("istio", "pilot")))

GALLEY_1_5 = a_workload("galley", a_container("galley", "docker.io/istio/galley:1.5.9"))

LEFT_OUT = {
    "all in one namespace": a_mesh(),
    "another mesh's, with a Citadel": split(
        a_citadel(), a_workload("galley"), pods=(a_pod("pilot"),), hooks=(AN_INJECTOR,)
    ),
    "another mesh's, with an istiod": split(ISTIOD, GALLEY_1_5, hooks=(AN_INJECTOR,)),
    "another mesh's, with an istiod and a part of no known version": split(
        ISTIOD, a_workload("galley", a_container("galley", "docker.io/istio/galley@sha256:00"))
    ),
    "a pod that has ended": split(pods=(a_pod("pilot", phase="Failed"),)),
    "a pod that is ending": split(pods=(a_pod("pilot", deleting=True),)),
    "a webhook that cert-manager fills": split(hooks=(replace(AN_INJECTOR, injected=True),)),
}


@pytest.mark.parametrize("mesh", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_is_another_meshs_or_none_is_left_out(mesh: MeshSnapshot) -> None:
    assert in_one(mesh) is None
