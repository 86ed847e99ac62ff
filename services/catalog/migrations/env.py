"""Alembic's entry: runs revisions on the connection that `services.catalog.migrate` holds the lock on."""

from alembic import context

from services.catalog.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
