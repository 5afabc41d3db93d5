"""Keeps the books: posts what final blocks say about anchors, attestors, statements and money."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from adtally.chain.abi import Event, address_result
from adtally.chain.contracts import attestor_sets, campaign_escrow, event_log
from adtally.errors import InvariantBroken
from adtally.jobs.context import JobContext
from adtally.storage.repositories import attestations, ledger, statements
from adtally.storage.rows import (
    AnchorRow,
    AttestorSetRow,
    Settlement,
    TransferKind,
    TransferRow,
)
from adtally.types import Address, ChainLog

logger = logging.getLogger(__name__)

CURSOR = "books"
_REASON_BYTES = 256

FUNDED = Event(
    "Funded(uint32 indexed campaign,address indexed from,uint128 amount,uint128 fundedTotal)"
)

_Post = Callable[[AsyncSession, ChainLog], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Campaign:
    """What the logs of a campaign leave out."""

    advertiser: int
    account: Address
    """The advertiser's."""
    token: Address
    attestor_set: int


class BooksJob:
    """One round posts every final block since the last round.

    A range's postings and the cursor behind it are one transaction, so each chain log is posted
    exactly once, wherever a round is killed.
    """

    def __init__(self, context: JobContext) -> None:
        self._context = context
        self._lock = asyncio.Lock()
        self._campaigns: dict[int, _Campaign] = {}
        log, escrow = context.event_log.address, context.escrow.address
        self._posts: dict[tuple[Address, bytes], _Post] = {
            (log, attestor_sets.ATTESTOR_SET_NAMED.topic): self._set_named,
            (log, event_log.ANCHORED.topic): self._anchored,
            (escrow, campaign_escrow.STATEMENT_SUBMITTED.topic): self._settled,
            (escrow, campaign_escrow.OBJECTION_RAISED.topic): self._objected,
            (escrow, campaign_escrow.OBJECTION_BOND_RELEASED.topic): self._bond_released,
            (escrow, FUNDED.topic): self._funded,
            (escrow, campaign_escrow.CLAIMED.topic): self._claimed,
            (escrow, campaign_escrow.CUT_PAID.topic): self._cut_paid,
            (escrow, campaign_escrow.REFUNDED.topic): self._refunded,
            (escrow, campaign_escrow.CLAIM_SKIPPED.topic): self._skipped,
        }

    async def run(self) -> None:
        """Raises ChainUnavailable or Reorged when the chain can't be read now.

        Raises:
            InvariantBroken: the log's own attestors signed a statement that was not drafted here.
        """
        # Reconciliation runs a round of its own, perhaps while the ticked one is under way.
        async with self._lock:
            while await self._post_range():
                pass

    async def _post_range(self) -> bool:
        async with self._context.database.session() as session:
            cursor = await ledger.get_cursor(session, CURSOR)
        after, after_hash = (self._context.first_block - 1, None) if cursor is None else cursor
        blocks = await self._context.watcher.final_range(after, after_hash)
        if blocks is None:
            return False
        known = [log for log in blocks.logs if (log.address, _topic(log)) in self._posts]
        # The network is asked before the transaction begins, never inside.
        for log in known:
            await self._learn_campaign(log)
        async with self._context.database.transaction() as session:
            for log in known:
                await self._posts[(log.address, _topic(log))](session, log)
            await ledger.set_cursor(session, CURSOR, blocks.last.number, blocks.last.hash)
        return True

    async def _learn_campaign(self, log: ChainLog) -> None:
        """Remember advertiser, token and attestor set of a campaign that a log is about."""
        if log.address != self._context.escrow.address:
            return
        campaign = int.from_bytes(log.topics[1], "big")
        if campaign not in self._campaigns:
            view = await self._context.escrow.campaign(campaign)
            terms = await self._context.escrow.terms(campaign)
            member = await self._context.membership.member(view.advertiser)
            self._campaigns[campaign] = _Campaign(
                view.advertiser, member.account, terms.token, terms.attestor_set
            )

    # One posting for each kind of log ----------------------------------------------------------

    async def _set_named(self, session: AsyncSession, log: ChainLog) -> None:
        named = attestor_sets.decode_attestor_set_named(log)
        await attestations.add_attestor_set(
            session,
            AttestorSetRow(named.attestor_set, named.version, named.threshold, named.attestors),
        )

    async def _anchored(self, session: AsyncSession, log: ChainLog) -> None:
        anchored = event_log.decode_anchored(log)
        await ledger.add_anchor(
            session,
            AnchorRow(
                anchored.checkpoint,
                anchored.number,
                log.transaction_hash,
                log.block_number,
                log.block_hash,
            ),
        )

    async def _settled(self, session: AsyncSession, log: ChainLog) -> None:
        submitted = campaign_escrow.decode_statement_submitted(log)
        found = submitted.statement
        row = await statements.find_statement(session, found.campaign, found.sequence)
        if row is None or row.statement != found:
            drafted = "none" if row is None else str(row.statement)
            what = (
                f"block {log.block_number} settles a statement that was not drafted here: "
                f"{found}; drafted: {drafted}"
            )
            if self._campaigns[found.campaign].attestor_set == self._context.log_attestor_set:
                raise InvariantBroken(what)
            # Anyone may name a set of attestors and open a campaign under it: what they sign is
            # between them and that campaign's parties, and must not stop everybody else's.
            logger.critical("%s; its attestors are not the log's, it is left alone", what)
            return
        await statements.set_settlement(
            session,
            found.campaign,
            found.sequence,
            Settlement(
                log.transaction_hash,
                log.block_number,
                log.block_hash,
                submitted.activates_at_seconds,
            ),
        )

    async def _objected(self, session: AsyncSession, log: ChainLog) -> None:
        raised = campaign_escrow.decode_objection_raised(log)
        logger.warning(
            "the advertiser of campaign %d objects to statement %d: %r",
            raised.campaign,
            raised.sequence,
            raised.reason[:_REASON_BYTES],
        )
        row = await statements.find_statement(session, raised.campaign, raised.sequence)
        # What was settled by others than the log's attestors was left alone, see above.
        if row is not None and row.settlement is not None:
            await statements.set_objection(
                session, raised.campaign, raised.sequence, raised.activates_at_seconds
            )
        known, bond = self._campaigns[raised.campaign], raised.bond_base_units
        # Only the advertiser's own account may object, so the bond is from there.
        about = (raised.campaign, known.advertiser, known.account, bond, bond)
        await self._transfer(session, log, TransferKind.BOND, about)

    async def _bond_released(self, session: AsyncSession, log: ChainLog) -> None:
        released = campaign_escrow.decode_objection_bond_released(log)
        advertiser = self._campaigns[released.campaign].advertiser
        about = (released.campaign, advertiser, released.to, released.amount_base_units, 0)
        await self._transfer(session, log, TransferKind.BOND_RELEASED, about)

    async def _funded(self, session: AsyncSession, log: ChainLog) -> None:
        values = FUNDED.decode(log)
        advertiser = self._campaigns[values["campaign"]].advertiser
        party, amount = address_result(values["from"]), values["amount"]
        await self._transfer(
            session,
            log,
            TransferKind.DEPOSIT,
            (values["campaign"], advertiser, party, amount, values["fundedTotal"]),
        )

    async def _claimed(self, session: AsyncSession, log: ChainLog) -> None:
        paid = campaign_escrow.decode_claimed(log)
        amounts = (paid.amount_base_units, paid.paid_total_base_units)
        about = (paid.campaign, paid.publisher, paid.payout, *amounts)
        await self._transfer(session, log, TransferKind.CLAIM, about)

    async def _cut_paid(self, session: AsyncSession, log: ChainLog) -> None:
        paid = campaign_escrow.decode_cut_paid(log)
        amounts = (paid.amount_base_units, paid.paid_total_base_units)
        about = (paid.campaign, paid.member, paid.payout, *amounts)
        await self._transfer(session, log, TransferKind.CUT, about)

    async def _refunded(self, session: AsyncSession, log: ChainLog) -> None:
        paid = campaign_escrow.decode_refunded(log)
        advertiser = self._campaigns[paid.campaign].advertiser
        amounts = (paid.amount_base_units, paid.refunded_total_base_units)
        about = (paid.campaign, advertiser, paid.to, *amounts)
        await self._transfer(session, log, TransferKind.REFUND, about)

    async def _skipped(self, _session: AsyncSession, log: ChainLog) -> None:
        skipped = campaign_escrow.decode_claim_skipped(log)
        logger.warning(
            "a claim of publisher %d in campaign %d was skipped in block %d: 0x%s",
            skipped.publisher,
            skipped.campaign,
            log.block_number,
            skipped.reason[:_REASON_BYTES].hex(),
        )

    async def _transfer(
        self,
        session: AsyncSession,
        log: ChainLog,
        kind: TransferKind,
        about: tuple[int, int, Address, int, int],
    ) -> None:
        campaign, member, party, amount, total = about
        await ledger.add_transfer(
            session,
            TransferRow(
                kind=kind,
                campaign=campaign,
                member=member,
                party=party,
                token=self._campaigns[campaign].token,
                amount_base_units=amount,
                total_base_units=total,
                transaction_hash=log.transaction_hash,
                block_number=log.block_number,
                block_hash=log.block_hash,
                log_index=log.log_index,
            ),
        )


def _topic(log: ChainLog) -> bytes:
    return log.topics[0] if log.topics else b""
