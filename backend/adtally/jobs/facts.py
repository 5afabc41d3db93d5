"""Enters what final blocks say, and the passing of time, into the log."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from adtally.events.facts import (
    ChainFacts,
    ContractCode,
    FactLog,
    TimeFacts,
    split_chain_facts,
)
from adtally.jobs.context import JobContext
from adtally.jobs.decisions import is_objectable
from adtally.settlement.machine import LogMachine
from adtally.storage.repositories import ledger, statements
from adtally.types import BlockStamp, Hash
from adtally.verification.fact_state import CampaignFacts
from adtally.verification.facts_check import watched_logs

logger = logging.getLogger(__name__)


CURSOR = "facts"


class FactsJob:
    """One round enters all final blocks since the last one entered, if they say anything.

    How far the log has got is read from the log itself, so a round that is killed at any point is
    simply done again. Blocks without a watched log are left to the next range: otherwise every
    anchor's block would be a new entry, which would have to be anchored again, for ever. A cursor
    remembers how far they have been looked through.
    """

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._codes = {
            context.membership.address: ContractCode.MEMBERSHIP,
            context.escrow.address: ContractCode.CAMPAIGN_ESCROW,
        }

    async def run(self) -> None:
        """Raises ChainUnavailable or Reorged when the chain can't be read now."""
        await self._enter_time()
        while await self._enter_range():
            pass

    async def _enter_range(self) -> bool:
        """Look through the next range of final blocks; False if there is none."""
        after, after_hash = await self._looked_through()
        blocks = await self._context.watcher.final_range(after, after_hash)
        if blocks is None:
            return False
        logs = watched_logs(blocks.logs, self._codes)
        if logs:
            await self._enter(blocks.last, logs)
        async with self._context.database.transaction() as session:
            await ledger.set_cursor(session, CURSOR, blocks.last.number, blocks.last.hash)
        return True

    async def _looked_through(self) -> tuple[int, Hash | None]:
        async with self._context.database.session() as session:
            cursor = await ledger.get_cursor(session, CURSOR)
        entered = self._next_block() - 1
        return (entered, None) if cursor is None or cursor[0] < entered else cursor

    async def _enter(self, last: BlockStamp, logs: tuple[FactLog, ...]) -> None:
        first = self._next_block()

        def make(recorded_at_ms: int) -> Sequence[ChainFacts]:
            if self._next_block() != first:
                return []
            return split_chain_facts(_chain_facts(recorded_at_ms, first, last, logs))

        size = await self._context.sequencer.enter_facts(make)
        logger.info(
            "entered %d chain logs of blocks %d to %d, tree size %d",
            len(logs),
            first,
            last.number,
            size,
        )

    def _next_block(self) -> int:
        last = self._context.sequencer.machine.facts.last_block
        return self._context.first_block if last is None else last + 1

    async def _enter_time(self) -> None:
        """Let the log itself show that a campaign may end, if nothing else will."""
        async with self._context.database.session() as session:
            latest = await statements.latest_statements(session)
        closed = {number for number, row in latest.items() if row.is_last}
        machine = self._context.sequencer.machine

        def make(recorded_at_ms: int) -> Sequence[TimeFacts]:
            ended = ends_unseen(machine, closed, recorded_at_ms)
            return [TimeFacts(recorded_at_ms)] if ended else []

        if ends_unseen(machine, closed, self._context.clock.now_ms()):
            await self._context.sequencer.enter_facts(make)


def ends_unseen(machine: LogMachine, closed: Collection[int], now_ms: int) -> list[int]:
    """Funded campaigns that are complete or may be final by the clock, but not yet by anything in
    the log.

    Args:
        closed: campaigns whose last statement is drafted.
    """
    return [
        campaign.id
        for campaign in machine.facts.campaigns.values()
        if campaign.id not in closed
        and campaign.funded_base_units > 0
        and any(
            machine.last_received_at_ms < moment * 1000 <= now_ms for moment in _moments(campaign)
        )
    ]


def _moments(campaign: CampaignFacts) -> list[int]:
    """Seconds in which a statement may become due without any further event."""
    if is_objectable(campaign.terms):
        return [campaign.counts_until_seconds, campaign.final_from_seconds]
    return [campaign.final_from_seconds]


def _chain_facts(
    recorded_at_ms: int, first: int, final: BlockStamp, logs: tuple[FactLog, ...]
) -> ChainFacts:
    return ChainFacts(
        recorded_at_ms=recorded_at_ms,
        first_block=first,
        last_block=final.number,
        last_block_hash=final.hash,
        last_block_timestamp_seconds=final.timestamp_seconds,
        logs=logs,
    )
