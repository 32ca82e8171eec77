"""What is written down beside a rotation: messages to tell, audit events, checks, warnings.

A message is data about what happened; the sentence is made when it is delivered. Everything here
is stored, so every type is a plain value.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.core.findings import Finding, Tally, Verdict
from bot.core.ids import Fingerprint, MeshName, RotationId
from bot.core.progress import Straggler
from bot.core.rotation import Person, Rotation


class Event(StrEnum):
    """What a milestone or an audit row tells of."""

    PROPOSED = "proposed"
    REFUSED = "refused"
    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    STALE = "stale"
    SUPERSEDED = "superseded"
    STARTED = "started"
    STEP_ENTERED = "step_entered"
    STEP_DONE = "step_done"
    STEP_SKIPPED = "step_skipped"
    """There was nothing to do."""
    PAUSED = "paused"
    RESUMED = "resumed"
    STOP_REQUESTED = "stop_requested"
    ROLLING_BACK = "rolling_back"
    DONE = "done"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    ENDED_SHORT = "ended_short"
    STILL_PAUSED = "still_paused"
    CHECKED = "checked"
    CHECK_FAILED = "check_failed"


# --- messages: contents --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The one message of a rotation, drawn from the record whenever it is delivered."""

    rotation_id: RotationId


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """A reply in the rotation's thread."""

    rotation_id: RotationId
    event: Event
    at: datetime
    person: Person | None = None
    step_title: str = ""
    step_number: int = 0
    step_count: int = 0
    note: str = ""
    """A sentence with names and numbers."""
    facts: tuple[tuple[str, str], ...] = ()
    """(label, value) pairs worth showing: the new root's dates, serial, subject."""
    stragglers: tuple[Straggler, ...] = ()
    """Up to ten; when there are more, a StragglerFile follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a rotation ended; in the thread and also to the channel."""

    rotation_id: RotationId
    event: Event
    at: datetime
    note: str = ""
    tallies: tuple[Tally, ...] = ()
    stragglers: tuple[Straggler, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a check or a verify, for chat and terminal alike."""

    kind: str
    """`check` or `verify`."""
    mesh: MeshName
    cluster_uid: str
    at: datetime
    took: timedelta
    verdict: Verdict
    headline: str
    """One sentence: what is so."""
    meaning: str
    """One or two sentences: what it means and what to do next."""
    standing: str = ""
    """What comes before all of it: a rotation of this mesh is under way; empty when none is."""
    authority: str = ""
    evidence: tuple[str, ...] = ()
    """How the kind of CA is known."""
    root: Fingerprint | None = None
    root_subject: str = ""
    expires_at: datetime | None = None
    remaining: timedelta | None = None
    """Until the root expires; negative when it has."""
    first_break: str = ""
    """When the first thing breaks, and which."""
    findings: tuple[Finding, ...] = ()
    """Worst first."""
    tallies: tuple[Tally, ...] = ()
    stragglers: tuple[Straggler, ...] = ()
    unread: tuple[str, ...] = ()
    """By name, each with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPosted:
    """A report that somebody asked for."""

    report: Report
    person: Person
    others: tuple[Person, ...] = ()
    """Who asked for the same while it was under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """A threshold was crossed: a message of its own, once for ever per root and threshold."""

    threshold: str
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyLine:
    """A line in the latest warning's thread."""

    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What a scheduled check found beside the root's end, told when it appears: a message of its own."""

    report: Report
    check_ids: tuple[str, ...]
    """The findings that are new; the report has the others, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckCouldNotRun:
    """A scheduled check did not happen: loud."""

    mesh: MeshName
    at: datetime
    message: str
    hint: str
    last_success: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFailed:
    """Something that somebody asked for could not be done after it had been accepted."""

    what: str
    mesh: MeshName | None
    person: Person
    message: str
    hint: str = ""
    findings: tuple[Finding, ...] = ()
    reference: str = ""
    """A bug's reference id, to be found in the log; empty for an expected fault."""
    others: tuple[Person, ...] = ()
    """Who asked for the same while it was under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StragglerFile:
    """More stragglers than fit into a message, as a file in its thread."""

    name: str
    """`stragglers-prod-2026-11-23.txt`."""
    stragglers: tuple[Straggler, ...]


Content = (
    Card
    | Milestone
    | Result
    | ReportPosted
    | Warned
    | DailyLine
    | Alarm
    | CheckCouldNotRun
    | RequestFailed
    | StragglerFile
)


class Placement(StrEnum):
    """Where a message goes relative to its subject."""

    NEW = "new"
    """A message of its own in the channel."""
    ANCHOR = "anchor"
    """The subject's own message: posted once, redrawn ever after."""
    REPLY = "reply"
    """Into the subject's thread."""
    BROADCAST = "broadcast"
    """Into the subject's thread and also to the channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to tell, in the outbox until it is told."""

    subject: str
    """What it is about; the same subject is the same thread: `rotation/<id>`, `report/<id>`."""
    placement: Placement
    content: Content


def rotation_subject(rotation_id: RotationId) -> str:
    """The thread of a rotation."""
    return f"rotation/{rotation_id}"


def warning_subject(mesh: MeshName, root: Fingerprint, threshold: str) -> str:
    """The thread of one warning."""
    return f"warning/{mesh}/{root[:16]}/{threshold}"


# --- audit, checks, warnings ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One row of the audit record; the store adds number and hashes."""

    event: Event
    at: datetime
    mesh: MeshName | None = None
    rotation_id: RotationId | None = None
    digest: str = ""
    person: Person | None = None
    channel: str = ""
    detail: tuple[tuple[str, str], ...] = ()
    """(name, value) pairs; no secrets, no free text longer than 500 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRecord:
    """A scheduled check, whether or not it could run."""

    mesh: MeshName
    at: datetime
    """When its look began."""
    ok: bool
    """It ran, whatever it found."""
    summary: str
    remaining: timedelta | None = None
    last_success: datetime | None = None
    """The latest check of this mesh that ran, this one included."""
    told_at: datetime | None = None
    """When a check of this mesh last told a warning or a daily line, this one included."""
    found: tuple[tuple[str, str, int], ...] = ()
    """Verdict, severity and how many findings of them; none when it could not run."""
    alarming: tuple[str, ...] = ()
    """Ids of what it found that a person must see; of the one before, when this one could not run."""
    alarms_told: tuple[str, ...] = ()
    """Those of them that have been told."""


def overtaken_at(check: CheckRecord, rotations: Iterable[Rotation], *, now: datetime) -> datetime | None:
    """When the mesh was last changed by a rotation that ended after the check's look began; None for never.

    `rotations` are of the check's mesh. A time that lies ahead of now is a wrong clock's: such an end is
    not obeyed, and such a check came before every end.
    """
    ends = (r.finished_at for r in rotations if r.changed_the_cluster and r.finished_at is not None)
    return max((end for end in ends if end <= now and (check.at < end or check.at > now)), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A warning that was given: once for ever per (mesh, root, threshold)."""

    mesh: MeshName
    root: Fingerprint
    threshold: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeMemory:
    """Every warning given for one mesh, oldest first."""

    given: tuple[Given, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One transaction."""

    rotation: Rotation | None = None
    """New, when its version is 0; otherwise the successor of that version."""
    supersedes: tuple[Rotation, ...] = ()
    """Others that end with it, each the successor of its version."""
    messages: tuple[Message, ...] = ()
    audit: tuple[AuditEvent, ...] = ()
    check: CheckRecord | None = None
    given: tuple[Given, ...] = ()
