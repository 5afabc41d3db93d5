"""The books: anchors and transfers in final blocks, and how far they are posted."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from adtally.storage.models import Anchor, Cursor, OutboxTransaction, Transfer
from adtally.storage.rows import AnchorRow, TransferKind, TransferRow
from adtally.types import Checkpoint, Hash

PAYMENTS = (
    TransferKind.CLAIM,
    TransferKind.CUT,
    TransferKind.REFUND,
    TransferKind.BOND_RELEASED,
)


async def add_anchor(session: AsyncSession, row: AnchorRow) -> None:
    """Post a final anchor. Each is posted once: the cursor moves in the same transaction."""
    session.add(
        Anchor(
            tree_size=row.checkpoint.tree_size,
            root_hash=row.checkpoint.root_hash,
            anchor_number=row.anchor_number,
            transaction_hash=row.transaction_hash,
            block_number=row.block_number,
            block_hash=row.block_hash,
        )
    )
    await session.flush()


async def list_anchors(session: AsyncSession) -> list[AnchorRow]:
    """Every final anchor, smallest tree first; gas where the transaction is one of ours."""
    query = (
        select(Anchor, OutboxTransaction.gas_used)
        .outerjoin(OutboxTransaction, OutboxTransaction.transaction_hash == Anchor.transaction_hash)
        .order_by(Anchor.tree_size)
    )
    return [_anchor(model, gas) for model, gas in await session.execute(query)]


async def latest_anchor(session: AsyncSession) -> AnchorRow | None:
    """The newest final anchor, None before the first."""
    query = select(Anchor).order_by(Anchor.tree_size.desc()).limit(1)
    model = (await session.scalars(query)).one_or_none()
    return None if model is None else _anchor(model, None)


async def first_anchor_from(session: AsyncSession, tree_size: int) -> AnchorRow | None:
    """The smallest final anchor of at least ``tree_size`` entries, None if there is none yet."""
    query = select(Anchor).where(Anchor.tree_size >= tree_size).order_by(Anchor.tree_size).limit(1)
    model = (await session.scalars(query)).one_or_none()
    return None if model is None else _anchor(model, None)


async def add_transfer(session: AsyncSession, row: TransferRow) -> None:
    """Post money that moved. Each log is posted once: the cursor moves in the same transaction."""
    session.add(
        Transfer(
            kind=row.kind.value,
            campaign=row.campaign,
            member=row.member,
            party=row.party,
            token=row.token,
            amount_base_units=row.amount_base_units,
            total_base_units=row.total_base_units,
            transaction_hash=row.transaction_hash,
            block_number=row.block_number,
            block_hash=row.block_hash,
            log_index=row.log_index,
        )
    )
    await session.flush()


async def list_transfers(
    session: AsyncSession,
    campaign: int | None = None,
    kinds: Collection[TransferKind] = tuple(TransferKind),
    first_block: int = 0,
) -> list[TransferRow]:
    """Transfers in chain order from ``first_block`` on, of one campaign or all."""
    query = (
        select(Transfer)
        .where(
            Transfer.kind.in_([kind.value for kind in kinds]),
            Transfer.block_number >= first_block,
        )
        .order_by(Transfer.block_number, Transfer.log_index)
    )
    if campaign is not None:
        query = query.where(Transfer.campaign == campaign)
    return [_transfer(model) for model in await session.scalars(query)]


async def list_payments(session: AsyncSession, campaign: int | None = None) -> list[TransferRow]:
    """What the escrow has paid out: claims, cuts, refunds and bonds, in chain order."""
    return await list_transfers(session, campaign, PAYMENTS)


async def get_cursor(session: AsyncSession, name: str) -> tuple[int, Hash] | None:
    """Number and hash of the block up to which ``name`` has worked, None before its start."""
    model = await session.get(Cursor, name)
    return None if model is None else (model.block_number, model.block_hash)


async def set_cursor(session: AsyncSession, name: str, number: int, block_hash: Hash) -> None:
    """Note that ``name`` has worked up to this block."""
    await session.merge(Cursor(name=name, block_number=number, block_hash=block_hash))
    await session.flush()


def _anchor(model: Anchor, gas_used: int | None) -> AnchorRow:
    return AnchorRow(
        Checkpoint(model.tree_size, model.root_hash),
        model.anchor_number,
        model.transaction_hash,
        model.block_number,
        model.block_hash,
        gas_used,
    )


def _transfer(model: Transfer) -> TransferRow:
    return TransferRow(
        kind=TransferKind(model.kind),
        campaign=model.campaign,
        member=model.member,
        party=model.party,
        token=model.token,
        amount_base_units=model.amount_base_units,
        total_base_units=model.total_base_units,
        transaction_hash=model.transaction_hash,
        block_number=model.block_number,
        block_hash=model.block_hash,
        log_index=model.log_index,
    )
