"""Pushes what active statements owe: publishers' lines and intermediaries' cuts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from adtally.chain import effects
from adtally.chain.contracts.campaign_escrow import ClaimBatch, ClaimLine, claim_many_gas
from adtally.jobs.context import JobContext
from adtally.jobs.sending import bring_about
from adtally.settlement.claim_tree import ClaimTree
from adtally.settlement.rates import cut_amount_base_units, released_base_units
from adtally.storage.repositories import ledger, statements
from adtally.storage.rows import StatementRow, TransferKind, TransferRow
from adtally.types import BlockStamp, Cut, Hash, Line, Statement, Terms

PUSH_HEIGHT = 6
"""Of the parts of the claim tree that are pushed at once: 64 lines stay under the cap of gas for
one transaction even with a million publishers."""


class PayJob:
    """One round enqueues the payments of every active statement that are not enqueued yet.

    A statement's lines are pushed in fixed groups, neighbours in the claim tree, each under a key
    of its own, so a killed round goes on where it was. A line that the escrow skips (a blocked
    payee) is not pushed again for the same statement: the next statement, or the publisher's own
    claim, pays it.

    What the terms hold back is pushed under keys of its own once the campaign has closed.

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
        self._pushed_in_part: set[tuple[int, int]] = set()
        self._terms: dict[int, Terms] = {}

    async def run(self) -> None:
        """Raises ChainUnavailable when the chain can't be read now."""
        async with self._context.database.session() as session:
            rows = await statements.list_statements(session)
        settled = [row for row in rows if row.settlement is not None]
        newest = {row.statement.campaign: row.statement for row in settled}
        if all(_key(statement) in self._done for statement in newest.values()):
            return
        # Time as the chain has it: before activation a batch of claims would skip every line.
        latest = await self._context.chain.latest()
        for row in active_statements(settled, latest.timestamp_seconds):
            if _key(row.statement) not in self._done:
                await self._pay(row.statement, latest)

    async def _pay(self, statement: Statement, latest: BlockStamp) -> None:
        """Push what is released of a statement at ``latest``, if it was not pushed before."""
        campaign, key = statement.campaign, _key(statement)
        view = await self._context.escrow.campaign(campaign, latest)
        if view.active.sequence != statement.sequence:
            # An objection has moved its activation; the books will say so.
            return
        if campaign not in self._terms:
            self._terms[campaign] = await self._context.escrow.terms(campaign)
        terms = self._terms[campaign]
        is_whole = (
            terms.holdback_basis_points == 0 or latest.timestamp_seconds >= view.closes_at_seconds
        )
        if is_whole:
            await self._push(statement, terms, 0)
            self._done.add(key)
        elif key not in self._pushed_in_part:
            await self._push(statement, terms, terms.holdback_basis_points)
            self._pushed_in_part.add(key)

    async def _push(self, statement: Statement, terms: Terms, holdback_basis_points: int) -> None:
        campaign, sequence = statement.campaign, statement.sequence
        is_rest = holdback_basis_points < terms.holdback_basis_points
        suffix = ":rest" if is_rest else ""
        async with self._context.database.session() as session:
            lines = await statements.list_lines(session, campaign, sequence)
            paid = await ledger.list_payments(session, campaign)
        tree = ClaimTree(self._escrow_domain, campaign, lines)
        due = due_lines(lines, paid, self._minimum, holdback_basis_points)
        for number, batch in claim_batches(tree, campaign, due):
            await bring_about(
                self._context,
                f"claim:{campaign}:{sequence}:{number}{suffix}",
                effects.CLAIM,
                self._context.escrow.claim_many_call(batch),
                claim_many_gas(batch),
            )
        released = released_base_units(statement.lines_total_base_units, holdback_basis_points)
        for index in due_cuts(terms.cuts, released, paid, self._minimum):
            await bring_about(
                self._context,
                f"cut:{campaign}:{sequence}:{index}{suffix}",
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


def due_lines(
    lines: Sequence[Line],
    paid: Sequence[TransferRow],
    minimum_base_units: int,
    holdback_basis_points: int = 0,
) -> list[Line]:
    """Lines to push.

    Args:
        holdback_basis_points: kept back of every line now.
    """
    before = _paid_by_member(paid, TransferKind.CLAIM)
    return [
        line
        for line in lines
        if released_base_units(line.amount_base_units, holdback_basis_points)
        - before[line.publisher]
        >= minimum_base_units
    ]


def claim_batches(
    tree: ClaimTree, campaign: int, due: Sequence[Line]
) -> Iterator[tuple[int, ClaimBatch]]:
    """The due lines in groups that depend on the tree alone, each with its number."""
    counts = {line.publisher: line.counts for line in due}
    for number, part in enumerate(tree.subtrees(PUSH_HEIGHT)):
        lines = tuple(
            ClaimLine(publisher, counts[publisher], proof)
            for publisher, proof in part.proofs.items()
            if publisher in counts
        )
        if lines:
            yield number, ClaimBatch(campaign, part.node, part.proof, lines)


def due_cuts(
    cuts: Sequence[Cut],
    released_total_base_units: int,
    paid: Sequence[TransferRow],
    minimum_base_units: int,
) -> list[int]:
    """Indexes of the cuts to push.

    ``released_total_base_units`` is what is released of the lines' total.

    A member that is the payee of several cuts has what it was paid counted against the sum of
    them; the escrow itself knows which cut was paid what.
    """
    before = _paid_by_member(paid, TransferKind.CUT)
    owed: defaultdict[int, int] = defaultdict(int)
    for cut in cuts:
        owed[cut.member] += cut_amount_base_units(released_total_base_units, cut)
    return [
        index
        for index, cut in enumerate(cuts)
        if owed[cut.member] - before[cut.member] >= minimum_base_units
        and cut_amount_base_units(released_total_base_units, cut) > 0
    ]


def _paid_by_member(paid: Sequence[TransferRow], kind: TransferKind) -> Mapping[int, int]:
    totals: defaultdict[int, int] = defaultdict(int)
    for row in paid:
        if row.kind is kind:
            totals[row.member] += row.amount_base_units
    return totals


def _key(statement: Statement) -> tuple[int, int]:
    return statement.campaign, statement.sequence
