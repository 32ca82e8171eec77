"""Every sentence that checks say of odd meshes, side by side, pinned by a golden file.

ROOTKEEPER_UPDATE_GOLDEN=1 writes it anew; read the difference aloud.
"""

import os
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bot.core.authority import recognise
from bot.core.certificates import Certificate, read_bundle
from bot.core.checks.rule import Check, Policy
from bot.core.checks.table import ALL, evaluate
from bot.core.findings import Finding, Verdict
from bot.core.mesh import Access, ForeignSigns, MeshSnapshot, MutualTls, ObjectRef, Part, Proxy, Unread
from bot.core.reports import check_report, verify_report
from tests.unit.core.builders import (
    SYSTEM,
    a_ca_secret,
    a_citadel,
    a_container,
    a_leaf,
    a_mesh,
    a_namespace,
    a_new_root,
    a_pod,
    a_proxy,
    a_re_keyed_root,
    a_root,
    a_secret,
    a_served,
    a_trust,
    a_webhook,
    a_workload,
    bundle,
    loaded,
    the_root,
    unread,
)
from tests.unit.hardcases.making import DAY, NOW, any_key, key, name

GOLDEN = Path(__file__).parents[2] / "golden" / "core" / "sentences.txt"
OLD = a_root(until=NOW + 12 * DAY, serial=5)
RE_KEYED = a_re_keyed_root()
DEAD = a_root(until=NOW - DAY, serial=6)
EXPIRED_LEAF = a_leaf(since=NOW - 91 * DAY, until=NOW - DAY)
OVERDUE_LEAF = a_leaf(since=NOW - 88 * DAY, until=NOW + 2 * DAY)
ELSEWHERE = ObjectRef(kind="Deployment", namespace="istio-control", name="istio-galley")
FOREIGN_LEAF = a_leaf(RE_KEYED, key("p256", 1), serial=33)


def holding(*roots: Any, **changes: Any) -> MeshSnapshot:
    return a_mesh(ca_secret=a_ca_secret(*roots, **changes))


def many(number: int) -> MeshSnapshot:
    """Everything that can be behind is behind, in this number, beside one of each that is not."""
    pods = [a_pod(started_at=NOW - 400 * DAY, ref=replace(a_pod().ref, name=f"p{n}")) for n in range(number)]
    names = [f"s{n}" for n in range(number)]
    return a_mesh(
        secrets=(a_secret(), *(a_secret(each, root=bundle(OLD)) for each in names)),
        namespaces=(a_namespace(SYSTEM), a_namespace(service_accounts=None)),
        trust=a_trust(OLD),
        webhooks=(a_webhook(), *(a_webhook(each, root=bundle(OLD)) for each in names)),
        served=(a_served(), *(a_served(EXPIRED_LEAF) for _ in names)),
        control_plane_pods=(a_pod(), *pods),
        proxies=(a_proxy(), *(a_proxy(each, version="1.1.3", roots=(loaded(OLD),)) for each in names)),
        unread=tuple(unread(Part.SECRETS, f"Secrets in namespace {each}") for each in names),
    )


def unmounted(proxy: Proxy) -> Proxy:
    """It asks the node agent."""
    return replace(proxy, pod=replace(proxy.pod, secret_volumes=()))


def odd_secrets() -> MeshSnapshot:
    return a_mesh(
        namespaces=(a_namespace(SYSTEM), a_namespace(service_accounts=None)),
        secrets=(
            a_secret("a", root=bundle()),
            a_secret("b", root=bundle(RE_KEYED)),
            a_secret("c", leaf=None, leaf_fault="cert-chain.pem is missing or empty"),
            a_secret("d", leaf=EXPIRED_LEAF),
            a_secret("e", leaf=FOREIGN_LEAF),
            a_secret("f", root=read_bundle(b"x")),
            replace(a_secret("g"), service_account=""),
        ),
    )


def left_alone(*secrets: Any) -> MeshSnapshot:
    places = (a_namespace(SYSTEM), a_namespace(override="false"))
    return a_mesh(secrets=(a_secret("istio-pilot-service-account", SYSTEM), *secrets), namespaces=places)


def odd_holders() -> MeshSnapshot:
    return replace(
        left_alone(a_secret()),
        webhooks=(a_webhook(root=bundle()), a_webhook(injected=True)),
        served=(a_served(FOREIGN_LEAF), replace(a_served(), leaf=None), a_served(asked=False)),
        control_plane_pods=(a_pod(started_at=None), a_pod("citadel")),
        proxies=(
            a_proxy(leaves=(loaded(EXPIRED_LEAF),)),
            a_proxy("frontend", roots=(loaded(OLD),)),
            a_proxy("x", roots=(), fault="may not"),
            a_proxy("y", asked=False),
        ),
    )


def not_renewed(leaf: Certificate) -> MeshSnapshot:
    return a_mesh(
        secrets=(a_secret(), a_secret("frontend", leaf=leaf)),
        served=(a_served(), a_served(leaf)),
        proxies=(a_proxy(), a_proxy("frontend", version="1.1.5", leaves=(loaded(leaf),))),
    )


def citadel(*arguments: str, **changes: Any) -> MeshSnapshot:
    return a_mesh(workloads=(replace(a_citadel(*arguments), **changes),))


MESHES: dict[str, MeshSnapshot] = {
    "healthy": a_mesh(),
    "one behind": many(1),
    "three behind": many(3),
    "odd secrets": odd_secrets(),
    "odd holders": odd_holders(),
    "one left alone": left_alone(a_secret()),
    "two left alone": left_alone(a_secret(), a_secret("frontend")),
    "nothing there": a_mesh(secrets=(), proxies=(), webhooks=(), served=(), trust=None, control_plane_pods=()),
    "nothing read": a_mesh(
        ca_secret=None, secrets=(), proxies=(), webhooks=(), served=(), trust=None, clock_skew=None,
        foreign=ForeignSigns(plugged_secret=None),
        mutual_tls=MutualTls(mesh_policy=None, policies=None, destination_rules=None, control_plane=None),
        unread=(Unread(part=Part.AUTHORITY, what="Secret istio-system/istio-ca-secret", reason="may not get"),),
    ),
    "no CA secret": a_mesh(ca_secret=None),
    "no CA": a_mesh(ca_secret=None, workloads=(a_workload("pilot"),)),
    "plugged in": citadel("--signing-cert=/etc/cacerts/ca-cert.pem"),
    "another CA": a_mesh(foreign=ForeignSigns(workloads=("StatefulSet spire/spire-server",))),
    "two sources": a_mesh(foreign=ForeignSigns(plugged_secret=True)),
    "ends soon": holding(OLD),
    "ends today": holding(a_root(until=NOW + timedelta(hours=5, minutes=1))),
    "expired": holding(DEAD),
    "not yet": holding(a_root(since=NOW + DAY)),
    "unreadable": holding(root=read_bundle(b"x" + the_root().pem + RE_KEYED.pem.rstrip() + OLD.pem)),
    "too long": holding(root=read_bundle(b"\n" * 70_000)),
    "too long in a secret": a_mesh(secrets=(a_secret(), a_secret("frontend", root=read_bundle(b"\n" * 70_000)))),
    "no trust config map": a_mesh(trust=None),
    "no trust config map, and no version": a_mesh(trust=None, workloads=(a_citadel(version="latest"),)),
    "no data": holding(root=read_bundle(b""), key_pem=b"", faults=("holds no data at all",)),
    "key of none": holding(RE_KEYED),
    "key of the second": holding(RE_KEYED, the_root()),
    "bad key": holding(key_pem=b"x"),
    "no CA certificate": holding(a_root(ca=False)),
    "odd curve": holding(a_root(any_key("p521"))),
    "intermediate": holding(a_root(issuer=name("Offline"))),
    "with one other": holding(the_root(), RE_KEYED),
    "with two others": holding(the_root(), RE_KEYED, RE_KEYED),
    "with its dead twin": holding(the_root(), DEAD),
    "renamed": holding(a_root(subject=name("one", "two"))),
    "immutable": holding(immutable=True),
    "opaque": holding(type="Opaque"),
    "owned": holding(labels=(("app.kubernetes.io/instance", "mesh"),), owners=("SealedSecret ca",)),
    "rolling out": citadel(updated=0, total=2, trouble="container citadel: CrashLoopBackOff"),
    "with other pods of Citadel": a_mesh(control_plane_pods=(
        a_pod("citadel"), a_pod("citadel", workload=""), a_pod("citadel", workload="Deployment old"),
        a_pod("citadel", deleting=True))),
    "scaled to nothing": citadel(desired=0, updated=0, ready=0, total=0),
    "two replicas": citadel(desired=2, updated=2, ready=2, total=2),
    "autoscaled": citadel(autoscaled=True),
    "renamed by its rotator": citadel(
        containers=(a_container("citadel", "istio/citadel:1.4.1", "--self-signed-ca", "--trust-domain=acme.corp"),)),
    "with a rotator set from elsewhere": a_mesh(
        workloads=(a_citadel(CITADEL_SELF_SIGNED_ROOT_CERT_CHECK_INTERVAL=None),)),
    "with a rotator that never acts": a_mesh(
        workloads=(a_citadel(CITADEL_SELF_SIGNED_ROOT_CERT_GRACE_PERIOD_PERCENTILE="0"),)),
    "with node agents of another CA": a_mesh(
        workloads=(a_citadel(), a_workload("nodeagent", a_container("nodeagent", CA_PROVIDER="VaultCA"))),
        proxies=(unmounted(a_proxy()), unmounted(a_proxy("frontend")))),
    "with parts where no CA is": a_mesh(
        workloads=(a_citadel(), a_workload("galley", ref=ELSEWHERE)),
        webhooks_elsewhere=(a_webhook(service="istio-control/istio-galley"),)),
    "too old": citadel(containers=(a_container("citadel", "istio/citadel:1.1.3", "--self-signed-ca=true"),)),
    "of no version": citadel(containers=(a_container("citadel", "istio/citadel", "--self-signed-ca=true"),)),
    "clocks apart": a_mesh(clock_skew=timedelta(minutes=5)),
    "unversioned sidecars": a_mesh(proxies=(a_proxy(version=""), a_proxy("frontend", version=""))),
    "permissive": a_mesh(mutual_tls=MutualTls(mesh_policy="permissive")),
    "without mutual TLS": a_mesh(mutual_tls=MutualTls()),
    "without mutual TLS and webhooks": a_mesh(mutual_tls=MutualTls(), webhooks=()),
    "with a policy that was not read": a_mesh(
        unread=(Unread(part=Part.POLICY, what="Policy shop/default", reason="its spec is not understood"),)
    ),
    "cannot rehearse": a_mesh(access=Access(kubernetes="v1.12.10")),
    "of unknown age": a_mesh(access=Access(kubernetes="custom")),
    "may not": a_mesh(access=Access(kubernetes="v1.16.15", unpatchable=(a_citadel().ref, a_ca_secret().ref))),
    "certificates not renewed": not_renewed(OVERDUE_LEAF),
    "certificates that ended": not_renewed(EXPIRED_LEAF),
    "leaves outlive": a_mesh(secrets=(a_secret(leaf=a_leaf(until=the_root().not_after + DAY)),)),
}  # fmt: skip

POLICIES = (
    Policy(),
    Policy(expected=the_root()),
    Policy(expected=a_new_root()),
    Policy(candidate=a_new_root(), throw_away=a_leaf(a_new_root(), since=NOW)),
    Policy(candidate=RE_KEYED, throw_away=FOREIGN_LEAF),
)


@cache
def findings() -> tuple[Finding, ...]:
    return tuple(
        finding
        for mesh in MESHES.values()
        for policy in POLICIES
        for finding in evaluate(ALL, mesh, policy=policy, now=NOW)
    )


def told(finding: Finding) -> list[str]:
    """A finding's sentences; fingerprints differ from run to run."""
    lines = [f"{finding.verdict}: {finding.summary}"]
    lines += [f"    {offender}" for offender in finding.offenders]
    lines += [f"    → {finding.hint}"] if finding.hint else []
    return [re.sub(r"\b[0-9a-f]{16}\b", "fingerprint", line) for line in lines]


def of(check: Check) -> str:
    """All that one check says, each sentence once, in order of the meshes."""
    lines = (line for finding in findings() if finding.check_id == check.id for line in told(finding))
    return "\n".join((f"[{check.id}] {check.title}", *dict.fromkeys(lines), ""))


def test_every_sentence_is_as_pinned() -> None:
    text = "\n".join(of(check) for check in ALL)

    if os.environ.get("ROOTKEEPER_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(text, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == text


def test_every_check_has_its_say_both_ways() -> None:
    """Else the golden file would not show what it is there for."""
    silent_when_fine = {"ca.ending", "ca.replicas", "ca.others", "cp.elsewhere", "ws.skipped"}
    said = {(f.check_id, f.verdict is Verdict.OK) for f in findings()}

    assert [c.id for c in ALL if (c.id, True) not in said and c.id not in silent_when_fine] == []
    assert [c.id for c in ALL if (c.id, False) not in said] == []


def every_text() -> dict[str, str]:
    """All that findings, reports and stragglers say, by where it was said."""
    texts = {line: f.check_id for f in findings() for line in told(f)}
    for mesh in MESHES.values():
        authority = recognise(mesh)
        for expected in (the_root(), a_new_root()):
            asked: dict[str, Any] = {"findings": (), "now": NOW, "took": timedelta()}
            verified = verify_report(mesh, authority, expected=expected, **asked)
            for report in (check_report(mesh, authority, **asked), verified):
                said = (report.headline, report.meaning, report.first_break)
                behind = (f"{s.what}: {s.reason} → {s.cure}" for s in report.stragglers)
                texts |= dict.fromkeys((*said, *behind), f"report {report.kind}")
    return texts


SLIPS = {
    "a word twice": r"\b([a-z]+) \1\b",
    "its certificate the certificate": r"\b(its|the) (certificate|root) (its|the)\b",
    "a plural that is none": r"processs|proxys|daies|\bmeshs\b",
    "one of many": r"(?<![\d,.:-])\b1 [a-z ]*(?:secrets|proxies|webhooks|servers|processes|findings)\b",
    "many of one": r"\b(?<![.:\d-])(?:[02-9]|[1-9]\d+) (?:secret|proxy|webhook|sidecar|thing)\b(?! servers)",
    "one that carry": r"^(?:\w+: )?(?:1 of [\d,]+|0 of 1) [a-z ]+ (?:carry|trust|show|have)\b",
    "two that carries": r"^(?:\w+: )?(?:0|[2-9]|[1-9]\d+) of (?!1 )[\d,]+ [a-z ]+ (?:carries|trusts|shows|has)\b",
    "a value that is none": r"\bNone\b|\(\)|\[\]|\{|\}|<|datetime",
    "a gap": r"  (?!  )\S|\s[,;:.]|;;|\.\.(?!\.)",
    "a pause at its end": r"[,;:]$",
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_no_sentence_has(slip: str) -> None:
    found = [
        f"{where}: {text}" for text, where in every_text().items() if re.search(SLIPS[slip], text.strip())
    ]

    assert found == []
