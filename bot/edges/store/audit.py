"""The audit record: numbered rows, each with the hash of the one before.

    hash = SHA-256(previous hash, then the payload)     the first row follows 64 zeros

The payload is canonical JSON of number, time, epoch, format and event. Number and hash of the last
row stand in a table of their own, so that a cut-off tail shows too. Who can write the whole
database can forge all of it: keep its head (`rootkeeper audit` prints it) where they cannot.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from bot.core.ids import MeshName, RotationId
from bot.core.record import AuditEvent
from bot.edges.store.engine import reading
from bot.edges.store.records import FORMAT, Stored, canonical, decode, plain
from bot.edges.store.tables import AnyRow, audit, audit_head
from bot.errors import StoreError

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row of the audit record."""

    seq: int
    """From 1, without gaps."""
    epoch: int
    event: AuditEvent
    previous: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditVerdict:
    """Whether the chain holds."""

    rows: int
    """How many rows were found to be right, from the first on."""
    broken_at: int | None = None
    """The number of the first row that is wrong or missing; None when all is well."""
    reason: str = ""
    head: str = GENESIS
    """The hash of the last row that is right."""

    @property
    def intact(self) -> bool:
        """Nothing is wrong."""
        return self.broken_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """The last row so far, which the next must follow."""

    seq: int = 0
    hash: str = GENESIS


# --- writing ---------------------------------------------------------------------------------


def append(connection: Connection, events: Iterable[AuditEvent], *, epoch: int) -> None:
    """Add rows within a transaction that writes.

    Raises:
        StoreError: the head is missing, or an event holds a secret.
    """
    link = _head(connection)
    if link is None:
        raise StoreError(
            "the audit record has lost its head: the database was changed from outside",
            hint="Stop the bot, keep the file, restore the latest backup, then run `rootkeeper audit`.",
        )
    for event in events:
        link = _append_one(connection, event, after=link, epoch=epoch)
    connection.execute(update(audit_head).values(seq=link.seq, hash=link.hash))


def _head(connection: Connection) -> _Link | None:
    row = connection.execute(select(audit_head).with_for_update()).one_or_none()
    return None if row is None else _Link(seq=row.seq, hash=row.hash)


def _append_one(connection: Connection, event: AuditEvent, *, after: _Link, epoch: int) -> _Link:
    seq = after.seq + 1
    at = event.at.astimezone(UTC).isoformat()
    payload = canonical({"seq": seq, "at": at, "epoch": epoch, "format": FORMAT, "event": plain(event)})
    link = _Link(seq=seq, hash=_hash(after.hash, payload))
    connection.execute(
        insert(audit).values(
            seq=seq,
            at=at,
            mesh=event.mesh,
            rotation_id=event.rotation_id,
            epoch=epoch,
            payload=payload,
            previous=after.hash,
            hash=link.hash,
        )
    )
    return link


def _hash(previous: str, payload: str) -> str:
    return hashlib.sha256((previous + payload).encode()).hexdigest()


# --- reading ---------------------------------------------------------------------------------


def read(
    engine: Engine,
    *,
    mesh: MeshName | None = None,
    rotation: RotationId | None = None,
    last: int | None = None,
    limit: int,
) -> tuple[AuditRow, ...]:
    """The newest rows up to number `last`, newest first, of one mesh or rotation if named.

    Raises:
        StoreError: also when a row is damaged; `verify_chain` then says which.
    """
    query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
    if last is not None:
        query = query.where(audit.c.seq <= last)
    if mesh is not None:
        query = query.where(audit.c.mesh == mesh)
    if rotation is not None:
        query = query.where(audit.c.rotation_id == rotation)
    with reading(engine) as connection:
        return tuple(_audit_row(row) for row in connection.execute(query))


def _audit_row(row: AnyRow) -> AuditRow:
    try:
        document = json.loads(row.payload)
        stored = Stored(kind="AuditEvent", format=document["format"], body=json.dumps(document["event"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"row {row.seq} of the audit record cannot be read",
            hint="Run `rootkeeper audit`: it says where the record was changed.",
        ) from error
    event = decode(AuditEvent, stored)
    return AuditRow(seq=row.seq, epoch=row.epoch, event=event, previous=row.previous, hash=row.hash)


# --- verifying -------------------------------------------------------------------------------


def verify_chain(engine: Engine) -> AuditVerdict:
    """Walk the whole record; finds rows that were edited, deleted, reordered, added or cut off."""
    with reading(engine) as connection:
        head = _head(connection)
        link = _Link()
        for row in connection.execute(select(audit).order_by(audit.c.seq)).yield_per(500):
            fault = _row_fault(row, after=link)
            if fault:
                return _broken(link, fault)
            link = _Link(seq=row.seq, hash=row.hash)
    fault = _tail_fault(link, head)
    return _broken(link, fault) if fault else AuditVerdict(rows=link.seq, head=link.hash)


def _broken(link: _Link, reason: str) -> AuditVerdict:
    return AuditVerdict(rows=link.seq, broken_at=link.seq + 1, reason=reason, head=link.hash)


def _row_fault(row: AnyRow, *, after: _Link) -> str:
    try:
        return _readable_row_fault(row, after=after)
    except (ValueError, TypeError, KeyError):  # whoever forges a row need not keep to our types
        return f"row {after.seq + 1} was changed: it cannot be read"


def _readable_row_fault(row: AnyRow, *, after: _Link) -> str:
    expected = after.seq + 1
    if row.seq != expected:
        return f"row {expected} is missing: the next one is row {row.seq}"
    if row.previous != after.hash:
        return f"row {expected} does not continue row {after.seq}"
    if row.hash != _hash(row.previous, row.payload):
        return f"row {expected} was changed: its hash does not match"
    # The hash covers the payload alone: the columns beside it must say the same.
    if not _columns_agree(row, json.loads(row.payload)):
        return f"row {expected} was changed: its columns and its payload differ"
    return ""


def _columns_agree(row: AnyRow, document: dict[str, Any]) -> bool:
    event = document["event"]
    told = (document["seq"], document["at"], document["epoch"], event["mesh"], event["rotation_id"])
    return told == (row.seq, row.at, row.epoch, row.mesh, row.rotation_id)


def _tail_fault(link: _Link, head: _Link | None) -> str:
    if head is None:
        return "the note of the last row is missing"
    if head.seq > link.seq:
        return f"the record ends at row {link.seq}, but {head.seq} were written"
    if head != link:
        return f"the record ends at row {link.seq}, which is not the row {head.seq} that was written last"
    return ""
