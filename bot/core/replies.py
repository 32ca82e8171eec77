"""Who stands at a door, and what one person is answered for their eyes alone. Nothing of this is stored."""

from dataclasses import dataclass, field
from datetime import datetime

from bot.core.ids import MeshName, RotationId, TeamId, UserId
from bot.core.intent import Verb
from bot.core.progress import Straggler
from bot.core.record import CheckRecord
from bot.core.rotation import Person, Rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who pressed or typed, where, and how to answer them."""

    team: TeamId
    user: UserId
    name: str
    channel: str
    response_url: str = field(default="", repr=False)
    view: str = ""
    """The open dialog in which they await the answer; empty for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """It was not done, because…"""

    sentence: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """It is being done."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A command was taken; its answer follows in a channel."""

    verb: Verb
    mesh: MeshName
    channel: str
    """Where reports and cards are posted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """The same was asked for before and is still being done, so it is not done a second time."""

    verb: Verb
    mesh: MeshName
    first: Person
    since: datetime
    joined: bool
    """The answer will be for this caller, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpShown:
    """The commands."""

    meshes: tuple[MeshName, ...]
    lead: str = ""
    """What was not understood, and what was probably meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusShown:
    """What is going on."""

    active: tuple[Rotation, ...]
    checks: tuple[CheckRecord, ...]
    never_checked: tuple[MeshName, ...]
    overtaken: tuple[tuple[MeshName, datetime], ...] = ()
    """Meshes whose check is from before a rotation changed them, with when that ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryShown:
    """What was done and by whom, newest first."""

    mesh: MeshName
    rotations: tuple[Rotation, ...]
    older: bool = False
    """There are more than these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOffered:
    """What ending this rotation here would leave, seen a moment ago: to be confirmed, for exactly this."""

    rotation_id: RotationId
    mesh: MeshName
    cluster_uid: str
    backwards: bool
    old_root_ends: datetime
    why: str
    """Why it can go neither on nor back; empty when only the proof is missing."""
    share: str
    """`2 of 18 proxies not proved`."""
    stragglers: tuple[Straggler, ...]
    """The first ten."""
    total: int
    shown: str
    """The seal of what is shown: the confirmation brings it back."""
    changed: bool = False
    """Something else was shown and confirmed: nothing was decided, and this is what is so by now."""


Reply = Refused | Noted | Begun | UnderWay | HelpShown | StatusShown | HistoryShown | EndOffered
