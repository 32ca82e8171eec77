"""What is due: a warning per threshold once for ever, a line and a reminder of a pause once a day.

The memory comes from the store; nothing here remembers. A longer policy (snooze, several meshes)
will be more rows here and nothing elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.checks.holders import mutual_tls_use
from bot.core.ids import Fingerprint, MeshName
from bot.core.mesh import MeshSnapshot
from bot.core.record import Given, NoticeMemory
from bot.core.rotation import Rotation, RotationState

LADDER = (90, 60, 30, 14, 7, 3, 1, 0)
"""Days left at which a warning is given; 0 is `expired`."""

IN_PEACE = timedelta(hours=12)
"""How long a pause is not brought to mind again, though a new day may have begun."""


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
    """Days are UTC's: a schedule of any zone then has one of its own each day."""
    return at is not None and at.date() >= now.date()


def due_reminder(rotation: Rotation, now: datetime) -> bool:
    """Whether people should be told again that it waits for a decision: once a day, from the next day on."""
    if rotation.state is not RotationState.PAUSED:
        return False
    last = rotation.reminded_at or rotation.paused_at
    return last is None or (not _today(last, now) and now - last >= IN_PEACE)


def _name(days: int) -> str:
    return f"{days} days" if days > 1 else "1 day" if days else "expired"


def worth_warning(snapshot: MeshSnapshot) -> bool:
    """Whether anything would break at the root's end; a mesh that does not use mutual TLS is left in peace."""
    return mutual_tls_use(snapshot) != "unused"
