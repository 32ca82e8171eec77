"""The record on a database: one Change is one transaction, whole or not at all.

In it: the lease's epoch is checked, rotations are swapped by version, a mesh has one active
rotation at most, and messages, audit rows, checks and given warnings are written beside them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, Select, insert, select, true, update

from bot.core.ids import MeshName, RotationId
from bot.core.record import Change, CheckRecord, Given, NoticeMemory
from bot.core.rotation import Rotation
from bot.edges.store import audit, outbox
from bot.edges.store.engine import reading, writing
from bot.edges.store.lease import require_epoch
from bot.edges.store.records import Stored, decode, encode
from bot.edges.store.tables import AnyRow, checks, notices, rotations
from bot.errors import LostRace, RecordAbsent
from bot.flow.ports import Clock


def _nothing() -> None:
    """Nobody wants to know."""


class SqlStore:
    """The record on a database (port Store). Safe to use from any thread."""

    def __init__(
        self,
        engine: Engine,
        *,
        epoch: Callable[[], int],
        clock: Clock,
        on_commit: Callable[[], None] = _nothing,
    ) -> None:
        """Take the engine of `open_database`, upgraded.

        `epoch` gives the epoch of the lease that this process holds (0 when none: it then only
        reads). `clock` dates messages. `on_commit` is called after each commit, on the
        committing thread: it wakes the poster, is quick and never raises.
        """
        self._engine = engine
        self._epoch = epoch
        self._clock = clock
        self._on_commit = on_commit

    def commit(self, change: Change) -> Rotation | None:
        """Write a change; see the port."""
        epoch, now = self._epoch(), self._clock.now()
        with writing(self._engine) as connection:
            require_epoch(connection, epoch)
            # The superseded first: they make room for the one that supersedes them.
            for superseded in change.supersedes:
                _swap(connection, superseded, epoch=epoch)
            written = None if change.rotation is None else _swap(connection, change.rotation, epoch=epoch)
            for given in change.given:
                _remember(connection, given, epoch=epoch)
            if change.check is not None:
                _keep_check(connection, change.check, epoch=epoch)
            outbox.enqueue(connection, change.messages, now=now, epoch=epoch)
            audit.append(connection, change.audit, epoch=epoch)
        self._on_commit()
        return written

    def rotation(self, rotation_id: RotationId) -> Rotation:
        """One rotation; see the port."""
        found = self._rotations(
            select(rotations.c.format, rotations.c.body).where(rotations.c.id == rotation_id)
        )
        if not found:
            raise RecordAbsent(f"there is no rotation {rotation_id[:32]}")
        return found[0]

    def active_rotations(self) -> tuple[Rotation, ...]:
        """Every rotation that is not in a final state, oldest first."""
        query = select(rotations.c.format, rotations.c.body).where(rotations.c.active == true())
        return self._rotations(query.order_by(rotations.c.created_at, rotations.c.id))

    def past_rotations(self, mesh: MeshName, *, limit: int) -> tuple[Rotation, ...]:
        """The newest rotations of a mesh, newest first."""
        query = select(rotations.c.format, rotations.c.body).where(rotations.c.mesh == mesh).limit(limit)
        return self._rotations(query.order_by(rotations.c.created_at.desc(), rotations.c.id.desc()))

    def last_check(self, mesh: MeshName) -> CheckRecord | None:
        """The check of a mesh that was recorded last, which also knows the last one that ran.

        Not by their times: one that a clock told ahead would be the last until that time has come.
        """
        of_mesh = select(checks).where(checks.c.mesh == mesh).order_by(checks.c.id.desc()).limit(1)
        with reading(self._engine) as connection:
            row = connection.execute(of_mesh).first()
            ran = connection.execute(of_mesh.where(checks.c.ok == true())).first()
        last_success = ran.at if ran else None
        if row is None:
            return None
        check = decode(CheckRecord, _stored(row, CheckRecord))
        return replace(check, last_success=last_success or check.last_success)

    def notices(self, mesh: MeshName) -> NoticeMemory:
        """Which warnings were given for a mesh's roots, in the order they were."""
        query = select(notices.c.format, notices.c.body).where(notices.c.mesh == mesh).order_by(notices.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return NoticeMemory(given=tuple(decode(Given, _stored(row, Given)) for row in rows))

    def _rotations(self, query: Select[*tuple[Any, ...]]) -> tuple[Rotation, ...]:
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return tuple(decode(Rotation, _stored(row, Rotation)) for row in rows)


def _stored(row: AnyRow, kind: type) -> Stored:
    return Stored(kind=kind.__name__, format=row.format, body=row.body)


# --- the parts of a commit -------------------------------------------------------------------


def _swap(connection: Connection, rotation: Rotation, *, epoch: int) -> Rotation:
    """Write a rotation in place of the version it was made from."""
    _refuse_second_active(connection, rotation)
    written = replace(rotation, version=rotation.version + 1)
    stored = encode(written)
    values = {
        "mesh": written.mesh,
        "state": written.state,
        "active": not written.final,
        "version": written.version,
        "created_at": written.created_at,
        "epoch": epoch,
        "format": stored.format,
        "body": stored.body,
    }
    same = (rotations.c.id == rotation.id) & (rotations.c.version == rotation.version)
    if rotation.version == 0 and _version(connection, rotation.id) is None:
        connection.execute(insert(rotations).values(id=rotation.id, **values))
    elif connection.execute(update(rotations).where(same).values(**values)).rowcount == 0:
        raise _moved_on(rotation, _version(connection, rotation.id))
    return written


def _version(connection: Connection, rotation_id: RotationId) -> int | None:
    return connection.execute(select(rotations.c.version).where(rotations.c.id == rotation_id)).scalar()


def _moved_on(rotation: Rotation, version: int | None) -> LostRace:
    now = "is not in the record" if version is None else f"is at version {version}"
    return LostRace(f"rotation {rotation.id[:8]} {now}; this change was made from version {rotation.version}")


def _refuse_second_active(connection: Connection, rotation: Rotation) -> None:
    if rotation.final:
        return
    query = select(rotations.c.format, rotations.c.body).where(
        rotations.c.mesh == rotation.mesh, rotations.c.active == true(), rotations.c.id != rotation.id
    )
    row = connection.execute(query).first()
    if row is not None:
        raise _another_active(decode(Rotation, _stored(row, Rotation)))


def _another_active(other: Rotation) -> LostRace:
    return LostRace(
        f"{other.mesh} has another rotation: {other.id[:8]}, asked for by {other.requester.name}, "
        f"{other.standing}",
        hint="Wait until it ends, or cancel it, then ask again.",
    )


def _remember(connection: Connection, given: Given, *, epoch: int) -> None:
    """Note a warning: the second of the same kind must not be told, so its whole change is lost."""
    key = {"mesh": given.mesh, "root": given.root, "threshold": given.threshold}
    if connection.execute(select(notices.c.id).filter_by(**key)).first() is not None:
        raise LostRace(
            f"the warning {given.threshold} of {given.mesh} for root {given.root[:16]} was given already"
        )
    stored = encode(given)
    connection.execute(insert(notices).values(**key, epoch=epoch, format=stored.format, body=stored.body))


def _keep_check(connection: Connection, check: CheckRecord, *, epoch: int) -> None:
    stored = encode(check)
    connection.execute(
        insert(checks).values(
            mesh=check.mesh, at=check.at, ok=check.ok, epoch=epoch, format=stored.format, body=stored.body
        )
    )
