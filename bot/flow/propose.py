"""A wish for a rotation → a proven plan, or every reason why not.

Nothing is written to the cluster here. The CA's key signs twice: the candidate root, and a
throw-away leaf under it; both are tried against everything that is deployed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.authority import Authority, recognise
from bot.core.certificates import Certificate, SigningKey
from bot.core.checks.rule import Policy
from bot.core.checks.table import (
    BASELINE,
    CANDIDATE,
    KEY_MATCHES,
    PREFLIGHT,
    evaluate,
    obstacles,
    worth_knowing,
)
from bot.core.findings import Finding, Severity, Verdict
from bot.core.ids import PlanDigest
from bot.core.issuing import extend_root, throw_away_leaf
from bot.core.mesh import EVERYTHING, MeshSnapshot
from bot.core.plan import Plan, differences
from bot.core.planning import CitadelMesh, citadel_mesh, plan_extension, replace_first
from bot.errors import CertificateUnusable, ClusterUnreachable, KeyUnusable
from bot.flow.ports import Clock, Keys, MeshPorts

MakeCandidate = Callable[[CitadelMesh, SigningKey, datetime], Certificate]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A plan that passed its preflight, or the obstacles that it met."""

    snapshot: MeshSnapshot
    authority: Authority
    plan: Plan | None
    obstacles: tuple[Finding, ...] = ()


def draft_plan(mesh: MeshPorts, clock: Clock, keys: Keys, *, lifetime: timedelta) -> Draft:
    """Look afresh, make a candidate root, prove it, plan.

    Raises:
        ClusterUnreachable, ClusterForbidden, ClusterConflict, ObjectAbsent: while reading.
    """

    def make(seen: CitadelMesh, key: SigningKey, now: datetime) -> Certificate:
        return extend_root(seen.root, key, serial=keys.serial(), now=now, lifetime=lifetime)

    return _draft(mesh, clock, keys, make=make)


def redraft_plan(mesh: MeshPorts, clock: Clock, keys: Keys, *, approved: Plan) -> Draft:
    """Look afresh and plan again with the approved candidate: an unchanged mesh gives the same digest.

    Raises:
        As draft_plan.
    """
    return _draft(mesh, clock, keys, make=lambda _seen, _key, _now: approved.new_root.certificate)


def why_stale(approved: Plan, draft: Draft, *, digest: PlanDigest) -> tuple[str, ...]:
    """Why that plan must not be carried out any more; empty only when the same would be planned now.

    `digest`: what was shown, and what an approval is bound to.

    Raises:
        ClusterUnreachable: nothing speaks against it, but not everything could be read to tell.
    """
    if draft.plan is not None:
        return tuple(dict.fromkeys(differences(approved, draft.plan, digest=digest)))
    unread = draft.snapshot.unread
    if unread and all(f.verdict is Verdict.UNKNOWN for f in draft.obstacles):
        missing = "; ".join(f"{u.what} ({u.reason})" for u in unread[:3])
        more = f" and {len(unread) - 3} more" if len(unread) > 3 else ""
        raise ClusterUnreachable(
            f"not everything could be read: {missing}{more}",
            hint="The request still stands. Try again; `rootkeeper doctor` names missing permissions.",
        )
    return tuple(f.summary for f in draft.obstacles) or ("the mesh cannot be planned for any more",)


def _draft(mesh: MeshPorts, clock: Clock, keys: Keys, *, make: MakeCandidate) -> Draft:
    snapshot = mesh.reader.read(EVERYTHING)
    now = clock.now().replace(microsecond=0)
    authority = recognise(snapshot)
    found = obstacles(evaluate(PREFLIGHT, snapshot, policy=Policy(), now=now))
    seen = citadel_mesh(snapshot, authority)
    if found or seen is None:
        return Draft(snapshot=snapshot, authority=authority, plan=None, obstacles=found)
    try:
        key = mesh.reader.signing_key(seen.secret.state)
        candidate = make(seen, key, now)
        policy = Policy(candidate=candidate, throw_away=_try_out(candidate, key, keys, now=now))
    except KeyUnusable as fault:
        return _stopped(snapshot, authority, KEY_MATCHES.id, fault.message)
    except CertificateUnusable as fault:
        return _stopped(snapshot, authority, CANDIDATE.id, fault.message)
    return _proved(seen, candidate, policy=policy, now=now)


def _try_out(candidate: Certificate, key: SigningKey, keys: Keys, *, now: datetime) -> Certificate:
    return throw_away_leaf(candidate, key, public_key=keys.throw_away_key(), serial=keys.serial(), now=now)


def _stopped(snapshot: MeshSnapshot, authority: Authority, check_id: str, reason: str) -> Draft:
    finding = Finding(
        check_id=check_id,
        verdict=Verdict.NOT_OK,
        severity=Severity.CRITICAL,
        summary=reason,
        hint="Nothing was written.",
    )
    return Draft(snapshot=snapshot, authority=authority, plan=None, obstacles=(finding,))


def _proved(seen: CitadelMesh, candidate: Certificate, *, policy: Policy, now: datetime) -> Draft:
    findings = evaluate((*PREFLIGHT, *BASELINE), seen.snapshot, policy=policy, now=now)
    found = obstacles(findings)
    if found:
        return Draft(snapshot=seen.snapshot, authority=seen.authority, plan=None, obstacles=found)
    plan = plan_extension(
        seen,
        candidate,
        ca_cert_pem=replace_first(candidate, seen.secret.root.certificates),
        notes=worth_knowing(findings),
        at=now,
    )
    return Draft(snapshot=seen.snapshot, authority=seen.authority, plan=plan)
