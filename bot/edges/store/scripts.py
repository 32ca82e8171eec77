"""Runs the scripts in `migrations`. The one file that knows alembic; `migrate` loads it when there is one to run."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from bot.edges.store.engine import writing

MIGRATIONS = Path(__file__).parent / "migrations"


def run_scripts(engine: Engine) -> None:
    """Run the migrations that this database lacks, all in one transaction.

    Two processes that start at once do it one after the other, and the second finds nothing to do.

    Raises:
        StoreError: the database cannot be written.
    """
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with writing(engine) as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
