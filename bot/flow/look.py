"""Looks at one mesh and judges it: check and verify, for every door."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from bot.core.authority import Authority, recognise, signing_root
from bot.core.certificates import Certificate
from bot.core.checks.rule import Policy
from bot.core.checks.table import ROUTINE, VERIFICATION, evaluate
from bot.core.ids import MeshName
from bot.core.mesh import EVERYTHING, MeshSnapshot, Part
from bot.core.record import Report
from bot.core.reports import check_report, verify_report
from bot.core.rotation import Rotation
from bot.core.standing import begun
from bot.flow.ports import Clock, ClusterReader, MeshPorts, Store

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


Standing = Callable[[MeshName], Rotation | None]
"""The rotation of a mesh that is under way, asked for when the mesh has been looked at.

Raises:
    StoreError: it could not be told.
"""


def nothing_stands(_mesh: MeshName) -> None:
    """Where there is no record."""


def standing_in(store: Store) -> Standing:
    """As the record knows it."""
    return lambda mesh: begun(store.active_rotations(), mesh)


class Looks:
    """The looks that people and the calendar ask for: one check of a mesh at a time, for all who want it.

    They tell of a rotation that is under way, and give no cure against it.
    Plans and steps of a rotation look for themselves: theirs must not have begun before the question.
    """

    def __init__(self, clock: Clock, *, standing: Standing = nothing_stands) -> None:
        self._clock = clock
        self._standing = standing
        self._checks: dict[MeshName, Future[Look]] = {}
        self._lock = threading.Lock()

    def check(self, mesh: MeshPorts) -> Look:
        """Check a mesh, or wait for the check that is under way and take what it saw.

        Raises:
            ClusterUnreachable, ClusterForbidden: not even the cluster's identity could be read.
        """
        mine: Future[Look] = Future()
        with self._lock:
            first = self._checks.setdefault(mesh.name, mine)
        if first is not mine:
            return first.result()
        try:
            seen = check(mesh.reader, self._clock, standing=partial(self._standing, mesh.name))
        except BaseException as fault:
            self._ended(mesh.name)
            mine.set_exception(fault)
            raise
        self._ended(mesh.name)
        mine.set_result(seen)
        return seen

    def verify(self, mesh: MeshPorts) -> Look:
        """Verify a mesh against what its CA signs with; raises like `check`."""
        return verify(mesh.reader, self._clock, standing=partial(self._standing, mesh.name))

    def _ended(self, mesh: MeshName) -> None:
        with self._lock:
            del self._checks[mesh]


def _nothing() -> None:
    """No rotation, or one that looks for itself."""


def check(reader: ClusterReader, clock: Clock, *, standing: Callable[[], Rotation | None] = _nothing) -> Look:
    """Read everything and judge it; nothing is written.

    Raises:
        ClusterUnreachable, ClusterForbidden: not even the cluster's identity could be read.
    """
    started = clock.now()
    snapshot = reader.read(CHECKED)
    now = clock.now()
    authority = recognise(snapshot)
    findings = evaluate(ROUTINE, snapshot, policy=Policy(), now=now)
    report = check_report(
        snapshot, authority, findings=findings, now=now, took=now - started, rotation=standing()
    )
    return Look(snapshot=snapshot, authority=authority, report=report)


def verify(
    reader: ClusterReader,
    clock: Clock,
    *,
    expected: Certificate | None = None,
    standing: Callable[[], Rotation | None] = _nothing,
) -> Look:
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
        report=verification(
            snapshot, authority, expected=expected, started=started, now=now, rotation=standing()
        ),
    )


def verification(
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    expected: Certificate | None,
    started: datetime,
    now: datetime,
    rotation: Rotation | None = None,
) -> Report:
    """Judge a snapshot that is there already."""
    findings = evaluate(VERIFICATION, snapshot, policy=Policy(expected=expected), now=now)
    target = expected or signing_root(snapshot, authority)
    return verify_report(
        snapshot,
        authority,
        findings=findings,
        expected=target,
        now=now,
        took=now - started,
        rotation=rotation,
    )
