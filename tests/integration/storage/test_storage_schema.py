"""Models and migrations describe the same schema, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from adtally.storage.database import Database
from adtally.storage.migrations import downgrade, upgrade
from adtally.storage.models import Base


def _described(connection: Connection) -> dict[str, Any]:
    inspector = inspect(connection)
    return {
        table: {
            "columns": {
                column["name"]: (str(column["type"]), column["nullable"])
                for column in inspector.get_columns(table)
            },
            "key": inspector.get_pk_constraint(table),
            "foreign": inspector.get_foreign_keys(table),
            "unique": inspector.get_unique_constraints(table),
            "indexes": inspector.get_indexes(table),
            "checks": inspector.get_check_constraints(table),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


@pytest.mark.asyncio
async def test_migrations__upgraded__autogenerate_finds_nothing_to_do(database: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.asyncio
async def test_migrations__upgraded__same_schema_as_the_models_create(
    empty_database: Database,
) -> None:
    async with empty_database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        created = await connection.run_sync(_described)
        await connection.run_sync(Base.metadata.drop_all)
    await upgrade(empty_database)
    async with empty_database.engine.connect() as connection:
        assert await connection.run_sync(_described) == created


@pytest.mark.asyncio
async def test_migrations__run_again_and_taken_back__change_nothing_and_leave_nothing(
    database: Database,
) -> None:
    await upgrade(database)
    await downgrade(database)
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_described) == {}
    await upgrade(database)
