"""Opens the database and gives the two kinds of transaction: `reading` and `writing`.

All that is particular to SQLite stands here: pragmas, file modes, who begins a transaction and how.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from bot.edges.store.faults import translated
from bot.edges.store.guard import refuse_secrets
from bot.errors import DatabaseAbsent, StoreError

BUSY_TIMEOUT = 5_000
"""Milliseconds that SQLite waits for a lock; a transaction here takes a few."""

CONNECTIONS = 16
"""Twice the threads that use the record, so that a nested read never waits for itself."""

_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT}",  # first: the next one may need the lock
    "PRAGMA journal_mode = WAL",  # readers do not stop the writer, nor it them
    "PRAGMA synchronous = FULL",  # what is committed survives the power
    "PRAGMA foreign_keys = ON",
)

_WRITES = "rootkeeper_writes"


def open_database(url: str, *, must_exist: bool = False) -> Engine:
    """An engine on the database of this URL: `sqlite:////var/lib/rootkeeper/record.db`.

    A SQLite file and its directory are made when absent, for this user only, unless it must exist
    already. Connects once, so that a fault shows now; the tables are `migrate.upgrade`'s business.

    Raises:
        DatabaseAbsent: it must exist and does not.
        StoreError: the URL is none, or the database cannot be opened.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _prepare_file(parsed, must_exist=must_exist)
    # hide_parameters: an exception's text must not repeat what was being written.
    engine = create_engine(
        parsed, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=10, hide_parameters=True
    )
    event.listen(engine, "before_cursor_execute", _guard)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    with reading(engine):
        return engine


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise StoreError(
            "the database URL cannot be read",  # it may hold a password: not repeated
            hint="Write it like sqlite:////var/lib/rootkeeper/record.db (four slashes for an absolute path).",
        ) from error


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:  # such as another user's directory, which may not be entered
        raise StoreError(
            f"the database file {path} cannot be looked at: {error.strerror}",
            hint="Run this as the bot's user, or name another database in ROOTKEEPER_DATABASE_URL.",
        ) from error
    return True


def why_not_made(url: str) -> str:
    """Why a database that is not there yet could not be made; empty when it could, as far as can be seen."""
    path = Path(_parse(url).database or "").absolute()
    place = next(each for each in path.parents if os.path.exists(each))  # noqa: PTH110 - False where it may not be asked
    if not place.is_dir():
        return f"{place} is no directory"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"{place} may not be written to"


_MAGIC = b"SQLite format 3\0"


def _prepare_file(url: URL, *, must_exist: bool) -> None:
    """Make directory and file before SQLite does: its own would be readable by everybody.

    The -wal and -shm files take the database's mode.
    """
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StoreError(
            "the record needs a file of its own, not a database in memory",
            hint="Write the URL like sqlite:////var/lib/rootkeeper/record.db.",
        )
    path = Path(url.database)
    if must_exist and not _is_there(path):
        raise DatabaseAbsent(
            f"there is no database at {path.absolute()}",
            hint="Name the bot's own in ROOTKEEPER_DATABASE_URL, or run this where the bot runs.",
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:
            if file.read(len(_MAGIC)) not in (b"", _MAGIC):
                raise StoreError(
                    f"{path} is no database, or a damaged one; it was left as it is",
                    hint="Name the bot's own in ROOTKEEPER_DATABASE_URL; if it is that, restore the latest backup.",
                )
            if not must_exist and os.fstat(file.fileno()).st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)
    except OSError as error:
        raise StoreError(
            f"the database file {path} cannot be made: {error.strerror}",
            hint="Its directory must exist, belong to the bot's user and allow writing.",
        ) from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Python's sqlite3 would begin transactions at times of its own choosing; `begin` does it here.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in _PRAGMAS:
            cursor.execute(pragma)
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE takes the write lock before the first read: otherwise two writers that have both
    # read could only fail, not wait.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _guard(
    _connection: Connection, _cursor: Any, _statement: str, parameters: Any, _context: Any, _many: object
) -> None:
    refuse_secrets(parameters)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the record and changes nothing."""
    with translated(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that commits at the end, or leaves nothing behind when anything is raised."""
    with translated(), engine.execution_options(**{_WRITES: True}).begin() as connection:
        yield connection
