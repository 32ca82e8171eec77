"""The records that the suites of Store and Outbox run over, and what only a test may do to them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine

from bot.core.record import AuditEvent, Change, Message
from bot.core.rotation import Rotation
from bot.edges.store import audit
from bot.edges.store.engine import open_database
from bot.edges.store.lease import Lease
from bot.edges.store.migrate import upgrade
from bot.edges.store.outbox import SqlOutbox
from bot.edges.store.store import SqlStore
from bot.flow.ports import Outbox, Queued, Store
from tests.contract.store_samples import (
    NOW,
)
from tests.fakes.store import FakeStore

KINDS = ("fake", "sqlite")
MINUTE = timedelta(minutes=1)


@dataclass
class StoppedClock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass(kw_only=True)
class Record:
    """A store and its outbox, and what only a test may do to them."""

    store: Store
    outbox: Outbox
    audit: Callable[[], tuple[AuditEvent, ...]]
    depose: Callable[[], object]
    """Let another process become the leader."""
    clock: StoppedClock
    wakes: list[bool] = field(default_factory=list)

    def put(self, *messages: Message) -> None:
        self.store.commit(Change(messages=messages))

    def due(self, now: datetime = NOW) -> list[Message]:
        return [queued.message for queued in self.outbox.due(now, limit=100)]

    def first_due(self) -> Queued:
        return self.outbox.due(NOW, limit=1)[0]

    def tell(self, *, ts: str = "1.1", now: datetime = NOW) -> Message:
        """Deliver the first message that is due."""
        queued = self.outbox.due(now, limit=1)[0]
        self.outbox.delivered(queued, channel="C1", ts=ts, now=now)
        return queued.message

    def keep(self, rotation: Rotation) -> Rotation:
        written = self.store.commit(Change(rotation=rotation))
        assert written is not None
        return written


def a_fake(clock: StoppedClock) -> Record:
    wakes: list[bool] = []
    fake = FakeStore(clock=clock, on_commit=lambda: wakes.append(True))
    return Record(
        store=fake,
        outbox=fake,
        audit=lambda: fake.audit,
        depose=lambda: setattr(fake, "leader", 2),
        clock=clock,
        wakes=wakes,
    )


def a_store(engine: Engine) -> SqlStore:
    """A store on an upgraded database, as `me`, in a new epoch."""
    epoch = Lease(engine).acquire("me", now=NOW, duration=MINUTE)
    assert epoch is not None
    return SqlStore(engine, epoch=lambda: epoch, clock=StoppedClock())


@contextmanager
def open_record(kind: str, directory: Path) -> Iterator[Record]:
    """A new record of one of KINDS."""
    clock = StoppedClock()
    if kind == "fake":
        yield a_fake(clock)
        return
    engine = open_database(f"sqlite:///{directory}/record.db")
    upgrade(engine)
    lease, wakes = Lease(engine), list[bool]()
    epoch = lease.acquire("me", now=NOW, duration=MINUTE)
    assert epoch is not None
    yield Record(
        store=SqlStore(engine, epoch=lambda: epoch, clock=clock, on_commit=lambda: wakes.append(True)),
        outbox=SqlOutbox(engine),
        audit=lambda: tuple(row.event for row in reversed(audit.read(engine, limit=100))),
        depose=lambda: lease.acquire("other", now=NOW + 2 * MINUTE, duration=MINUTE),
        clock=clock,
        wakes=wakes,
    )
    engine.dispose()
