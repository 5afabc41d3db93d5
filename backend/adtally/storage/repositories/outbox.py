"""Outbox rows with their attempts."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from adtally.errors import NotFound
from adtally.storage.models import OutboxAttempt, OutboxTransaction
from adtally.types import Address, Attempt, NewTransaction, OutboxRow, OutboxState

OPEN_STATES = (OutboxState.QUEUED, OutboxState.SUBMITTED, OutboxState.MINED)


async def add_transaction(session: AsyncSession, new: NewTransaction) -> OutboxRow:
    """Insert a queued row, or return the existing one with the same effect key."""
    existing = await find_transaction(session, new.effect_key)
    if existing is not None:
        return existing
    model = OutboxTransaction(
        effect_key=new.effect_key,
        purpose=new.purpose,
        sender=new.sender,
        to=new.to,
        data=new.data,
        gas=new.gas,
        created_at_ms=new.created_at_ms,
        state=OutboxState.QUEUED.value,
        attempts=[],
    )
    try:
        async with session.begin_nested():
            session.add(model)
    except IntegrityError:
        # Another connection has just added it.
        added = await find_transaction(session, new.effect_key)
        if added is None:
            raise
        return added
    return _row(model)


async def get_transaction(session: AsyncSession, row_id: int) -> OutboxRow | None:
    """The row, None if there is none."""
    model = await session.get(OutboxTransaction, row_id)
    return None if model is None else _row(model)


async def find_transaction(session: AsyncSession, effect_key: str) -> OutboxRow | None:
    """The row with this effect key, None if there is none."""
    query = select(OutboxTransaction).where(OutboxTransaction.effect_key == effect_key)
    model = (await session.scalars(query)).one_or_none()
    return None if model is None else _row(model)


async def open_transactions(session: AsyncSession, sender: Address) -> list[OutboxRow]:
    """The sender's queued, submitted and mined rows, in order of id."""
    query = (
        select(OutboxTransaction)
        .where(
            OutboxTransaction.sender == sender,
            OutboxTransaction.state.in_([state.value for state in OPEN_STATES]),
        )
        .order_by(OutboxTransaction.id)
    )
    return [_row(model) for model in await session.scalars(query)]


async def save_transaction(session: AsyncSession, row: OutboxRow) -> None:
    """Overwrite what can change in the row with this id, attempts included.

    Raises:
        NotFound: there is no such row.
    """
    model = await session.get(OutboxTransaction, row.id)
    if model is None:
        raise NotFound("no such outbox row", field="id", found=str(row.id))
    # A failed row may be queued anew with another call.
    model.to = row.to
    model.data = row.data
    model.gas = row.gas
    model.state = row.state.value
    model.transaction_hash = row.transaction_hash
    model.block_number = row.block_number
    model.block_hash = row.block_hash
    model.gas_used = row.gas_used
    model.error = row.error
    kept = tuple(_attempt(attempt) for attempt in model.attempts)
    if kept != row.attempts[: len(kept)]:
        model.attempts.clear()
        await session.flush()
        kept = ()
    model.attempts.extend(_new_attempts(row)[len(kept) :])
    await session.flush()


async def list_transactions(
    session: AsyncSession,
    states: Collection[OutboxState] = tuple(OutboxState),
    limit: int = 1_000,
    before_id: int | None = None,
) -> list[OutboxRow]:
    """Rows in the given states, newest first; page on with ``before_id``."""
    query = (
        select(OutboxTransaction)
        .where(OutboxTransaction.state.in_([state.value for state in states]))
        .order_by(OutboxTransaction.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(OutboxTransaction.id < before_id)
    return [_row(model) for model in await session.scalars(query)]


def _new_attempts(row: OutboxRow) -> list[OutboxAttempt]:
    return [
        OutboxAttempt(
            position=position,
            nonce=attempt.nonce,
            max_fee_wei=attempt.max_fee_wei,
            priority_fee_wei=attempt.priority_fee_wei,
            raw=attempt.raw,
            hash=attempt.hash,
            signed_at_ms=attempt.signed_at_ms,
            is_filler=attempt.is_filler,
        )
        for position, attempt in enumerate(row.attempts)
    ]


def _attempt(model: OutboxAttempt) -> Attempt:
    return Attempt(
        nonce=model.nonce,
        max_fee_wei=model.max_fee_wei,
        priority_fee_wei=model.priority_fee_wei,
        raw=model.raw,
        hash=model.hash,
        signed_at_ms=model.signed_at_ms,
        is_filler=model.is_filler,
    )


def _row(model: OutboxTransaction) -> OutboxRow:
    return OutboxRow(
        id=model.id,
        effect_key=model.effect_key,
        purpose=model.purpose,
        sender=model.sender,
        to=model.to,
        data=model.data,
        gas=model.gas,
        created_at_ms=model.created_at_ms,
        state=OutboxState(model.state),
        attempts=tuple(_attempt(attempt) for attempt in model.attempts),
        transaction_hash=model.transaction_hash,
        block_number=model.block_number,
        block_hash=model.block_hash,
        gas_used=model.gas_used,
        error=model.error,
    )
