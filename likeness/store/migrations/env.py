"""Run by alembic, with the connection that `database.py` hands over."""

from alembic import context

from likeness.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Table.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
