"""Is it already done? One check per purpose, asked before every send, pinned to a block.

An effect counts whoever brought it about: anyone may submit an anchor, a statement or a claim.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from adtally.chain.abi import Function
from adtally.chain.connection import Chain
from adtally.chain.contracts import campaign_escrow, event_log
from adtally.chain.contracts.campaign_escrow import CampaignEscrow
from adtally.chain.contracts.event_log import EventLog
from adtally.errors import ChainReverted
from adtally.types import BlockStamp, OutboxRow

Effect = Callable[[OutboxRow, BlockStamp], Awaitable[bool]]
"""Whether what the row wants stands at the block. Must read at that block only."""

ANCHOR = "anchor"
SETTLE = "settle"
CLAIM = "claim"
PAY_CUT = "pay_cut"


def standard_effects(log: EventLog, escrow: CampaignEscrow) -> Mapping[str, Effect]:
    """Checks for the purposes ANCHOR, SETTLE, CLAIM (``claimMany``) and PAY_CUT."""

    async def anchored(row: OutboxRow, at: BlockStamp) -> bool:
        size: int = event_log.ANCHOR.decode_arguments(row.data)[1][0]
        return await log.head_size(at) >= size

    async def settled(row: OutboxRow, at: BlockStamp) -> bool:
        statement = campaign_escrow.SETTLE.decode_arguments(row.data)[0]
        campaign, sequence = statement[0], statement[1]
        try:
            latest = (await escrow.campaign(campaign, at)).latest
        except ChainReverted:
            return False  # a reorg removed even the campaign
        return latest.sequence >= int(sequence)

    async def claimed(row: OutboxRow, at: BlockStamp) -> bool:
        claim, claim_many = campaign_escrow.CLAIM, campaign_escrow.CLAIM_MANY
        campaign, _, node_proof, lines = claim_many.decode_arguments(row.data)
        for publisher, counts, proof in lines:
            line = (publisher, counts, [*proof, *node_proof])
            if not await _pays_nothing(escrow.chain, row, at, claim, campaign, line):
                return False
        return True

    async def cut_paid(row: OutboxRow, at: BlockStamp) -> bool:
        arguments = campaign_escrow.PAY_CUT.decode_arguments(row.data)
        return await _pays_nothing(escrow.chain, row, at, campaign_escrow.PAY_CUT, *arguments)

    return {ANCHOR: anchored, SETTLE: settled, CLAIM: claimed, PAY_CUT: cut_paid}


async def _pays_nothing(
    chain: Chain, row: OutboxRow, at: BlockStamp, function: Function, *arguments: Any
) -> bool:
    """Whether the payment would succeed with amount 0.

    The views ``claimable`` and ``cutPayable`` also answer 0 when nothing is active yet or the
    line is not proven; a dry run of the payment reverts then, which is not "already paid".
    """
    try:
        answer = await chain.call(row.to, function.encode(*arguments), at, sender=row.sender)
    except ChainReverted:
        return False
    return int(function.decode(answer)) == 0
