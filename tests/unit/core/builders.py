"""A healthy mesh of plain values, and what the checks say of it.

Certificates come from `hardcases.making`. A test names only what it is about:

    a_mesh(ca_secret=a_ca_secret(an_old_root()))       a mesh whose CA secret holds something else
    found(ROUTINE, mesh)["ca.expiry"]                  what a check says of it
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from bot.core.certificates import Bundle, Certificate, describe_key, read_bundle, read_der
from bot.core.checks.rule import Check, Policy
from bot.core.checks.table import evaluate
from bot.core.findings import Finding
from bot.core.ids import ClusterUid, MeshName
from bot.core.mesh import (
    EVERYTHING,
    Access,
    CaSecret,
    Container,
    LoadedCertificate,
    MeshSnapshot,
    MutualTls,
    NamespaceFacts,
    ObjectRef,
    Part,
    Pod,
    Proxy,
    SecretState,
    ServedCertificate,
    TrustConfigMap,
    Unread,
    Webhook,
    Workload,
    WorkloadSecret,
)
from tests.unit.hardcases.making import DAY, NOW, TRADITIONAL, Key, key, leaf, pem_of, root

SYSTEM = "istio-system"
VERSION = "1.4.10"

# --- certificates -----------------------------------------------------------------------------


def a_root(
    private: Key | None = None,
    *,
    since: datetime = NOW - 365 * DAY,
    until: datetime = NOW + 3000 * DAY,
    serial: int = 11,
    **shape: Any,
) -> Certificate:
    """A self-signed root, as Citadel makes them unless said otherwise."""
    return root(private, start=since, end=until, serial=serial, **shape)


def a_leaf(
    under: Certificate | None = None,
    private: Key | None = None,
    *,
    since: datetime = NOW - 10 * DAY,
    until: datetime = NOW + 80 * DAY,
    serial: int = 21,
    **shape: Any,
) -> Certificate:
    """A workload certificate as Citadel issues them."""
    return leaf(private or key(), under or the_root(), start=since, end=until, serial=serial, **shape)


def certificate(der: bytes) -> Certificate:
    """What is read from DER that somebody has changed by hand."""
    read = read_der(der)
    assert isinstance(read, Certificate), read
    return read


def changed(one: Certificate, before: str | bytes, after: str | bytes) -> Certificate:
    """The certificate with some of its bytes (or hex) replaced, once."""
    old, new = (bytes.fromhex(each) if isinstance(each, str) else each for each in (before, after))
    assert old in one.der
    return certificate(one.der.replace(old, new, 1))


@cache
def the_root() -> Certificate:
    """The healthy mesh's root: made a year ago, eight years left."""
    return a_root()


@cache
def the_leaf() -> Certificate:
    """The healthy mesh's workload certificate."""
    return a_leaf(the_root())


@cache
def a_new_root() -> Certificate:
    """The same key and name, made just now."""
    return a_root(since=NOW - timedelta(minutes=10), until=NOW + 3650 * DAY, serial=12)


@cache
def a_re_keyed_root() -> Certificate:
    """The same name under another key."""
    return a_root(key("p256", 1))


def bundle(*certificates: Certificate) -> Bundle:
    """These certificates in one PEM text."""
    return read_bundle(b"".join(each.pem for each in certificates))


# --- the mesh ---------------------------------------------------------------------------------


def a_ca_secret(*certificates: Certificate, key_pem: bytes | None = None, **changes: Any) -> CaSecret:
    """`istio-ca-secret` with these certificates, the signer first, and the usual key."""
    held = bundle(*(certificates or (the_root(),)))
    private = pem_of(key(), TRADITIONAL) if key_pem is None else key_pem
    secret = CaSecret(
        ref=ObjectRef(kind="Secret", namespace=SYSTEM, name="istio-ca-secret"),
        type="istio.io/ca-root",
        state=SecretState(
            uid="uid-ca",
            resource_version="7",
            digests=(("ca-cert.pem", held.digest), ("ca-key.pem", hashlib.sha256(private).hexdigest())),
        ),
        immutable=False,
        root=held,
        key=describe_key(private),
    )
    return replace(secret, **changes)


def a_container(name: str, image: str = "", *arguments: str, **environment: str | None) -> Container:
    return Container(
        name=name,
        image=image or f"docker.io/istio/{name.replace('-', '_')}:{VERSION}",
        arguments=arguments,
        environment=tuple(environment.items()),
    )


SIDECAR = a_container("istio-proxy", f"docker.io/istio/proxyv2:{VERSION}")


def a_workload(component: str = "pilot", *containers: Container, **changes: Any) -> Workload:
    """A settled Deployment of the control plane with one replica."""
    workload = Workload(
        ref=ObjectRef(kind="Deployment", namespace=SYSTEM, name=f"istio-{component}"),
        uid=f"uid-{component}",
        labels=(("app", component), ("istio", component)),
        containers=containers or (a_container(component),),
        desired=1,
        updated=1,
        ready=1,
        total=1,
        observed=True,
    )
    return replace(workload, **changes)


def a_citadel(*arguments: str, version: str = VERSION, **environment: str | None) -> Workload:
    container = a_container(
        "citadel",
        f"docker.io/istio/citadel:{version}",
        *(arguments or ("--self-signed-ca=true",)),
        **environment,
    )
    return a_workload("citadel", container)


def a_pod(component: str = "pilot", **changes: Any) -> Pod:
    """A running pod of the control plane, started 100 days ago."""
    pod = Pod(
        ref=ObjectRef(kind="Pod", namespace=SYSTEM, name=f"istio-{component}-x1"),
        uid=f"uid-{component}-x1",
        workload=f"Deployment istio-{component}",
        labels=(("app", component), ("istio", component)),
        service_account=f"istio-{component}-service-account",
        phase="Running",
        ready=True,
        started_at=NOW - 100 * DAY,
        containers=(a_container(component),),
    )
    return replace(pod, **changes)


def a_secret(account: str = "cart", namespace: str = "shop", **changes: Any) -> WorkloadSecret:
    """A workload secret with the healthy mesh's root and a leaf under it."""
    secret = WorkloadSecret(
        ref=ObjectRef(kind="Secret", namespace=namespace, name=f"istio.{account}"),
        service_account=account,
        root=bundle(the_root()),
        leaf=the_leaf(),
    )
    return replace(secret, **changes)


def loaded(certificate: Certificate) -> LoadedCertificate:
    return LoadedCertificate(
        serial=certificate.serial, not_before=certificate.not_before, not_after=certificate.not_after
    )


def a_proxy(name: str = "cart", version: str = VERSION, **changes: Any) -> Proxy:
    """A sidecar that has loaded the healthy mesh's root."""
    pod = Pod(
        ref=ObjectRef(kind="Pod", namespace="shop", name=f"{name}-0"),
        uid=f"uid-{name}",
        workload=f"Deployment {name}",
        labels=(("app", name),),
        service_account=name,
        phase="Running",
        ready=True,
        started_at=NOW - 5 * DAY,
        containers=(SIDECAR,),
        secret_volumes=(f"istio.{name}",),
    )
    proxy = Proxy(pod=pod, version=version, roots=(loaded(the_root()),), leaves=(loaded(the_leaf()),))
    return replace(proxy, **changes)


def a_webhook(name: str = "istio-galley", **changes: Any) -> Webhook:
    webhook = Webhook(
        ref=ObjectRef(kind="ValidatingWebhookConfiguration", name=name),
        entry="pilot.validation.istio.io",
        root=bundle(the_root()),
        service=f"{SYSTEM}/istio-galley",
    )
    return replace(webhook, **changes)


def a_served(leaf: Certificate | None = None, **changes: Any) -> ServedCertificate:
    served = ServedCertificate(
        service=f"{SYSTEM}/istio-galley",
        pod=ObjectRef(kind="Pod", namespace=SYSTEM, name="istio-galley-x1"),
        workload=ObjectRef(kind="Deployment", namespace=SYSTEM, name="istio-galley"),
        leaf=leaf or the_leaf(),
    )
    return replace(served, **changes)


def a_trust(*certificates: Certificate) -> TrustConfigMap:
    ref = ObjectRef(kind="ConfigMap", namespace=SYSTEM, name="istio-security")
    return TrustConfigMap(ref=ref, root=bundle(*(certificates or (the_root(),))))


def a_namespace(name: str = "shop", **changes: Any) -> NamespaceFacts:
    accounts = (
        frozenset({"cart", "frontend"}) if name == "shop" else frozenset({"istio-pilot-service-account"})
    )
    return replace(NamespaceFacts(name=name, terminating=False, service_accounts=accounts), **changes)


def unread(part: Part, what: str, reason: str = "may not list") -> Unread:
    return Unread(part=part, what=what, reason=reason)


def a_mesh(**changes: Any) -> MeshSnapshot:
    """A Citadel mesh in which everything is as it should be, seen in full."""
    pilot = a_secret("istio-pilot-service-account", SYSTEM)
    mesh = MeshSnapshot(
        mesh=MeshName("prod"),
        namespace=SYSTEM,
        cluster_uid=ClusterUid("11111111-1111-4111-8111-111111111111"),
        parts=EVERYTHING,
        taken_at=NOW,
        clock_skew=timedelta(0),
        ca_secret=a_ca_secret(),
        workloads=(a_citadel(), a_workload("pilot", a_container("discovery"), SIDECAR)),
        control_plane_pods=(a_pod("citadel"), a_pod("pilot", started_at=NOW - 5 * DAY)),
        namespaces=(a_namespace(SYSTEM), a_namespace()),
        secrets=(pilot, a_secret("cart"), a_secret("frontend")),
        trust=a_trust(),
        webhooks=(a_webhook(),),
        served=(a_served(),),
        proxies=(a_proxy("cart"), a_proxy("frontend")),
        mutual_tls=MutualTls(mesh_policy="strict", destination_rules=1),
        access=Access(kubernetes="v1.16.15"),
    )
    return replace(mesh, **changes)


# --- what the checks say ----------------------------------------------------------------------


def found(
    chain: Sequence[Check], mesh: MeshSnapshot, *, policy: Policy | None = None, now: datetime = NOW
) -> dict[str, Finding]:
    """What a chain says of a mesh, by check id."""
    return {f.check_id: f for f in evaluate(chain, mesh, policy=policy or Policy(), now=now)}


def said(
    check: Check, mesh: MeshSnapshot, *, policy: Policy | None = None, now: datetime = NOW
) -> Finding | None:
    """What one check says; None when it has nothing to say."""
    return found((check,), mesh, policy=policy, now=now).get(check.id)


def verdict_of(check: Check, mesh: MeshSnapshot, **asked: Any) -> str:
    """`not_ok warning`, `ok`, or `silent`: what a table of tests compares."""
    finding = said(check, mesh, **asked)
    if finding is None:
        return "silent"
    return f"not_ok {finding.severity}" if finding.verdict == "not_ok" else str(finding.verdict)


@dataclass(frozen=True)
class Case:
    """One line of a table: what is asked of which mesh, and what is to be said."""

    check: Check
    mesh: MeshSnapshot
    verdict: str
    """As `verdict_of` gives it."""
    words: str = ""
    """Part of the summary, the hint or the offenders."""
    policy: Policy = field(default_factory=Policy)

    def holds(self) -> None:
        finding = said(self.check, self.mesh, policy=self.policy)
        assert verdict_of(self.check, self.mesh, policy=self.policy) == self.verdict
        if finding is not None:
            assert self.words in " ".join((finding.summary, finding.hint, *finding.offenders))
