"""What is kept, as SQLAlchemy tables; the migrations build the same (a test compares them).

Every value of the core is one JSON document in `body` with the number of its `format`; the columns
beside it are what is searched by, and never the only place of a fact. `epoch` is the leadership
under which a row was last written. Not here: how a row is read or written.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    true,
)

AnyRow = Row[*tuple[Any, ...]]
"""A row of whatever columns were asked for."""


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC: SQLite forgets the zone, so it is put on and taken off here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC. A naive datetime is a bug in the caller."""
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError("a naive datetime does not say when")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database's UTC, with or without a zone on it."""
        del dialect
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

lease = Table(
    "lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row, of id 1
    Column("holder", String(255), nullable=False),  # empty: nobody
    Column("epoch", Integer, nullable=False),
    Column("expires_at", Moment, nullable=True),
)

rotations = Table(
    "rotations",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("mesh", String(255), nullable=False),
    Column("state", String(32), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("version", Integer, nullable=False),  # counts writes, for compare-and-swap
    Column("created_at", Moment, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("format", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "mesh", "created_at"),
)

# The last line of defence; the store looks first, to be able to name the other rotation.
Index(
    "one_active_rotation_per_mesh",
    rotations.c.mesh,
    unique=True,
    sqlite_where=rotations.c.active == true(),
    postgresql_where=rotations.c.active == true(),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", String(512), nullable=False),
    Column("placement", String(16), nullable=False),
    Column("kind", String(64), nullable=False),  # the content's class
    Column("status", String(16), nullable=False),  # waiting, delivered, given_up
    Column("created_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=True),
    Column("attempts", Integer, nullable=False),
    Column("fault", Text, nullable=False),
    Column("settled_at", Moment, nullable=True),
    Column("channel", String(64), nullable=False),
    Column("ts", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("format", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "status", "id"),
    Index(None, "subject"),
    # A redraw replaces the row of the one that waits; its number must never come back.
    sqlite_autoincrement=True,
)

anchors = Table(
    "anchors",
    metadata,
    Column("subject", String(512), primary_key=True),
    Column("channel", String(64), nullable=False),
    Column("ts", String(64), nullable=False),
    Column("drawn_at", Moment, nullable=False),
    Column("gone", Boolean, nullable=False),
)

checks = Table(
    "checks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mesh", String(255), nullable=False),
    Column("at", Moment, nullable=False),
    Column("ok", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("format", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index(None, "mesh", "at"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mesh", String(255), nullable=False),
    Column("root", String(64), nullable=False),
    Column("threshold", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("format", Integer, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("mesh", "root", "threshold"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(40), nullable=False),  # as in the payload, to the letter
    Column("mesh", String(255), nullable=True),
    Column("rotation_id", String(64), nullable=True),
    Column("epoch", Integer, nullable=False),
    Column("payload", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index(None, "mesh", "seq"),
    Index(None, "rotation_id", "seq"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # one row, of id 1
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
)
