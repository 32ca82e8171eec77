"""Looks at one mesh and judges it: check and verify, for every door."""

from dataclasses import dataclass
from datetime import datetime

from bot.core.authority import Authority, recognise, signing_root
from bot.core.certificates import Certificate
from bot.core.checks.rule import Policy
from bot.core.checks.table import ROUTINE, VERIFICATION, evaluate
from bot.core.mesh import EVERYTHING, MeshSnapshot, Part
from bot.core.record import Report
from bot.core.reports import check_report, verify_report
from bot.flow.ports import Clock, ClusterReader

CHECKED = EVERYTHING - {Part.ACCESS}
"""What a check reads: everything but what only a rotation needs."""

VERIFIED = CHECKED - {Part.POLICY}
"""What says whether the root is everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen and what it amounts to."""

    snapshot: MeshSnapshot
    authority: Authority
    report: Report


def check(reader: ClusterReader, clock: Clock) -> Look:
    """Read everything and judge it; nothing is written.

    Raises:
        ClusterUnreachable, ClusterForbidden: not even the cluster's identity could be read.
    """
    started = clock.now()
    snapshot = reader.read(CHECKED)
    now = clock.now()
    authority = recognise(snapshot)
    findings = evaluate(ROUTINE, snapshot, policy=Policy(), now=now)
    report = check_report(snapshot, authority, findings=findings, now=now, took=now - started)
    return Look(snapshot=snapshot, authority=authority, report=report)


def verify(reader: ClusterReader, clock: Clock, *, expected: Certificate | None = None) -> Look:
    """Judge everything that holds a root against `expected`, or against what the CA signs with.

    Raises:
        ClusterUnreachable, ClusterForbidden: not even the cluster's identity could be read.
    """
    started = clock.now()
    snapshot = reader.read(VERIFIED)
    now = clock.now()
    authority = recognise(snapshot)
    return Look(
        snapshot=snapshot,
        authority=authority,
        report=verification(snapshot, authority, expected=expected, started=started, now=now),
    )


def verification(
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    expected: Certificate | None,
    started: datetime,
    now: datetime,
) -> Report:
    """Judge a snapshot that is there already."""
    findings = evaluate(VERIFICATION, snapshot, policy=Policy(expected=expected), now=now)
    target = expected or signing_root(snapshot, authority)
    return verify_report(snapshot, authority, findings=findings, expected=target, now=now, took=now - started)
