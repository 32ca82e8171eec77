"""What is due: a warning once a threshold, a line and a reminder of a pause once a day, an alarm once.

The memory comes from the store; nothing here remembers. A longer policy (snooze, several meshes)
will be more rows here and nothing elsewhere.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.checks.holders import mutual_tls_use, nothing_at_stake
from bot.core.checks.table import (
    ENDING,
    EXPIRY,
    HOLDERS,
    NOT_EXPIRED,
    PODS,
    RECOGNISED,
    RENEWALS,
    SERVED,
    SERVED_LEAVES,
    WEBHOOKS,
)
from bot.core.findings import Finding, Severity, Verdict
from bot.core.ids import Fingerprint, MeshName
from bot.core.mesh import MeshSnapshot
from bot.core.record import CheckRecord, Given, NoticeMemory
from bot.core.rotation import Rotation, RotationState

LADDER = (90, 60, 30, 14, 7, 3, 1, 0)
"""Days left at which a warning is given; 0 is `expired`."""

IN_PEACE = timedelta(hours=4)
"""How long a pause is not brought to mind again, though a new day may have begun."""


ON_THE_LADDER = frozenset({EXPIRY.id, NOT_EXPIRED.id})
"""What the thresholds tell of."""

SETTLING = frozenset(check.id for check in (PODS, ENDING, *HOLDERS, *RENEWALS))
"""What comes and goes while pods start and secrets are re-issued: told when two checks in a row saw it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """What of a check's findings a person must see, beside the root's end."""

    standing: tuple[str, ...]
    """Every alarming check id, as found now."""
    fresh: tuple[str, ...]
    """Those to tell now."""
    told: tuple[str, ...]
    """Those told and still standing, the fresh ones included: told once until they are gone."""


def due_alarms(
    findings: Iterable[Finding], *, before: CheckRecord | None, ignored: frozenset[str], heard: bool
) -> Alarms:
    """What is due beside the root's end: whatever is red or unknown and more than a note.

    `ignored`: checks that alarm nobody now, see `holders_of_no_account`. `heard`: a warning is told by the
    same check and shows every finding, so nothing needs to be told twice.
    """
    # a CA that is left alone alarms nobody, but one that was watched until now does not fall silent
    left_alone = frozenset() if before and before.remaining is not None else {RECOGNISED.id}
    standing = tuple(
        f.check_id
        for f in findings
        if f.severity is not Severity.INFO
        and f.verdict in (Verdict.NOT_OK, Verdict.UNKNOWN)
        and f.check_id not in ON_THE_LADDER | ignored | left_alone
    )
    known = before.alarms_told if before else ()
    seen = before.alarming if before else ()
    fresh = tuple(i for i in standing if i not in known and (i not in SETTLING or i in seen or heard))
    told = tuple(i for i in standing if i in known) + fresh
    return Alarms(standing=standing, fresh=() if heard else fresh, told=told)


def holders_of_no_account(snapshot: MeshSnapshot, *, rotating: bool) -> frozenset[str]:
    """The checks of holders that need not have the root: all of them while a rotation brings them up.

    Those of traffic where it uses no mutual TLS; the webhooks' only where nothing needs the root.
    """
    if rotating or nothing_at_stake(snapshot):
        return SETTLING
    return (
        SETTLING - {WEBHOOKS.id, SERVED.id, SERVED_LEAVES.id}
        if mutual_tls_use(snapshot) == "unused"
        else frozenset()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a scheduled check has to tell about a root's end."""

    threshold: str | None
    """The threshold just crossed: a warning of its own; None: a line in the earlier warning's thread."""
    thread: str
    """The threshold whose warning's thread this belongs to."""
    given: tuple[Given, ...]
    """What to remember with it: every threshold that is behind by now."""


def due_notice(
    mesh: MeshName,
    root: Fingerprint,
    *,
    remaining: timedelta,
    memory: NoticeMemory,
    told_at: datetime | None,
    now: datetime,
) -> Notice | None:
    """What is due for this root now; None when nothing needs to be said.

    A threshold is told whenever it is crossed; a line only on a day on which nothing was told yet
    (`told_at`), however often the schedule checks. Several thresholds crossed at once (a first look at
    an old root) make one warning, the most urgent.
    """
    crossed = [_name(days) for days in LADDER if remaining <= timedelta(days=days)]
    if not crossed:
        return None
    told = {given.threshold for given in memory.given if given.root == root}
    fresh = [name for name in crossed if name not in told]
    given = tuple(Given(mesh=mesh, root=root, threshold=name, at=now) for name in fresh)
    urgent = crossed[-1]
    if urgent in fresh:
        return Notice(threshold=urgent, thread=urgent, given=given)
    return None if _today(told_at, now) else Notice(threshold=None, thread=urgent, given=given)


def _today(at: datetime | None, now: datetime) -> bool:
    """Days are UTC's: a schedule of any zone then has one of its own each day.

    A moment of another day that lies ahead is a wrong clock's, and silences nobody.
    """
    return at is not None and at.date() == now.date()


def due_reminder(rotation: Rotation, now: datetime) -> bool:
    """Whether people should be told again that it waits for a decision: once a day, from the next day on."""
    if rotation.state is not RotationState.PAUSED:
        return False
    last = rotation.reminded_at or rotation.paused_at
    return last is None or (not _today(last, now) and now - last >= IN_PEACE)


def _name(days: int) -> str:
    return f"{days} days" if days > 1 else "1 day" if days else "expired"


def worth_warning(snapshot: MeshSnapshot) -> bool:
    """Whether anything would break at the root's end, or might; only a mesh where nothing can is left in peace."""
    return not nothing_at_stake(snapshot)
