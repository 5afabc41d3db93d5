"""Puts proof bundles together from log, books and chain; checks each before it is handed out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from adtally.analytics.currencies import Token
from adtally.analytics.derive import Deriver
from adtally.analytics.query import Dimension, ReportQuery
from adtally.analytics.report import report
from adtally.audit.chain_events import AUDITED_EVENTS, Contract
from adtally.chain.deployment import Deployment
from adtally.chain.log_proofs import LogProver
from adtally.errors import Conflict, NotFound
from adtally.ethereum.block import EvmLog, Header, LogProof
from adtally.events.record import EventType, event_id_text
from adtally.events.verdict import Verdict
from adtally.evidence.event_ids import EventIds
from adtally.evidence.records import Found, InBatch, Records, require_one_type
from adtally.intake.sequencer import Sequencer
from adtally.log.multiproof import join_proofs
from adtally.proofs.bundle import (
    Accrued,
    Attestation,
    Bundle,
    LineProof,
    LoggedEntry,
    Scope,
)
from adtally.proofs.findings import Trust
from adtally.proofs.verify import blocks_of, verify_bundle
from adtally.settlement.claim_tree import ClaimTree
from adtally.storage.database import Database
from adtally.storage.repositories import attestations, ledger, statements
from adtally.storage.rows import AnchorRow, StatementRow, TransferKind
from adtally.types import Line
from adtally.verification.chain_logs import WATCHED_EVENTS

T = TypeVar("T")

MAX_OCCURRENCES = 100
"""Listed of one event; a sender may repeat it for ever."""

_TOPICS = {(each.contract, each.name): each.topic for each in AUDITED_EVENTS}
_ORDER_TOPIC = next(each.topic for each in WATCHED_EVENTS if each.name == "OrderAccepted")


@dataclass(frozen=True, slots=True)
class Wish:
    """Which proof.

    Attributes:
        publisher: the member that the event is paid to (decision 0010), whoever reported it.
        kind: needed where events of several types share the id.
        occurrence: which of the event's records, 0 is the first; the others are duplicates,
            conflicts, and what was refused before ids are looked at.
        statement: sequence; None: the first settled one that covers the record.
        with_facts: also cite what an accepted record's verdict rests on.
        link_headers: add the headers between the bundle's blocks.
    """

    publisher: int
    event_id: bytes
    kind: EventType | None = None
    occurrence: int = 0
    statement: int | None = None
    with_facts: bool = False
    link_headers: bool = False


@dataclass(frozen=True, slots=True)
class _Counted:
    """A settled statement that covers the record, and its lines."""

    row: StatementRow
    lines: list[Line]


class ProofDesk:
    """Answers for one service; see the module's docstring."""

    def __init__(
        self,
        deployment: Deployment,
        sequencer: Sequencer,
        database: Database,
        ids: EventIds,
        prover: LogProver,
        deriver: Deriver,
    ) -> None:
        self.ids = ids
        self._deployment = deployment
        self._sequencer = sequencer
        self._database = database
        self._prover = prover
        self._deriver = deriver
        self._records = Records(sequencer.store, ids)
        # Of its own: who waits for the index must not keep readers of the log waiting.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="proofs")

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments))

    async def occurrences(
        self, publisher: int, event_id: bytes, kind: EventType | None = None
    ) -> list[Found]:
        """The event's records in the log, at most ``MAX_OCCURRENCES``; raises NotFound."""
        return await self._in_thread(self._occurrences, publisher, event_id, kind)

    async def bundle(self, wish: Wish) -> bytes:
        """The file of a proof bundle.

        Raises:
            NotFound: no such event, occurrence or statement.
            Conflict: no final anchor covers it yet.
            ChainUnavailable: the chain can't be asked, or its answer can't be proven.
            TooLarge: the verdict rests on more than a bundle can hold.
        """
        records = await self.occurrences(wish.publisher, wish.event_id, wish.kind)
        if wish.occurrence >= len(records):
            raise NotFound(
                "the event was not logged so often",
                field="occurrence",
                expected=f"less than {len(records)}",
                found=str(wish.occurrence),
            )
        found = records[wish.occurrence]
        counted, anchor = await self._covering(wish, found)
        anchored = await self._anchored(anchor)
        in_batch = await self._in_thread(self._records.batch_of, found.index)
        cited, accrued = await self._cited(wish, found, in_batch, anchor.checkpoint.tree_size)
        deployment = self._deployment
        bundle = Bundle(
            scope=Scope(
                deployment.chain_id,
                deployment.event_log.address,
                deployment.campaign_escrow.address,
            ),
            index=found.index,
            record=found.record,
            first_index=in_batch.first_index,
            envelope=in_batch.envelope,
            records_proof=in_batch.records_proof,
            log_proof=(),
            anchored=anchored,
            cited=tuple(cited),
            accrued=accrued,
        )
        bundle = await self._with_money(bundle, found, counted)
        if wish.link_headers:
            bundle = await self._with_headers(bundle)
        return await self._in_thread(self._finish, bundle, anchor.checkpoint.tree_size)

    # The log -----------------------------------------------------------------------------------

    def _occurrences(self, publisher: int, event_id: bytes, kind: EventType | None) -> list[Found]:
        self.ids.catch_up()
        found = self._records.occurrences(publisher, event_id, kind)
        kept = [each for each, _ in zip(found, range(MAX_OCCURRENCES), strict=False)]
        return require_one_type(kept, publisher, event_id)

    async def _cited(
        self, wish: Wish, found: Found, in_batch: InBatch, tree_size: int
    ) -> tuple[list[LoggedEntry], Accrued | None]:
        facts = self._sequencer.facts_entries
        known = len(facts)
        corrected = self._sequencer.machine.corrections.of_record(found.index)
        cited = await self._in_thread(
            self._earlier, wish, found, in_batch, facts, known, [*corrected]
        )
        accrued = None
        if found.event.verdict in (Verdict.ORDER_CAP_REACHED, Verdict.BUDGET_EXHAUSTED):
            accrued = await self._in_thread(self._accrued, found)
        return [each for each in cited if each.index < tree_size], accrued

    def _earlier(
        self,
        wish: Wish,
        found: Found,
        in_batch: InBatch,
        facts: Sequence[tuple[int, bytes]],
        known: int,
        corrected: list[int],
    ) -> list[LoggedEntry]:
        """Facts, first occurrence, parents and corrections, by leaf index."""
        cited: dict[int, LoggedEntry] = {}
        if wish.with_facts or found.event.verdict is not Verdict.ACCEPTED:
            before = [LoggedEntry(*facts[at]) for at in range(known)]
            for each in self._records.behind(found, in_batch.parsed, before):
                cited[each.index] = each
        for index in corrected:
            cited[index] = LoggedEntry(index, self._sequencer.store.entry(index))
        return [cited[index] for index in sorted(cited)]

    def _accrued(self, found: Found) -> Accrued:
        """The books just before a record, out of the derived Parquet."""
        self._deriver.catch_up()
        query = ReportQuery(
            found.event.campaign, (Dimension.PUBLISHER,), tree_size=found.index, limit=50_000
        )
        sums = report(self._deriver.dataset, query, Token("", 0))
        lines = {int(row.dimensions["publisher"]): row.spend_milli_base_units for row in sums.rows}
        return Accrued(lines.get(found.event.publisher, 0), sums.total.spend_base_units)

    def _finish(self, bundle: Bundle, tree_size: int) -> bytes:
        """The proof in the log, and a check of everything as whoever gets it will check it."""
        indexes = {bundle.index, bundle.first_index, *(each.index for each in bundle.cited)}
        tree = self._sequencer.tree
        paths = {index: tree.inclusion_proof(index, tree_size) for index in indexes}
        bundle = replace(bundle, log_proof=join_proofs(paths, tree_size))
        scope = bundle.scope
        trust = Trust(scope.chain_id, scope.event_log, scope.escrow)
        verify_bundle(bundle, trust)
        return bundle.to_bytes()

    # Books and chain ---------------------------------------------------------------------------

    async def _covering(self, wish: Wish, found: Found) -> tuple[_Counted | None, AnchorRow]:
        """The statement asked for, and the smallest anchor that covers all."""
        campaign = found.event.campaign
        async with self._database.session() as session:
            rows = [
                row
                for row in await statements.list_statements(session, campaign)
                if row.settlement is not None and row.statement.tree_size > found.index
            ]
            if wish.statement is not None:
                rows = [row for row in rows if row.statement.sequence == wish.statement]
                if not rows:
                    raise NotFound(
                        "the statement does not cover the record, or is not settled yet",
                        field="statement",
                        expected=f"a settled statement of campaign {campaign} over more than "
                        f"{found.index} entries",
                        found=str(wish.statement),
                    )
            counted = None
            if rows:
                sequence = rows[0].statement.sequence
                lines = await statements.list_lines(session, campaign, sequence)
                if any(line.publisher == found.event.publisher for line in lines):
                    counted = _Counted(rows[0], lines)
            least = found.index + 1
            if counted is not None:
                least = max(least, counted.row.statement.tree_size)
            anchor = await ledger.first_anchor_from(session, least)
        if anchor is None:
            raise Conflict(
                "no anchor covers the record yet",
                field=f"leaf {found.index}",
                expected=f"a final anchor of at least {least} entries",
                found=f"event {event_id_text(found.event.id)} in the log, not anchored",
                action="ask again after the anchor deadline of the batch's receipt",
            )
        return counted, anchor

    async def _anchored(self, anchor: AnchorRow) -> LogProof:
        contract = self._deployment.event_log.address
        topic = _TOPICS[Contract.EVENT_LOG, "Anchored"]
        return await self._prover.prove(
            anchor.block_hash,
            anchor.transaction_hash,
            lambda log: log.address == contract and log.topics[:1] == (topic,),
        )

    async def _with_money(self, bundle: Bundle, found: Found, counted: _Counted | None) -> Bundle:
        """Statement, order and payment, as far as there are any."""
        if counted is None or counted.row.settlement is None:
            return bundle
        event, settlement = found.event, counted.row.settlement
        statement = counted.row.statement
        topic = _TOPICS[Contract.CAMPAIGN_ESCROW, "StatementSubmitted"]
        settled = await self._prover.prove(
            settlement.block_hash,
            settlement.transaction_hash,
            self._said(topic, event.campaign, statement.sequence),
        )
        line = next(each for each in counted.lines if each.publisher == event.publisher)
        domain = self._deployment.escrow_domain
        tree = await self._in_thread(ClaimTree, domain, event.campaign, counted.lines)
        return replace(
            bundle,
            line=LineProof(
                line.counts,
                tuple(tree.proof(event.publisher)),
                await self._attestations(event.campaign, statement.sequence),
                settled,
            ),
            order=await self._order(event.campaign, event.publisher),
            paid=await self._paid(line, event.campaign, counted.row),
        )

    async def _attestations(self, campaign: int, sequence: int) -> tuple[Attestation, ...]:
        async with self._database.session() as session:
            request = await attestations.find_request(session, f"statement:{campaign}:{sequence}")
            if request is None:
                return ()
            answers = await attestations.list_attestations(session, request.id)
        signed = [
            Attestation(answer.attestor, answer.signature)
            for answer in answers
            if answer.signature is not None
        ]
        signed.sort(key=lambda each: each.attestor)
        return tuple(signed[: self._deployment.threshold])

    async def _order(self, campaign: int, publisher: int) -> LogProof | None:
        escrow = self._deployment.campaign_escrow.address
        topics = (_ORDER_TOPIC, _word(campaign), _word(publisher))
        block = self._deployment_range()
        place = await self._prover.find_log(escrow, topics, *block)
        if place is None:
            return None
        return await self._prover.prove(*place, self._said(_ORDER_TOPIC, campaign, publisher))

    def _deployment_range(self) -> tuple[int, int]:
        """Blocks that can hold an order that counts: it must be in the facts."""
        facts = self._sequencer.machine.facts.last_block
        first = self._deployment.block_number
        return first, max(first, facts or first)

    async def _paid(self, line: Line, campaign: int, row: StatementRow) -> LogProof | None:
        """The first payment with which the line is paid in full, else the latest after it."""
        settlement = row.settlement
        assert settlement is not None
        async with self._database.session() as session:
            transfers = await ledger.list_transfers(
                session, campaign, (TransferKind.CLAIM,), settlement.block_number
            )
        own = [each for each in transfers if each.member == line.publisher]
        full = [each for each in own if each.total_base_units >= line.amount_base_units]
        topic = _TOPICS[Contract.CAMPAIGN_ESCROW, "Claimed"]
        for each in [*full, *reversed(own)]:
            proof = await self._prover.prove(
                each.block_hash,
                each.transaction_hash,
                self._said(topic, campaign, line.publisher),
            )
            time = Header.from_rlp(proof.header).timestamp_seconds
            if time >= settlement.activates_at_seconds:
                return proof
        return None

    def _said(self, topic: bytes, *indexed: int) -> _Said:
        escrow = self._deployment.campaign_escrow.address
        return _Said(escrow, (topic, *(_word(each) for each in indexed)))

    async def _with_headers(self, bundle: Bundle) -> Bundle:
        blocks = blocks_of(bundle)
        newest, oldest = blocks[-1].number, blocks[0].number
        headers = await self._prover.headers(newest, min(oldest + 1, newest))
        return replace(bundle, headers=headers)


@dataclass(frozen=True, slots=True)
class _Said:
    """Whether a log is the contract's event with these topics."""

    contract: bytes
    topics: tuple[bytes, ...]

    def __call__(self, log: EvmLog) -> bool:
        return log.address == self.contract and log.topics == self.topics


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
