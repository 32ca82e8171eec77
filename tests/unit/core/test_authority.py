"""Which CA signs a mesh, told from evidence, and what is refused with which reason. Rows of facts/istio.md, 6.5."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.authority import Authority, AuthorityKind, recognise, signing_root
from bot.core.checks.table import ROUTINE, SINGLE_SOURCE
from bot.core.flags import switch, text_flag, variable
from bot.core.mesh import Container, ForeignSigns, MeshSnapshot, ObjectRef, Part, Workload
from bot.core.reports import check_report
from tests.unit.core.builders import (
    SYSTEM,
    a_ca_secret,
    a_citadel,
    a_container,
    a_mesh,
    a_root,
    a_workload,
    bundle,
    found,
    the_root,
    unread,
    verdict_of,
)
from tests.unit.hardcases.making import NOW, key

CITADEL = "Deployment istio-system/istio-citadel"
PILOT = a_workload("pilot")


def mesh_with(*workloads: Workload, **changes: Any) -> MeshSnapshot:
    return a_mesh(workloads=(*workloads, PILOT), **changes)


def an_istiod(namespace: str = SYSTEM, version: str = "1.9.1") -> Workload:
    return a_workload(
        "istiod",
        a_container("discovery", f"docker.io/istio/pilot:{version}"),
        ref=ObjectRef(kind="Deployment", namespace=namespace, name="istiod"),
        labels=(("app", "istiod"), ("istio", "pilot")),
    )


def a_node_agent(namespace: str = SYSTEM, **environment: str | None) -> Workload:
    return a_workload(
        "nodeagent",
        a_container("nodeagent", "docker.io/istio/node-agent-k8s:1.4.10", **environment),
        ref=ObjectRef(kind="DaemonSet", namespace=namespace, name="istio-nodeagent"),
    )


def elsewhere(workload: Workload, namespace: str) -> Workload:
    return replace(workload, ref=replace(workload.ref, namespace=namespace))


PLUGGED = ("--signing-cert", "/etc/cacerts/ca-cert.pem", "--self-signed-ca=false")
SELF_SIGNED = {
    "with a value": ("--self-signed-ca=true",),
    "bare": ("--self-signed-ca",),
    "bare, with a word after it that pflag ignores": ("--self-signed-ca", "false"),
    "in Go's other spellings": ("--self-signed-ca=1",),
    "in capitals": ("--self-signed-ca=TRUE",),
    "given twice, the last one counts": ("--self-signed-ca=false", "--self-signed-ca=true"),
    "among the chart's other flags": (
        "--append-dns-names=true",
        "--grpc-port=8060",
        "--citadel-storage-namespace=istio-system",
        "--self-signed-ca=true",
        "--trust-domain=cluster.local",
    ),
    "with an empty signing certificate": ("--self-signed-ca=true", "--signing-cert="),
}


@pytest.mark.parametrize("spelling", SELF_SIGNED)
def test_a_self_signed_citadel_is_recognised_by_its_flag(spelling: str) -> None:
    authority = recognise(mesh_with(a_citadel(*SELF_SIGNED[spelling])))

    assert authority.kind is AuthorityKind.CITADEL_SELF_SIGNED
    assert authority.supported
    assert authority.workload is not None
    assert authority.evidence == (
        f"{CITADEL} runs with --self-signed-ca=true",
        "its image is docker.io/istio/citadel:1.4.10",
    )


REFUSED = {
    "a plugged-in CA": (
        mesh_with(a_citadel(*PLUGGED)), AuthorityKind.CITADEL_PLUGGED, "signs with a plugged-in CA (secret cacerts)"),
    "a plugged-in CA whose switch is left out": (
        mesh_with(a_citadel("--signing-cert=/etc/cacerts/ca-cert.pem")), AuthorityKind.CITADEL_PLUGGED, "plugged-in"),
    "a Citadel with an upstream CA": (
        mesh_with(a_citadel("--self-signed-ca=true", "--upstream-ca-address=ca:8060")),
        AuthorityKind.EXTERNAL, "asks another CA to sign"),
    # 69
    "a follower Citadel: its leader is restarted first": (
        mesh_with(a_citadel("--self-signed-ca=true", "--read-signing-cert-only")),
        AuthorityKind.SEVERAL, "follows another one"),
    "a Citadel without either flag": (
        mesh_with(a_citadel("--grpc-port=8060")), AuthorityKind.UNKNOWN, "cannot be told from its arguments"),
    "a Citadel with both flags": (
        mesh_with(a_citadel("--self-signed-ca", "--signing-cert=x")), AuthorityKind.UNKNOWN, "cannot be told"),
    "a Citadel whose switch has no truth value": (
        mesh_with(a_citadel("--self-signed-ca=maybe")), AuthorityKind.UNKNOWN, "cannot be told"),
    "istiod": (mesh_with(an_istiod()), AuthorityKind.ISTIOD, "signed by istiod"),
    "Citadel and istiod side by side": (
        mesh_with(a_citadel(), an_istiod()), AuthorityKind.MIXED, "Citadel and istiod both read the same CA secret"),
    # 44
    "two Citadels in one namespace": (
        mesh_with(a_citadel(), replace(a_citadel(), ref=ObjectRef(kind="Deployment", namespace=SYSTEM, name="b"))),
        AuthorityKind.SEVERAL, "more than one Citadel"),
    # 1
    "no CA at all": (mesh_with(), AuthorityKind.NONE, "no Istio CA runs in namespace istio-system"),
    # 44
    "a CA in another namespace only": (
        mesh_with(elsewhere(a_citadel(), "istio-other")), AuthorityKind.NONE, "no Istio CA runs in namespace"),
    "a node agent that asks Vault": (
        mesh_with(a_citadel(), a_node_agent(CA_PROVIDER="VaultCA")), AuthorityKind.MIXED,
        "the node agents ask another CA (VaultCA)"),
    "a node agent that asks nobody knows whom": (
        mesh_with(a_citadel(), a_node_agent(CA_PROVIDER=None)), AuthorityKind.UNKNOWN, "cannot be told"),
    "istio-csr": (
        mesh_with(a_citadel(), foreign=ForeignSigns(workloads=("Deployment cert-manager/cert-manager-istio-csr",))),
        AuthorityKind.EXTERNAL, "another system issues this mesh's certificates"),
    "SPIRE": (
        mesh_with(foreign=ForeignSigns(workloads=("StatefulSet spire/spire-server",))),
        AuthorityKind.EXTERNAL, "another system"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_another_kind_of_ca_is_named_and_refused_with_the_way_to_go(case: str) -> None:
    mesh, kind, reason = REFUSED[case]

    authority = recognise(mesh)

    assert authority.kind is kind
    assert not authority.supported
    assert reason in authority.refusal
    assert authority.way
    assert authority.evidence


@pytest.mark.parametrize("what", ["Deployments", "DaemonSets", "StatefulSets"])
@pytest.mark.parametrize(
    "where", ["in all namespaces", "in namespace bank", "outside namespace istio-system"]
)
def test_a_ca_that_may_be_there_unseen_is_unknown(what: str, where: str) -> None:
    seen = recognise(a_mesh(unread=(unread(Part.AUTHORITY, f"{what} {where}", "may not list"),)))

    assert seen.kind is AuthorityKind.UNKNOWN
    assert seen.evidence == (f"{what} {where}: may not list",)
    assert "rootkeeper doctor" in seen.way


@pytest.mark.parametrize(
    "missed",
    [
        unread(Part.AUTHORITY, "Secret istio-system/istio-ca-secret"),
        unread(Part.AUTHORITY, "HorizontalPodAutoscalers in all namespaces"),
        unread(Part.SECRETS, "Secrets in namespace bank"),
        unread(Part.PROXIES, "Pods in namespace bank"),
    ],
    ids=lambda missed: missed.what,
)
def test_what_is_no_home_of_a_ca_may_be_unread(missed: Any) -> None:
    assert recognise(a_mesh(unread=(missed,))).kind is AuthorityKind.CITADEL_SELF_SIGNED


# 44
@pytest.mark.parametrize("other", [a_citadel(), an_istiod()], ids=["Citadel", "istiod"])
def test_another_control_plane_in_another_namespace_is_told_and_is_no_obstacle(other: Workload) -> None:
    authority = recognise(mesh_with(a_citadel(), elsewhere(other, "istio-other")))

    assert authority.kind is AuthorityKind.CITADEL_SELF_SIGNED
    assert authority.evidence[-1] == (
        f"Deployment istio-other/{other.ref.name} is another CA, in another namespace"
    )


@pytest.mark.parametrize(
    "agent",
    [a_node_agent(CA_PROVIDER="Citadel"), a_node_agent(), a_node_agent("istio-other", CA_PROVIDER="VaultCA")],
    ids=["told to ask Citadel", "told nothing", "another control plane's"],
)
def test_node_agents_that_ask_citadel_are_no_obstacle(agent: Workload) -> None:
    assert recognise(mesh_with(a_citadel(), agent)).kind is AuthorityKind.CITADEL_SELF_SIGNED


def test_where_citadel_still_signs_something_its_end_is_watched() -> None:
    mesh = mesh_with(a_citadel(), a_node_agent(CA_PROVIDER="GoogleCA"))

    assert signing_root(mesh, recognise(mesh)) == the_root()
    assert recognise(mesh).evidence[-1] == (
        "DaemonSet istio-system/istio-nodeagent runs with CA_PROVIDER=GoogleCA"
    )


def test_another_reason_to_refuse_is_not_covered_by_the_node_agents() -> None:
    assert recognise(mesh_with(a_citadel(*PLUGGED), a_node_agent(CA_PROVIDER="VaultCA"))).kind is (
        AuthorityKind.CITADEL_PLUGGED
    )


# 43
def test_namespaces_are_compared_whole() -> None:
    near = elsewhere(a_citadel(), "my-istio-system")

    assert recognise(mesh_with(near)).kind is AuthorityKind.NONE


def test_a_citadel_is_recognised_by_its_container_where_labels_were_changed() -> None:
    relabelled = replace(a_citadel(), labels=(("app", "our-ca"),))

    assert recognise(mesh_with(relabelled)).kind is AuthorityKind.CITADEL_SELF_SIGNED


def test_a_citadel_whose_container_was_renamed_is_recognised_by_its_label() -> None:
    renamed = a_workload("citadel", a_container("ca", "r/citadel:1.4.10", "--self-signed-ca=true"))

    assert recognise(mesh_with(renamed)).kind is AuthorityKind.CITADEL_SELF_SIGNED


def test_the_version_is_of_the_image_and_empty_where_that_tells_none() -> None:
    assert recognise(a_mesh()).version == "1.4.10"
    assert recognise(a_mesh()).title == "Citadel 1.4.10, self-signed root"
    assert recognise(mesh_with(an_istiod())).version == "1.9.1"
    unversioned = recognise(mesh_with(a_citadel(version="latest")))
    assert (unversioned.version, unversioned.title) == ("", "Citadel, self-signed root")


# --- where its root is --------------------------------------------------------------------------------


# 46
@pytest.mark.parametrize(
    "arguments",
    [PLUGGED, ("--self-signed-ca=true", "--upstream-ca-address=ca:8060")],
    ids=["plugged", "upstream"],
)
def test_a_ca_secret_left_over_beside_another_ca_is_not_what_signs(arguments: tuple[str, ...]) -> None:
    mesh = mesh_with(a_citadel(*arguments))

    assert mesh.ca_secret is not None
    assert signing_root(mesh, recognise(mesh)) is None


@pytest.mark.parametrize(
    "other", [an_istiod(), a_citadel("--grpc-port=8060")], ids=["istiod", "no flag at all"]
)
def test_where_it_may_be_what_signs_it_is_watched(other: Workload) -> None:
    mesh = mesh_with(other)

    assert signing_root(mesh, recognise(mesh)) == the_root()


def test_where_it_is_not_known_whether_istiod_has_another_it_is_watched() -> None:
    mesh = mesh_with(an_istiod(), foreign=ForeignSigns(plugged_secret=None))

    assert signing_root(mesh, recognise(mesh)) == the_root()
    assert verdict_of(SINGLE_SOURCE, mesh) == "unknown"


# 45, 46
LEFT_OVER = {
    "istiod signs from cacerts": mesh_with(an_istiod(), foreign=ForeignSigns(plugged_secret=True)),
    "istio-csr signs": mesh_with(
        an_istiod(), foreign=ForeignSigns(workloads=("Deployment cert-manager/cert-manager-istio-csr",))
    ),
    "SPIRE signs": mesh_with(foreign=ForeignSigns(workloads=("StatefulSet spire/spire-server",))),
}


@pytest.mark.parametrize("case", LEFT_OVER)
def test_no_end_is_told_from_a_secret_that_is_left_over(case: str) -> None:
    mesh = LEFT_OVER[case]
    authority, findings = recognise(mesh), found(ROUTINE, mesh)

    report = check_report(mesh, authority, findings=tuple(findings.values()), now=NOW, took=timedelta())

    assert signing_root(mesh, authority) is None
    assert "not in istio-ca-secret, so its end is not watched" in report.headline
    assert report.remaining is None
    assert "the CA's root" not in report.first_break
    assert findings["ca.present"].summary.startswith(
        "Secret istio-system/istio-ca-secret is there and unused"
    )
    assert "ca.expiry" not in findings


# 7
def test_the_signer_is_the_first_certificate_of_the_ca_secret() -> None:
    mesh = a_mesh(ca_secret=a_ca_secret(the_root(), a_root(key("p256", 4))))

    assert signing_root(mesh, recognise(mesh)) == the_root()


def test_without_a_readable_ca_secret_there_is_no_signer() -> None:
    for secret in (None, replace(a_ca_secret(), root=bundle())):
        mesh = a_mesh(ca_secret=secret)
        assert signing_root(mesh, recognise(mesh)) is None


def test_every_kind_has_a_title() -> None:
    for kind in AuthorityKind:
        assert Authority(kind=kind, version="1.2.3", evidence=()).title


# --- flags ------------------------------------------------------------------------------------------------


def of(*arguments: str, **environment: str | None) -> Container:
    return a_container("citadel", "", *arguments, **environment)


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ((), ""),
        (("--a=1",), "1"),
        (("--a", "1"), "1"),
        (("--a=1", "--a", "2"), "2"),
        (("--a=x=y",), "x=y"),
        (("--a",), ""),
        (("--ab=1",), ""),
        (("-a=1",), ""),
    ],
)
def test_a_text_flag_is_read_as_pflag_reads_it(arguments: tuple[str, ...], value: str) -> None:
    assert text_flag(of(*arguments), "a") == value


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ((), None),
        (("--a",), True),
        (("--a", "false"), True),
        (("--a=true",), True),
        (("--a=T",), True),
        (("--a=0",), False),
        (("--a=False",), False),
        (("--a", "--a=false"), False),
        (("--a=yes",), None),
        (("--a=",), None),
    ],
)
def test_a_switch_is_read_as_pflag_reads_it(arguments: tuple[str, ...], value: object) -> None:
    assert switch(of(*arguments), "a") is value


def test_a_variable_that_comes_from_somewhere_else_has_no_value() -> None:
    assert variable(of(A="1"), "A") == "1"
    assert variable(of(A=None), "A") == variable(of(), "A") == ""


@pytest.mark.parametrize(
    ("namespace", "said", "supported"),
    [
        (SYSTEM, (), True),
        ("mesh-a", ("--citadel-storage-namespace=mesh-a",), True),
        ("mesh-a", (), False),
        (SYSTEM, ("--citadel-storage-namespace", "mesh-a"), False),
    ],
)
def test_citadel_keeps_its_secret_in_istio_system_unless_it_is_told(
    namespace: str, said: tuple[str, ...], *, supported: bool
) -> None:
    citadel = elsewhere(a_citadel("--self-signed-ca=true", *said), namespace)
    mesh = a_mesh(namespace=namespace, workloads=(citadel,), ca_secret=None)

    authority = recognise(mesh)

    assert authority.supported is supported
    assert ("ca.present" in found(ROUTINE, mesh)) is supported, (
        "its secret is looked for beside it only if it is there"
    )


def test_where_a_plugged_in_citadel_would_keep_a_secret_is_of_no_account() -> None:
    citadel = elsewhere(a_citadel(*PLUGGED), "mesh-a")

    assert recognise(a_mesh(namespace="mesh-a", workloads=(citadel,))).kind is AuthorityKind.CITADEL_PLUGGED
