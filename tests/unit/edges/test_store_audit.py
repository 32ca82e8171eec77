"""The audit chain: every way of changing the past shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bot.core.ids import MeshName, RotationId
from bot.core.record import Change, Event
from bot.edges.store import audit
from bot.edges.store.audit import AuditVerdict, verify_chain
from bot.edges.store.engine import open_database, writing
from bot.edges.store.migrate import upgrade
from bot.edges.store.store import SqlStore
from bot.errors import StoreError
from tests.contract.store_record import a_store
from tests.contract.store_samples import an_event

EVENTS = (Event.PROPOSED, Event.APPROVED, Event.STARTED, Event.STEP_DONE, Event.DONE)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path}/record.db")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    store = a_store(engine)
    for event in EVENTS:
        store.commit(Change(audit=(an_event(event),)))
    return store


def tamper(engine: Engine, *statements: str) -> None:
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_an_empty_record_is_intact(engine: Engine) -> None:
    assert verify_chain(engine) == AuditVerdict(rows=0)


def test_an_untouched_record_is_intact(engine: Engine, store: SqlStore) -> None:
    verdict = verify_chain(engine)

    assert (verdict.rows, verdict.intact) == (5, True)
    assert verdict.head == audit.read(engine, limit=1)[0].hash


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("statements", "broken_at", "reason"),
    [
        pytest.param(
            ("UPDATE audit SET payload = replace(payload, 'Ada', 'Eve') WHERE seq = 3",),
            3,
            "its hash does not match",
            id="a payload is edited",
        ),
        pytest.param(
            ("UPDATE audit SET at = '2020-01-01' WHERE seq = 2",),
            2,
            "its columns and its payload differ",
            id="a column is edited",
        ),
        pytest.param(
            ("UPDATE audit SET rotation_id = NULL WHERE seq = 5",),
            5,
            "its columns and its payload differ",
            id="a row is taken away from its rotation",
        ),
        pytest.param(
            ("UPDATE audit SET hash = hex(randomblob(32)) WHERE seq = 4",),
            4,
            "its hash does not match",
            id="a hash is edited",
        ),
        pytest.param(
            ("UPDATE audit SET payload = x'00ff' WHERE seq = 4",),
            4,
            "it cannot be read",
            id="a payload is made unreadable",
        ),
        pytest.param(("DELETE FROM audit WHERE seq = 2",), 2, "row 2 is missing", id="a row is deleted"),
        pytest.param(("DELETE FROM audit WHERE seq = 1",), 1, "row 1 is missing", id="the first is deleted"),
        pytest.param(
            ("DELETE FROM audit WHERE seq = 2", "UPDATE audit SET seq = seq - 1 WHERE seq > 2"),
            2,
            "does not continue row 1",
            id="a row is deleted and the gap closed",
        ),
        pytest.param(
            (
                "UPDATE audit SET seq = 100 WHERE seq = 2",
                "UPDATE audit SET seq = 2 WHERE seq = 3",
                "UPDATE audit SET seq = 3 WHERE seq = 100",
            ),
            2,
            "does not continue row 1",
            id="two rows are exchanged",
        ),
        pytest.param(
            ("DELETE FROM audit WHERE seq > 3",), 4, "ends at row 3, but 5 were written", id="the tail is cut"
        ),
        pytest.param(("DELETE FROM audit",), 1, "ends at row 0, but 5 were written", id="all is deleted"),
        pytest.param(("DELETE FROM audit_head",), 6, "last row is missing", id="the head is deleted"),
        pytest.param(
            ("UPDATE audit_head SET hash = 'f'",),
            6,
            "not the row 5 that was written",
            id="the head is edited",
        ),
    ],
)
def test_a_changed_past_is_found_and_the_row_named(
    engine: Engine, statements: tuple[str, ...], broken_at: int, reason: str
) -> None:
    tamper(engine, *statements)

    verdict = verify_chain(engine)

    assert (verdict.broken_at, verdict.rows) == (broken_at, broken_at - 1)
    assert reason in verdict.reason


def test_rows_that_were_added_behind_the_last_are_found(engine: Engine, store: SqlStore) -> None:
    note = "CREATE TABLE note AS SELECT seq, hash FROM audit_head"
    tamper(engine, note)
    store.commit(Change(audit=(an_event(Event.FAILED),)))
    tamper(
        engine,
        "UPDATE audit_head SET seq = (SELECT seq FROM note), hash = (SELECT hash FROM note)",
        "DROP TABLE note",
    )

    assert "not the row 5 that was written last" in verify_chain(engine).reason


def test_without_its_head_nothing_is_recorded_any_more(engine: Engine, store: SqlStore) -> None:
    tamper(engine, "DELETE FROM audit_head")

    with pytest.raises(StoreError, match="lost its head"):
        store.commit(Change(audit=(an_event(),)))


def test_a_long_record_is_walked_in_pieces(engine: Engine, store: SqlStore) -> None:
    store.commit(Change(audit=tuple(an_event(Event.CHECKED, n=str(n)) for n in range(1200))))

    assert verify_chain(engine).rows == 1205


@pytest.mark.usefixtures("store")
def test_it_is_read_newest_first_of_one_mesh_or_rotation(engine: Engine) -> None:
    newest = audit.read(engine, limit=2)

    assert [(row.seq, row.event, row.epoch) for row in newest] == [
        (5, an_event(Event.DONE), 1),
        (4, an_event(Event.STEP_DONE), 1),
    ]
    assert newest[0].previous == newest[1].hash
    assert len(audit.read(engine, mesh=MeshName("prod"), rotation=RotationId("1" * 32), limit=9)) == 5
    assert audit.read(engine, mesh=MeshName("stage"), limit=9) == ()
    assert audit.read(engine, rotation=RotationId("2" * 32), limit=9) == ()


@pytest.mark.usefixtures("store")
def test_reading_a_row_that_cannot_be_read_names_it(engine: Engine) -> None:
    tamper(engine, "UPDATE audit SET payload = '{' WHERE seq = 5")

    with pytest.raises(StoreError, match="row 5"):
        audit.read(engine, limit=1)
