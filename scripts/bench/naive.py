"""The naive way: FastAPI, a Pydantic model and an ORM row in SQLite for each event.

No signature, no verdict, no log, no proof; a commit a request, as durable as SQLite's WAL with
``synchronous=FULL`` is.

    python -m scripts.bench.naive DIRECTORY CPU
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvloop
from fastapi import FastAPI
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, String, event
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .serving import serve_on_free_port


class Base(DeclarativeBase):
    """Tables."""


class EventRow(Base):
    """One event."""

    __tablename__ = "events"
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    type: Mapped[str] = mapped_column(String(12))
    campaign: Mapped[int] = mapped_column(BigInteger)
    publisher: Mapped[int] = mapped_column(BigInteger)
    placement: Mapped[int] = mapped_column(BigInteger)
    creative: Mapped[int] = mapped_column(BigInteger)
    occurred_at_ms: Mapped[int] = mapped_column(BigInteger)
    country: Mapped[str] = mapped_column(String(2))


class EventIn(BaseModel):
    """One event as it is sent."""

    id: str
    type: str
    campaign: int = Field(ge=0)
    publisher: int = Field(ge=0)
    placement: int = Field(ge=0)
    creative: int = Field(ge=0)
    occurred_at_ms: int = Field(ge=0)
    country: str = "ZZ"


class BatchIn(BaseModel):
    """What is left of a batch without signatures."""

    events: list[EventIn]


@event.listens_for(Engine, "connect")
def _durable(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


async def serve(directory: Path) -> None:
    """Run on a free port, which is printed."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{directory / 'naive.sqlite3'}")
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    application = FastAPI()

    @application.post("/v1/batches")
    async def post(batch: BatchIn) -> dict[str, int]:
        async with AsyncSession(engine) as session:
            session.add_all(EventRow(**each.model_dump()) for each in batch.events)
            await session.commit()
        return {"count": len(batch.events)}

    await serve_on_free_port(application)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[2])})
    uvloop.run(serve(Path(sys.argv[1])))
