"""The stores of outbox and watcher, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adtally.errors import NotFound
from adtally.storage.database import Database
from adtally.storage.repositories import outbox
from adtally.storage.stores import SqlOutboxStore, SqlWatcherStore
from adtally.types import Attempt, BlockStamp, ChainLog, NewTransaction, OutboxState

SENDER = b"\x01" * 20


def _new(key: str, sender: bytes = SENDER) -> NewTransaction:
    return NewTransaction(key, "anchor 7", sender, b"\x02" * 20, b"\xab\xcd", None, 1_000)


def _attempt(nonce: int, fee: int) -> Attempt:
    return Attempt(nonce, fee, 2**100, b"raw" + bytes([nonce]), bytes([nonce]) * 32, 5)


def _log(block: int, index: int, fork: int = 0) -> ChainLog:
    block_hash = bytes([fork, block]) * 16
    topics = (b"\x11" * 32, b"\x22" * 32)
    return ChainLog(block, block_hash, b"\x33" * 32, index, b"\x44" * 20, topics, b"data")


def _stamp(block: int, fork: int = 0) -> BlockStamp:
    return BlockStamp(block, bytes([fork, block]) * 16, 1_700_000_000 + block)


@pytest.mark.asyncio
async def test_outbox_store__same_effect_twice__is_one_row(database: Database) -> None:
    store = SqlOutboxStore(database)
    first = await store.add(_new("anchor:0:7"))
    again = await store.add(replace(_new("anchor:0:7"), data=b"other"))
    assert again == first
    assert first.state is OutboxState.QUEUED
    assert await store.find("anchor:0:7") == first == await store.get(first.id)
    assert await store.find("anchor:7:9") is None
    assert await store.get(first.id + 1) is None


@pytest.mark.asyncio
async def test_outbox_store__same_effect_twenty_times_at_once__is_one_row(
    database: Database,
) -> None:
    store = SqlOutboxStore(database)
    rows = await asyncio.gather(*(store.add(_new("settle:1:1")) for _ in range(20)))
    assert len({row.id for row in rows}) == 1


@pytest.mark.asyncio
async def test_outbox_store__saved_row__comes_back_with_attempts_in_order(
    database: Database,
) -> None:
    store = SqlOutboxStore(database)
    row = await store.add(_new("a"))
    fees = (2**127, 2**128 - 1, 1)
    for upto in range(1, 4):
        attempts = tuple(_attempt(n, fees[n]) for n in range(upto))
        row = replace(row, state=OutboxState.SUBMITTED, attempts=attempts, gas=21_000)
        await store.save(row)
        assert await store.get(row.id) == row
    row = replace(row, attempts=(_attempt(2, 9), replace(_attempt(1, 5), is_filler=True)))
    row = replace(row, state=OutboxState.MINED, block_number=5, block_hash=b"\x05" * 32)
    row = replace(row, transaction_hash=b"\x01" * 32, gas_used=50_000, error="slow")
    await store.save(row)
    assert await store.get(row.id) == row


@pytest.mark.asyncio
async def test_outbox_store__save_of_an_unknown_row__is_refused(database: Database) -> None:
    store = SqlOutboxStore(database)
    row = await store.add(_new("a"))
    with pytest.raises(NotFound):
        await store.save(replace(row, id=row.id + 1))


@pytest.mark.asyncio
async def test_outbox_store__open_rows__are_the_senders_unfinished_ones_in_order(
    database: Database,
) -> None:
    store = SqlOutboxStore(database)
    rows = [await store.add(_new(f"k{number}")) for number in range(5)]
    await store.add(_new("other", b"\x09" * 20))
    for row, state in zip(rows, OutboxState, strict=True):
        await store.save(replace(row, state=state))
    assert [row.effect_key for row in await store.open_rows(SENDER)] == ["k0", "k1", "k2"]
    async with database.session() as session:
        newest = await outbox.list_transactions(session, limit=2)
        older = await outbox.list_transactions(session, before_id=newest[-1].id)
        failed = await outbox.list_transactions(session, [OutboxState.FAILED])
    assert [row.effect_key for row in newest + older] == ["other", "k4", "k3", "k2", "k1", "k0"]
    assert [row.effect_key for row in failed] == ["k4"]


@pytest.mark.asyncio
async def test_watcher_store__stamps_and_logs__come_back_in_order(database: Database) -> None:
    store = SqlWatcherStore(database)
    await store.replace_after(-1, _stamp(3), [_log(3, 1), _log(2, 0), _log(3, 0)])
    await store.replace_after(3, _stamp(6), [_log(5, 4)])
    assert await store.stamps(5) == [_stamp(6), _stamp(3)]
    assert await store.stamps(1) == [_stamp(6)]
    assert await store.logs(0, 10) == [_log(2, 0), _log(3, 0), _log(3, 1), _log(5, 4)]
    assert await store.logs(3, 4) == [_log(3, 0), _log(3, 1)]


@pytest.mark.asyncio
async def test_watcher_store__reorg__replaces_everything_above(database: Database) -> None:
    store = SqlWatcherStore(database)
    await store.replace_after(-1, _stamp(3), [_log(3, 0)])
    await store.replace_after(3, _stamp(5), [_log(4, 0), _log(5, 0)])
    await store.replace_after(3, _stamp(6, fork=1), [_log(5, 0, fork=1)])
    assert await store.stamps(9) == [_stamp(6, fork=1), _stamp(3)]
    assert await store.logs(0, 9) == [_log(3, 0), _log(5, 0, fork=1)]
