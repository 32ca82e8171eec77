"""Asking webhook servers that are good, expired, foreign, refusing, hanging, forbidden or gone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest

from bot.core.mesh import Container, MeshSnapshot, ObjectRef, Part, Pod, ServedCertificate
from bot.core.verifiers import why_not_issued_by
from bot.edges.kube.served import NOBODY, NOT_READY, stands_behind, webhook_ports
from bot.edges.kube.targets import DEPLOYMENTS, MUTATING_WEBHOOKS
from bot.edges.kube.wire import NAMED
from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.kubelet import Trouble
from bot.sandbox.cluster.rbac import Ban
from bot.sandbox.cluster.serving import Flaw
from tests.unit.edges.kube_mesh import SYSTEM, Mesh, running_mesh

WEBHOOKS = frozenset({Part.WEBHOOKS})
GALLEY, INJECTOR = f"{SYSTEM}/istio-galley", f"{SYSTEM}/istio-sidecar-injector"


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Mesh]:
    with running_mesh(tmp_path) as mesh:
        yield mesh


def spoil(mesh: Mesh, component: str, flaw: Flaw) -> None:
    mesh.cluster.do(lambda it: it.world.spoil_server(component, flaw))


def of(seen: MeshSnapshot, service: str) -> ServedCertificate:
    (found,) = (each for each in seen.served if each.service == service and each.asked)
    return found


def refusal(mesh: Mesh, service: str) -> str | None:
    """Why the API server would refuse what that webhook shows."""
    seen = mesh.reader().read(WEBHOOKS)
    shown, root = of(seen, service).leaf, mesh.ca().root.first
    assert shown is not None
    assert root is not None
    return why_not_issued_by(shown, root, at=seen.taken_at)


def restart(mesh: Mesh, name: str) -> None:
    template = {"metadata": {"annotations": {"again": "yes"}}}
    mesh.admin.patch(DEPLOYMENTS.within(SYSTEM).named(name), {"spec": {"template": template}}, NAMED)


def eventually(mesh: Mesh, holds: Callable[[MeshSnapshot], bool]) -> MeshSnapshot:
    end = monotonic() + 20
    while not holds(seen := mesh.reader().read(WEBHOOKS)):
        assert monotonic() < end, seen.served
    return seen


def test_an_expired_certificate_is_seen_until_its_pod_is_restarted(mesh: Mesh) -> None:
    spoil(mesh, "sidecar-injector", Flaw.EXPIRED)

    assert "expired at" in (refusal(mesh, INJECTOR) or "")
    assert refusal(mesh, GALLEY) is None

    restart(mesh, "istio-sidecar-injector")
    eventually(mesh, lambda seen: [s.pod for s in seen.served if s.service == INJECTOR and not s.asked] != [])
    eventually(mesh, lambda seen: len(seen.served) == 2 and all(s.leaf for s in seen.served))
    assert refusal(mesh, INJECTOR) is None


def test_a_certificate_of_another_ca_of_the_same_name_is_seen(mesh: Mesh) -> None:
    spoil(mesh, "galley", Flaw.FOREIGN)

    assert refusal(mesh, GALLEY) == "was signed with another key"


def test_a_port_that_refuses_is_a_fault_with_every_port_that_was_tried(mesh: Mesh) -> None:
    spoil(mesh, "galley", Flaw.REFUSES)

    found = of(mesh.reader().read(WEBHOOKS), GALLEY)

    assert found.leaf is None
    assert found.fault == "; ".join(f"port {port}: the port cannot be reached" for port in (443, 9443, 15017))


def test_a_port_that_hangs_costs_its_time_and_no_more(mesh: Mesh) -> None:
    spoil(mesh, "sidecar-injector", Flaw.HANGS)
    spoil(mesh, "galley", Flaw.HANGS)
    began = monotonic()

    seen = mesh.reader(handshake_seconds=0.5).read(WEBHOOKS)

    assert monotonic() - began < 3
    assert {each.leaf for each in seen.served} == {None}
    assert all(each.fault.startswith("port 443: did not answer within 0.5 s") for each in seen.served)


def test_an_upgrade_that_is_never_answered_is_a_fault(mesh: Mesh) -> None:
    mesh.cluster.inject(Fault(effect=Effect.HANG, resource="pods/portforward", times=9))

    seen = mesh.reader(handshake_seconds=0.3).read(WEBHOOKS)

    assert [each.leaf for each in seen.served] == [None, None]
    assert all(each.fault for each in seen.served)


def test_a_port_forward_that_is_forbidden_is_a_fault_told_once(mesh: Mesh) -> None:
    mesh.cluster.forbid(Ban(resource="pods/portforward"))

    faults = [each.fault for each in mesh.reader().read(WEBHOOKS).served]

    assert len(faults) == 2
    assert all("portforward" in fault and "; " not in fault for fault in faults)


def test_pods_that_may_not_be_listed_are_a_fault_of_every_service(mesh: Mesh) -> None:
    mesh.cluster.forbid(Ban(verb="list", resource="pods"))

    seen = mesh.reader().read(WEBHOOKS)

    assert [(each.service, each.pod) for each in seen.served] == [(GALLEY, None), (INJECTOR, None)]
    assert all(each.fault.startswith("its pods could not be listed: ") for each in seen.served)
    assert seen.unread == ()
    assert len(seen.webhooks) == 3


def test_a_pod_that_is_gone_by_then_is_not_asked_and_nobody_is_left(mesh: Mesh) -> None:
    mesh.cluster.inject(Fault(effect=Effect.STATUS, code=404, resource="pods/portforward", times=2))

    seen = mesh.reader().read(WEBHOOKS)

    assert {(each.asked, each.fault) for each in seen.served} == {(False, "is gone"), (True, NOBODY)}


def test_a_service_whose_only_pod_never_gets_ready_has_nobody_behind_it(mesh: Mesh) -> None:
    mesh.cluster.do(lambda it: it.trouble("galley", Trouble.NEVER_READY))
    plane = mesh.reader().read(frozenset({Part.AUTHORITY})).control_plane_pods
    (uid,) = (each.uid for each in plane if "galley" in each.ref.name)
    mesh.cluster.do(lambda it: it.world.kubelet.crash(uid, "died"))

    seen = eventually(mesh, lambda seen: of(seen, GALLEY).pod is None)

    assert of(seen, GALLEY).fault == NOBODY
    assert f"{of(seen, GALLEY).workload}" == f"Deployment {GALLEY}"
    assert [s.fault for s in seen.served if s.service == GALLEY and not s.asked] == [NOT_READY]


def test_a_webhook_that_cert_manager_fills_is_not_asked(mesh: Mesh) -> None:
    target = MUTATING_WEBHOOKS.named("istio-sidecar-injector")
    annotations = {"cert-manager.io/inject-ca-from": "x/y"}
    mesh.admin.patch(target, {"metadata": {"annotations": annotations}}, NAMED)

    assert [each.service for each in mesh.reader().read(WEBHOOKS).served] == [GALLEY]


@pytest.mark.parametrize("code", [500, 503])
def test_an_api_server_in_trouble_is_a_fault(mesh: Mesh, code: int) -> None:
    mesh.cluster.inject(Fault(effect=Effect.STATUS, code=code, resource="pods/portforward", times=9))

    seen = mesh.reader().read(WEBHOOKS)

    assert seen.served
    assert all(each.fault and each.leaf is None for each in seen.served)


def a_pod(*containers: Container, **more: object) -> Pod:
    facts: dict[str, object] = {
        "ref": ObjectRef(kind="Pod", namespace=SYSTEM, name="p"),
        "uid": "u",
        "workload": "Deployment istio-galley",
        "labels": (("istio", "galley"),),
        "service_account": "a",
        "phase": "Running",
        "ready": True,
        "started_at": None,
        "containers": containers,
    }
    return Pod(**(facts | more))  # type: ignore[arg-type]


def listening(*arguments: str, ports: tuple[int, ...] = (), name: str = "main") -> Container:
    return Container(name=name, image="i", arguments=arguments, ports=ports)


PORTS = {
    "nothing said": ((listening(),), (443, 9443, 15017)),
    "helm's Galley": ((listening("server", ports=(443, 15014, 9901)),), (443, 9443, 15017)),
    "a Galley on 9443": ((listening("server", ports=(9443, 15014)),), (9443, 443, 15017)),
    "Maistra's Galley": ((listening("--validation-port=8443", ports=(8443,)),), (8443,)),
    "Maistra's without a flag": ((listening(ports=(8443,)),), (8443, 443, 9443, 15017)),
    "istioctl's injector": ((listening("--port=9443"),), (9443,)),
    "a flag in two words": ((listening("--port", "9443"),), (9443,)),
    "an address": ((listening("discovery", "--httpsAddr=:15017"),), (15017,)),
    "a flag without its value": ((listening("--port"),), (443, 9443, 15017)),
    "a sidecar's port": ((listening(), listening("--port=1", name="istio-proxy")), (443, 9443, 15017)),
}


@pytest.mark.parametrize(("containers", "ports"), PORTS.values(), ids=PORTS)
def test_the_ports_to_try_are_those_a_flag_says_else_the_declared_else_the_usual(
    containers: tuple[Container, ...], ports: tuple[int, ...]
) -> None:
    assert webhook_ports(a_pod(*containers)) == ports


BEHIND = {
    "the pod with the Service's label": (a_pod(workload=""), GALLEY, True),
    "the pod of the Deployment of that name": (a_pod(labels=()), GALLEY, True),
    "a revision's": (
        a_pod(labels=(("app", "istiod"),), workload="Deployment istiod-canary"),
        f"{SYSTEM}/istiod-canary",
        True,
    ),
    "another component's": (a_pod(), INJECTOR, False),
    "one of another namespace": (a_pod(), "other/istio-galley", False),
    "no label and no such Deployment": (a_pod(labels=(), workload=""), f"{SYSTEM}/istio-other", False),
}


@pytest.mark.parametrize(("pod", "service", "behind"), BEHIND.values(), ids=BEHIND)
def test_the_pods_behind_a_service_are_told_by_label_or_name(
    pod: Pod,
    service: str,
    behind: bool,  # noqa: FBT001
) -> None:
    assert stands_behind(pod, service) is behind


def test_a_server_on_the_port_that_its_flag_says_is_found(mesh: Mesh) -> None:
    image = "docker.io/istio/galley:1.4.10"
    container = {"name": "galley", "image": image, "args": ["--validation-port=9443"]}
    template = {"spec": {"containers": [container]}}
    target = DEPLOYMENTS.within(SYSTEM).named("istio-galley")
    mesh.admin.patch(target, {"spec": {"template": template}}, NAMED)

    seen = eventually(mesh, lambda seen: len(seen.served) == 3)
    seen = eventually(mesh, lambda seen: len(seen.served) == 2 and all(s.leaf for s in seen.served))

    assert of(seen, GALLEY).fault == ""
