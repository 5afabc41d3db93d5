"""Drafts statements when they are due, and settles those that are signed and anchored."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from adtally.chain import effects
from adtally.chain.contracts.campaign_escrow import CampaignView
from adtally.errors import InvariantBroken
from adtally.jobs.context import JobContext
from adtally.jobs.decisions import (
    CampaignProgress,
    Totals,
    draft_reason,
    is_last_call,
    latest_fall_seconds,
)
from adtally.jobs.requests import find_quorum
from adtally.jobs.sending import bring_about
from adtally.settlement.machine import LogMachine
from adtally.storage.repositories import attestations, blocks, statements
from adtally.storage.rows import DraftReason, StatementRow
from adtally.types import BlockStamp, Line, Statement

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement that is due, at the log's size at that moment."""

    statement: Statement
    lines: list[Line]
    reason: DraftReason
    attestor_set: int


class SettleJob:
    """One round drafts what is due and enqueues what may be settled.

    A draft is stored with its lines and its requests in one transaction; a round that is killed
    before has asked nobody anything. After that, campaign and sequence stand for these very
    lines for ever.
    """

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._told: set[tuple[int, int]] = set()

    async def run(self) -> None:
        """Raises ChainUnavailable when the chain can't be read now (drafts are made anyway).

        Raises:
            InvariantBroken: the log's own attestors let the chain settle another statement under
                the same sequence.
        """
        await self._draft()
        await self._submit()

    async def _draft(self) -> None:
        book, now_ms = self._context.requests, self._context.clock.now_ms()
        async with book.lock:
            async with self._context.database.session() as session:
                latest = await statements.latest_statements(session)
                stamps = await blocks.latest_stamps(session, 1)
            # A virtual clock may stand still while the chain's blocks go on by a second each.
            chain_ms = stamps[0].timestamp_seconds * 1000 if stamps else 0
            drafts = await self._context.sequencer.read(
                lambda machine: due_drafts(machine, latest, max(now_ms, chain_ms))
            )
            if not drafts:
                return
            checkpoint = self._context.sequencer.checkpoint(drafts[0].statement.tree_size)
            async with self._context.database.transaction() as session:
                await book.ask_checkpoint(session, checkpoint, now_ms)
                for draft in drafts:
                    await statements.add_statement(
                        session, draft.statement, draft.lines, draft.reason, now_ms
                    )
                    await book.ask_statement(
                        session, draft.statement, checkpoint, draft.attestor_set, now_ms
                    )
        for draft in drafts:
            _log_draft(draft)

    async def _submit(self) -> None:
        async with self._context.database.session() as session:
            waiting = await statements.unsettled_statements(session)
        if not waiting:
            return
        latest = await self._context.chain.latest()
        head_size = await self._context.event_log.head_size(latest)
        for row in waiting:
            if row.statement.tree_size <= head_size:
                await self._submit_one(row.statement, latest)

    async def _submit_one(self, statement: Statement, latest: BlockStamp) -> None:
        """Enqueue a statement whose tree is anchored, if it is signed and the next in line."""
        subject = f"statement:{statement.campaign}:{statement.sequence}"
        async with self._context.database.session() as session:
            request = await attestations.find_request(session, subject)
            quorum = None if request is None else await find_quorum(session, request)
        if request is None or quorum is None:
            return
        view = await self._context.escrow.campaign(statement.campaign, latest)
        if view.latest.sequence >= statement.sequence:
            if (
                view.latest.sequence == statement.sequence
                and view.latest.lines_root != statement.lines_root
                and request.attestor_set == self._context.log_attestor_set
            ):
                raise InvariantBroken(
                    f"campaign {statement.campaign} has another statement {statement.sequence} "
                    f"on chain: lines root {view.latest.lines_root.hex()}, drafted "
                    f"{statement.lines_root.hex()}"
                )
            return
        if self._is_early(statement, view, latest) or self._is_too_low(statement, view, latest):
            return
        await bring_about(
            self._context,
            f"settle:{statement.campaign}:{statement.sequence}",
            effects.SETTLE,
            self._context.escrow.settle_call(statement, quorum),
        )

    def _is_early(self, statement: Statement, view: CampaignView, latest: BlockStamp) -> bool:
        """Whether the escrow would still refuse the statement, by the chain's own time."""
        now = latest.timestamp_seconds
        if view.latest.sequence + 1 != statement.sequence or now < view.latest.activates_at_seconds:
            return True
        terms = self._context.sequencer.machine.facts.campaigns[statement.campaign].terms
        windows_seconds = terms.late_window_seconds + terms.correction_window_seconds
        return statement.is_final and now < view.flight_end_seconds + windows_seconds

    def _is_too_low(self, statement: Statement, view: CampaignView, latest: BlockStamp) -> bool:
        """Whether the total falls and it is too late for that: the escrow would refuse for ever."""
        if statement.lines_total_base_units >= view.latest.lines_total_base_units:
            return False
        facts = self._context.sequencer.machine.facts.campaigns[statement.campaign]
        last = latest_fall_seconds(facts.terms, facts.final_from_seconds)
        if latest.timestamp_seconds <= last:
            return False
        key = (statement.campaign, statement.sequence)
        if key in self._told:
            return True
        self._told.add(key)
        logger.critical(
            "statement %d of campaign %d came too late: its total falls to %d base units, which "
            "the escrow took until %d s; what was stated before stays owed",
            statement.sequence,
            statement.campaign,
            statement.lines_total_base_units,
            last,
        )
        return True


def due_drafts(machine: LogMachine, latest: Mapping[int, StatementRow], now_ms: int) -> list[Draft]:
    """The statements that are due at the machine's present size, by campaign.

    Args:
        latest: each campaign's last drafted statement.
        now_ms: decides only whether that one's dispute window is over, and whether another one
            before the final one may still follow.
    """
    drafts = []
    for campaign in sorted(machine.facts.campaigns):
        before = latest.get(campaign)
        reason = draft_reason(progress(machine, campaign, before, now_ms))
        if reason is None:
            continue
        sequence = 1 if before is None else before.statement.sequence + 1
        statement, lines = machine.statement(
            campaign, sequence, is_final=reason is DraftReason.FINAL
        )
        attestor_set = machine.facts.campaigns[campaign].terms.attestor_set
        drafts.append(Draft(statement, lines, reason, attestor_set))
    return drafts


def progress(
    machine: LogMachine, campaign: int, before: StatementRow | None, now_ms: int
) -> CampaignProgress:
    """Where a campaign stands, for ``draft_reason``."""
    facts = machine.facts.campaigns[campaign]
    return CampaignProgress(
        terms=facts.terms,
        funded_base_units=facts.funded_base_units,
        accrued=Totals(
            machine.accruals.lines_total_base_units(campaign), machine.accruals.counts(campaign)
        ),
        stated=Totals()
        if before is None
        else Totals(before.statement.lines_total_base_units, before.statement.counts),
        may_be_final=machine.may_be_final(campaign),
        is_closed=before is not None and before.is_last,
        is_waiting=before is not None and not _is_active(before, now_ms),
        is_answered=before is not None
        and before.is_objected
        and machine.accruals.corrections(campaign) > before.statement.corrections,
        is_complete=machine.is_complete(campaign),
        is_last_call=is_last_call(facts.terms, facts.final_from_seconds, now_ms // 1000),
    )


def _is_active(row: StatementRow, now_ms: int) -> bool:
    return row.settlement is not None and now_ms >= row.settlement.activates_at_seconds * 1000


def _log_draft(draft: Draft) -> None:
    statement = draft.statement
    logger.info(
        "drafted statement %d of campaign %d (%s): %d lines, %d base units at tree size %d",
        statement.sequence,
        statement.campaign,
        draft.reason.value,
        len(draft.lines),
        statement.lines_total_base_units,
        statement.tree_size,
    )
