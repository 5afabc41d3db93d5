"""Alembic migrations of the control database; ``upgrade`` runs them at start."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from adtally.storage.database import Database


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; there is no ini file.

    A new migration is drafted by ``alembic.command.revision(config(connection), message=...,
    rev_id="v0002", autogenerate=True)`` on the connection of an upgraded database.
    """
    made = Config()
    made.set_main_option("script_location", "adtally.storage:migrations")
    made.set_main_option("path_separator", "os")
    if connection is not None:
        made.attributes["connection"] = connection
    return made


async def upgrade(database: Database, revision: str = "head") -> None:
    """Bring the schema up to date; does nothing when it is."""
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.upgrade(config(sync), revision))


async def downgrade(database: Database, revision: str = "base") -> None:
    """Take the schema back; loses what the dropped columns and tables hold."""
    async with database.engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(config(sync), revision))
