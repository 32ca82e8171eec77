"""Brings the database's tables to what this version needs, at every start."""

import sqlalchemy as sa
from sqlalchemy import Engine

from bot.edges.store.engine import reading
from bot.errors import StoreError

LATEST = "0001"
"""The revision of the newest script in `migrations`; a test holds it."""

_versions = sa.table("alembic_version", sa.column("version_num", sa.String))


def upgrade(engine: Engine) -> None:
    """Run the migrations that this database lacks, all in one transaction.

    Raises:
        StoreError: a newer version has been here, or the database cannot be written.
    """
    if _version(engine) != LATEST:
        # alembic and its template engine take a tenth of the start to load, and seldom have anything to do
        from bot.edges.store.scripts import run_scripts  # noqa: PLC0415

        run_scripts(engine)


def require_latest(engine: Engine) -> None:
    """For whoever only reads: nothing is changed.

    Raises:
        StoreError: the tables are not those of this version, or there are none.
    """
    found = _version(engine)
    if found != LATEST:
        raise StoreError(
            f"the database has {f'tables of version {found}' if found else 'no tables'}; this version reads {LATEST}",
            hint="`rootkeeper run` of this version makes them or brings them up to date.",
        )


def _version(engine: Engine) -> str | None:
    """None where there are no tables yet."""
    with reading(engine) as connection:
        if not sa.inspect(connection).has_table(_versions.name):
            return None
        return connection.execute(sa.select(_versions.c.version_num)).scalar()
