"""Transactions: what is left without error is there, all else is not."""

from __future__ import annotations

import asyncio

import pytest

from adtally.storage.database import Database
from adtally.storage.repositories import ledger


@pytest.mark.asyncio
async def test_transaction__block_raises__nothing_is_kept(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            await ledger.set_cursor(session, "books", 7, bytes(32))
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await fail()
    async with database.session() as session:
        assert await ledger.get_cursor(session, "books") is None


@pytest.mark.asyncio
async def test_session__never_commits(database: Database) -> None:
    async with database.session() as session:
        await ledger.set_cursor(session, "books", 7, bytes(32))
    async with database.session() as session:
        assert await ledger.get_cursor(session, "books") is None


@pytest.mark.asyncio
async def test_session__written_to_by_others_meanwhile__sees_one_snapshot(
    database: Database,
) -> None:
    async with database.transaction() as session:
        await ledger.set_cursor(session, "books", 1, bytes(32))
    async with database.session() as reader:
        assert await ledger.get_cursor(reader, "books") == (1, bytes(32))
        async with database.transaction() as writer:
            await ledger.set_cursor(writer, "books", 2, bytes(32))
        reader.expire_all()
        assert await ledger.get_cursor(reader, "books") == (1, bytes(32))


@pytest.mark.asyncio
async def test_transactions__twenty_at_once__all_commit(database: Database) -> None:
    async def write(number: int) -> None:
        async with database.transaction() as session:
            await ledger.get_cursor(session, f"c{number}")
            await asyncio.sleep(0)
            await ledger.set_cursor(session, f"c{number}", number, bytes(32))

    await asyncio.gather(*(write(number) for number in range(20)))
    async with database.session() as session:
        for number in range(20):
            assert await ledger.get_cursor(session, f"c{number}") == (number, bytes(32))
