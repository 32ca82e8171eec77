"""What the rules about the CA, its secret and its root say, in words. Numbers are rows of facts/istio.md, 6.5.

What forbids a rotation, and which verdict each odd mesh gets, stands in hardcases/test_mesh_cases.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from bot.core.certificates import Certificate, read_bundle
from bot.core.checks import table
from bot.core.checks.rule import Policy
from bot.core.checks.table import PREFLIGHT, obstacles
from bot.core.mesh import ForeignSigns, MeshSnapshot, ObjectRef, Part
from tests.unit.core.builders import (
    SYSTEM,
    Case,
    a_ca_secret,
    a_citadel,
    a_leaf,
    a_mesh,
    a_new_root,
    a_root,
    a_secret,
    a_workload,
    bundle,
    certificate,
    changed,
    found,
    said,
    the_root,
    unread,
    verdict_of,
)
from tests.unit.hardcases.making import DAY, NOW, ASN1Type, any_key, key, name, pem_of


def holding(*certificates: Certificate, **changes: Any) -> MeshSnapshot:
    return a_mesh(ca_secret=a_ca_secret(*certificates, **changes))


def citadel(*arguments: str, **changes: Any) -> MeshSnapshot:
    version = changes.pop("version", "1.4.10")
    environment = changes.pop("environment", {})
    return a_mesh(workloads=(replace(a_citadel(*arguments, version=version, **environment), **changes),))


def pem(raw: bytes) -> MeshSnapshot:
    return holding(root=read_bundle(raw))


def in_1_4(version: str, organization: str, *arguments: str) -> MeshSnapshot:
    secret = a_ca_secret(a_root(subject=name(organization)))
    citadel = a_citadel("--self-signed-ca=true", *arguments, version=version)
    return a_mesh(workloads=(citadel,), ca_secret=secret)


RSA = key("rsa2048")
OTHER = a_root(key("p256", 1), subject=name("other"), until=NOW + 500 * DAY)
TWIN = a_root(since=NOW - 800 * DAY, until=NOW, serial=5)
HIDDEN = unread(Part.AUTHORITY, "Secret istio-system/istio-ca-secret", "may not get")
PLUGGED = a_mesh(
    workloads=(a_citadel("--signing-cert=/etc/cacerts/ca-cert.pem"),),
    foreign=ForeignSigns(plugged_secret=True),
)
ROTATOR_OFF = "CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL"
ROTATOR_SHARE = "CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE"
SEVERAL_NAMES = x509.Name(
    [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Istio"),
        x509.NameAttribute(NameOID.COMMON_NAME, "Root CA"),
    ]
)

CASES = {
    # --- the CA and its secret
    "a self-signed Citadel can be rotated": Case(table.RECOGNISED, a_mesh(), "ok", "runs with --self-signed"),
    "a plugged-in CA cannot": Case(table.RECOGNISED, PLUGGED, "not_ok warning", "plugged-in CA"),
    "a CA that could not be read is unknown": Case(
        table.RECOGNISED, a_mesh(unread=(unread(Part.AUTHORITY, "Deployments in all namespaces"),)),
        "unknown", "Give the bot the permissions"),
    "one source": Case(table.SINGLE_SOURCE, a_mesh(), "ok", "cacerts does not exist"),
    # 45
    "a cacerts beside a self-signed Citadel": Case(
        table.SINGLE_SOURCE, a_mesh(foreign=ForeignSigns(plugged_secret=True)),
        "not_ok warning", "istio-system/cacerts"),
    "a cacerts where one belongs": Case(table.SINGLE_SOURCE, PLUGGED, "silent"),
    "the CA secret is there": Case(table.PRESENT, a_mesh(), "ok", "resourceVersion 7"),
    # 1
    "the CA secret is absent": Case(
        table.PRESENT, a_mesh(ca_secret=None), "not_ok critical", "istio-system/istio-ca-secret does not exist"),
    # 2
    "a 403 on the CA secret is not absence": Case(
        table.PRESENT, a_mesh(ca_secret=None, unread=(HIDDEN,)), "unknown", "could not be read: may not get"),
    # 46
    "a CA secret left over beside a plugged-in CA": Case(
        table.PRESENT, PLUGGED, "skipped", "is there and unused: Citadel 1.4.10 with a plugged-in CA signs"),
    "a readable root": Case(table.READABLE, a_mesh(), "ok", "holds 1 certificate, readable"),
    # 7
    "several certificates in ca-cert.pem": Case(
        table.READABLE, holding(the_root(), OTHER), "ok", "holds 2 certificates, readable"),
    # 3
    "data: null": Case(
        table.READABLE, holding(root=read_bundle(b""), faults=("holds no data at all",)), "not_ok critical",
        "Secret istio-system/istio-ca-secret: holds no data at all; ca-cert.pem is empty"),
    # 6
    "a value beside it that is not base64": Case(
        table.READABLE, holding(faults=("ca-key.pem is not base64",)), "not_ok critical",
        "Secret istio-system/istio-ca-secret: ca-key.pem is not base64"),
    # 14
    "CRLF and no final newline": Case(
        table.READABLE, pem(the_root().pem.replace(b"\n", b"\r\n").rstrip()), "ok"),
    # 15
    "indented PEM": Case(
        table.READABLE, pem(b" " + the_root().pem.replace(b"\n", b"\n ")), "not_ok critical",
        "1 certificate heading inside a line, where Istio sees none"),
    "an unread secret is told of once": Case(table.READABLE, a_mesh(ca_secret=None), "silent"),
    "the key belongs to the signer": Case(
        table.KEY_MATCHES, holding(a_root(RSA), key_pem=pem_of(RSA)), "ok", "RSA 2048"),
    # 9
    "the key matches the second certificate": Case(
        table.KEY_MATCHES, holding(OTHER, the_root()), "not_ok critical",
        "belongs to certificate 2 of ca-cert.pem, not 1: the CA cannot start"),
    # 10
    "the key matches no certificate": Case(
        table.KEY_MATCHES, holding(OTHER), "not_ok critical", "belongs to no certificate in ca-cert.pem"),
    # 20
    "a key that cannot be used": Case(
        table.KEY_MATCHES, holding(key_pem=pem_of(RSA, password=b"x")), "not_ok critical", "is encrypted"),
    "a key that Citadel would not start with": Case(
        table.KEY_MATCHES, holding(key_pem=the_root().pem + pem_of(key())), "not_ok critical",
        "would not start with it The key itself may be fine: save the whole secret first"),
    "a key without a root to compare with": Case(table.KEY_MATCHES, pem(b""), "silent"),
    "a secret that can be changed in place": Case(table.SECRET_FIT, a_mesh(), "ok"),
    # 28
    "secret immutable: true": Case(table.SECRET_FIT, holding(immutable=True), "not_ok warning", "immutable"),
    # 29
    "type Opaque instead of istio.io/ca-root": Case(
        table.SECRET_FIT, holding(type="Opaque"), "not_ok info",
        "type Opaque instead of istio.io/ca-root; it is kept"),
    # --- its Deployment
    "Citadel is whole": Case(table.HEALTHY, a_mesh(), "ok", "1 of 1 ready"),
    # 59
    "a rollout is under way": Case(
        table.HEALTHY, citadel(updated=0, total=2), "not_ok warning", "1 of 1 ready, 0 new, 2 in all"),
    # 58
    "Citadel does not become ready": Case(
        table.HEALTHY, citadel(ready=0, trouble="CrashLoopBackOff"), "not_ok warning", "CrashLoopBackOff"),
    "Citadel is scaled to nothing": Case(
        table.HEALTHY, citadel(desired=0, updated=0, ready=0, total=0), "not_ok warning", "scaled to 0"),
    "its rollouts are paused": Case(
        table.HEALTHY, citadel(paused=True), "not_ok warning", "a restart would not reach its pods"),
    "another CA's Deployment is not judged": Case(table.HEALTHY, PLUGGED, "silent"),
    "one replica": Case(table.REPLICAS, a_mesh(), "silent"),
    "two replicas": Case(
        table.REPLICAS, citadel(desired=2, updated=2, ready=2, total=2), "not_ok info", "has 2 replicas"),
    # 59
    "an autoscaler": Case(table.REPLICAS, citadel(autoscaled=True), "not_ok info", "is autoscaled"),
    "the version of another CA is not judged": Case(table.VERSION, PLUGGED, "silent"),
    "a version that may lose its key": Case(
        table.VERSION, citadel(version="1.1.7"), "not_ok warning", "throw-away CA"),
    "a rotator that will act": Case(table.ROTATOR, a_mesh(), "ok", "by itself on 2033-04-07"),
    "Citadel 1.1 has none": Case(table.ROTATOR, citadel(version="1.1.17"), "skipped", "never extends"),
    "a version of which nothing is known": Case(table.ROTATOR, citadel(version="latest"), "silent"),
    "a rotator that should have acted": Case(
        table.ROTATOR, holding(a_root(since=NOW - 3000 * DAY, until=NOW + 300 * DAY)), "not_ok info", "has not"),
    "a rotator switched off": Case(
        table.ROTATOR, citadel(environment={ROTATOR_OFF: "0h0m"}), "not_ok info", "switched off"),
    "a rotator switched off by a negative interval": Case(
        table.ROTATOR, citadel(environment={ROTATOR_OFF: "-1h"}), "not_ok info", "switched off"),
    "a rotator that looks every half hour": Case(
        table.ROTATOR, citadel(environment={ROTATOR_OFF: "0.5h"}), "ok"),
    "a rotator whose interval comes from elsewhere": Case(
        table.ROTATOR, citadel(environment={ROTATOR_OFF: None}), "unknown", ROTATOR_OFF),
    "a rotator whose share comes from elsewhere": Case(
        table.ROTATOR, citadel(environment={ROTATOR_SHARE: None}), "unknown", ROTATOR_SHARE),
    "a rotator switched off, whatever else is not known": Case(
        table.ROTATOR, citadel(environment={ROTATOR_OFF: "0", ROTATOR_SHARE: None}), "not_ok info", "switched off"),
    "a rotator that acts earlier": Case(
        table.ROTATOR, citadel(environment={ROTATOR_SHARE: "50"}), "ok", "by itself on 2030-07-03"),
    "a rotator that acts earlier than today": Case(
        table.ROTATOR, citadel(environment={ROTATOR_SHARE: "999999999"}), "not_ok info", "has not"),
    "a rotator that never acts": Case(
        table.ROTATOR, citadel(environment={ROTATOR_SHARE: "0"}), "not_ok info", "never acts before the end"),
    "a rotator whose share is no number, which Istio does not take": Case(
        table.ROTATOR, citadel(environment={ROTATOR_SHARE: "20%"}), "ok", "by itself on 2033-04-07"),
    # 68
    "clocks that agree just so": Case(
        table.CLOCK, a_mesh(clock_skew=timedelta(minutes=-2)), "ok", "within 120 s"),
    # 68
    "a clock that is behind counts like one ahead": Case(
        table.CLOCK, a_mesh(clock_skew=timedelta(seconds=-121)), "not_ok info", "differ by 121 s"),
    # --- the root
    "a self-signed CA": Case(table.IS_CA, a_mesh(), "ok"),
    # 21
    "root CA:FALSE": Case(table.IS_CA, holding(a_root(ca=False)), "not_ok critical", "says CA:FALSE"),
    "an intermediate": Case(
        table.IS_CA, holding(a_root(issuer=name("Offline"))), "not_ok critical",
        "not a self-signed root: it names another issuer (O=Offline)"),
    "ECDSA P-256 and SHA-256": Case(table.ALGORITHM, a_mesh(), "ok", "EC secp256r1, sha256"),
    # 19
    "RSA below 2048": Case(
        table.ALGORITHM, holding(a_root(any_key("rsa1024"))), "not_ok critical",
        "the root's key is RSA 1024; at least 2048 bits are needed"),
    # 19
    "Ed25519": Case(
        table.ALGORITHM, holding(a_root(any_key("ed25519"))), "not_ok critical", "a kind that Envoy does not accept"),
    "a curve that Envoy does not take": Case(
        table.ALGORITHM, holding(a_root(any_key("p521"))), "not_ok critical", "a kind that Envoy does not accept"),
    "a key of a kind that nobody knows": Case(
        table.ALGORITHM, holding(changed(the_root(), "06072a8648ce3d0201", "06072a8648ce3d027b")),
        "not_ok critical", "a kind that Envoy does not accept"),
    "a hash that nobody knows": Case(
        table.ALGORITHM,
        holding(certificate(the_root().der.replace(
            bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d04037b")))),
        "not_ok critical", "signed with an unknown hash"),
    # 11
    "an expired root": Case(
        table.NOT_EXPIRED, holding(a_root(until=NOW - 3 * DAY)), "not_ok critical",
        "expired 3 days ago, at 2026-11-20 18:41:00 UTC; Citadel will not start again once it stops"),
    "an expired root does not also end soon": Case(table.EXPIRY, holding(a_root(until=NOW)), "silent"),
    # 26
    "a root that ends in 9999": Case(
        table.EXPIRY, holding(a_root(until=datetime(9999, 12, 31, 23, 59, 59, tzinfo=NOW.tzinfo))), "ok", "9999-12-31"),
    "plenty left": Case(table.EXPIRY, a_mesh(), "ok", "expires in 8 years 80 days"),
    "the CA signs with what is expected": Case(
        table.CURRENT, a_mesh(), "ok", the_root().fingerprint[:16], Policy(expected=the_root())),
    # 54
    "somebody replaced the root": Case(
        table.CURRENT, a_mesh(), "not_ok critical", "not with", Policy(expected=a_new_root())),
    "nothing in particular is expected": Case(table.CURRENT, a_mesh(), "silent"),
    # 13
    "notBefore in the future": Case(
        table.ALREADY_VALID,
        a_mesh(ca_secret=a_ca_secret(a_root(since=NOW + timedelta(hours=2))), clock_skew=timedelta(seconds=-90)),
        "not_ok critical", "2 h from now (clock difference: -90 s)"),
    "one certificate alone": Case(table.OTHERS, a_mesh(), "silent"),
    # 7
    "every expiry is told": Case(
        table.OTHERS, holding(the_root(), OTHER), "ok", f"O=other {OTHER.fingerprint[:16]} until 2028-04-06"),
    # 8
    "duplicates are legal": Case(table.OTHERS, holding(the_root(), OTHER, OTHER), "ok", "2 more trusted roots"),
    # 12
    "a twin that expires this second": Case(
        table.OTHERS, holding(the_root(), TWIN), "not_ok warning", "Envoy may pick it"),
    # --- its name, as Istio's own rotator would write it
    "one O as Go writes it": Case(table.SUBJECT, a_mesh(), "ok", "O=cluster.local"),
    # 22
    "a subject with CN": Case(
        table.SUBJECT, holding(a_root(subject=SEVERAL_NAMES)), "not_ok info", "keep only one O"),
    # 22
    "an empty subject": Case(
        table.SUBJECT, holding(a_root(subject=x509.Name([]))), "not_ok info", "the subject is empty"),
    # 22: what the old script wrote
    "an O that Go would encode otherwise": Case(
        table.SUBJECT, holding(a_root(subject=name("cluster.local", kind=ASN1Type.UTF8String))), "not_ok info",
        "PrintableString"),
    # 22
    "an O that needs UTF-8": Case(
        table.SUBJECT, holding(a_root(subject=name("Müller", kind=ASN1Type.UTF8String))), "ok"),
    # 22
    "an O in an encoding that cannot be read": Case(
        table.SUBJECT,
        holding(certificate(the_root().der.replace(b"\x13\x0dcluster.local", b"\x14\x0dcluster\xe9local"))),
        "not_ok info", "cannot be read"),
    "a rotator that renames (#19644)": Case(
        table.SUBJECT, in_1_4("1.4.2", "k8s.cluster.local"), "not_ok warning",
        "Citadel 1.4.2 renames O=k8s.cluster.local to O=cluster.local"),
    "a rotator that renames whatever the old name was": Case(
        table.SUBJECT, in_1_4("1.4.1", "acme.corp"), "not_ok warning", "renames O=acme.corp to O=cluster.local"),
    "a rotator that renames to the trust domain that it has already": Case(
        table.SUBJECT, in_1_4("1.4.1", "acme.corp", "--trust-domain=acme.corp"), "ok", "O=acme.corp"),
    "a rotator that renames away from its own default": Case(
        table.SUBJECT, in_1_4("1.4.1", "cluster.local", "--trust-domain=me@acme.corp"), "not_ok warning",
        "renames O=cluster.local to O=me.acme.corp"),
    "a rotator that would keep the usual name": Case(table.SUBJECT, in_1_4("1.4.1", "cluster.local"), "ok"),
    "a rotator that was mended": Case(table.SUBJECT, in_1_4("1.4.3", "k8s.cluster.local"), "ok"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_of_the_ca(case: str) -> None:
    CASES[case].holds()


OWNED: dict[str, dict[str, Any]] = {
    "owned by ExternalSecret istio-ca": {"owners": ("ExternalSecret istio-ca",)},
    "argocd.argoproj.io/tracking-id=mesh:/Secret": {
        "annotations": (("argocd.argoproj.io/tracking-id", "mesh:/Secret"),)
    },
    "app.kubernetes.io/instance=mesh": {"labels": (("app.kubernetes.io/instance", "mesh"),)},
    "kustomize.toolkit.fluxcd.io/name=mesh": {"labels": (("kustomize.toolkit.fluxcd.io/name", "mesh"),)},
    "fluxcd.io/sync-gc-mark=sha256.x": {"labels": (("fluxcd.io/sync-gc-mark", "sha256.x"),)},
    "app.kubernetes.io/managed-by=Helm": {"labels": (("app.kubernetes.io/managed-by", "Helm"),)},
    "meta.helm.sh/release-name=istio": {"annotations": (("meta.helm.sh/release-name", "istio"),)},
    "heritage=Tiller": {"labels": (("heritage", "Tiller"),)},
    "reflector.v1.k8s.emberstack.com/reflects=a/b": {
        "annotations": (("reflector.v1.k8s.emberstack.com/reflects", "a/b"),)
    },
    "written by argocd-controller": {"managers": ("istio_ca", "argocd-controller")},
}


@pytest.mark.parametrize("trace", OWNED)
def test_a_tool_that_would_put_the_old_root_back_is_recognised_by_its_trace(trace: str) -> None:  # row 30
    finding = said(table.OWNER, holding(**OWNED[trace]))

    assert finding is not None
    assert (finding.verdict, finding.offenders) == ("not_ok", (trace,))


NOBODYS: dict[str, dict[str, Any]] = {
    "as Citadel makes it": {},
    "written by Citadel and by hand": {"managers": ("istio_ca", "Mozilla", "kubectl-edit", "rootkeeper")},
    "applied by hand once": {"annotations": (("kubectl.kubernetes.io/last-applied-configuration", "{}"),)},
    "restored by a backup tool": {"labels": (("velero.io/restore-name", "monday"),)},
    "marked by istiod": {"labels": (("app.kubernetes.io/managed-by", "istiod"),)},
    "labelled by its people": {"labels": (("app", "istio"), ("heritage", "ops"))},
    "copied elsewhere by reflector": {
        "annotations": (("reflector.v1.k8s.emberstack.com/reflection-allowed", "true"),)
    },
    "readable for cert-manager": {"annotations": (("cert-manager.io/allow-direct-injection", "true"),)},
    "with an earlier rotation's note": {"annotations": (("rootkeeper.dev/rotation", "r-1"),)},
}


@pytest.mark.parametrize("case", NOBODYS)
def test_what_writes_nothing_is_no_owner(case: str) -> None:
    assert verdict_of(table.OWNER, holding(**NOBODYS[case])) == "ok"


def test_a_mesh_with_a_plugged_in_ca_is_not_warned_of_a_secret_that_is_unused() -> None:  # row 46
    """Else it would hear every day of the end of a root that nobody trusts."""
    old = replace(PLUGGED, ca_secret=a_ca_secret(a_root(until=NOW - DAY), immutable=True))

    findings = [said(check, old) for check in table.ROUTINE]

    assert [f.check_id for f in findings if f and f.red] == ["ca.recognised"]


def test_a_finding_that_is_fine_has_nothing_to_do() -> None:
    findings = [said(check, a_mesh()) for check in table.ROUTINE]

    assert {f.verdict for f in findings if f} <= {"ok", "skipped"}
    assert [f.check_id for f in findings if f and f.verdict == "ok" and f.hint] == []


def test_every_check_has_an_id_and_a_title_of_its_own_and_what_to_do() -> None:
    ids = [check.id for check in table.ALL]

    assert len(set(ids)) == len(ids)
    assert len({check.title for check in table.ALL}) == len(ids)
    assert [check.id for check in table.ALL if not check.hint] == ["ws.skipped"]


def test_the_workload_that_is_judged_is_the_one_in_the_mesh_s_own_namespace() -> None:
    ref = ObjectRef(kind="Deployment", namespace="istio-other", name="istio-citadel")
    near = replace(a_citadel(), ref=ref, ready=0)
    mesh = a_mesh(workloads=(near, a_citadel(), a_workload()))

    finding = said(table.HEALTHY, mesh)

    assert finding is not None
    assert f"{SYSTEM}/istio-citadel: 1 of 1 ready" in finding.summary


def test_what_the_rotator_will_do_forbids_no_rotation() -> None:
    findings = found(PREFLIGHT, citadel(environment={ROTATOR_OFF: None}))

    assert findings["ca.rotator"].verdict == "unknown"
    assert [f.check_id for f in obstacles(tuple(findings.values())) if f.check_id == "ca.rotator"] == []


def test_only_the_roots_that_were_tried_are_counted() -> None:
    new = a_new_root()
    mesh = a_mesh(secrets=(a_secret("cart"), a_secret("frontend", root=bundle(OTHER))))

    tried = said(table.REVERSE, mesh, policy=Policy(candidate=new, throw_away=a_leaf(new, since=NOW)))

    assert tried is not None
    assert tried.summary.endswith("verifies against 1 deployed root of its key")
