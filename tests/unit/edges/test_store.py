"""What only the record on a database has: the file, its tables, its guard, its lease."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text, update
from sqlalchemy.exc import IntegrityError, StatementError

from bot.core.record import Change, CheckRecord, Given, Placement
from bot.edges.store import tables
from bot.edges.store.engine import looking, open_database, reading, writing
from bot.edges.store.lease import Lease
from bot.edges.store.migrate import REVISIONS, require_latest, upgrade
from bot.edges.store.outbox import SqlOutbox
from bot.edges.store.scripts import MIGRATIONS
from bot.edges.store.store import SqlStore
from bot.errors import DatabaseAbsent, LostRace, NotLeader, StoreError
from tests.contract.store_record import MINUTE, StoppedClock, a_store
from tests.contract.store_samples import NOW, PRIVATE_KEY, PROD, a_card, a_milestone, a_rotation, an_event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "record.db"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{path}")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    return a_store(engine)


def test_a_long_outbox_is_read_in_steps_that_grow_with_its_length_and_not_its_square(
    engine: Engine, store: SqlStore
) -> None:
    def steps() -> int:
        """SQLite's own, in hundreds: no clock that a busy machine could spoil."""
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        with reading(engine) as connection:
            raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.set_progress_handler(count, 100)
        SqlOutbox(engine).due(NOW, limit=20)
        raw.set_progress_handler(None, 0)
        return counted

    def wait(many: range) -> None:
        replies = [replace(a_milestone(str(n)), subject=f"rotation/{n % 7}") for n in many]
        own = [
            replace(post, subject=f"report/{n}", placement=Placement.NEW) for n, post in enumerate(replies)
        ]
        store.commit(Change(messages=(*replies, *own)))

    wait(range(50))
    few = steps()
    wait(range(50, 400))

    assert few > 0
    assert steps() < 3 * 8 * few


# --- the file --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)],
)
def test_every_connection_has_the_pragmas(engine: Engine, pragma: str, value: object) -> None:
    with reading(engine) as first, reading(engine) as second:
        assert first.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
        assert second.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_a_database_that_may_not_be_looked_at_is_not_called_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(_path: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")  # the tests may run as root, who may

    monkeypatch.setattr(Path, "stat", shut)

    with (
        pytest.raises(StoreError, match="cannot be looked at: Permission denied") as fault,
        looking(f"sqlite:///{tmp_path}/record.db"),
    ):
        pass

    assert not isinstance(fault.value, DatabaseAbsent)


def test_a_file_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "passwd"
    other.write_text("root:x:0:0:a file that is long enough to be looked at")
    other.chmod(0o644)

    with pytest.raises(StoreError, match="left as it is"):
        open_database(f"sqlite:///{other}")

    assert stat.S_IMODE(other.stat().st_mode) == 0o644


def test_directory_and_files_are_for_this_user_only(path: Path, store: SqlStore) -> None:
    store.commit(Change(rotation=a_rotation()))

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (path.parent, *path.parent.iterdir())}

    assert modes == {"new": 0o700, "record.db": 0o600, "record.db-wal": 0o600, "record.db-shm": 0o600}


def test_an_existing_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.touch()
    path.chmod(0o644)

    open_database(f"sqlite:///{path}").dispose()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="file of its own"):
        open_database(url)


def test_a_url_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(StoreError) as refusal:
        open_database("hunter2")

    assert "hunter2" not in refusal.value.message


def test_a_file_that_is_no_database_is_told_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "record.db").write_bytes(b"SQLite format 3\0 and nothing else that is one" * 50)

    with pytest.raises(StoreError, match="damaged") as fault:
        open_database(f"sqlite:///{tmp_path}/record.db")

    assert "backup" in fault.value.hint


def test_a_directory_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be made"):
        open_database(f"sqlite:///{tmp_path}")


def test_a_lock_that_somebody_sits_on_is_worth_another_try(
    path: Path, store: SqlStore, engine: Engine
) -> None:
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with reading(engine) as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")  # of the one connection in the pool

    with pytest.raises(StoreError, match="locked") as fault:
        store.commit(Change(rotation=a_rotation()))
    seen = store.active_rotations()
    intruder.execute("ROLLBACK")
    intruder.close()
    store.commit(Change(rotation=a_rotation()))

    assert fault.value.retry_after is not None
    assert seen == ()
    assert len(store.active_rotations()) == 1


def test_a_full_disk_is_told_and_nothing_is_written(store: SqlStore, engine: Engine) -> None:
    with reading(engine) as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # SQLite's own full disk
    big = tuple(a_milestone("x" * 4000) for _ in range(50))

    with pytest.raises(StoreError, match="disk is full") as fault:
        store.commit(Change(rotation=a_rotation(), messages=(a_card(), *big)))

    assert fault.value.retry_after is not None
    assert "Free space" in fault.value.hint
    assert store.active_rotations() == ()
    assert SqlOutbox(engine).due(NOW, limit=9) == ()


def test_a_database_without_tables_is_told(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/record.db")

    with pytest.raises(StoreError, match="no such table"):
        SqlStore(engine, epoch=lambda: 1, clock=StoppedClock()).active_rotations()
    engine.dispose()


# --- only looking ------------------------------------------------------------------------------


def everything_in(directory: Path) -> dict[str, tuple[bytes, int]]:
    """The bytes of each file, and when it was written. A -shm is locks and an index, not the record."""
    files = [file for file in directory.iterdir() if not file.name.endswith("-shm")]
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def seen(url: str) -> list[object]:
    with looking(url) as engine:
        require_latest(engine)
        return [rotation.mesh for rotation in a_reader(engine).active_rotations()]


def a_reader(engine: Engine) -> SqlStore:
    return SqlStore(engine, epoch=lambda: 0, clock=StoppedClock())


@pytest.fixture
def at_rest(path: Path) -> Path:
    """A record with a rotation, which no bot has open."""
    engine = open_database(f"sqlite:///{path}")
    upgrade(engine)
    a_store(engine).commit(Change(rotation=a_rotation()))
    engine.dispose()
    return path


def test_a_look_at_a_record_at_rest_leaves_every_byte_and_no_file_behind(at_rest: Path) -> None:
    before, names = everything_in(at_rest.parent), set(at_rest.parent.iterdir())

    assert seen(f"sqlite:///{at_rest}") == [PROD]
    assert everything_in(at_rest.parent) == before
    assert set(at_rest.parent.iterdir()) == names == {at_rest}


def test_a_look_at_a_copy_in_another_journal_mode_leaves_it_in_that(at_rest: Path) -> None:
    with closing(sqlite3.connect(at_rest)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    before = everything_in(at_rest.parent)

    assert seen(f"sqlite:///{at_rest}") == [PROD]
    assert everything_in(at_rest.parent) == before


def test_a_look_beside_a_running_bot_sees_what_is_not_in_the_file_yet(
    path: Path, store: SqlStore, engine: Engine
) -> None:
    store.commit(Change(rotation=a_rotation()))
    before, names = everything_in(path.parent), set(path.parent.iterdir())

    assert seen(f"sqlite:///{path}") == [PROD]
    assert everything_in(path.parent) == before
    assert set(path.parent.iterdir()) == names
    assert before[f"{path.name}-wal"][0], "the bot is running"
    assert [rotation.mesh for rotation in a_reader(engine).active_rotations()] == [PROD]


def test_a_look_after_an_abrupt_end_sees_what_was_committed_and_mends_nothing(path: Path) -> None:
    url = f"sqlite:///{path}"
    subprocess.run([sys.executable, "-c", KILLED, url], cwd=Path.cwd(), timeout=60, check=False)
    before = everything_in(path.parent)

    assert seen(url) == [PROD]
    assert everything_in(path.parent) == before


CUT_OFF = """
import os, sqlite3, sys

connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = DELETE")
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("CREATE TABLE more (text)")
connection.executemany("INSERT INTO more VALUES (?)", [("x" * 3000,)] * 500)
os._exit(0)
"""


def test_a_look_at_what_only_a_writer_can_set_right_says_so_and_leaves_it(at_rest: Path) -> None:
    subprocess.run([sys.executable, "-c", CUT_OFF, at_rest], timeout=60, check=True)
    before = everything_in(at_rest.parent)

    with pytest.raises(StoreError, match="only a writer can set that right"):
        seen(f"sqlite:///{at_rest}")

    assert set(before) == {"record.db", "record.db-journal"}
    assert everything_in(at_rest.parent) == before


@pytest.mark.parametrize("name", ["a b#c%41.db", "é.db"])
def test_a_look_finds_a_file_of_any_name(at_rest: Path, name: str) -> None:
    moved = at_rest.rename(at_rest.with_name(name))

    assert seen(f"sqlite:///{quote(str(moved))}") == [PROD]


def test_a_look_through_a_link_finds_what_sqlite_keeps_beside_the_file(
    tmp_path: Path, path: Path, store: SqlStore
) -> None:
    store.commit(Change(rotation=a_rotation()))
    (tmp_path / "link.db").symlink_to(path)

    assert seen(f"sqlite:///{tmp_path}/link.db") == [PROD]


def test_a_look_during_which_somebody_wrote_to_a_file_at_rest_is_not_trusted(at_rest: Path) -> None:
    url = f"sqlite:///{at_rest}"

    def a_bot_comes_and_goes() -> None:
        started = open_database(url)
        Lease(started).acquire("bot", now=NOW + MINUTE, duration=MINUTE)
        started.dispose()

    with pytest.raises(StoreError, match="written to while it was being read"), looking(url):
        a_bot_comes_and_goes()


def test_a_look_that_is_cut_short_leaves_no_file_behind(tmp_path: Path) -> None:
    file = tmp_path / "record.db"
    file.touch(0o640)

    with pytest.raises(StoreError, match="no tables"):
        seen(f"sqlite:///{file}")

    assert everything_in(tmp_path)[file.name][0] == b""
    assert list(tmp_path.iterdir()) == [file]


@contextmanager
def who_may_only_read(directory: Path) -> Iterator[None]:
    """From now on all in there may be read and nothing written, by another user where the tests run as root."""
    for file in directory.iterdir():
        file.chmod(0o444)
    directory.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        directory.chmod(0o700)


@pytest.mark.parametrize("running", [True, False])
def test_who_may_only_read_can_look(*, running: bool) -> None:
    with TemporaryDirectory() as made:  # a directory of pytest's own lets nobody else in
        file = Path(made) / "record.db"
        engine = open_database(f"sqlite:///{file}")
        upgrade(engine)
        a_store(engine).commit(Change(rotation=a_rotation()))
        if not running:
            engine.dispose()
        before = everything_in(file.parent)

        with who_may_only_read(file.parent):
            mesh = seen(f"sqlite:///{file}")
            after = everything_in(file.parent)
        engine.dispose()

    assert mesh == [PROD]
    assert after == before


def test_who_may_not_read_is_told_so(at_rest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shut(_path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied")  # the tests may run as root, who may

    monkeypatch.setattr(Path, "open", shut)

    with pytest.raises(StoreError, match="cannot be read: Permission denied") as fault:
        seen(f"sqlite:///{at_rest}")

    assert "as the bot's user" in fault.value.hint


KILLED = """
import os, signal, sys
from bot.core.record import Change
from bot.edges.store.engine import open_database, writing
from bot.edges.store.migrate import upgrade
from tests.contract.store_samples import a_card, a_rotation, an_event
from tests.contract.store_record import a_store

engine = open_database(sys.argv[1])
upgrade(engine)
a_store(engine).commit(Change(rotation=a_rotation(), messages=(a_card(),), audit=(an_event(),)))
with writing(engine) as connection:
    connection.exec_driver_sql("UPDATE rotations SET mesh = 'half'")
    connection.exec_driver_sql("DELETE FROM messages")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_an_abrupt_end_what_was_committed_is_there_and_the_half_done_is_not(path: Path) -> None:
    url = f"sqlite:///{path}"
    killed = subprocess.run([sys.executable, "-c", KILLED, url], cwd=Path.cwd(), timeout=60, check=False)

    engine = open_database(url)
    upgrade(engine)

    assert killed.returncode == -signal.SIGKILL
    assert [r.mesh for r in a_store(engine).active_rotations()] == [PROD]
    assert [q.message for q in SqlOutbox(engine).due(NOW, limit=9)] == [a_card()]
    engine.dispose()


# --- the tables ------------------------------------------------------------------------------


def test_the_migrations_make_the_tables_that_the_code_knows(engine: Engine) -> None:
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_the_migrations_make_them_to_the_letter(engine: Engine, tmp_path: Path) -> None:
    other = open_database(f"sqlite:///{tmp_path}/other.db")
    with writing(other) as connection:
        tables.metadata.create_all(connection)

    assert schema_of(engine) == schema_of(other)
    other.dispose()


def schema_of(engine: Engine) -> dict[str, frozenset[str]]:
    """Each table's and index's DDL, as a set of its lines: the order of constraints means nothing."""
    query = text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'")
    with reading(engine) as connection:
        return {
            name: frozenset(line.strip().rstrip(",") for line in sql.splitlines())
            for name, sql in connection.execute(query)
        }


def test_an_upgrade_that_has_nothing_to_do_changes_nothing(engine: Engine, store: SqlStore) -> None:
    store.commit(Change(rotation=a_rotation()))

    upgrade(engine)

    assert len(store.active_rotations()) == 1


def test_the_scripts_are_the_versions_that_a_start_knows() -> None:
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))

    scripts = ScriptDirectory.from_config(configuration).walk_revisions()

    assert tuple(script.revision for script in scripts) == REVISIONS[::-1]


def test_a_start_with_nothing_to_upgrade_does_not_load_what_upgrades(engine: Engine) -> None:
    script = (
        "import sys; from bot.edges.store.engine import open_database; "
        "from bot.edges.store.migrate import upgrade; "
        f"upgrade(open_database({str(engine.url)!r})); "
        "sys.exit(any(name in sys.modules for name in ('alembic', 'mako')))"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("start", [upgrade, require_latest])
def test_a_database_of_a_newer_version_is_left_alone_and_called_so_by_all(
    engine: Engine, start: Callable[[Engine], None]
) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match="tables of version 9999") as fault:
        start(engine)

    assert "A newer Rootkeeper" in fault.value.hint
    assert "brings them up to date" not in fault.value.hint


def test_the_database_itself_refuses_a_second_active_rotation(engine: Engine, store: SqlStore) -> None:
    store.commit(Change(rotation=a_rotation()))
    copy = (
        "INSERT INTO rotations SELECT 'other', mesh, state, active, version, created_at, epoch, format, body"
    )

    with pytest.raises(StoreError, match="contradicts") as fault, writing(engine) as connection:
        connection.exec_driver_sql(f"{copy} FROM rotations")

    assert isinstance(fault.value.__cause__, IntegrityError)


def test_a_naive_datetime_is_a_bug(engine: Engine) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(StatementError, match="naive"), reading(engine) as connection:
        connection.execute(update(tables.anchors).values(drawn_at=naive))


def test_every_row_that_is_written_names_its_epoch(engine: Engine) -> None:
    Lease(engine).acquire("before", now=NOW - 2 * MINUTE, duration=MINUTE)
    a_store(engine).commit(
        Change(
            rotation=a_rotation(),
            messages=(a_card(),),
            audit=(an_event(),),
            check=CheckRecord(mesh=PROD, at=NOW, ok=True, summary=""),
            given=(Given(mesh=PROD, root=a_rotation().plan.old_root.fingerprint, threshold="30", at=NOW),),
        )
    )

    with reading(engine) as connection:
        epochs = [
            connection.exec_driver_sql(f"SELECT epoch FROM {table}").scalar()
            for table in ("rotations", "messages", "audit", "checks", "notices")
        ]

    assert epochs == [2] * 5


def test_a_rotation_in_an_unknown_format_stops_reading_not_the_process(
    engine: Engine, store: SqlStore
) -> None:
    store.commit(Change(rotation=a_rotation()))
    with writing(engine) as connection:
        connection.execute(update(tables.rotations).values(format=7))

    with pytest.raises(StoreError, match="format 7"):
        store.active_rotations()


def test_no_statement_at_all_carries_a_secret_into_the_database(engine: Engine, store: SqlStore) -> None:
    store.commit(Change(messages=(a_card(),)))
    outbox = SqlOutbox(engine)
    queued = outbox.due(NOW, limit=1)[0]

    with pytest.raises(StoreError):
        outbox.given_up(queued, now=NOW, fault=f"the server said {PRIVATE_KEY}")

    assert outbox.due(NOW, limit=1) == (queued,)


# --- the lease -------------------------------------------------------------------------------


def test_a_free_lease_is_taken_and_a_held_one_is_not(engine: Engine) -> None:
    lease = Lease(engine)

    assert lease.acquire("one", now=NOW, duration=MINUTE) == 1
    assert lease.acquire("two", now=NOW + MINUTE / 2, duration=MINUTE) is None


def test_a_lapsed_lease_is_taken_with_a_new_epoch(engine: Engine) -> None:
    lease = Lease(engine)
    lease.acquire("one", now=NOW, duration=MINUTE)

    assert lease.acquire("two", now=NOW + MINUTE, duration=MINUTE) == 2
    assert not lease.renew("one", epoch=1, now=NOW + MINUTE, duration=MINUTE)


def test_the_same_holder_takes_over_at_once_and_fences_its_former_self(engine: Engine) -> None:
    former = a_store(engine)
    a_store(engine).commit(Change(rotation=a_rotation()))

    with pytest.raises(NotLeader, match="me leads in epoch 2; this process is in epoch 1"):
        former.commit(Change(audit=(an_event(),)))


def test_a_holder_that_is_surely_gone_is_followed_at_once_and_no_other(engine: Engine) -> None:
    lease = Lease(engine)
    lease.acquire("one", now=NOW, duration=MINUTE)

    assert lease.acquire("two", now=NOW, duration=MINUTE, gone={"three"}.__contains__) is None
    assert lease.holder() == "one"
    assert lease.acquire("two", now=NOW, duration=MINUTE, gone={"one"}.__contains__) == 2
    assert lease.holder() == "two"


def test_a_renewed_lease_is_not_taken(engine: Engine) -> None:
    lease = Lease(engine)
    lease.acquire("one", now=NOW, duration=MINUTE)

    renewed = lease.renew("one", epoch=1, now=NOW + 2 * MINUTE, duration=MINUTE)

    assert renewed
    assert lease.acquire("two", now=NOW + 2.5 * MINUTE, duration=MINUTE) is None


def test_after_a_release_the_next_need_not_wait_and_the_former_writes_nothing(engine: Engine) -> None:
    lease, former = Lease(engine), a_store(engine)
    lease.release("me", epoch=1)

    with pytest.raises(NotLeader, match="nobody leads"):
        former.commit(Change(rotation=a_rotation()))
    assert lease.acquire("two", now=NOW, duration=MINUTE) == 2
    lease.release("me", epoch=1)
    assert lease.acquire("three", now=NOW, duration=MINUTE) is None


def test_a_lapsed_lease_that_nobody_took_still_lets_its_holder_write(engine: Engine) -> None:
    store = a_store(engine)

    assert store.commit(Change(rotation=a_rotation())) is not None


def test_a_loser_does_not_wake_the_poster(engine: Engine) -> None:
    woken: list[bool] = []
    a_store(engine).commit(Change(rotation=a_rotation()))
    store = SqlStore(engine, epoch=lambda: 1, clock=StoppedClock(), on_commit=lambda: woken.append(True))

    with pytest.raises(LostRace):
        store.commit(Change(rotation=a_rotation()))

    assert woken == []
