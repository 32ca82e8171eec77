"""Asking proxies that are odd, slow, gone or out of reach (facts/istio.md 6.5, 48 to 51)."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.core.mesh import MeshSnapshot, Part, Pod, Proxy
from bot.edges.kube import convert_pods
from bot.edges.kube.certs_page import CUT_OFF, NO_CONTEXT, NOT_A_PAGE, OLD_FORMAT
from bot.edges.kube.probe import Probe
from bot.edges.kube.wire import POD
from bot.sandbox.cluster.faults import Effect, Fault
from bot.sandbox.cluster.proxies import Oddity
from bot.sandbox.cluster.rbac import Ban
from bot.sandbox.cluster.scene import Scene, Stray
from tests.unit.edges.kube_mesh import Mesh, running_mesh
from tests.unit.edges.kube_stub import Reply, stubbed

PROXIES = frozenset({Part.PROXIES})
ODD = tuple(each for each in Oddity if each is not Oddity.STUCK)
SCENE = Scene(
    accounts=(("shop", tuple(each.value for each in ODD)),),
    oddities={f"shop/{each.value}": each for each in ODD},
    strays=tuple(Stray),
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with running_mesh(tmp_path_factory.mktemp("proxies"), SCENE) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def seen(mesh: Mesh) -> MeshSnapshot:
    return mesh.reader(proxy_seconds=2).read(PROXIES)


def named(seen: MeshSnapshot, start: str) -> Proxy:
    """The proxy of the pod whose name begins so."""
    return next(proxy for proxy in seen.proxies if proxy.pod.ref.name.startswith(start))


def test_once_the_time_for_all_is_over_nothing_more_is_asked(tmp_path: Path) -> None:
    pods = [a_pod(f"p{number}") for number in range(40)]

    with stubbed(tmp_path, Reply(hang=True)) as (client, stub):
        told = Probe(client, concurrency=2, proxy_seconds=0.2, total_seconds=0.3).ask_all(pods)

    assert all(proxy.asked and "did not answer" in proxy.fault for proxy in told[8:])
    assert len(told) == len(pods)
    assert len(stub.asked) <= 8


def a_pod(name: str) -> Pod:
    found = {
        "metadata": {"name": name, "namespace": "shop", "uid": name},
        "spec": {"containers": [{"name": "istio-proxy"}]},
        "status": {"phase": "Running"},
    }
    return convert_pods.pod(POD.decode(json.dumps(found)))


FAULTS = {
    Oddity.EMPTY: NO_CONTEXT,
    Oddity.TRUNCATED: CUT_OFF,
    Oddity.HTML: NOT_A_PAGE,
    Oddity.OLD_FORMAT: OLD_FORMAT,
}


@pytest.mark.parametrize(("oddity", "fault"), FAULTS.items())
def test_an_odd_answer_is_a_fault(seen: MeshSnapshot, oddity: Oddity, fault: str) -> None:
    assert named(seen, oddity.value).fault == fault


@pytest.mark.parametrize("oddity", [Oddity.NO_BINARY, Oddity.EXEC_FAILS])
def test_where_exec_does_not_work_the_port_is_asked(seen: MeshSnapshot, oddity: Oddity) -> None:
    proxy = named(seen, oddity.value)

    assert proxy.fault == ""
    assert len(proxy.roots) == len(proxy.leaves) == 1


def test_an_admin_port_that_refuses_is_a_fault_with_both_reasons(seen: MeshSnapshot) -> None:
    fault = named(seen, Oddity.UNREACHABLE.value).fault

    assert "connection refused" in fault
    assert len(fault) <= 256


def test_a_proxy_that_is_slow_is_given_up_in_time(seen: MeshSnapshot) -> None:
    proxy = named(seen, Oddity.SLOW.value)

    assert proxy.fault
    assert proxy.asked
    assert proxy.roots == ()


def test_a_completed_pod_is_not_asked(seen: MeshSnapshot) -> None:
    proxy = named(seen, "stray-completed")

    assert not proxy.asked
    assert proxy.fault == ""


def test_a_pending_pod_is_a_fault(seen: MeshSnapshot) -> None:
    proxy = named(seen, "stray-pending")

    assert proxy.asked
    assert proxy.fault == "the pod is Pending"


@pytest.mark.parametrize("stray", ["stray-crashing", "stray-host-network"])
def test_a_pod_out_of_reach_is_a_fault(seen: MeshSnapshot, stray: str) -> None:
    assert named(seen, stray).fault


@pytest.mark.parametrize("stray", ["stray-plain", "stray-redis"])
def test_a_pod_without_a_proxy_is_none(seen: MeshSnapshot, stray: str) -> None:
    assert not [proxy for proxy in seen.proxies if proxy.pod.ref.name.startswith(stray)]


def test_versions_are_read_from_the_images(seen: MeshSnapshot) -> None:
    assert named(seen, Oddity.EMPTY.value).version == "1.4.10"


def test_what_may_not_be_executed_is_asked_through_the_port_and_exec_is_tried_once_per_thread_and_namespace(
    mesh: Mesh,
) -> None:
    mesh.cluster.forbid(Ban(verb="create", resource="pods/exec"))
    before = len(mesh.cluster.audit())

    seen = mesh.reader(proxy_seconds=2).read(PROXIES)

    tried = [entry for entry in mesh.cluster.audit()[before:] if entry.subresource == "exec"]
    assert named(seen, Oddity.EXEC_FAILS.value).fault == ""
    assert len({entry.namespace for entry in tried}) > 1
    assert max(Counter(entry.namespace for entry in tried).values()) <= 16
    mesh.cluster.do(lambda cluster: cluster.bot.bans.clear())


def test_what_may_not_be_reached_in_any_way_names_both_permissions(mesh: Mesh) -> None:
    mesh.cluster.forbid(Ban(resource="pods/exec"))
    mesh.cluster.forbid(Ban(resource="pods/portforward"))

    seen = mesh.reader(proxy_seconds=2).read(PROXIES)

    fault = named(seen, Oddity.EMPTY.value).fault
    assert "pods/exec" in fault
    mesh.cluster.do(lambda cluster: cluster.bot.bans.clear())


def test_what_is_forbidden_in_one_namespace_is_asked_in_every_other(tmp_path: Path) -> None:
    """One at a time: the pods of the namespace that comes first bar nobody behind them."""
    accounts = (("bank", ("ledger", "vault")), ("shop", ("cart", "frontend")))
    with running_mesh(tmp_path, Scene(accounts=accounts)) as mesh:
        for resource in ("pods/exec", "pods/portforward"):
            mesh.cluster.forbid(Ban(resource=resource, namespace="bank"))

        seen = mesh.reader(proxy_seconds=3, probe_concurrency=1).read(PROXIES)
        tried = [entry for entry in mesh.cluster.audit() if entry.namespace == "bank" and entry.subresource]

    faults = {proxy.pod.ref: proxy.fault for proxy in seen.proxies if proxy.fault}
    assert {ref.namespace for ref in faults} == {"bank"}
    assert len(faults) == 2
    assert {proxy.pod.ref.namespace for proxy in seen.proxies if proxy.roots} == {"shop", "istio-system"}
    assert len(tried) == 2
    for ref, fault in faults.items():
        assert ref.name in fault, "the reason names the pod that it is about"
        assert not [other.name for other in faults if other != ref and other.name in fault]
        assert "pods/exec" in fault
        assert "pods/portforward" in fault


def test_what_an_admission_plugin_forbids_for_one_pod_it_forbids_for_no_other(tmp_path: Path) -> None:
    accounts = (("shop", ("cart", "frontend")),)
    with running_mesh(tmp_path, Scene(accounts=accounts)) as mesh:
        refused = "cannot exec into a privileged container"
        for resource in ("pods/exec", "pods/portforward"):
            mesh.cluster.inject(
                Fault(effect=Effect.STATUS, code=403, message=refused, resource=resource, namespace="shop")
            )

        seen = mesh.reader(proxy_seconds=3, probe_concurrency=1).read(PROXIES)

    assert sum(refused in proxy.fault for proxy in seen.proxies) == 1
    assert sum(bool(proxy.fault) for proxy in seen.proxies) == 1


def test_a_pod_that_vanished_between_list_and_question_is_not_asked(mesh: Mesh) -> None:
    mesh.cluster.inject(Fault(effect=Effect.VANISH, resource="pods/exec", namespace="istio-system"))

    seen = mesh.reader(proxy_seconds=2).read(PROXIES)

    gone = [proxy for proxy in seen.proxies if not proxy.asked and proxy.fault == "is gone"]
    assert len(gone) == 1


def test_a_gateway_of_1_0_0_whose_container_bears_its_own_name_is_asked_like_any_proxy(
    tmp_path: Path,
) -> None:
    scene = Scene(
        accounts=(("shop", ("cart",)),),
        proxy_versions={"istio-system/istio-ingressgateway-service-account": "1.0.0"},
    )
    with running_mesh(tmp_path, scene) as mesh:
        gateway = named(mesh.reader().read(PROXIES), "istio-ingressgateway")

    assert gateway.pod.containers[0].name == "ingressgateway"
    assert (gateway.version, gateway.fault, len(gateway.roots)) == ("1.0.0", "", 1)


@pytest.fixture
def replaceable(tmp_path: Path) -> Iterator[Mesh]:
    with running_mesh(tmp_path, Scene(accounts=(("shop", ("cart",)),))) as mesh:
        yield mesh


def test_row_51_a_pod_replaced_between_list_and_question_is_known_by_its_uid_and_asked_again(
    replaceable: Mesh,
) -> None:
    before = {proxy.pod.uid: proxy.pod.ref for proxy in replaceable.reader().read(PROXIES).proxies}
    replaceable.cluster.inject(Fault(effect=Effect.REPLACE, resource="pods/exec", namespace="shop"))

    seen = replaceable.reader().read(PROXIES)

    (new,) = (proxy for proxy in seen.proxies if proxy.pod.uid not in before)
    assert new.pod.ref in before.values()
    assert (new.asked, new.fault) == (True, "")
    assert len(new.roots) == 1


def test_row_51_a_pod_replaced_twice_is_not_asked_a_third_time(replaceable: Mesh) -> None:
    replaceable.cluster.inject(Fault(effect=Effect.REPLACE, resource="pods/exec", namespace="shop", times=9))

    seen = replaceable.reader().read(PROXIES)

    tried = [one for one in replaceable.cluster.audit() if one.namespace == "shop" and one.subresource]
    cart = named(seen, "cart")
    assert cart.asked
    assert "does not exist" in cart.fault
    assert len(tried) == 2


def test_time_for_all_proxies_is_bounded(mesh: Mesh) -> None:
    seen = mesh.reader(proxy_seconds=2, probe_seconds=0).read(PROXIES)

    faults = {proxy.fault for proxy in seen.proxies if proxy.asked and proxy.pod.phase == "Running"}
    assert faults == {"did not answer within 0 s"}
