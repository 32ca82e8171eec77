"""The stand-in's mesh does what Istio 1.0 to 1.4 did (sources: bot/sandbox/cluster/citadel.py and others)."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from bot.sandbox.cluster import (
    ClusterStandIn,
    Effect,
    Fault,
    MutualTls,
    Oddity,
    RunningCluster,
    Scene,
    running_cluster,
)
from bot.sandbox.cluster.certificates import leaf_key_pem
from bot.sandbox.cluster.objects import Json, annotations_of, copy_of, labels_of, name_of, namespace_of, path
from bot.sandbox.cluster.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    MESH_POLICIES,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    Resource,
)

SPEED = 300.0
SMALL = (("shop", ("cart", "search")),)
RESYNC = 60 / SPEED


def eventually(holds: Callable[[], bool], *, patience: float = 15) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)


def objects(cluster: RunningCluster, resource: Resource, namespace: str = "") -> list[Json]:
    return cluster.do(lambda it: it.store.values(resource, namespace))


def one(cluster: RunningCluster, resource: Resource, key: str) -> Json:
    found = cluster.do(lambda it: it.store.get(resource, key))
    assert found is not None
    return found.value


def change(cluster: RunningCluster, resource: Resource, key: str, edit: Callable[[Json], object]) -> None:
    def act(it: ClusterStandIn) -> None:
        found = it.store.get(resource, key)
        assert found is not None
        value = copy_of(found.value)
        edit(value)
        it.store.put(resource, value)

    cluster.do(act)


def remove(cluster: RunningCluster, resource: Resource, key: str) -> None:
    cluster.do(lambda it: it.store.remove(resource, key))


def ca_data(cluster: RunningCluster) -> dict[str, str]:
    data: dict[str, str] = one(cluster, SECRETS, "istio-system/istio-ca-secret")["data"]
    return data


def certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(base64.b64decode(text))


def extended(data: dict[str, str]) -> str:
    """The same root with ten more years, base64 of PEM."""
    old = certificate(data["ca-cert.pem"])
    key: Any = serialization.load_pem_private_key(base64.b64decode(data["ca-key.pem"]), None)
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.subject)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=3650))
    for each in old.extensions:
        builder = builder.add_extension(each.value, each.critical)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return base64.b64encode(pem).decode()


def write_root(cluster: RunningCluster, root: str) -> None:
    key = "istio-system/istio-ca-secret"
    change(cluster, SECRETS, key, lambda value: value["data"].update({"ca-cert.pem": root}))


def restart(cluster: RunningCluster, name: str = "istio-citadel") -> None:
    def stamp(value: Json) -> None:
        annotations = value["spec"]["template"]["metadata"].setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = str(time.monotonic())
        value["metadata"]["generation"] += 1

    change(cluster, DEPLOYMENTS, f"istio-system/{name}", stamp)


def roots(cluster: RunningCluster) -> dict[str, str]:
    """Root by "namespace/name" of every workload's secret."""
    found = [each for each in objects(cluster, SECRETS) if each["type"] == "istio.io/key-and-cert"]
    return {f"{namespace_of(each)}/{name_of(each)}": each["data"]["root-cert.pem"] for each in found}


def held(cluster: RunningCluster, process: str) -> set[str]:
    return {each.serial for each in cluster.truths() if each.process == process}


def serial(root: str) -> str:
    number = certificate(root).serial_number
    return f"{number:x}".zfill((number.bit_length() + 7) // 8 * 2)


def citadel_pods(cluster: RunningCluster) -> list[Json]:
    return [each for each in objects(cluster, PODS) if labels_of(each).get("istio") == "citadel"]


def waiting_reasons(pods: list[Json]) -> set[str]:
    return {
        path(state, "state", "waiting", "reason")
        for pod in pods
        for state in path(pod, "status", "containerStatuses") or []
    }


def test_after_a_restart_with_a_new_root_everything_that_watches_has_it() -> None:
    with running_cluster(Scene(accounts=SMALL), speed=SPEED) as cluster:
        old, new = ca_data(cluster)["ca-cert.pem"], extended(ca_data(cluster))
        leaves = {each["metadata"]["uid"]: each["data"] for each in objects(cluster, SECRETS, "shop")}
        write_root(cluster, new)
        restart(cluster)

        eventually(lambda: set(roots(cluster).values()) == {new})
        eventually(lambda: held(cluster, "istio-proxy") == {serial(new)})
        hooks = [*objects(cluster, MUTATING_WEBHOOKS), *objects(cluster, VALIDATING_WEBHOOKS)]
        bundles = {hook["clientConfig"]["caBundle"] for each in hooks for hook in each["webhooks"]}

        assert bundles == {new}
        assert one(cluster, CONFIG_MAPS, "istio-system/istio-security")["data"] == {"caTLSRootCert": new}
        assert held(cluster, "pilot") | held(cluster, "galley") | held(cluster, "mixer") == {serial(old)}
        for each in objects(cluster, SECRETS, "shop"):
            leaf = certificate(each["data"]["cert-chain.pem"])
            leaf.verify_directly_issued_by(certificate(old))
            leaf.verify_directly_issued_by(certificate(new))
            assert each["data"]["key.pem"] != leaves[each["metadata"]["uid"]]["key.pem"]


def test_a_part_that_reads_the_root_at_its_start_has_it_after_a_restart() -> None:
    with running_cluster(Scene(accounts=SMALL), speed=SPEED) as cluster:
        new = extended(ca_data(cluster))
        write_root(cluster, new)
        restart(cluster)
        eventually(lambda: set(roots(cluster).values()) == {new})

        restart(cluster, "istio-galley")

        eventually(lambda: held(cluster, "galley") == {serial(new)})


@pytest.mark.parametrize("version", ["1.0.8", "1.2.8"])
def test_a_plain_edit_does_nothing_on_versions_without_a_rotator(version: str) -> None:
    scene = Scene(accounts=SMALL, citadel_version=version, rotator=True)
    with running_cluster(scene, speed=3600) as cluster:
        old = ca_data(cluster)["ca-cert.pem"]

        write_root(cluster, extended(ca_data(cluster)))
        time.sleep(2.5)

        assert set(roots(cluster).values()) == {old}


def test_a_plain_edit_is_taken_over_within_two_intervals_by_a_rotator() -> None:
    scene = Scene(accounts=SMALL, root_days_left=300, rotator=True)
    with running_cluster(scene, speed=3600) as cluster:
        new = extended(ca_data(cluster))

        write_root(cluster, new)

        eventually(lambda: set(roots(cluster).values()) == {new})


def test_a_rotator_renews_a_root_near_its_end_with_the_same_key() -> None:
    with running_cluster(Scene(accounts=SMALL, rotator=True), speed=3600) as cluster:
        old = certificate(ca_data(cluster)["ca-cert.pem"])

        eventually(lambda: certificate(ca_data(cluster)["ca-cert.pem"]) != old)
        eventually(lambda: set(roots(cluster).values()) == {ca_data(cluster)["ca-cert.pem"]})

        new = certificate(ca_data(cluster)["ca-cert.pem"])
        assert new.public_key() == old.public_key()
        assert new.subject.public_bytes() == old.subject.public_bytes()
        assert new.not_valid_after_utc > old.not_valid_after_utc + timedelta(days=3000)


def test_a_citadel_that_starts_without_its_secret_makes_a_new_ca() -> None:
    with running_cluster(Scene(accounts=SMALL), speed=SPEED) as cluster:
        old = certificate(ca_data(cluster)["ca-cert.pem"])
        remove(cluster, SECRETS, "istio-system/istio-ca-secret")

        restart(cluster)
        eventually(
            lambda: any(
                name_of(each) == "istio-ca-secret" for each in objects(cluster, SECRETS, "istio-system")
            )
        )

        new = ca_data(cluster)["ca-cert.pem"]
        assert certificate(new).public_key() != old.public_key()
        eventually(lambda: set(roots(cluster).values()) == {new})


def test_a_running_citadel_does_not_mind_that_its_secret_is_gone() -> None:
    with running_cluster(Scene(accounts=SMALL), speed=SPEED) as cluster:
        old = roots(cluster)

        remove(cluster, SECRETS, "istio-system/istio-ca-secret")
        time.sleep(3 * RESYNC)

        assert roots(cluster) == old
        assert not [each for each in objects(cluster, SECRETS) if each["type"] == "istio.io/ca-root"]


@pytest.mark.parametrize(("version", "goes_on"), [("1.1.7", True), ("1.4.10", False)])
def test_a_citadel_that_cannot_read_its_secret_at_its_start_makes_another_ca(
    version: str, *, goes_on: bool
) -> None:
    fault = Fault(effect=Effect.STATUS, verb="get", user="citadel", times=100)
    with running_cluster(Scene(accounts=SMALL, citadel_version=version), speed=SPEED) as cluster:
        old = ca_data(cluster)["ca-cert.pem"]
        cluster.inject(fault)

        restart(cluster)

        if goes_on:
            eventually(lambda: old not in roots(cluster).values())
        else:
            eventually(lambda: "CrashLoopBackOff" in waiting_reasons(citadel_pods(cluster)))
        assert ca_data(cluster)["ca-cert.pem"] == old


BROKEN: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "no data": lambda _: {},
    "no key": lambda data: {"ca-cert.pem": data["ca-cert.pem"]},
    "empty certificate": lambda data: {**data, "ca-cert.pem": ""},
    "another certificate's key": lambda data: {**data, "ca-key.pem": another_key()},
    "indented PEM": lambda data: {**data, "ca-cert.pem": indented(data["ca-cert.pem"])},
}


def another_key() -> str:
    return base64.b64encode(leaf_key_pem(0)).decode()


def indented(text: str) -> str:
    lines = base64.b64decode(text).splitlines(keepends=True)
    return base64.b64encode(b"".join(b"  " + line for line in lines)).decode()


@pytest.mark.parametrize("broken", BROKEN)
def test_a_citadel_that_starts_with_a_broken_secret_crashes_until_it_is_repaired(broken: str) -> None:
    with running_cluster(Scene(accounts=SMALL), speed=SPEED) as cluster:
        good = ca_data(cluster)
        key = "istio-system/istio-ca-secret"
        change(cluster, SECRETS, key, lambda value: value.update({"data": BROKEN[broken](good)}))

        restart(cluster)

        eventually(lambda: "CrashLoopBackOff" in waiting_reasons(citadel_pods(cluster)))
        assert any(each["reason"] == "BackOff" for each in objects(cluster, EVENTS, "istio-system"))
        assert one(cluster, SECRETS, key).get("data") == BROKEN[broken](good)
        change(cluster, SECRETS, key, lambda value: value.update({"data": good}))
        eventually(lambda: "CrashLoopBackOff" not in waiting_reasons(citadel_pods(cluster)))


def test_an_expired_root_does_not_stop_a_running_citadel_but_its_next_start() -> None:
    with running_cluster(Scene(accounts=SMALL, root_days_left=-3), speed=SPEED) as cluster:
        before = waiting_reasons(citadel_pods(cluster))
        remove(cluster, SECRETS, "shop/istio.cart")
        eventually(lambda: "shop/istio.cart" in roots(cluster))

        restart(cluster)

        assert before == {None}
        eventually(lambda: "CrashLoopBackOff" in waiting_reasons(citadel_pods(cluster)))


def test_a_deleted_secret_is_made_again_and_a_new_account_gets_one() -> None:
    with running_cluster(Scene(accounts=SMALL), speed=SPEED) as cluster:
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        metadata = {"name": "late", "namespace": "shop", "uid": "1"}
        remove(cluster, SECRETS, "shop/istio.cart")

        cluster.do(lambda it: it.store.put(SERVICE_ACCOUNTS, {**account, "metadata": metadata}))

        eventually(lambda: {"shop/istio.cart", "shop/istio.late"} <= set(roots(cluster)))
        made = one(cluster, SECRETS, "shop/istio.late")
        assert annotations_of(made) == {"istio.io/service-account.name": "late"}
        leaf = certificate(made["data"]["cert-chain.pem"])
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.critical
        assert names.value.get_values_for_type(x509.UniformResourceIdentifier) == [
            "spiffe://cluster.local/ns/shop/sa/late"
        ]
        assert not list(leaf.subject)


def test_a_namespace_that_opted_out_keeps_its_old_secrets() -> None:
    with running_cluster(Scene(accounts=SMALL, unmanaged=("shop",)), speed=SPEED) as cluster:
        old, new = ca_data(cluster)["ca-cert.pem"], extended(ca_data(cluster))
        write_root(cluster, new)
        restart(cluster)

        eventually(lambda: roots(cluster)["istio-system/istio.default"] == new)
        time.sleep(2 * RESYNC)

        mine = {root for key, root in roots(cluster).items() if key.startswith("shop/")}
        assert mine == {old}
        assert labels_of(one(cluster, NAMESPACES, "shop"))["ca.istio.io/override"] == "false"


def test_a_sidecar_of_1_1_5_never_loads_a_new_root_until_its_pod_is_new() -> None:
    scene = Scene(accounts=SMALL, proxy_versions={"shop/cart": "1.1.5"})
    with running_cluster(scene, speed=SPEED) as cluster:
        new = extended(ca_data(cluster))
        write_root(cluster, new)
        restart(cluster)
        eventually(lambda: set(roots(cluster).values()) == {new})

        time.sleep(120 / SPEED)
        stuck = {
            each.pod.rsplit("-", 2)[0]
            for each in cluster.truths()
            if each.process == "istio-proxy" and each.serial != serial(new)
        }
        assert stuck == {"cart"}
        pod = next(each for each in objects(cluster, PODS, "shop") if labels_of(each)["app"] == "cart")
        remove(cluster, PODS, f"shop/{name_of(pod)}")

        eventually(lambda: held(cluster, "istio-proxy") == {serial(new)})


@pytest.mark.parametrize(
    ("mutual_tls", "policies", "entries"),
    [(MutualTls.ON, 1, True), (MutualTls.PLANNED, 1, True), (MutualTls.OFF, 0, False)],
)
def test_without_mutual_tls_proxies_have_no_certificates(
    *, mutual_tls: MutualTls, policies: int, entries: bool
) -> None:
    with running_cluster(Scene(accounts=SMALL, mutual_tls=mutual_tls), speed=SPEED) as cluster:
        pod = next(each for each in objects(cluster, PODS, "shop"))

        body, _ = cluster.do(lambda it: it.world.proxy_of(pod["metadata"]["uid"]).certs())  # type: ignore[union-attr]

        assert (b"valid_from" in body) is entries
        assert len(objects(cluster, MESH_POLICIES)) == policies


@pytest.mark.parametrize("oddity", [Oddity.EMPTY, Oddity.HTML, Oddity.TRUNCATED, Oddity.OLD_FORMAT])
def test_odd_proxies_answer_oddly(oddity: Oddity) -> None:
    signs: dict[Oddity, Callable[[bytes], bool]] = {
        Oddity.EMPTY: lambda body: body == b'{\n "certificates": []\n}\n',
        Oddity.HTML: lambda body: body.startswith(b"<html>"),
        Oddity.TRUNCATED: lambda body: not body.rstrip().endswith(b"}"),
        Oddity.OLD_FORMAT: lambda body: (
            b'"ca_cert": "Certificate Path: /etc/certs/root-cert.pem, Serial' in body
        ),
    }
    with running_cluster(Scene(accounts=SMALL, oddities={"shop/cart": oddity}), speed=SPEED) as cluster:
        pod = next(each for each in objects(cluster, PODS, "shop") if labels_of(each)["app"] == "cart")

        body, _ = cluster.do(lambda it: it.world.proxy_of(pod["metadata"]["uid"]).certs())  # type: ignore[union-attr]

        assert signs[oddity](body)
