"""Run by Alembic: works on the connection that ``adtally.storage.migrations`` hands over."""

from __future__ import annotations

from alembic import context

from adtally.storage.models import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # SQLite can't alter a constraint in place: Alembic copies the table instead.
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
