"""Block stamps and chain logs, as the watcher has seen them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from adtally.storage.models import ChainBlock, ChainLogRow
from adtally.types import BlockStamp, ChainLog

_TOPIC_SIZE = 32


async def latest_stamps(session: AsyncSession, limit: int) -> list[BlockStamp]:
    """The newest ``limit`` stamps, newest first."""
    query = select(ChainBlock).order_by(ChainBlock.number.desc()).limit(limit)
    return [
        BlockStamp(model.number, model.hash, model.timestamp_seconds)
        for model in await session.scalars(query)
    ]


async def replace_after(
    session: AsyncSession, number: int, stamp: BlockStamp, logs: Sequence[ChainLog]
) -> None:
    """Delete stamps and logs of blocks above ``number``, then add these."""
    await session.execute(delete(ChainLogRow).where(ChainLogRow.block_number > number))
    await session.execute(delete(ChainBlock).where(ChainBlock.number > number))
    session.add(
        ChainBlock(number=stamp.number, hash=stamp.hash, timestamp_seconds=stamp.timestamp_seconds)
    )
    session.add_all(
        ChainLogRow(
            block_hash=log.block_hash,
            log_index=log.log_index,
            block_number=log.block_number,
            transaction_hash=log.transaction_hash,
            address=log.address,
            topics=b"".join(log.topics),
            data=log.data,
        )
        for log in logs
    )
    await session.flush()


async def list_logs(session: AsyncSession, first: int, last: int) -> list[ChainLog]:
    """Stored logs of blocks ``first`` to ``last``, by block number, then log index."""
    query = (
        select(ChainLogRow)
        .where(ChainLogRow.block_number >= first, ChainLogRow.block_number <= last)
        .order_by(ChainLogRow.block_number, ChainLogRow.log_index)
    )
    return [
        ChainLog(
            block_number=model.block_number,
            block_hash=model.block_hash,
            transaction_hash=model.transaction_hash,
            log_index=model.log_index,
            address=model.address,
            topics=tuple(
                model.topics[at : at + _TOPIC_SIZE]
                for at in range(0, len(model.topics), _TOPIC_SIZE)
            ),
            data=model.data,
        )
        for model in await session.scalars(query)
    ]
