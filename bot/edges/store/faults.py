"""The database's exceptions as ours: what happened, what to do, when to try again.

No message repeats a statement's parameters: they may be anything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bot.errors import StoreError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fault:
    message: str
    hint: str = ""
    retry_after: timedelta | None = None


_SOON = timedelta(seconds=2)
"""A lock is held for milliseconds; longer than busy_timeout means that somebody sits on it."""
_LATER = timedelta(minutes=1)
"""A disk needs a person."""

_LOCKED = _Fault(
    message="the database is locked by another process",
    hint="Only one Rootkeeper may run on a SQLite file; look for a second one, or for an open sqlite3 shell.",
    retry_after=_SOON,
)
_CORRUPT = _Fault(
    message="the database file is damaged",
    hint="Stop the bot, keep the file, restore the latest backup, then run `rootkeeper audit`.",
)

_SQLITE = {
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_FULL": _Fault(
        message="the database's disk is full",
        hint="Free space on the volume that holds the database. Nothing was written.",
        retry_after=_LATER,
    ),
    "SQLITE_IOERR": _Fault(
        message="the database's disk failed to read or write",
        hint="Look at the volume and the node's kernel log. Nothing was written.",
        retry_after=_LATER,
    ),
    "SQLITE_READONLY": _Fault(
        message="the database file cannot be written",
        hint="The file and its directory must belong to the bot's user, on a volume mounted read-write.",
    ),
    "SQLITE_READONLY_ROLLBACK": _Fault(
        message="whoever wrote the database last was cut off, and only a writer can set that right",
        hint="Start the bot: it does so by opening the file. Of a copy, keep one untouched.",
    ),
    "SQLITE_CANTOPEN": _Fault(
        message="the database file, or what SQLite keeps beside it, cannot be opened",
        hint="Run this as the bot's user; the file's directory must exist, belong to that user and allow writing.",
    ),
    "SQLITE_CORRUPT": _CORRUPT,
    "SQLITE_NOTADB": _CORRUPT,
}

_CONTRADICTION = _Fault(
    message="the database refused a row that contradicts another",
    hint="Run `rootkeeper audit`: it says whether the record was changed from outside.",
)
_BUSY_POOL = _Fault(message="every database connection is in use", retry_after=_SOON)


@contextmanager
def translated() -> Iterator[None]:
    """Let the database's errors out as StoreError only."""
    try:
        yield
    except SQLAlchemyError as error:
        if isinstance(error, StatementError) and not isinstance(error, DBAPIError):
            raise  # a value that no column takes: a bug, not the database's fault
        fault = _fault(error)
        raise StoreError(fault.message, hint=fault.hint, retry_after=fault.retry_after) from error


def _fault(error: SQLAlchemyError) -> _Fault:
    match error:
        case IntegrityError():
            return _CONTRADICTION
        case PoolTimeout():
            return _BUSY_POOL
        case DBAPIError(orig=cause):
            return _sqlite_fault(cause) or _Fault(message=f"the database failed: {cause}")
        case _:
            return _Fault(message=f"the database could not be used: {type(error).__name__}")


def _sqlite_fault(cause: BaseException | None) -> _Fault | None:
    """By SQLite's code, or the primary part of it: SQLITE_IOERR_WRITE is an SQLITE_IOERR."""
    name: str = getattr(cause, "sqlite_errorname", "") or ""
    return _SQLITE.get(name) or _SQLITE.get("_".join(name.split("_")[:2]))
