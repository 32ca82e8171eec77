"""What alembic runs around the scripts: they work on the connection that `migrate` hands over.

To make a new script, hand one over in the same way and call `alembic.command.revision` with
`autogenerate=True`.
"""

from alembic import context

from bot.edges.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter a column: the table is copied
)
with context.begin_transaction():
    context.run_migrations()
