"""Snapshot + findings → Report: what is so, what it means, what to do next.

For chat and terminal alike; how it looks is theirs.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from bot.core.authority import Authority, signing_root
from bot.core.certificates import Certificate
from bot.core.checks.holders import (
    STOPS_WITH_WEBHOOKS,
    mutual_tls_use,
    nothing_at_stake,
    webhooks_at_stake,
)
from bot.core.checks.table import EXPIRY
from bot.core.findings import Finding, Tally, Verdict, overall, worst_first
from bot.core.keeping import keeping, why_unmanaged
from bot.core.mesh import MeshSnapshot
from bot.core.names import CA_SECRET
from bot.core.record import Report
from bot.core.renewals import overdue_ends
from bot.core.rotation import Rotation
from bot.core.standing import Standing
from bot.core.verification import HolderVerdict, judge_holders, stragglers, tally
from bot.core.wording import agree, count, share, span


def check_report(
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    findings: tuple[Finding, ...],
    now: datetime,
    took: timedelta,
    rotation: Rotation | None = None,
) -> Report:
    """The report of a check, made while that rotation of the mesh is under way, if any."""
    root = signing_root(snapshot, authority)
    verdict = overall(findings)
    return _report(
        "check",
        snapshot,
        authority,
        findings=findings,
        root=root,
        holders=judge_holders(snapshot, root) if root else (),
        verdict=verdict,
        headline=_check_headline(snapshot, authority, root=root, findings=findings, verdict=verdict, now=now),
        meaning=_check_meaning(
            snapshot, authority, findings=findings, verdict=verdict, alone=rotation is None
        ),
        now=now,
        took=took,
        rotation=rotation,
    )


def verify_report(
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    findings: tuple[Finding, ...],
    expected: Certificate | None,
    now: datetime,
    took: timedelta,
    rotation: Rotation | None = None,
) -> Report:
    """The report of a verification against `expected`; None when there is no root to expect.

    `rotation` is one of the mesh that is under way meanwhile.
    """
    verdict = overall(findings) if expected else Verdict.UNKNOWN
    holders = judge_holders(snapshot, expected) if expected else ()
    tallies = tally(holders)
    return _report(
        "verify",
        snapshot,
        authority,
        findings=findings,
        root=expected,
        holders=holders,
        verdict=verdict,
        headline=_verify_headline(tallies, snapshot=snapshot, findings=findings),
        meaning=_verify_meaning(tallies, verdict),
        now=now,
        took=took,
        rotation=rotation,
    )


def _report(
    kind: str,
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    findings: tuple[Finding, ...],
    root: Certificate | None,
    holders: tuple[HolderVerdict, ...],
    verdict: Verdict,
    headline: str,
    meaning: str,
    now: datetime,
    took: timedelta,
    rotation: Rotation | None,
) -> Report:
    standing = Standing.of(rotation, root) if rotation else None
    return Report(
        kind=kind,
        mesh=snapshot.mesh,
        cluster_uid=snapshot.cluster_uid,
        at=now,
        took=took,
        verdict=verdict,
        headline=headline,
        meaning=meaning,
        standing=standing.said(holders) if standing else "",
        authority=authority.title,
        evidence=authority.evidence,
        root=root.fingerprint if root else None,
        root_subject=root.subject if root else "",
        expires_at=root.not_after if root else None,
        remaining=root.not_after - now if root else None,
        first_break=first_break(snapshot, root),
        findings=standing.findings(findings) if standing else findings,
        tallies=tally(holders),
        stragglers=stragglers(standing.holders(holders) if standing else holders),
        unread=tuple(f"{u.what}: {u.reason}" for u in snapshot.unread),
    )


def first_break(snapshot: MeshSnapshot, root: Certificate | None) -> str:
    """What in use ends first, and when; empty when no root is known."""
    ends = list(_ends(snapshot, root))
    if not ends:
        return ""
    when, what = min(ends, key=lambda end: end[0])
    verb = "ended" if when <= snapshot.taken_at else "ends"
    return f"{what} {verb} at {when:%Y-%m-%d %H:%M:%S} UTC"


def _ends(snapshot: MeshSnapshot, root: Certificate | None) -> Iterator[tuple[datetime, str]]:
    """Leaves out what nobody keeps and what another CA vouches for."""
    if root:
        yield root.not_after, "the CA's root"
    if root and snapshot.ca_secret and (ends := snapshot.ca_secret.root.ends) and ends < root.not_after:
        yield ends, f"a certificate of the root's key in {snapshot.ca_secret.ref}"
    kept = keeping(snapshot)
    for secret in snapshot.secrets:
        if secret.root.ends and not why_unmanaged(secret, kept):
            yield secret.root.ends, f"the root in {secret.ref}"
    for webhook in snapshot.webhooks:
        if webhook.root.ends and not webhook.injected:
            yield webhook.root.ends, f"the root in {webhook.ref}"
    for proxy in snapshot.proxies:
        # One entry for each TLS context: the one that ends first breaks, however new the others are.
        for loaded in proxy.roots:
            yield loaded.not_after, f"the root loaded by {proxy.pod.ref.namespace}/{proxy.pod.ref.name}"
    yield from overdue_ends(snapshot, root)


def _check_headline(
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    root: Certificate | None,
    findings: Sequence[Finding],
    verdict: Verdict,
    now: datetime,
) -> str:
    mesh = f"Mesh {snapshot.mesh}"
    if not authority.uses_ca_secret:
        return (
            f"{mesh}: {authority.title} signs it; its root is not in {CA_SECRET}, so its end is not watched"
        )
    if root is None:
        return f"{mesh}: the root certificate could not be read"
    remaining = root.not_after - now
    if remaining <= timedelta():
        return f"{mesh}: the root certificate expired {span(remaining)} ago"
    ends = f"{span(remaining)} until its root certificate expires"
    state = {
        Verdict.NOT_OK: "needs attention",
        Verdict.UNKNOWN: "could not be judged in full",
    }.get(verdict, "is fine")
    worst = next(filter(_tells, worst_first(findings)), None)
    if worst is None or worst.check_id == EXPIRY.id:
        return f"{mesh} {state}: {ends}"
    return f"{mesh} {state}: {worst.summary} ({ends})"


def _tells(finding: Finding) -> bool:
    """Whether a mesh with it is not simply fine."""
    return finding.red or finding.verdict is Verdict.UNKNOWN


def _check_meaning(
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    findings: Sequence[Finding],
    verdict: Verdict,
    alone: bool,
) -> str:
    stake = _stake(snapshot)
    if nothing_at_stake(snapshot) and not any(f.red for f in findings):
        return f"{stake} Nothing needs to be done."
    said = f" {stake}" if stake else ""
    if not authority.supported:
        return f"Rootkeeper does not rotate this root: {authority.refusal}. {authority.way}"
    red = sum(1 for f in findings if f.red)
    if verdict is Verdict.NOT_OK:
        return f"{count(red, 'finding')} to act on, worst first below. Nothing was changed.{said}"
    if verdict is Verdict.UNKNOWN:
        return f"Something could not be read, so this is not an all-clear: see below.{said}"
    return f"Nothing {'' if alone else 'else '}to do now.{said}"


def _stake(snapshot: MeshSnapshot) -> str:
    """What hangs on the root where it is not the mesh's traffic; empty where it is, or may be."""
    match mutual_tls_use(snapshot), webhooks_at_stake(snapshot):
        case "planned", _:
            return (
                "Mutual TLS is permitted but not used yet: not urgent, worth doing before you switch it on."
            )
        case "unused", ():
            return "Neither mutual TLS nor an admission webhook needs this root, so its end breaks nothing."
        case "unused", (_, *_):
            lead = "Mutual TLS is not used here, but the mesh's admission webhooks need this root"
            return f"{lead}: {STOPS_WITH_WEBHOOKS}."
        case _:
            return ""


def _verify_headline(tallies: Sequence[Tally], *, snapshot: MeshSnapshot, findings: Sequence[Finding]) -> str:
    judged = sum(t.total - t.skipped for t in tallies)
    fine = sum(t.ok for t in tallies)
    mesh = f"Mesh {snapshot.mesh}"
    if judged == 0:
        return f"{mesh}: nothing that holds a root could be looked at"
    if fine < judged:
        return f"{mesh}: {share(fine, judged, noun='holder', verb='have')} the root that the CA signs with"
    agreed = f"{mesh}: all {judged:,} holders have the root that the CA signs with"
    worst = next((f.summary for f in findings if f.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN)), "")
    return f"{agreed}, but {worst}" if worst else agreed


def _verify_meaning(tallies: Sequence[Tally], verdict: Verdict) -> str:
    behind, unread = sum(t.not_ok for t in tallies), sum(t.unknown for t in tallies)
    if verdict is Verdict.OK:
        return "Everything was read and everything agrees."
    parts = [
        f"{behind:,} {agree(behind, 'hold')} another root or a certificate it does not cover"
        if behind
        else "",
        f"{unread:,} could not be read" if unread else "",
    ]
    said = " and ".join(part for part in parts if part)
    return (
        (said[0].upper() + said[1:] + "; by name below, each with its cure.")
        if said
        else "See the findings below."
    )
