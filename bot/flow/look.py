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
from bot.core.rotation import Rotation, RotationState
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


Finished = Callable[[MeshName], Rotation | None]
"""The newest rotation of a mesh that ended done: until the next one, the CA should sign with its new root.

Raises:
    StoreError: it could not be told.
"""

REMEMBERED = 1000
"""How far back such a rotation is looked for; most of what stands there was a request only."""


_DECISIVE = (RotationState.DONE, RotationState.ENDED_SHORT)


def finished_in(store: Store) -> Finished:
    """As the record knows it. None where one after it ended short: then somebody decided what is there."""

    def newest(mesh: MeshName) -> Rotation | None:
        ended = (r for r in store.past_rotations(mesh, limit=REMEMBERED) if r.state in _DECISIVE)
        found = next(ended, None)
        return found if found and found.state is RotationState.DONE else None

    return newest


class Looks:
    """The looks that people and the calendar ask for: one check of a mesh at a time, for all who want it.

    They tell of a rotation that is under way, and give no cure against it.
    Plans and steps of a rotation look for themselves: theirs must not have begun before the question.
    """

    def __init__(
        self, clock: Clock, *, standing: Standing = nothing_stands, finished: Finished = nothing_stands
    ) -> None:
        self._clock = clock
        self._standing = standing
        self._finished = finished
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
        """Verify a mesh against the root that should be there, see `verify`; raises like `check`."""
        return verify(
            mesh.reader,
            self._clock,
            standing=partial(self._standing, mesh.name),
            finished=partial(self._finished, mesh.name),
        )

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
    standing: Callable[[], Rotation | None] = _nothing,
    finished: Callable[[], Rotation | None] = _nothing,
) -> Look:
    """Judge everything that holds a root against what the CA signs with.

    And that against what the last finished rotation left, unless one is under way: something may have undone it.

    Raises:
        ClusterUnreachable, ClusterForbidden: not even the cluster's identity could be read.
    """
    started = clock.now()
    snapshot = reader.read(VERIFIED)
    now = clock.now()
    authority = recognise(snapshot)
    rotation = standing()
    left = None if rotation else _left_by(finished(), snapshot)
    report = verification(snapshot, authority, left=left, started=started, now=now, rotation=rotation)
    return Look(snapshot=snapshot, authority=authority, report=report)


def _left_by(finished: Rotation | None, snapshot: MeshSnapshot) -> Certificate | None:
    """The root that a rotation of this very control plane left."""
    if finished is None:
        return None
    plan = finished.plan
    here = (plan.cluster_uid, plan.namespace) == (snapshot.cluster_uid, snapshot.namespace)
    return plan.new_root.certificate if here else None


def verification(
    snapshot: MeshSnapshot,
    authority: Authority,
    *,
    started: datetime,
    now: datetime,
    expected: Certificate | None = None,
    left: Certificate | None = None,
    rotation: Rotation | None = None,
) -> Report:
    """Judge a snapshot that is there already, see `Policy`."""
    findings = evaluate(VERIFICATION, snapshot, policy=Policy(expected=expected, left=left), now=now)
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
