"""Which warning is due: a ladder of thresholds, each told once for ever per root.

The memory comes from the store; nothing here remembers. A longer policy (snooze, several meshes)
will be more rows here and nothing elsewhere.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.core.checks.holders import nothing_at_stake
from bot.core.ids import Fingerprint, MeshName
from bot.core.mesh import MeshSnapshot
from bot.core.record import Given, NoticeMemory

LADDER = (90, 60, 30, 14, 7, 3, 1, 0)
"""Days left at which a warning is given; 0 is `expired`."""


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
    mesh: MeshName, root: Fingerprint, *, remaining: timedelta, memory: NoticeMemory, now: datetime
) -> Notice | None:
    """What is due for this root today; None when nothing needs to be said.

    Several thresholds crossed at once (a first look at an old root) make one warning, the most urgent.
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
    return Notice(threshold=None, thread=urgent, given=given)


def _name(days: int) -> str:
    return f"{days} days" if days > 1 else "1 day" if days else "expired"


def worth_warning(snapshot: MeshSnapshot) -> bool:
    """Whether anything would break at the root's end, or might; only a mesh where nothing can is left in peace."""
    return not nothing_at_stake(snapshot)
