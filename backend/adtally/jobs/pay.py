"""Pushes what active statements owe: publishers' lines and intermediaries' cuts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from adtally.chain import effects
from adtally.chain.contracts.campaign_escrow import ClaimLine, claim_many_gas
from adtally.jobs.context import JobContext
from adtally.jobs.sending import bring_about
from adtally.settlement.claim_tree import ClaimTree
from adtally.settlement.rates import cut_amount_base_units
from adtally.storage.repositories import ledger, statements
from adtally.storage.rows import StatementRow, TransferKind, TransferRow
from adtally.types import Cut, Hash, Line, Statement

LINES_PER_PUSH = 64
"""Stays under the cap of gas for one transaction even with a million publishers."""


class PayJob:
    """One round enqueues the payments of every active statement that are not enqueued yet.

    A statement's lines are pushed in fixed groups, each under a key of its own, so a killed round
    goes on where it was. A line that the escrow skips (a blocked payee) is not pushed again for
    the same statement: the next statement, or the publisher's own claim, pays it.

    Args:
        minimum_base_units: what is owed below this is left for the payee to claim.
    """

    def __init__(
        self, context: JobContext, escrow_domain: Hash, minimum_base_units: int = 1
    ) -> None:
        self._context = context
        self._escrow_domain = escrow_domain
        self._minimum = max(minimum_base_units, 1)
        self._done: set[tuple[int, int]] = set()

    async def run(self) -> None:
        """Raises ChainUnavailable when the chain can't be read now."""
        async with self._context.database.session() as session:
            rows = await statements.list_statements(session)
        settled = [row for row in rows if row.settlement is not None]
        if all(_key(row.statement) in self._done for row in settled):
            return
        # Time as the chain has it: before activation a batch of claims would skip every line.
        latest = await self._context.chain.latest()
        for row in active_statements(settled, latest.timestamp_seconds):
            if _key(row.statement) not in self._done:
                await self._push(row.statement)
                self._done.add(_key(row.statement))

    async def _push(self, statement: Statement) -> None:
        campaign, sequence = statement.campaign, statement.sequence
        async with self._context.database.session() as session:
            lines = await statements.list_lines(session, campaign, sequence)
            paid = await ledger.list_payments(session, campaign)
        terms = await self._context.escrow.terms(campaign)
        tree = ClaimTree(self._escrow_domain, campaign, lines)
        for number, due in due_groups(lines, paid, self._minimum):
            claims = [
                ClaimLine(campaign, line.publisher, line.counts, tuple(tree.proof(line.publisher)))
                for line in due
            ]
            await bring_about(
                self._context,
                f"claim:{campaign}:{sequence}:{number}",
                effects.CLAIM,
                self._context.escrow.claim_many_call(claims),
                claim_many_gas(claims),
            )
        for index in due_cuts(terms.cuts, statement.lines_total_base_units, paid, self._minimum):
            await bring_about(
                self._context,
                f"cut:{campaign}:{sequence}:{index}",
                effects.PAY_CUT,
                self._context.escrow.pay_cut_call(campaign, index),
            )


def active_statements(
    settled: Sequence[StatementRow], chain_time_seconds: int
) -> list[StatementRow]:
    """The newest active statement of each campaign: settled, its dispute window over."""
    active: dict[int, StatementRow] = {}
    for row in sorted(settled, key=lambda row: row.statement.sequence):
        if row.settlement is not None and row.settlement.activates_at_seconds <= chain_time_seconds:
            active[row.statement.campaign] = row
    return [active[campaign] for campaign in sorted(active)]


def due_groups(
    lines: Sequence[Line], paid: Sequence[TransferRow], minimum_base_units: int
) -> Iterator[tuple[int, list[Line]]]:
    """Lines to push, in groups that depend on the statement alone, each with its number."""
    before = _paid_by_member(paid, TransferKind.CLAIM)
    for number, start in enumerate(range(0, len(lines), LINES_PER_PUSH)):
        due = [
            line
            for line in lines[start : start + LINES_PER_PUSH]
            if line.amount_base_units - before[line.publisher] >= minimum_base_units
        ]
        if due:
            yield number, due


def due_cuts(
    cuts: Sequence[Cut],
    lines_total_base_units: int,
    paid: Sequence[TransferRow],
    minimum_base_units: int,
) -> list[int]:
    """Indexes of the cuts to push.

    A member that is the payee of several cuts has what it was paid counted against the sum of
    them; the escrow itself knows which cut was paid what.
    """
    before = _paid_by_member(paid, TransferKind.CUT)
    owed: defaultdict[int, int] = defaultdict(int)
    for cut in cuts:
        owed[cut.member] += cut_amount_base_units(lines_total_base_units, cut)
    return [
        index
        for index, cut in enumerate(cuts)
        if owed[cut.member] - before[cut.member] >= minimum_base_units
        and cut_amount_base_units(lines_total_base_units, cut) > 0
    ]


def _paid_by_member(paid: Sequence[TransferRow], kind: TransferKind) -> Mapping[int, int]:
    totals: defaultdict[int, int] = defaultdict(int)
    for row in paid:
        if row.kind is kind:
            totals[row.member] += row.amount_base_units
    return totals


def _key(statement: Statement) -> tuple[int, int]:
    return statement.campaign, statement.sequence
