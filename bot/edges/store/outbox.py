"""Messages on their way: written with the change that they tell of, told by the poster later.

A reply is not due before its subject has a message of its own to hang under, nor a post before an
earlier one of its subject that was put back; a redraw replaces a redraw that still waits. Marking a
message needs no epoch: that it was told is true, whoever leads.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Subquery,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from bot.core.record import Message, Placement
from bot.edges.store.engine import reading, writing
from bot.edges.store.records import Stored, decode_content, encode
from bot.edges.store.tables import AnyRow, anchors, messages
from bot.flow.ports import LONGEST_REST, Anchor, Queued


class Status(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


HEADS = (Placement.NEW, Placement.ANCHOR)
"""Placements that make a message its subject's own."""

_waiting = messages.c.status == Status.WAITING


# --- writing, within the store's transaction -------------------------------------------------


def enqueue(connection: Connection, new: Iterable[Message], *, now: datetime, epoch: int) -> None:
    """Put messages into the outbox, in this order.

    Raises:
        StoreError: one of them holds a secret.
    """
    for message in new:
        pacing = _take_over(connection, message)
        stored = encode(message.content)
        connection.execute(
            insert(messages).values(
                subject=message.subject,
                placement=message.placement,
                kind=stored.kind,
                status=Status.WAITING,
                created_at=now,
                settled_at=None,
                channel="",
                ts="",
                epoch=epoch,
                format=stored.format,
                body=stored.body,
                **pacing,
            )
        )


def _take_over(connection: Connection, message: Message) -> dict[str, object]:
    """Remove the redraw that this one replaces; gives its pacing, which goes on.

    A new row, not the old one changed: the poster may be telling the old one at this moment, and
    what it then marks as told must not be this.
    """
    fresh: dict[str, object] = {"not_before": None, "attempts": 0, "fault": ""}
    if message.placement is not Placement.ANCHOR:
        return fresh
    same = and_(_waiting, messages.c.placement == Placement.ANCHOR, messages.c.subject == message.subject)
    row = connection.execute(select(messages).where(same).order_by(messages.c.id.desc())).first()
    if row is None:
        return fresh
    connection.execute(delete(messages).where(same))
    return {"not_before": row.not_before, "attempts": row.attempts, "fault": row.fault}


# --- the port --------------------------------------------------------------------------------


class SqlOutbox:
    """The outbox on a database (port Outbox). Safe to use from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def due(self, now: datetime, *, limit: int) -> tuple[Queued, ...]:
        """Messages whose time has come; see the port."""
        its_time = or_(messages.c.not_before.is_(None), not_(_rests(now)))
        ready = or_(messages.c.placement.in_(HEADS), _has_a_head())
        order = (case((_is_redraw(), 0), else_=1), messages.c.id)
        held = _put_back(now)
        in_order = or_(
            messages.c.placement == Placement.ANCHOR,
            held.c.first.is_(None),
            held.c.first >= messages.c.id,
        )
        found = select(messages).outerjoin(held, held.c.subject == messages.c.subject)
        query = found.where(_waiting, its_time, ready, in_order).order_by(*order).limit(limit)
        with reading(self._engine) as connection:
            return tuple(_queued(row) for row in connection.execute(query))

    def delivered(self, queued: Queued, *, channel: str, ts: str, now: datetime) -> None:
        """It is told; see the port."""
        told = {"status": Status.DELIVERED, "settled_at": now, "fault": "", "channel": channel, "ts": ts}
        with writing(self._engine) as connection:
            connection.execute(update(messages).where(messages.c.id == queued.id).values(**told))
            if queued.message.placement in HEADS:
                _set_anchor(connection, queued.message.subject, Anchor(channel=channel, ts=ts, drawn_at=now))

    def postponed(self, queued: Queued, *, until: datetime, fault: str) -> None:
        """Not told yet; a redraw that has replaced it in the meantime waits as long."""
        values = {"not_before": until, "attempts": messages.c.attempts + (1 if fault else 0)}
        if fault:
            values["fault"] = fault
        with writing(self._engine) as connection:
            connection.execute(update(messages).where(_waiting, _it_or_its_redraw(queued)).values(**values))

    def given_up(self, queued: Queued, *, now: datetime, fault: str) -> None:
        """It will never be told; kept with the reason. A redraw that replaced it is still tried."""
        values = {"status": Status.GIVEN_UP, "settled_at": now, "fault": fault}
        with writing(self._engine) as connection:
            connection.execute(update(messages).where(_waiting, messages.c.id == queued.id).values(**values))

    def anchor(self, subject: str) -> Anchor | None:
        """The subject's own message; see the port."""
        query = select(anchors).where(anchors.c.subject == subject, not_(anchors.c.gone))
        with reading(self._engine) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Anchor(channel=row.channel, ts=row.ts, drawn_at=row.drawn_at)

    def forget_anchor(self, subject: str) -> None:
        """The subject's own message is gone; see the port."""
        with writing(self._engine) as connection:
            connection.execute(update(anchors).where(anchors.c.subject == subject).values(gone=True))


def _is_redraw() -> ColumnElement[bool]:
    """Whether it changes a message that stands already."""
    return and_(messages.c.placement == Placement.ANCHOR, _has_an_anchor())


def _put_back(now: datetime) -> Subquery:
    """Each subject's first post that was put back beyond now: no later one may overtake it."""
    posts = messages.c.placement != Placement.ANCHOR
    first = select(messages.c.subject, func.min(messages.c.id).label("first"))
    return first.where(_waiting, posts, _rests(now)).group_by(messages.c.subject).subquery()


def _rests(now: datetime) -> ColumnElement[bool]:
    """Whether it was put back until a time that lies ahead, as far as one can lie."""
    return and_(messages.c.not_before > now, messages.c.not_before <= now + LONGEST_REST)


def _has_an_anchor() -> ColumnElement[bool]:
    return _exists(anchors, anchors.c.subject == messages.c.subject, not_(anchors.c.gone))


def _has_a_head() -> ColumnElement[bool]:
    """Whether a reply may be told: its subject's own message stands, or will not come (again).

    Where the own message was deleted and a new one waits, replies wait for that. Where it was given
    up, they do not wait for ever: what to do without a thread is the poster's business.
    """
    gone = _exists(anchors, anchors.c.subject == messages.c.subject)
    given_up, to_come = _has_a_head_that_is(Status.GIVEN_UP), _has_a_head_that_is(Status.WAITING)
    return or_(_has_an_anchor(), and_(or_(gone, given_up), not_(to_come)))


def _has_a_head_that_is(status: Status) -> ColumnElement[bool]:
    """Of all subjects at once: asked for each message by itself, a long outbox takes its length squared."""
    head = messages.alias("head")
    of = select(head.c.subject).where(head.c.placement.in_(HEADS), head.c.status == status)
    return messages.c.subject.in_(of)


def _exists(table: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().select_from(table).where(*conditions).correlate(messages)


def _queued(row: AnyRow) -> Queued:
    stored = Stored(kind=row.kind, format=row.format, body=row.body)
    message = Message(subject=row.subject, placement=Placement(row.placement), content=decode_content(stored))
    return Queued(id=row.id, message=message, created_at=row.created_at, attempts=row.attempts)


def _set_anchor(connection: Connection, subject: str, anchor: Anchor) -> None:
    values = {"channel": anchor.channel, "ts": anchor.ts, "drawn_at": anchor.drawn_at, "gone": False}
    known = connection.execute(update(anchors).where(anchors.c.subject == subject).values(**values))
    if known.rowcount == 0:
        connection.execute(insert(anchors).values(subject=subject, **values))


def _it_or_its_redraw(queued: Queued) -> ColumnElement[bool]:
    if queued.message.placement is not Placement.ANCHOR:
        return messages.c.id == queued.id
    return and_(messages.c.placement == Placement.ANCHOR, messages.c.subject == queued.message.subject)
