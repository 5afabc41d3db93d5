"""Opening the control database and its transactions.

SQLite by default, PostgreSQL by URL; the code above this file does not know which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

_WRITES = "adtally_writes"
_SQLITE_BUSY_TIMEOUT_MS = 30_000


class Database:
    """An engine and how transactions are opened on it.

    Args:
        url: an async SQLAlchemy URL, e.g. ``sqlite+aiosqlite:///var/control.db`` or
            ``postgresql+asyncpg://user@host/adtally``.
    """

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = create_async_engine(make_url(url))
        self._snapshots: dict[str, Any] = {}
        if self.engine.dialect.name == "sqlite":
            _prepare_sqlite(self.engine)
        else:
            self._snapshots["isolation_level"] = "REPEATABLE READ"
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session for reading: every query in it sees the same snapshot. Never committed."""
        async with self._sessions() as session:
            await session.connection(execution_options=self._snapshots)
            yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session for writing: committed on leaving the block, rolled back on any error.

        For the edge of the program only (jobs, API, the outbox's store): what it wraps is durable
        when the block has been left. Never wait for the network inside.
        """
        async with self._sessions() as session:
            await session.connection(execution_options={_WRITES: True})
            yield session
            await session.commit()

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


def _prepare_sqlite(engine: AsyncEngine) -> None:
    """WAL, full durability, foreign keys, and transactions that lock when they begin to write.

    A transaction that first reads and then writes could otherwise fail in the middle, because
    another one has written since (SQLITE_BUSY_SNAPSHOT).
    """

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        # The driver must not open transactions by itself; _began does.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute(f"PRAGMA busy_timeout={_SQLITE_BUSY_TIMEOUT_MS}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _began(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
