"""Asking the outbox for an effect, also when it has failed before."""

from __future__ import annotations

import logging

from adtally.chain.abi import Call
from adtally.jobs.context import JobContext
from adtally.storage.repositories import outbox
from adtally.types import OutboxState

logger = logging.getLogger(__name__)

_UNMINED = (OutboxState.QUEUED, OutboxState.SUBMITTED)


async def bring_about(
    context: JobContext, effect_key: str, purpose: str, call: Call, gas: int | None = None
) -> None:
    """Enqueue a call whose effect is due now; one that was refused earlier is tried anew.

    Call it only when every precondition was just seen to hold on chain: what the contract
    refuses then was refused because of something that has changed since.
    """
    row_id = await context.outbox.enqueue(effect_key, purpose, call, gas)
    async with context.database.session() as session:
        row = await outbox.get_transaction(session, row_id)
    if row is not None and row.state is OutboxState.FAILED:
        logger.warning("%s failed (%s); it is queued anew", effect_key, row.error)
        await context.outbox.retry(row_id, call, gas)


async def has_unmined(context: JobContext, purpose: str) -> bool:
    """Whether a transaction for this purpose is queued or on its way."""
    async with context.database.session() as session:
        rows = await outbox.open_transactions(session, context.outbox.sender)
    return any(row.purpose == purpose and row.state in _UNMINED for row in rows)
