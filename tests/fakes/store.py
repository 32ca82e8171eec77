"""The record in memory: Store and Outbox in one, held to the real ones by tests/contract/test_store.py.

store = FakeStore()
store.messages, store.audit         everything committed so far, in order
store.fails_with = StoreError("…")  every commit fails until it is None again
store.leader = 2                    another process took over: commits raise NotLeader
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from bot.core.ids import Fingerprint, MeshName, RotationId
from bot.core.record import AuditEvent, Change, CheckRecord, Given, Message, NoticeMemory, Placement
from bot.core.rotation import Rotation
from bot.edges.store.records import Storable, decode, decode_content, encode
from bot.errors import LostRace, NotLeader, RecordAbsent, StoreError
from bot.flow.ports import LONGEST_REST, Anchor, Clock, Queued

T = TypeVar("T", bound=Storable)
_HEADS = (Placement.NEW, Placement.ANCHOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A message and what became of it."""

    queued: Queued
    status: str = "waiting"
    not_before: datetime | None = None
    fault: str = ""

    @property
    def subject(self) -> str:
        return self.queued.message.subject

    @property
    def placement(self) -> Placement:
        return self.queued.message.placement

    @property
    def waiting_redraw(self) -> bool:
        return self.status == "waiting" and self.placement is Placement.ANCHOR


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contents:
    """Everything at one time; a commit makes the next and puts it in place at its end."""

    rotations: dict[RotationId, Rotation] = field(default_factory=dict)
    checks: tuple[CheckRecord, ...] = ()
    given: dict[tuple[MeshName, Fingerprint, str], Given] = field(default_factory=dict)
    audit: tuple[AuditEvent, ...] = ()
    messages: tuple[Message, ...] = ()
    rows: dict[int, Row] = field(default_factory=dict)


class FakeStore:
    """Store and Outbox in memory. Safe to use from any thread."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        epoch: Callable[[], int] = lambda: 1,
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self.fails_with: StoreError | None = None
        self.leader = 1
        self._clock = clock
        self._epoch = epoch
        self._on_commit = on_commit
        self._lock = threading.RLock()
        self._contents = _Contents()
        self._anchors: dict[str, Anchor | None] = {}
        self._last_id = 0

    # --- for tests to look at ---

    @property
    def messages(self) -> tuple[Message, ...]:
        """Every message that was committed, told or not."""
        return self._contents.messages

    @property
    def audit(self) -> tuple[AuditEvent, ...]:
        """Every audit event that was committed."""
        return self._contents.audit

    @property
    def rows(self) -> tuple[Row, ...]:
        """The outbox with what became of each message; replaced redraws are gone."""
        return tuple(self._contents.rows.values())

    # --- Store ---

    def commit(self, change: Change) -> Rotation | None:
        with self._lock:
            if self.fails_with is not None:
                raise self.fails_with
            if self._epoch() != self.leader:
                raise NotLeader(f"epoch {self.leader} has begun; this process is in epoch {self._epoch()}")
            contents, written = self._next(change)
            self._contents = contents
        self._on_commit()
        return written

    def rotation(self, rotation_id: RotationId) -> Rotation:
        with self._lock:
            if rotation_id not in self._contents.rotations:
                raise RecordAbsent(f"there is no rotation {rotation_id}")
            return self._contents.rotations[rotation_id]

    def active_rotations(self) -> tuple[Rotation, ...]:
        with self._lock:
            return tuple(r for r in self._by_age() if not r.final)

    def past_rotations(self, mesh: MeshName, *, limit: int) -> tuple[Rotation, ...]:
        with self._lock:
            return tuple(r for r in reversed(self._by_age()) if r.mesh == mesh)[:limit]

    def last_check(self, mesh: MeshName) -> CheckRecord | None:
        with self._lock:
            checks = [c for c in self._contents.checks if c.mesh == mesh]
        if not checks:
            return None
        last_success = next((c.at for c in reversed(checks) if c.ok), checks[-1].last_success)
        return replace(checks[-1], last_success=last_success)

    def notices(self, mesh: MeshName) -> NoticeMemory:
        with self._lock:
            return NoticeMemory(given=tuple(g for g in self._contents.given.values() if g.mesh == mesh))

    def _by_age(self) -> list[Rotation]:
        return sorted(self._contents.rotations.values(), key=lambda r: (r.created_at, r.id))

    def _next(self, change: Change) -> tuple[_Contents, Rotation | None]:
        old = self._contents
        rotations, given, rows = dict(old.rotations), dict(old.given), dict(old.rows)
        for superseded in change.supersedes:
            _swap(rotations, superseded)
        written = None if change.rotation is None else _swap(rotations, change.rotation)
        for notice in change.given:
            _remember(given, notice)
        for message in change.messages:
            self._enqueue(rows, message)
        contents = _Contents(
            rotations=rotations,
            checks=(*old.checks, *((_kept(change.check),) if change.check else ())),
            given=given,
            audit=(*old.audit, *map(_kept, change.audit)),
            messages=(*old.messages, *map(_kept_message, change.messages)),
            rows=rows,
        )
        return contents, written

    def _enqueue(self, rows: dict[int, Row], message: Message) -> None:
        message = _kept_message(message)
        created_at = self._clock.now() if self._clock else datetime(2026, 1, 1, tzinfo=UTC)
        self._last_id += 1
        queued = Queued(id=self._last_id, message=message, created_at=created_at, attempts=0)
        row = Row(queued=queued)
        if message.placement is Placement.ANCHOR:
            for old in [r for r in rows.values() if r.waiting_redraw and r.subject == message.subject]:
                del rows[old.queued.id]
                row = replace(old, queued=replace(queued, attempts=old.queued.attempts))
        rows[queued.id] = row

    # --- Outbox ---

    def due(self, now: datetime, *, limit: int) -> tuple[Queued, ...]:
        with self._lock:
            ready = [row for row in self.rows if self._ready(row, now)]
            ready.sort(key=lambda row: not self._is_redraw(row))
        return tuple(row.queued for row in ready[:limit])

    def delivered(self, queued: Queued, *, channel: str, ts: str, now: datetime) -> None:
        with self._lock:
            if queued.id in self._contents.rows:
                row = self._contents.rows[queued.id]
                self._contents.rows[queued.id] = replace(row, status="delivered", fault="")
            if queued.message.placement in _HEADS:
                self._anchors[queued.message.subject] = Anchor(channel=channel, ts=ts, drawn_at=now)

    def postponed(self, queued: Queued, *, until: datetime, fault: str) -> None:
        with self._lock:
            for row in self.rows:
                if row.status == "waiting" and _is_it_or_its_redraw(row, queued):
                    attempts = row.queued.attempts + (1 if fault else 0)
                    self._contents.rows[row.queued.id] = replace(
                        row,
                        queued=replace(row.queued, attempts=attempts),
                        not_before=until,
                        fault=fault or row.fault,
                    )

    def given_up(self, queued: Queued, *, now: datetime, fault: str) -> None:
        del now
        with self._lock:
            row = self._contents.rows.get(queued.id)
            if row is not None and row.status == "waiting":
                self._contents.rows[queued.id] = replace(row, status="given_up", fault=fault)

    def anchor(self, subject: str) -> Anchor | None:
        with self._lock:
            return self._anchors.get(subject)

    def forget_anchor(self, subject: str) -> None:
        with self._lock:
            if subject in self._anchors:
                self._anchors[subject] = None

    def _ready(self, row: Row, now: datetime) -> bool:
        its_time = not _rests(row, now)
        headed = row.placement in _HEADS or self._headed(row.subject)
        return row.status == "waiting" and its_time and headed and not self._would_overtake(row, now)

    def _would_overtake(self, row: Row, now: datetime) -> bool:
        return row.placement is not Placement.ANCHOR and any(
            other.status == "waiting"
            and other.subject == row.subject
            and other.placement is not Placement.ANCHOR
            and other.queued.id < row.queued.id
            and _rests(other, now)
            for other in self.rows
        )

    def _is_redraw(self, row: Row) -> bool:
        return row.placement is Placement.ANCHOR and self._anchors.get(row.subject) is not None

    def _headed(self, subject: str) -> bool:
        heads = {r.status for r in self.rows if r.subject == subject and r.placement in _HEADS}
        standing = self._anchors.get(subject) is not None
        gone = subject in self._anchors
        return standing or ((gone or "given_up" in heads) and "waiting" not in heads)


def _kept(value: T) -> T:
    """As the real store gives it back: through its document, without what must not be kept."""
    return decode(type(value), encode(value))


def _kept_message(message: Message) -> Message:
    return replace(message, content=decode_content(encode(message.content)))


def _swap(rotations: dict[RotationId, Rotation], rotation: Rotation) -> Rotation:
    for other in rotations.values():
        if not rotation.final and not other.final and other.mesh == rotation.mesh and other.id != rotation.id:
            raise LostRace(
                f"{other.mesh} has another rotation: {other.id[:8]}, asked for by {other.requester.name}, "
                f"{other.standing}"
            )
    current = rotations[rotation.id].version if rotation.id in rotations else 0
    if current != rotation.version:
        raise LostRace(f"rotation {rotation.id[:8]} is at version {current}, not {rotation.version}")
    written = replace(rotation, version=rotation.version + 1)
    rotations[rotation.id] = _kept(written)
    return written


def _remember(given: dict[tuple[MeshName, Fingerprint, str], Given], notice: Given) -> None:
    key = (notice.mesh, notice.root, notice.threshold)
    if key in given:
        raise LostRace(f"the warning {notice.threshold} of {notice.mesh} was given already")
    given[key] = _kept(notice)


def _rests(row: Row, now: datetime) -> bool:
    return row.not_before is not None and now < row.not_before <= now + LONGEST_REST


def _is_it_or_its_redraw(row: Row, queued: Queued) -> bool:
    if queued.message.placement is not Placement.ANCHOR:
        return row.queued.id == queued.id
    return row.placement is Placement.ANCHOR and row.subject == queued.message.subject
