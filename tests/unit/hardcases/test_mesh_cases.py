"""What the checks say of every odd mesh, and what forbids a rotation of it."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.core.authority import AuthorityKind, recognise
from bot.core.certificates import read_bundle
from bot.core.checks.rule import Policy
from bot.core.checks.table import PREFLIGHT, ROUTINE, VERIFICATION, worth_knowing
from bot.core.findings import Severity, Verdict, overall
from bot.core.mesh import (
    EVERYTHING,
    Container,
    ForeignSigns,
    LoadedCertificate,
    MeshSnapshot,
    MutualTls,
    ObjectRef,
    Part,
    Proxy,
    Unread,
    Webhook,
    WorkloadSecret,
)
from bot.core.verification import judge_holders, tally
from bot.core.versions import (
    citadel_has_rotator,
    citadel_may_lose_its_key,
    sidecar_loads_new_roots,
    version_of_image,
)
from bot.edges.kube import convert
from bot.edges.kube.wire import WholeSecret
from tests.fakes.certificates import a_key, root_pem
from tests.fakes.mesh import SYSTEM
from tests.unit.hardcases.making import (
    DAY,
    NOW,
    YEAR,
    ASN1Type,
    any_key,
    as_sha1,
    key,
    leaf,
    name,
    pem_of,
    root,
    with_serial,
)
from tests.unit.hardcases.meshes import (
    KEY_PEM,
    citadel_container,
    citadel_of,
    ending,
    finding,
    findings,
    forbidden_by,
    healthy,
    proved,
    signer_of,
    verdicts,
    with_citadel,
    with_root,
    with_secret,
)

OK, NOT_OK, UNKNOWN, SKIPPED = Verdict.OK, Verdict.NOT_OK, Verdict.UNKNOWN, Verdict.SKIPPED
Make = Callable[[], MeshSnapshot]


def a_root(
    *, start: Any = NOW - YEAR, end: Any = NOW + YEAR, serial: int = 9, number: int | None = None
) -> bytes:
    private = a_key() if number is None else a_key(number)
    return root_pem(private, not_before=start, not_after=end, serial=serial)


SOME_ROOT = read_bundle(a_root()).certificates[0]


# --- fine meshes ----------------------------------------------------------------------------------


def test_a_healthy_mesh_is_ok_in_every_chain() -> None:
    mesh = healthy()

    for chain in (ROUTINE, VERIFICATION):
        assert overall(findings(chain, mesh, policy=Policy(expected=signer_of(mesh)))) is OK
    assert not [f for f in findings(ROUTINE, mesh) if f.verdict in (NOT_OK, UNKNOWN)]


def test_a_healthy_mesh_has_no_obstacle() -> None:
    mesh = healthy()

    assert forbidden_by(mesh, policy=proved(mesh)) == set()


@pytest.mark.parametrize("days_left", [12, 5, 0.5])
def test_a_root_that_ends_soon_is_red_and_no_obstacle(days_left: float) -> None:
    mesh = ending(days_left)

    assert verdicts(ROUTINE, mesh)["ca.expiry"] is NOT_OK
    assert overall(findings(ROUTINE, mesh)) is NOT_OK
    assert forbidden_by(mesh, policy=proved(mesh)) == set()


EXPIRIES: list[tuple[str, timedelta, Verdict, Severity | None]] = [
    ("a year left", YEAR, OK, None),
    ("exactly as long as a workload certificate lives", 90 * DAY, OK, None),
    ("a second less than a workload certificate lives", 90 * DAY - timedelta(seconds=1), NOT_OK, Severity.WARNING),
    ("a week left", 7 * DAY, NOT_OK, Severity.WARNING),
    ("less than a week left", 7 * DAY - timedelta(seconds=1), NOT_OK, Severity.CRITICAL),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "left", "verdict", "severity"), EXPIRIES, ids=[r[0] for r in EXPIRIES])
def test_row_61_a_root_with(
    sentence: str, left: timedelta, verdict: Verdict, severity: Severity | None
) -> None:  # row 61
    said = finding(ROUTINE, with_root(healthy(), a_root(end=NOW + left)), "ca.expiry")

    assert said.verdict is verdict, sentence
    assert severity is None or said.severity is severity


def test_leaves_that_outlive_their_root_are_told() -> None:  # row 61
    assert verdicts(ROUTINE, ending())["ws.outlive"] is NOT_OK


# --- the CA secret ----------------------------------------------------------------------------------

READ_FAULT = Unread(part=Part.AUTHORITY, what=f"Secret {SYSTEM}/istio-ca-secret", reason="forbidden")


def no_secret() -> MeshSnapshot:
    return replace(healthy(), ca_secret=None)


def as_read(data: dict[str, bytes]) -> MeshSnapshot:
    """The mesh with a CA secret that has these keys and no others, as the reader brings it."""
    wire = WholeSecret(data={key: base64.b64encode(value).decode() for key, value in data.items()})
    read = convert.ca_secret(wire)
    return with_secret(healthy(), state=read.state, root=read.root, key=read.key, faults=read.faults)


def no_citadel() -> MeshSnapshot:
    return replace(no_secret(), workloads=(), control_plane_pods=())


def twin(*, expired: bool) -> MeshSnapshot:
    end = NOW - DAY if expired else NOW + DAY
    mesh = healthy()
    return with_root(mesh, signer_of(mesh).pem + a_root(end=end))


def shaped(**shape: Any) -> MeshSnapshot:
    private = key(shape.pop("kind", "p256"))
    return with_root(healthy(), root(private, end=NOW + YEAR, **shape).pem, key_pem=pem_of(private))


def skewed(minutes: float | None) -> MeshSnapshot:
    return replace(healthy(), clock_skew=None if minutes is None else timedelta(minutes=minutes))


def marked(**changes: Any) -> MeshSnapshot:
    return with_secret(healthy(), **changes)


def foreign(**changes: Any) -> MeshSnapshot:
    return replace(healthy(), foreign=ForeignSigns(**changes))


def citadel(**changes: Any) -> MeshSnapshot:
    return with_citadel(healthy(), **changes)


def pod_beside(**changes: Any) -> MeshSnapshot:
    """A second pod that calls itself Citadel."""
    mesh = healthy()
    pod = next(p for p in mesh.control_plane_pods if p.label("istio") == "citadel")
    other = replace(pod, ref=replace(pod.ref, name="other"), **changes)
    return replace(mesh, control_plane_pods=(*mesh.control_plane_pods, other))


def version(tag: str) -> MeshSnapshot:
    return citadel(containers=(citadel_container(tag),))


SECRETS: list[tuple[str, Make, str, Verdict]] = [
    # sentence, mesh, check, verdict: all of these forbid a rotation
    ("row 1: the CA secret is absent beside a Citadel", no_secret, "ca.present", NOT_OK),
    ("row 1: there is no CA at all", no_citadel, "ca.recognised", NOT_OK),
    ("row 2: the CA secret may not be read", lambda: replace(no_secret(), unread=(READ_FAULT,)), "ca.present", UNKNOWN),
    ("row 3: the CA secret has no data", lambda: with_root(healthy(), b"", key_pem=b""), "ca.readable", NOT_OK),
    ("row 4: ca-key.pem is empty", lambda: with_root(healthy(), a_root(), key_pem=b""), "ca.key_matches", NOT_OK),
    ("row 4: ca-cert.pem is empty", lambda: with_root(healthy(), b""), "ca.readable", NOT_OK),
    ("row 5: there is no key", lambda: as_read({"ca-cert.pem": a_root()}), "ca.key_matches", NOT_OK),
    ("row 6: a value is not base64", lambda: marked(faults=("holds no base64",)), "ca.readable", NOT_OK),
    ("row 9: the key belongs to the second", lambda: with_root(healthy(), a_root(number=5) + a_root()),
     "ca.key_matches", NOT_OK),
    ("row 10: the key belongs to none", lambda: with_root(healthy(), a_root(number=5)), "ca.key_matches", NOT_OK),
    ("row 11: the root has expired", lambda: with_root(healthy(), a_root(end=NOW - DAY)), "ca.not_expired", NOT_OK),
    ("row 11: the root expires this second", lambda: with_root(healthy(), a_root(end=NOW.replace(microsecond=0))),
     "ca.not_expired", NOT_OK),
    ("row 13: it is not valid yet", lambda: with_root(healthy(), a_root(start=NOW + DAY)), "ca.already_valid", NOT_OK),
    ("row 15: the root is indented", lambda: with_root(healthy(), b"  " + a_root().replace(b"\n", b"\n  ")),
     "ca.readable", NOT_OK),
    ("row 19: the root is signed with SHA-1", lambda: with_root(healthy(), as_sha1(SOME_ROOT)),
     "ca.algorithm", NOT_OK),
    ("row 19: the key is Ed25519", lambda: with_root(
        healthy(), root(any_key("ed25519"), end=NOW + YEAR).pem, key_pem=pem_of(any_key("ed25519"))),
     "ca.algorithm", NOT_OK),
    ("row 19: the key is RSA 1024", lambda: shaped(kind="rsa1024"), "ca.algorithm", NOT_OK),
    ("row 21: the root says CA:FALSE", lambda: shaped(ca=False), "ca.is_ca", NOT_OK),
    ("row 28: the secret is immutable", lambda: marked(immutable=True), "ca.secret_fit", NOT_OK),
    ("row 30: another object owns it", lambda: marked(owners=("ExternalSecret ca",)), "ca.owner", NOT_OK),
    ("row 30: Argo CD tracks it", lambda: marked(annotations=(("argocd.argoproj.io/tracking-id", "x"),)),
     "ca.owner", NOT_OK),
    ("row 30: Flux keeps it", lambda: marked(labels=(("kustomize.toolkit.fluxcd.io/name", "x"),)), "ca.owner", NOT_OK),
    ("row 30: cert-manager keeps it", lambda: marked(annotations=(("cert-manager.io/certificate-name", "x"),)),
     "ca.owner", NOT_OK),
    ("row 30: Helm keeps it", lambda: marked(labels=(("app.kubernetes.io/managed-by", "Helm"),)), "ca.owner", NOT_OK),
    ("row 30: External Secrets keeps it", lambda: marked(labels=(("reconcile.external-secrets.io/created-by", "x"),)),
     "ca.owner", NOT_OK),
    ("row 45: a cacerts lies beside it", lambda: foreign(plugged_secret=True), "ca.single_source", NOT_OK),
    ("row 45: whether a cacerts is there is unread", lambda: foreign(plugged_secret=None),
     "ca.single_source", UNKNOWN),
    ("row 67: istio-csr issues", lambda: foreign(workloads=("Deployment cert-manager/istio-csr",)),
     "ca.recognised", NOT_OK),
    ("row 59: a rollout is under way", lambda: citadel(updated=0), "ca.healthy", NOT_OK),
    ("row 59: the newest generation is unseen", lambda: citadel(observed=False), "ca.healthy", NOT_OK),
    ("row 59: old pods are still there", lambda: citadel(total=2), "ca.healthy", NOT_OK),
    ("row 58: its pod is not ready", lambda: citadel(ready=0, trouble="CrashLoopBackOff"), "ca.healthy", NOT_OK),
    ("another pod signs, of no such Deployment", lambda: pod_beside(workload="Deployment old"), "ca.pods", NOT_OK),
    ("another pod signs, of nothing at all", lambda: pod_beside(workload=""), "ca.pods", NOT_OK),
    ("it is scaled to nothing", lambda: citadel(desired=0, updated=0, ready=0, total=0), "ca.healthy", NOT_OK),
    ("row 68: the clocks are ten minutes apart", lambda: skewed(10), "env.clock", NOT_OK),
    ("row 68: the bot is ten minutes ahead", lambda: skewed(-10), "env.clock", NOT_OK),
    ("the API server tells no time", lambda: skewed(None), "env.clock", UNKNOWN),
    ("Citadel 1.0.7 may lose its key", lambda: version("1.0.7"), "ca.version", NOT_OK),
    ("Citadel 1.1.7 may lose its key", lambda: version("1.1.7"), "ca.version", NOT_OK),
    ("Citadel has no version", lambda: version("latest"), "ca.version", UNKNOWN),
]  # fmt: skip


def test_an_old_pod_of_citadel_that_does_not_end_is_red_and_left_to_the_rotation_s_restart() -> None:
    mesh = pod_beside(deleting=True)

    assert verdicts(ROUTINE, mesh)["ca.ending"] is NOT_OK
    assert verdicts(VERIFICATION, mesh)["ca.ending"] is NOT_OK
    assert forbidden_by(mesh) == set()


@pytest.mark.parametrize(("sentence", "make", "check", "verdict"), SECRETS, ids=[row[0] for row in SECRETS])
def test_a_rotation_is_forbidden_when(sentence: str, make: Make, check: str, verdict: Verdict) -> None:
    mesh = make()

    assert verdicts(PREFLIGHT, mesh)[check] is verdict, sentence
    assert check in forbidden_by(mesh)
    # clocks that differ only inform a check (row 68)
    assert check == "env.clock" or overall(findings(ROUTINE, mesh)) is not OK


@pytest.mark.parametrize(
    "mesh", [pod_beside(), pod_beside(workload="", phase="Failed")], ids=["counted", "evicted"]
)
def test_a_citadel_pod_that_is_counted_or_has_ended_is_fine(mesh: MeshSnapshot) -> None:
    assert verdicts(ROUTINE, mesh)["ca.pods"] is OK


def test_no_verification_is_green_beside_a_citadel_that_nobody_counts() -> None:
    said = finding(VERIFICATION, pod_beside(workload="Deployment old"), "ca.pods")

    assert said.red
    assert [one.partition(":")[0] for one in said.offenders] == [f"Pod {SYSTEM}/other"]


def test_a_secret_that_may_not_be_read_is_not_called_absent() -> None:  # row 2
    said = verdicts(VERIFICATION, replace(no_secret(), unread=(READ_FAULT,)))

    assert said["ca.present"] is UNKNOWN
    assert NOT_OK not in said.values()


def test_row_5_a_secret_without_a_key_is_told_apart_from_one_with_an_empty_key() -> None:
    absent = as_read({"ca-cert.pem": a_root()})
    empty = as_read({"ca-cert.pem": a_root(), "ca-key.pem": b""})

    assert finding(ROUTINE, absent, "ca.key_matches").summary == "the secret has no ca-key.pem"
    assert finding(ROUTINE, empty, "ca.key_matches").summary == "the CA's private key is empty"
    for mesh in (absent, empty):
        assert verdicts(ROUTINE, mesh)["ca.readable"] is OK, "what can be read is judged all the same"


def test_an_expired_root_is_critical() -> None:  # row 11
    assert finding(ROUTINE, with_root(healthy(), a_root(end=NOW - DAY)), "ca.not_expired").severity is (
        Severity.CRITICAL
    )


FINE: list[tuple[str, Make]] = [
    ("row 4: Citadel's three other keys are empty", healthy),
    ("row 7: other roots stand behind the signer", lambda: with_root(healthy(), signer_of(healthy()).pem
     + a_root(number=5))),
    ("row 8: certificates stand there twice", lambda: with_root(healthy(), signer_of(healthy()).pem
     + a_root(number=5) * 2)),
    ("row 12: an expired twin stands beside it", lambda: twin(expired=True)),
    ("row 12: a twin that still lives stands beside it", lambda: twin(expired=False)),
    ("row 8: the root stands there twice", lambda: with_root(healthy(), 2 * signer_of(healthy()).pem)),
    ("row 12: an expired root of another key stands beside it", lambda: with_root(
        healthy(), signer_of(healthy()).pem + a_root(number=5, end=NOW - DAY))),
    ("row 26: the root ends at the end of time", lambda: with_root(healthy(), a_root(end=NOW.replace(year=9999)))),
    ("row 29: the secret is Opaque", lambda: marked(type="Opaque")),
    ("row 46: nobody knows a cacerts", lambda: foreign(plugged_secret=False)),
    ("row 59: Citadel is autoscaled and stands still", lambda: citadel(autoscaled=True)),
    ("row 65: somebody edited it by hand before", lambda: marked(managers=("istio_ca", "kubectl-edit"))),
    ("row 68: the clocks are a second apart", lambda: skewed(1 / 60)),
    ("mutual TLS is only permitted", lambda: replace(healthy(), mutual_tls=MutualTls(mesh_policy="permissive"))),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make"), FINE, ids=[row[0] for row in FINE])
def test_nothing_forbids_a_rotation_when(sentence: str, make: Make) -> None:
    assert forbidden_by(make()) == set(), sentence


@pytest.mark.parametrize(("expired", "verb"), [(True, "ended"), (False, "ends")])
def test_row_12_a_twin_that_ends_first_is_red_and_the_approver_is_told(expired: bool, verb: str) -> None:  # noqa: FBT001
    found = finding(ROUTINE, twin(expired=expired), "ca.others")

    assert found.red
    assert f"{verb} " in found.summary
    [note] = worth_knowing([found])
    assert "A rotation leaves it out" in note


def test_an_opaque_secret_is_worth_a_note_and_not_red() -> None:  # row 29
    said = finding(ROUTINE, marked(type="Opaque"), "ca.secret_fit")

    assert (said.verdict, said.red) == (NOT_OK, False)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_root_with_a_negative_serial_is_not_fine() -> None:  # row 27
    pem = with_serial(read_bundle(a_root()).certificates[0], b"\xff", a_key())

    assert forbidden_by(with_root(healthy(), pem)) != set()


def test_row_68_apart_clocks_only_inform_a_check() -> None:  # row 68
    assert not finding(ROUTINE, skewed(10), "env.clock").red


# --- which CA ---------------------------------------------------------------------------------------


def beside(**changes: Any) -> MeshSnapshot:
    """The mesh with a second Citadel."""
    mesh = healthy()
    ref = ObjectRef(kind="Deployment", namespace=SYSTEM, name="istio-citadel-b")
    return replace(mesh, workloads=(*mesh.workloads, replace(citadel_of(mesh), **({"ref": ref} | changes))))


ELSEWHERE = ObjectRef(kind="Deployment", namespace="mesh-b", name="istio-citadel")
ISTIOD = (("app", "istiod"), ("istio", "pilot"))


def with_arguments(*arguments: str) -> MeshSnapshot:
    container = Container(name="citadel", image="istio/citadel:1.4.10", arguments=arguments)
    return citadel(containers=(container,))


AUTHORITIES: list[tuple[str, Make, AuthorityKind]] = [
    ("row 44: two Citadels write the same secrets", beside, AuthorityKind.SEVERAL),
    ("row 44: Citadel is in another namespace", lambda: citadel(ref=ELSEWHERE), AuthorityKind.NONE),
    ("row 69: a follower reads the leader's certificate", lambda: beside(
        containers=(citadel_container(arguments=("--read-signing-cert-only",)),)), AuthorityKind.SEVERAL),
    ("an istiod stands beside it", lambda: beside(labels=ISTIOD, containers=(Container(name="discovery", image="x"),)),
     AuthorityKind.MIXED),
    ("only an istiod is there", lambda: citadel(labels=ISTIOD, containers=(Container(name="discovery", image="x"),)),
     AuthorityKind.ISTIOD),
    ("SPIRE issues", lambda: foreign(workloads=("StatefulSet spire/spire-server",)), AuthorityKind.EXTERNAL),
    ("it signs with a plugged-in CA", lambda: with_arguments("--signing-cert=/etc/cacerts/ca-cert.pem"),
     AuthorityKind.CITADEL_PLUGGED),
    ("it is told not to sign itself", lambda: with_arguments("--self-signed-ca=false"), AuthorityKind.CITADEL_PLUGGED),
    ("it asks another CA", lambda: with_arguments("--self-signed-ca=true", "--upstream-ca-address=ca:1"),
     AuthorityKind.EXTERNAL),
    ("its arguments do not say", with_arguments, AuthorityKind.UNKNOWN),
    ("Deployments may not be read", lambda: replace(healthy(), unread=(
        Unread(part=Part.AUTHORITY, what="Deployments in all namespaces", reason="forbidden"),)),
     AuthorityKind.UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make", "kind"), AUTHORITIES, ids=[row[0] for row in AUTHORITIES])
def test_a_mesh_is_left_alone_when(sentence: str, make: Make, kind: AuthorityKind) -> None:
    mesh = make()
    authority = recognise(mesh)

    assert (authority.kind, authority.supported) == (kind, False), sentence
    assert authority.way
    assert "ca.recognised" in forbidden_by(mesh)
    assert overall(findings(ROUTINE, mesh)) is not OK


def test_a_citadel_of_another_mesh_does_no_harm() -> None:  # row 44
    assert recognise(beside(ref=ELSEWHERE)).kind is AuthorityKind.CITADEL_SELF_SIGNED


# --- workload secrets -----------------------------------------------------------------------------


def secret(**changes: Any) -> MeshSnapshot:
    """The mesh with one secret changed: that of shop/cart."""
    mesh = healthy()
    changed = tuple(replace(s, **changes) if s.ref.name == "istio.cart" else s for s in mesh.secrets)
    return replace(mesh, secrets=changed)


def namespace(**changes: Any) -> MeshSnapshot:
    """The mesh with an outdated secret in shop, and that namespace changed."""
    mesh = secret(root=read_bundle(a_root(serial=1)))
    places = tuple(replace(n, **changes) if n.name == "shop" else n for n in mesh.namespaces)
    return replace(mesh, namespaces=places)


def third_key() -> WorkloadSecret:
    return next(s for s in healthy().secrets if s.ref.name == "istio.cart")


FOREIGN = root(key("p256", 3), end=NOW + YEAR)

BROKEN: list[tuple[str, Make]] = [
    ("row 40: it has no root", lambda: secret(root=read_bundle(b""))),
    ("row 40: it has no annotation", lambda: secret(service_account="")),
    ("row 40: it has no certificate", lambda: secret(leaf=None)),
    ("row 40: its certificate cannot be read", lambda: secret(leaf=None, leaf_fault="is no certificate")),
    ("it holds an older root", lambda: secret(root=read_bundle(a_root(serial=1)))),
    ("row 66: a third key signed its certificate", lambda: secret(leaf=leaf(key("p256", 3), FOREIGN))),
    ("row 66: it holds the root of a third key", lambda: secret(root=read_bundle(FOREIGN.pem))),
    ("its certificate has expired", lambda: secret(
        leaf=leaf(a_key(), signer_of(healthy()), start=NOW - 9 * DAY, end=NOW - DAY))),
    ("row 24: its certificate names an older serial", lambda: secret(
        leaf=leaf(a_key(), read_bundle(a_root(serial=1)).certificates[0], names="serial"))),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make"), BROKEN, ids=[row[0] for row in BROKEN])
def test_one_workload_secret_is_wrong(sentence: str, make: Make) -> None:
    mesh = make()
    said = finding(ROUTINE, mesh, "ws.root")

    assert said.verdict is NOT_OK, sentence
    assert len(said.offenders) == 1
    assert "istio.cart" in said.offenders[0]
    assert said.hint
    assert "ws.root" not in forbidden_by(mesh)


@pytest.mark.parametrize("chain", [ROUTINE, VERIFICATION], ids=["routine", "verification"])
def test_no_workload_secret_at_all_is_unknown_and_not_all_updated(chain: Any) -> None:  # row 39
    mesh = replace(healthy(), secrets=())

    assert verdicts(chain, mesh)["ws.root"] is UNKNOWN
    assert overall(findings(chain, mesh)) is UNKNOWN


LEFT: list[tuple[str, dict[str, Any]]] = [
    ("row 41: its service account is gone", {"service_accounts": frozenset({"frontend"})}),
    ("row 41: its namespace opted out", {"override": "false"}),
    ("row 41: its namespace belongs to another Citadel", {"environment": "mesh-b"}),
    ("row 42: its namespace is being deleted", {"terminating": True}),
]


@pytest.mark.parametrize(("sentence", "changes"), LEFT, ids=[row[0] for row in LEFT])
def test_a_workload_secret_is_left_alone_and_listed_when(sentence: str, changes: dict[str, Any]) -> None:
    mesh = namespace(**changes)

    assert verdicts(ROUTINE, mesh)["ws.root"] is OK, sentence
    left = finding(ROUTINE, mesh, "ws.skipped")
    assert left.verdict is SKIPPED
    assert any("istio.cart" in line for line in left.offenders)


KEPT: list[tuple[str, dict[str, Any]]] = [
    ("its namespace is ours by name", {"environment": SYSTEM}),
    ("its namespace opted in", {"override": "true", "environment": "mesh-b"}),
    ("the label says something else", {"override": "FALSE"}),
    ("service accounts may not be listed", {"service_accounts": None}),
]


@pytest.mark.parametrize(("sentence", "changes"), KEPT, ids=[row[0] for row in KEPT])
def test_row_41_a_workload_secret_is_judged_when(sentence: str, changes: dict[str, Any]) -> None:  # row 41
    assert verdicts(ROUTINE, namespace(**changes))["ws.root"] is NOT_OK, sentence


def test_a_workload_secret_outside_the_listened_namespaces_is_left_alone() -> None:  # row 41
    listening = citadel_container(arguments=(f"--listened-namespaces={SYSTEM},bank",))
    mesh = with_citadel(namespace(), containers=(listening,))

    assert verdicts(ROUTINE, mesh)["ws.root"] is OK


def test_a_leaf_of_a_third_key_is_broken_already_and_does_not_forbid() -> None:  # row 66
    mesh = secret(leaf=leaf(key("p256", 3), FOREIGN))

    assert forbidden_by(mesh, policy=proved(mesh)) == set()


def test_a_leaf_that_names_its_issuer_by_serial_forbids_an_extension() -> None:  # row 24
    mesh = secret(leaf=leaf(a_key(), signer_of(healthy()), names="serial"))

    assert forbidden_by(mesh, policy=proved(mesh)) == {"proof.leaves"}


def test_a_candidate_proved_against_no_leaf_at_all_is_unknown_and_forbids() -> None:  # row 39
    mesh = replace(healthy(), secrets=())

    assert verdicts(PREFLIGHT, mesh, policy=proved(mesh))["proof.leaves"] is UNKNOWN
    assert "proof.leaves" in forbidden_by(mesh, policy=proved(mesh))


BAD_CANDIDATES: list[tuple[str, Callable[[], bytes]]] = [
    ("another key", lambda: a_root(number=5, end=NOW + 30 * YEAR)),
    ("a name in another encoding", lambda: root(
        a_key(), subject=name("cluster.local", kind=ASN1Type.UTF8String), end=NOW + 30 * YEAR).pem),
    ("a subject key id that the old one has not", lambda: root(
        a_key(), subject=signer_of(healthy()).parsed.subject, ski=b"1" * 20, end=NOW + 30 * YEAR).pem),
    ("CA:FALSE", lambda: root(
        a_key(), subject=signer_of(healthy()).parsed.subject, ca=False, end=NOW + 30 * YEAR).pem),
    ("an earlier end", lambda: a_root(end=NOW + YEAR)),
    ("a validity that has not begun", lambda: a_root(start=NOW + DAY, end=NOW + 30 * YEAR)),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make"), BAD_CANDIDATES, ids=[row[0] for row in BAD_CANDIDATES])
def test_row_64_a_candidate_is_refused_with(sentence: str, make: Callable[[], bytes]) -> None:  # row 64
    policy = Policy(candidate=read_bundle(make()).certificates[0])

    assert "proof.candidate" in forbidden_by(healthy(), policy=policy), sentence


# --- trust, webhooks, processes -------------------------------------------------------------------


def trust(pem: bytes) -> MeshSnapshot:
    mesh = healthy()
    assert mesh.trust is not None
    return replace(mesh, trust=replace(mesh.trust, root=read_bundle(pem)))


def test_a_trust_config_map_with_more_than_the_root_is_fine() -> None:  # row 67
    assert verdicts(ROUTINE, trust(a_root(number=5) + signer_of(healthy()).pem))["cm.root"] is OK


@pytest.mark.parametrize("pem", [b"", a_root(serial=1), b"edited by hand"])
def test_a_trust_config_map_without_the_root_is_not_fine(pem: bytes) -> None:  # row 67
    assert verdicts(ROUTINE, trust(pem))["cm.root"] is NOT_OK


def webhook(**changes: Any) -> MeshSnapshot:
    mesh = healthy()
    first, *rest = mesh.webhooks
    changed: Webhook = replace(first, **changes)
    return replace(mesh, webhooks=(changed, *rest))


WEBHOOKS: list[tuple[str, Make, Verdict]] = [
    ("row 53: its caBundle is empty", lambda: webhook(root=read_bundle(b"")), NOT_OK),
    ("row 53: its caBundle is another CA's", lambda: webhook(root=read_bundle(FOREIGN.pem)), NOT_OK),
    ("row 53: two entries disagree", lambda: webhook(root=read_bundle(a_root(serial=1))), NOT_OK),
    ("row 53: cert-manager fills it", lambda: webhook(root=read_bundle(FOREIGN.pem), injected=True), OK),
    ("row 53: it trusts more than the root",
     lambda: webhook(root=read_bundle(FOREIGN.pem + signer_of(healthy()).pem)), OK),
    ("there is none", lambda: replace(healthy(), webhooks=()), SKIPPED),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make", "verdict"), WEBHOOKS, ids=[row[0] for row in WEBHOOKS])
def test_a_webhook(sentence: str, make: Make, verdict: Verdict) -> None:
    assert verdicts(ROUTINE, make())["webhook.cabundle"] is verdict, sentence


def test_a_webhook_that_cert_manager_fills_is_counted_as_left_alone() -> None:  # row 53
    mesh = webhook(root=read_bundle(FOREIGN.pem), injected=True)
    counts = next(t for t in tally(judge_holders(mesh, signer_of(mesh))) if t.kind == "webhooks")

    assert (counts.ok, counts.skipped, counts.not_ok) == (1, 1, 0)


def test_a_process_that_started_before_the_root_is_not_fine() -> None:
    mesh = healthy()
    ago = NOW - 30 * DAY
    pods = tuple(replace(p, started_at=ago, created_at=ago) for p in mesh.control_plane_pods)

    assert verdicts(ROUTINE, replace(mesh, control_plane_pods=pods))["cp.root"] is NOT_OK


def test_a_process_of_which_the_start_is_unknown_is_unknown() -> None:
    mesh = healthy()
    pods = tuple(replace(p, started_at=None) for p in mesh.control_plane_pods)

    assert verdicts(ROUTINE, replace(mesh, control_plane_pods=pods))["cp.root"] is UNKNOWN


# --- proxies ------------------------------------------------------------------------------------------


def proxy(**changes: Any) -> MeshSnapshot:
    mesh = healthy()
    first, *rest = mesh.proxies
    changed: Proxy = replace(first, **changes)
    return replace(mesh, proxies=(changed, *rest))


def loaded(pem: bytes) -> tuple[LoadedCertificate, ...]:
    each = read_bundle(pem).certificates[0]
    return (LoadedCertificate(serial=each.serial, not_before=each.not_before, not_after=each.not_after),)


PROXIES: list[tuple[str, Make, Verdict]] = [
    ("row 48: /certs is empty", lambda: proxy(roots=(), leaves=()), UNKNOWN),
    ("row 48: /certs is no JSON", lambda: proxy(roots=(), fault="answered with HTML"), UNKNOWN),
    ("row 48: /certs is cut off though a root was read", lambda: proxy(fault="the answer was cut off"), UNKNOWN),
    ("row 50: its pod is pending", lambda: proxy(roots=(), fault="its pod is Pending"), UNKNOWN),
    ("row 50: it may not be asked", lambda: proxy(roots=(), fault="forbidden"), UNKNOWN),
    ("row 50: its pod has completed", lambda: proxy(roots=(), asked=False, fault="its pod has ended"), OK),
    ("row 47: the secrets are right and it holds the old root", lambda: proxy(roots=loaded(a_root(serial=1))), NOT_OK),
    ("a root of the same serial and another start", lambda: proxy(
        roots=loaded(a_root(serial=2, start=NOW - 9 * DAY))), NOT_OK),
    ("row 39: there is none", lambda: replace(healthy(), proxies=()), UNKNOWN),
    ("row 50: all have completed", lambda: replace(
        healthy(), proxies=tuple(replace(p, asked=False) for p in healthy().proxies)), UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize("chain", [ROUTINE, VERIFICATION], ids=["routine", "verification"])
@pytest.mark.parametrize(("sentence", "make", "verdict"), PROXIES, ids=[row[0] for row in PROXIES])
def test_a_proxy(sentence: str, make: Make, verdict: Verdict, chain: Any) -> None:
    mesh = make()

    assert verdicts(chain, mesh)["dp.root"] is verdict, sentence
    assert overall(findings(chain, mesh)) is verdict


def test_a_completed_pod_is_counted_as_left_alone() -> None:  # row 50
    mesh = proxy(roots=(), asked=False)
    counts = next(t for t in tally(judge_holders(mesh, signer_of(mesh))) if t.kind == "proxies")

    assert (counts.total, counts.ok, counts.skipped) == (4, 3, 1)


# --- what could not be read -----------------------------------------------------------------------

WHATS: dict[Part, tuple[str, ...]] = {
    Part.SECRETS: ("Secrets in namespace bank", "Namespaces", "ServiceAccounts in namespace bank",
                   f"ConfigMap {SYSTEM}/istio-security"),
    Part.WEBHOOKS: ("MutatingWebhookConfigurations",),
    Part.PROXIES: ("Pods in namespace bank",),
    Part.AUTHORITY: ("Deployments in all namespaces", f"Secret {SYSTEM}/istio-ca-secret"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("part", "what"), [(part, what) for part, whats in WHATS.items() for what in whats], ids=str
)
@pytest.mark.parametrize("chain", [ROUTINE, VERIFICATION], ids=["routine", "verification"])
def test_row_38_what_could_not_be_read_is_never_ok(part: Part, what: str, chain: Any) -> None:  # row 38
    mesh = healthy()
    if "istio-ca-secret" in what:
        mesh = replace(mesh, ca_secret=None)
    mesh = replace(mesh, unread=(Unread(part=part, what=what, reason="forbidden"),))

    assert overall(findings(chain, mesh)) is UNKNOWN


@pytest.mark.parametrize("what", [f"{kind} in all namespaces" for kind in ("Pods", "DaemonSets")])
def test_row_38_control_plane_pods_that_could_not_be_read_are_never_ok(what: str) -> None:  # row 38
    unread = (Unread(part=Part.AUTHORITY, what=what, reason="forbidden"),)
    mesh = replace(healthy(), unread=unread)
    if what.startswith("Pods"):
        mesh = replace(mesh, control_plane_pods=())

    assert overall(findings(VERIFICATION, mesh)) is not OK


def test_mutual_tls_that_could_not_be_read_is_unknown_and_forbids_nothing() -> None:
    silent = MutualTls(mesh_policy=None, policies=None, destination_rules=None, control_plane=None)
    mesh = replace(healthy(), mutual_tls=silent)

    assert verdicts(ROUTINE, mesh)["mtls.use"] is UNKNOWN
    assert overall(findings(ROUTINE, mesh)) is UNKNOWN
    assert forbidden_by(mesh) == set()


@pytest.mark.parametrize("seen", [MutualTls(peers=None), MutualTls(mesh_policy="strict", peers=None)])
def test_row_38_a_policy_that_could_not_be_read_is_unknown_by_name_and_forbids_nothing(
    seen: MutualTls,
) -> None:
    unread = (Unread(part=Part.POLICY, what="PeerAuthentication shop/default", reason="not understood"),)
    mesh = replace(healthy(), mutual_tls=seen, unread=unread)

    said = finding(ROUTINE, mesh, "mtls.use")

    assert said.verdict is UNKNOWN
    assert said.offenders == ("PeerAuthentication shop/default: not understood",)
    assert overall(findings(ROUTINE, mesh)) is UNKNOWN
    assert forbidden_by(mesh) == set()


def test_nothing_read_at_all_is_unknown() -> None:
    empty = replace(
        healthy(),
        ca_secret=None, workloads=(), control_plane_pods=(), namespaces=(), secrets=(), trust=None, webhooks=(),
        proxies=(), unread=tuple(Unread(part=part, what=what, reason="no answer")
                                 for part, whats in WHATS.items() for what in whats),
    )  # fmt: skip

    for chain in (ROUTINE, PREFLIGHT, VERIFICATION):
        assert overall(findings(chain, empty)) is UNKNOWN


def test_no_finding_at_all_is_unknown() -> None:
    assert overall(()) is UNKNOWN


@pytest.mark.parametrize("part", sorted(EVERYTHING))
def test_what_was_not_looked_at_is_not_judged(part: Part) -> None:
    mesh = replace(healthy(), parts=EVERYTHING - {part})

    for holder in judge_holders(mesh, signer_of(mesh)):
        assert holder.verdict is OK


def test_a_verification_names_another_root_than_the_expected_one() -> None:  # row 54
    mesh = healthy()
    other = read_bundle(a_root(serial=1)).certificates[0]

    said = verdicts(VERIFICATION, mesh, policy=Policy(expected=other))

    assert {said["ca.current"], said["ws.root"], said["dp.root"]} == {NOT_OK}


# --- versions -------------------------------------------------------------------------------------

VERSIONS: list[tuple[str, bool | None, bool | None, bool]] = [
    # version, loads new roots, has a rotator, may lose its key
    ("1.0.0", False, False, True),
    ("1.0.7", False, False, True),
    ("1.0.8", True, False, False),
    ("1.0.9", True, False, False),
    ("1.1.0", False, False, True),
    ("1.1.7", False, False, True),
    ("1.1.8", True, False, False),
    ("1.1.17", True, False, False),
    ("1.2.8", True, False, False),
    ("1.2.9", True, True, False),
    ("1.2.10", True, True, False),
    ("1.3.0", True, False, False),
    ("1.3.4", True, False, False),
    ("1.3.5", True, True, False),
    ("1.4.0", True, True, False),
    ("1.5.10", True, True, False),
    ("", None, None, False),
    ("latest", None, None, False),
]


@pytest.mark.parametrize(("numbers", "loads", "rotates", "loses"), VERSIONS, ids=[row[0] for row in VERSIONS])
def test_of_version(
    numbers: str,
    loads: bool | None,  # noqa: FBT001
    rotates: bool | None,  # noqa: FBT001
    loses: bool,  # noqa: FBT001
) -> None:
    assert sidecar_loads_new_roots(numbers) is loads
    assert citadel_has_rotator(numbers) is rotates
    assert citadel_may_lose_its_key(numbers) is loses


IMAGES = [
    ("docker.io/istio/proxyv2:1.4.10", "1.4.10"),
    ("istio/proxyv2:1.4.10-distroless", "1.4.10"),
    ("registry:5000/istio/proxyv2:v1.1", "1.1.0"),
    ("registry:5000/istio/proxyv2", ""),
    ("istio/proxyv2@sha256:" + "0" * 64, ""),
    ("istio/proxyv2:1.4.10@sha256:" + "0" * 64, "1.4.10"),
    ("istio/proxyv2:master-20200101", ""),
    ("istio/proxyv2:latest", ""),
    ("", ""),
]


@pytest.mark.parametrize(("image", "expected"), IMAGES)
def test_an_image_tells_its_version(image: str, expected: str) -> None:
    assert version_of_image(image) == expected


GATES: list[tuple[str, Make, str, Verdict]] = [
    ("a sidecar of 1.1.3 is told", lambda: proxy(version="1.1.3"), "dp.version", NOT_OK),
    ("a sidecar of no version is told", lambda: proxy(version=""), "dp.version", UNKNOWN),
    ("sidecars of 1.4.10 load by themselves", healthy, "dp.version", OK),
    ("Citadel 1.0.8 is safe", lambda: version("1.0.8"), "ca.version", OK),
    ("Citadel 1.1.8 is safe", lambda: version("1.1.8"), "ca.version", OK),
    ("Citadel 1.2.8 has no rotator", lambda: version("1.2.8"), "ca.rotator", SKIPPED),
    ("Citadel 1.4.10 has one", healthy, "ca.rotator", OK),
    ("a rotator that is late is told", ending, "ca.rotator", NOT_OK),
    ("a rotator that is switched off is told", lambda: citadel(containers=(citadel_container(
        environment=(("CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL", "0"),)),)), "ca.rotator", NOT_OK),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "make", "check", "verdict"), GATES, ids=[row[0] for row in GATES])
def test_it_depends_on_the_version(sentence: str, make: Make, check: str, verdict: Verdict) -> None:
    mesh = make()

    assert verdicts(ROUTINE, mesh)[check] is verdict, sentence
    assert check not in forbidden_by(mesh)


def test_a_key_of_the_mesh_stands_in_no_finding() -> None:
    lines = [line for line in KEY_PEM.decode().splitlines() if len(line) > 20 and "-----" not in line]
    shown = repr(healthy()) + repr(findings(ROUTINE, healthy()))

    assert not [line for line in lines if line in shown]
