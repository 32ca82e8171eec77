"""What the use cases need of the world. Each protocol has one real edge and one fake.

Every method may raise the errors of `bot.errors` that are named at it or at its class, and no others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from bot.core.approval import Act, Approvers, PersonFacts
from bot.core.certificates import SigningKey, ThrowAwayKey
from bot.core.ids import MeshName, RotationId, TeamId, UserId
from bot.core.intent import Intent
from bot.core.mesh import MeshSnapshot, ObjectRef, Part, SecretState
from bot.core.record import Change, CheckRecord, Message, NoticeMemory
from bot.core.replies import Caller, Reply
from bot.core.rotation import Rotation


class ClusterReader(Protocol):
    """One mesh's cluster, for looking."""

    def read(self, parts: frozenset[Part]) -> MeshSnapshot:
        """Look once. What cannot be read is named in the snapshot, not raised.

        Raises:
            ClusterUnreachable: not even the cluster's identity could be read.
            ClusterForbidden: likewise.
        """

    def signing_key(self, expected: SecretState) -> SigningKey:
        """The CA's private key, if the secret's data is still in that state.

        Raises:
            KeyUnusable, ObjectAbsent, ClusterConflict (other data), ClusterForbidden, ClusterUnreachable.
        """


class ClusterWriter(Protocol):
    """One mesh's cluster, for the few effects that a rotation has. Each is safe to repeat.

    Every method may also raise any other ClusterError: ClusterForbidden, ClusterUnreachable,
    OutcomeUnknown (sent, and no answer came) and the like.
    """

    def hold(self, holder: RotationId, *, now: datetime) -> None:
        """Take or renew the Lease that keeps a second bot out.

        Raises:
            ClusterConflict: another holder has it and renewed it lately.
        """

    def release(self, holder: RotationId) -> None:
        """Give the Lease back; not an error when it is somebody else's by now."""

    def back_up(self, rotation_id: RotationId, *, expected: SecretState) -> SecretState:
        """Copy every value of the CA secret, byte for byte, into the backup Secret, and read it back.

        Gives the state of the copy (its digests are keyed by the CA secret's own keys).

        Raises:
            ClusterConflict: the CA secret is not in the expected state.
            ClusterRefused: the copy differs, or the backup Secret is full or immutable.
            ObjectAbsent: the CA secret or the backup Secret does not exist.
        """

    def replace_root(
        self, pem: bytes, *, expected: SecretState, rotation_id: RotationId, rehearse: bool
    ) -> SecretState:
        """Put `ca-cert.pem` in place, conditional on resourceVersion; nothing else of the data changes.

        With `rehearse` the server goes through all of it and writes nothing. Metadata that changed
        since `expected` is no obstacle, data that changed is.

        Raises:
            ClusterConflict: the data is not in the expected state.
            ClusterRefused: the secret is immutable, or the server stored something else.
            ObjectAbsent: the secret does not exist.
        """

    def backed_up_root(self, rotation_id: RotationId) -> bytes:
        """`ca-cert.pem` (PEM, as it was) from that rotation's backup.

        Raises:
            ObjectAbsent: no backup of that rotation.
        """

    def restart(self, workload: ObjectRef, *, mark: str) -> None:
        """Roll a Deployment or DaemonSet over by its template's restartedAt annotation, set to `mark`.

        The same mark again changes nothing.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshPorts:
    """One configured mesh and the way to it."""

    name: MeshName
    reader: ClusterReader
    writer: ClusterWriter


class Store(Protocol):
    """The record. A change is one transaction: state, messages and audit rows together.

    Every method may also raise StoreError: the database could not be read or written.
    """

    def commit(self, change: Change) -> Rotation | None:
        """Write a change; gives the rotation with its new version, if the change holds one.

        Raises:
            LostRace: the rotation's version is not the one the change was made from, or another
                rotation of the mesh is active.
            NotLeader: this process does not hold the epoch.
            StoreError: anything else; nothing was written.
        """

    def rotation(self, rotation_id: RotationId) -> Rotation:
        """One rotation.

        Raises:
            RecordAbsent: there is none of this id.
        """

    def active_rotations(self) -> tuple[Rotation, ...]:
        """Every rotation that is not in a final state, oldest first."""

    def past_rotations(self, mesh: MeshName, *, limit: int) -> tuple[Rotation, ...]:
        """The newest rotations of a mesh, newest first, final ones included."""

    def last_check(self, mesh: MeshName) -> CheckRecord | None:
        """The latest scheduled check of a mesh, whether or not it could run."""

    def notices(self, mesh: MeshName) -> NoticeMemory:
        """Which warnings were given for a mesh's roots."""


class Replies(Protocol):
    """Answers for one person's eyes, at once and at best effort; what must arrive is a Message."""

    def reply(self, caller: Caller, reply: Reply) -> None:
        """Show it to the caller only. Never raises: a lost reply changes nothing."""


class Directory(Protocol):
    """Who people are, looked up now, never remembered longer than a minute."""

    def person(self, team: TeamId, user: UserId) -> PersonFacts:
        """Raises DirectoryUnavailable when it cannot be looked up in full."""

    def approvers(self) -> Approvers:
        """Who may approve, with groups resolved. Raises DirectoryUnavailable."""

    def channel_fault(self, channel: str) -> str | None:
        """Why this channel must not be used for decisions (shared outside, archived); None when fine.

        Raises DirectoryUnavailable.
        """


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Aware UTC."""


class Keys(Protocol):
    """Randomness."""

    def rotation_id(self) -> RotationId:
        """128 random bits."""

    def serial(self) -> int:
        """A positive random serial number of 127 bits."""

    def throw_away_key(self) -> ThrowAwayKey:
        """The public half of a fresh P-256 key whose private half is dropped."""


class Errand(StrEnum):
    """What somebody wants done. Each kind has workers of its own, so that none waits behind another."""

    DECISION = "decision"
    """A button or its command: somebody wants to stop, start or turn back a rotation now."""
    LOOK = "look"
    """A check, a verify, a plan: as long as an API server takes to show its cluster."""
    WORD = "word"
    """An answer that needs the record or Slack, and no cluster."""


class Scheduler(Protocol):
    """Comes back later, on threads of its own."""

    def soon(self, work: Callable[[], None], *, kind: Errand, turned_away: Callable[[], None]) -> bool:
        """Run `work` once, as soon as a worker of that kind is free; False when it is not taken at all.

        What was taken and cannot be done to its end, because the bot stops, has `turned_away` run:
        whoever waits for it must hear of it. Neither may raise.
        """

    def advance_soon(self, rotation_id: RotationId) -> None:
        """Have `advance` run for a rotation as soon as a worker is free; never twice at once."""

    def resume(self, rotation_id: RotationId) -> None:
        """As `advance_soon`, if nothing else will: one that comes back by itself later is left in peace."""


class Desk(Protocol):
    """What a door (slash command, button, dialog) hands over to; `flow.reception` is the real one.

    All return at once and never raise; what comes of it is told through Replies and the outbox.
    """

    def command(self, caller: Caller, intent: Intent) -> Reply | None:
        """Somebody typed a command that was understood (or sent the transition dialog).

        Gives what to say at once; None when the answer itself follows.
        """

    def decide(
        self, caller: Caller, act: Act, rotation_id: RotationId, *, note: str, shown: str = ""
    ) -> Reply | None:
        """Somebody pressed a button; `note` is their reason, as they typed it.

        `shown` is the seal of the EndOffered that they confirm; only `Act.END` needs one. Gives what
        to say at once; None when the decision itself will say it.
        """

    def consider_end(self, caller: Caller, rotation_id: RotationId) -> Reply | None:
        """Somebody wants to know what ending a rotation here would leave: answered with an EndOffered.

        Gives what to say at once; None when the answer follows.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A message in the outbox."""

    id: int
    message: Message
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where a subject's own message stands."""

    channel: str
    ts: str
    drawn_at: datetime
    """When it was last posted or redrawn."""


LONGEST_REST = timedelta(minutes=5)
"""No message is put back for longer: a time further ahead was written by a clock that has been set back since."""


class Outbox(Protocol):
    """Messages that were committed and are not told yet. Every method may also raise StoreError."""

    def due(self, now: datetime, *, limit: int) -> tuple[Queued, ...]:
        """Messages whose time has come: redraws of what stands already, then posts, each oldest first.

        Redraws of one subject are one message. They come first because posts are told one a second:
        a card would show what was so before a backlog of them. A post is not due while an earlier one
        of its subject is put back: a thread keeps its order, over a restart too. What was put back for
        longer than LONGEST_REST from now is due.
        """

    def delivered(self, queued: Queued, *, channel: str, ts: str, now: datetime) -> None:
        """It is told; a NEW or ANCHOR message becomes (or stays) its subject's anchor."""

    def postponed(self, queued: Queued, *, until: datetime, fault: str) -> None:
        """Not told yet, for this reason ("" for mere pacing, which is no attempt)."""

    def given_up(self, queued: Queued, *, now: datetime, fault: str) -> None:
        """It will never be told; kept with the reason."""

    def anchor(self, subject: str) -> Anchor | None:
        """The subject's own message, if one was posted and is not known to be gone."""

    def forget_anchor(self, subject: str) -> None:
        """The subject's own message is gone (deleted, archived): the next drawing is a new post."""
