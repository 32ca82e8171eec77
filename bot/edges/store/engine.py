"""Opens the database, to work with or only to look, and gives the two kinds of transaction.

All that is particular to SQLite stands here: pragmas, file modes, who begins a transaction and how.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from bot.edges.store.faults import translated
from bot.edges.store.guard import refuse_secrets
from bot.errors import DatabaseAbsent, StoreError

BUSY_TIMEOUT = 5_000
"""Milliseconds that SQLite waits for a lock; a transaction here takes a few."""

CONNECTIONS = 16
"""Twice the threads that use the record, so that a nested read never waits for itself."""

_PATIENCE = f"PRAGMA busy_timeout = {BUSY_TIMEOUT}"
_PRAGMAS = (
    _PATIENCE,  # first: the next one may need the lock
    "PRAGMA journal_mode = WAL",  # readers do not stop the writer, nor it them
    "PRAGMA synchronous = FULL",  # what is committed survives the power
    "PRAGMA foreign_keys = ON",
)

_WRITES = "rootkeeper_writes"

_MAGIC = b"SQLite format 3\0"
_WAL_VERSION = 18
"""Where a file says how it is written: 2 there means WAL (https://sqlite.org/fileformat.html, 1.3.3)."""

_AS_THE_BOT = "Run this as the bot's user, or name another database in ROOTKEEPER_DATABASE_URL."


def open_database(url: str) -> Engine:
    """An engine on the database of this URL: `sqlite:////var/lib/rootkeeper/record.db`.

    File and directory are made when absent, for this user only. Connects once, so that a fault shows
    now; the tables are `migrate.upgrade`'s business.

    Raises:
        StoreError: the URL is none, or the database cannot be opened.
    """
    parsed = _parse(url)
    _prepare_file(_file_of(parsed))
    engine = _engine(parsed, pragmas=_PRAGMAS)
    with reading(engine):
        return engine


@contextmanager
def looking(url: str) -> Iterator[Engine]:
    """An engine on the database as it is, for who only looks: nothing is made, and no byte of it changed.

    Who may read the file, and what SQLite keeps beside it while a bot runs, can look.

    Raises:
        DatabaseAbsent: there is none.
        StoreError: the URL is none, or the file cannot be read; at the end, somebody wrote meanwhile to
            a file that was at rest, so that what was seen may be no one state of it.
    """
    parsed = _parse(url)
    path = _file_of(parsed)
    before = _stamp(path)
    if before is None:
        near = "" if path.parent.is_dir() else ", nor its directory"
        raise DatabaseAbsent(
            f"there is no database at {path}{near}",
            hint="Name the bot's own in ROOTKEEPER_DATABASE_URL, or run this where the bot runs.",
        )
    at_rest = _is_at_rest(path)
    # Of a WAL file that nobody has open SQLite would make a -wal and a -shm, and leave them there.
    how = {"uri": "true", "mode": "ro"} | ({"immutable": "1"} if at_rest else {})
    engine = _engine(parsed.set(database=f"file:{quote(os.fsencode(path))}", query=how), pragmas=(_PATIENCE,))
    try:
        yield engine
    finally:
        engine.dispose()
        if at_rest and _stamp(path) != before:
            raise StoreError(
                "the database was written to while it was being read",
                hint="Ask again: nothing is wrong with it.",
            )


def _engine(url: URL, *, pragmas: tuple[str, ...]) -> Engine:
    # hide_parameters: an exception's text must not repeat what was being written.
    engine = create_engine(url, pool_size=CONNECTIONS, max_overflow=0, pool_timeout=10, hide_parameters=True)
    event.listen(engine, "before_cursor_execute", _guard)
    event.listen(engine, "connect", partial(_set_up, pragmas))
    event.listen(engine, "begin", _begin)
    return engine


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise StoreError(
            "the database URL cannot be read",  # it may hold a password: not repeated
            hint="Write it like sqlite:////var/lib/rootkeeper/record.db (four slashes for an absolute path).",
        ) from error


def _file_of(url: URL) -> Path:
    """The file itself, where a link leads: SQLite keeps its other files beside that."""
    name = url.database or ":memory:"
    if url.get_backend_name() != "sqlite" or name == ":memory:" or name.startswith("file:"):
        raise StoreError(
            "the record needs a SQLite file of its own, not a database in memory or elsewhere",
            hint="Write the URL like sqlite:////var/lib/rootkeeper/record.db.",
        )
    return Path(os.path.realpath(name))  # Path.resolve raises where links go round


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What is another after the file was replaced or written to; None where there is none."""
    try:
        seen = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # such as another user's directory, which may not be entered
        raise StoreError(
            f"the database file {path} cannot be looked at: {error.strerror}", hint=_AS_THE_BOT
        ) from error
    return seen.st_ino, seen.st_size, seen.st_mtime_ns


def _is_at_rest(path: Path) -> bool:
    """Whether all of a WAL database is in its one file, and nobody has it open.

    Whoever opens it makes a -wal beside it, and the last to leave takes that away; after an abrupt end it
    is still there, with what the file lacks. `immutable` would not look into it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_WAL_VERSION + 1)
    except OSError as error:
        raise StoreError(
            f"the database file {path} cannot be read: {error.strerror}", hint=_AS_THE_BOT
        ) from error
    _require_sqlite(path, head)
    return head[_WAL_VERSION:] == b"\2" and _stamp(Path(f"{path}-wal")) is None


def _require_sqlite(path: Path, head: bytes) -> None:
    """Whether the file begins as one of SQLite's, or is still empty."""
    if head and not head.startswith(_MAGIC):
        raise StoreError(
            f"{path} is no database, or a damaged one; it was left as it is",
            hint="Name the bot's own in ROOTKEEPER_DATABASE_URL; if it is that, restore the latest backup.",
        )


def why_not_made(url: str) -> str:
    """Why a database that is not there yet could not be made; empty when nothing that can be seen forbids it.

    Only making it would tell for sure: to root every directory looks writable, and a disk may be full.
    """
    path = _file_of(_parse(url))
    place = next(each for each in path.parents if os.path.exists(each))  # noqa: PTH110 - False where it may not be asked
    if not place.is_dir():
        return f"{place} is no directory"
    return "" if os.access(place, os.W_OK | os.X_OK) else f"{place} may not be written to"


def _prepare_file(path: Path) -> None:
    """Make directory and file before SQLite does: its own would be readable by everybody.

    The -wal and -shm files take the database's mode.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as file:
            _require_sqlite(path, file.read(len(_MAGIC)))
            if os.fstat(file.fileno()).st_mode & 0o077:
                os.fchmod(file.fileno(), 0o600)
    except OSError as error:
        raise StoreError(
            f"the database file {path} cannot be made: {error.strerror}",
            hint="Its directory must exist, belong to the bot's user and allow writing.",
        ) from error


def _set_up(pragmas: tuple[str, ...], connection: Any, _record: object) -> None:
    # Python's sqlite3 would begin transactions at times of its own choosing; `begin` does it here.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        for pragma in pragmas:
            cursor.execute(pragma)
    finally:
        cursor.close()


def _begin(connection: Connection) -> None:
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
