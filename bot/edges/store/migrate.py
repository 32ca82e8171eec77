"""Brings the database's tables to what this version needs, at every start."""

import sqlalchemy as sa
from sqlalchemy import Engine

from bot.edges.store.engine import reading
from bot.errors import StoreError

REVISIONS = ("0001",)
"""Of the scripts in `migrations`, oldest first; a test holds them. They are known here without loading alembic."""

_versions = sa.table("alembic_version", sa.column("version_num", sa.String))


def upgrade(engine: Engine) -> None:
    """Run the migrations that this database lacks, all in one transaction.

    Raises:
        StoreError: a newer version has been here, or the database cannot be written.
    """
    if _version(engine) != REVISIONS[-1]:
        # alembic and its template engine take a tenth of the start to load, and seldom have anything to do
        from bot.edges.store.scripts import run_scripts  # noqa: PLC0415

        run_scripts(engine)


def require_latest(engine: Engine) -> None:
    """For whoever only reads: nothing is changed.

    Raises:
        StoreError: the tables are not those of this version, or there are none.
    """
    found = _version(engine)
    if found != REVISIONS[-1]:
        had = f"tables of version {found}" if found else "no tables"
        raise StoreError(
            f"the database has {had}; this version reads {REVISIONS[-1]}",
            hint="`rootkeeper run` of this version makes them or brings them up to date.",
        )


def _version(engine: Engine) -> str | None:
    """Which of ours its tables are; None where there are none yet.

    Raises:
        StoreError: they are of none that this version knows, so a newer one made them.
    """
    with reading(engine) as connection:
        if not sa.inspect(connection).has_table(_versions.name):
            return None
        found: str | None = connection.execute(sa.select(_versions.c.version_num)).scalar()
    if found is not None and found not in REVISIONS:
        raise StoreError(
            f"the database has tables of version {found}; this version knows none after {REVISIONS[-1]}",
            hint="A newer Rootkeeper has used this database: run that version, or a newer one.",
        )
    return found
