"""Holds books and chain together, to the unit, at one final block; stops on any difference."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from adtally.chain.contracts.token import Token
from adtally.errors import ChainError, InvariantBroken
from adtally.jobs.books import CURSOR, BooksJob
from adtally.jobs.context import JobContext
from adtally.jobs.facts import CURSOR as FACTS_CURSOR
from adtally.jobs.reconciliation import (
    CampaignAccount,
    Difference,
    TokenAccount,
    campaign_differences,
    paid_by_member,
    token_differences,
)
from adtally.settlement.rates import released_base_units
from adtally.storage.repositories import ledger, statements
from adtally.storage.rows import StatementRow, TransferKind, TransferRow
from adtally.types import Address, BlockStamp

logger = logging.getLogger(__name__)

_LOOKS = 5
_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What a round compared: at which block, how many campaigns and tokens, and any surplus.

    ``surplus_base_units``: by token, what the escrow holds above all it owes.
    """

    block: BlockStamp
    campaigns: int
    tokens: int
    surplus_base_units: dict[Address, int]


class ReconcileJob:
    """One round posts the books up to a final block and compares everything at that block."""

    def __init__(self, context: JobContext, books: BooksJob) -> None:
        self._context = context
        self._books = books
        self.last: Reconciliation | None = None
        """The newest successful comparison of this process."""

    async def run(self) -> None:
        """Compare now, if there is a final block later than the one compared last.

        Raises:
            ChainUnavailable, Reorged: the chain can't be read now.
            InvariantBroken: a difference; every number has been logged.
        """
        await self._books.run()
        async with self._context.database.session() as session:
            cursor = await ledger.get_cursor(session, CURSOR)
            transfers = await ledger.list_transfers(session)
            rows = await statements.list_statements(session)
        if cursor is None or (self.last is not None and self.last.block.hash == cursor[1]):
            return
        block = await self._context.chain.block(cursor[0])
        if block is None or block.hash != cursor[1]:
            # The books' next round says what has happened to a block that was final.
            return
        by_campaign: defaultdict[int, list[TransferRow]] = defaultdict(list)
        for transfer in transfers:
            by_campaign[transfer.campaign].append(transfer)
        settled = {row.statement.campaign: row for row in rows if row.settlement is not None}
        for look in range(_LOOKS):
            # anvil answers a read pinned to its newest block from a state in which the next
            # block is under way: only what differs again and again does differ.
            accounts = [
                await self._account(campaign, by_campaign[campaign], settled.get(campaign), block)
                for campaign in sorted({*by_campaign, *settled})
            ]
            tokens = await self._tokens(transfers, accounts, block)
            differences = token_differences(tokens, transfers)
            for account in accounts:
                differences += campaign_differences(account)
            if not differences:
                break
            await asyncio.sleep(_PAUSE_SECONDS * look)
        else:
            _stop(block, differences)
        self.last = self._result(block, len(by_campaign), tokens)

    async def _account(
        self,
        campaign: int,
        transfers: Sequence[TransferRow],
        latest: StatementRow | None,
        block: BlockStamp,
    ) -> CampaignAccount:
        escrow = self._context.escrow
        view = await escrow.campaign(campaign, block)
        terms = await escrow.terms(campaign, block)
        paid = paid_by_member(transfers, TransferKind.CLAIM)
        orders_paid = {
            publisher: (await escrow.order(campaign, publisher, block)).paid_base_units
            for publisher in paid
        }
        async with self._context.database.session() as session:
            lines = await statements.list_lines(session, campaign, view.active.sequence)
            total, highest = await statements.highest_amounts(
                session, campaign, view.active.sequence
            )
        is_closed = block.timestamp_seconds >= view.closes_at_seconds
        return CampaignAccount(
            campaign=campaign,
            token=terms.token,
            cuts=terms.cuts,
            holdback_basis_points=0 if is_closed else terms.holdback_basis_points,
            bond_base_units=terms.objection_bond_base_units,
            transfers=transfers,
            latest=latest,
            active_lines=lines,
            view=view,
            orders_paid=orders_paid,
            logged_funded_base_units=await self._logged_funded(campaign, block),
            released_lines={
                publisher: released_base_units(amount, terms.holdback_basis_points)
                for publisher, amount in highest.items()
            },
            released_total_base_units=released_base_units(total, terms.holdback_basis_points),
            has_own_attestors=terms.attestor_set != self._context.log_attestor_set,
        )

    async def _logged_funded(self, campaign: int, block: BlockStamp) -> int | None:
        """Deposits as the log has them, if it has looked through exactly these blocks."""
        async with self._context.database.session() as session:
            cursor = await ledger.get_cursor(session, FACTS_CURSOR)
        if cursor is None or cursor != (block.number, block.hash):
            return None
        facts = self._context.sequencer.machine.facts
        known = facts.campaigns.get(campaign)
        if known is None or facts.last_block is None or facts.last_block > block.number:
            return None
        return known.funded_base_units

    async def _tokens(
        self,
        transfers: Sequence[TransferRow],
        accounts: Sequence[CampaignAccount],
        block: BlockStamp,
    ) -> list[TokenAccount]:
        escrow = self._context.escrow
        unbooked: defaultdict[Address, int] = defaultdict(int)
        for account in accounts:
            unbooked[account.token] += account.view.unbooked_base_units
        return [
            TokenAccount(
                token,
                await self._balance(token, block),
                await escrow.liabilities(token, block),
                unbooked[token],
                is_trusted=self._context.trusts_token(token),
            )
            for token in sorted({transfer.token for transfer in transfers})
        ]

    async def _balance(self, token: Address, block: BlockStamp) -> int:
        """What the escrow holds; 0 if a token that the deployment does not name won't say."""
        try:
            return await Token(self._context.chain, token).balance_of(
                self._context.escrow.address, block
            )
        except ChainError:
            if self._context.trusts_token(token):
                raise
            return 0

    def _result(
        self, block: BlockStamp, campaigns: int, tokens: Sequence[TokenAccount]
    ) -> Reconciliation:
        surplus = {
            account.token: account.balance_base_units - account.owed_base_units
            for account in tokens
        }
        for token, amount in surplus.items():
            if amount > 0:
                logger.warning(
                    "the escrow holds %d base units of 0x%s too much", amount, token.hex()
                )
            elif amount < 0:
                logger.critical(
                    "0x%s, a token that the deployment does not name, says that the escrow holds "
                    "%d base units less than was deposited: its campaigns can't pay",
                    token.hex(),
                    -amount,
                )
        return Reconciliation(block, campaigns, len(tokens), surplus)


def _stop(block: BlockStamp, differences: Sequence[Difference]) -> None:
    for difference in differences:
        logger.critical("books and chain differ at block %d: %s", block.number, difference)
    raise InvariantBroken(
        f"books and chain differ at block {block.number} 0x{block.hash.hex()}: "
        + "; ".join(str(difference) for difference in differences)
    )
