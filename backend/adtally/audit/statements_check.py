"""Step 4: every statement on chain is what the log gives at its tree size, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from adtally.audit.chain_events import Anchored, ObjectionRaised, StatementSubmitted
from adtally.audit.documents import counts_in, hex_bytes, integer_in, list_in
from adtally.audit.history import Happened
from adtally.audit.ports import LogSource
from adtally.audit.replay import Recomputed, StatementKey
from adtally.audit.report import Findings
from adtally.errors import InvalidInput, NotFound, VerificationFailed
from adtally.settlement.claim_tree import line_leaf, verify_line
from adtally.settlement.rates import released_base_units
from adtally.types import Hash, Line, Statement, Terms
from adtally.verification.chain_logs import CampaignOpened


class StatementCheck:
    """Walks through anchors and statements in chain order."""

    def __init__(self, recomputed: Mapping[StatementKey, Recomputed], findings: Findings) -> None:
        self._recomputed = recomputed
        self._findings = findings
        self._anchored_size = 0
        self._terms: dict[int, Terms] = {}
        self._newest: dict[int, Statement] = {}
        self._floors: dict[int, int] = {}
        self._closed: set[int] = set()

    def take(self, happened: Happened) -> None:
        """Take in the next event of the chain."""
        match happened.event:
            case Anchored(tree_size=size):
                self._anchored_size = size
            case CampaignOpened(campaign=campaign, terms=terms):
                self._terms[campaign] = terms
            case ObjectionRaised(campaign=campaign):
                # What is objected to is not the last word: another statement follows.
                self._closed.discard(campaign)
            case StatementSubmitted() as submitted:
                self._check(submitted, happened)

    def _check(self, submitted: StatementSubmitted, happened: Happened) -> None:
        statement = submitted.statement
        where = f"campaign {statement.campaign} statement {statement.sequence}, {happened.where}"
        self._compare_with_log(statement, where)
        self._check_order(statement, where)
        terms = self._terms.get(statement.campaign)
        if terms is not None:
            activates = happened.timestamp_seconds + terms.dispute_window_seconds
            self._findings.compare(
                "statements", "activation time", where, activates, submitted.activates_at_seconds
            )

    def _compare_with_log(self, statement: Statement, where: str) -> None:
        own = self._recomputed.get((statement.campaign, statement.sequence))
        if own is None:
            self._findings.differs(
                "statements",
                "the statement can't be recomputed",
                where,
                f"a log that replays up to size {statement.tree_size}",
                "one that does not",
            )
            return
        for field in fields(Statement):
            expected, found = getattr(own.statement, field.name), getattr(statement, field.name)
            self._findings.compare("statements", field.name, where, expected, found)
        if statement.is_final and not own.may_be_final:
            expected = "an entry past the campaign's correction window below the tree size"
            self._findings.differs("statements", "final too early", where, expected, "none")

    def _check_order(self, statement: Statement, where: str) -> None:
        before = self._newest.get(statement.campaign)
        sequence = 1 if before is None else before.sequence + 1
        self._findings.compare("statements", "sequence", where, sequence, statement.sequence)
        smallest = 0 if before is None else before.tree_size
        if not smallest <= statement.tree_size <= self._anchored_size:
            expected = f"{smallest} to {self._anchored_size}, the anchored size then"
            self._findings.differs("statements", "tree size", where, expected, statement.tree_size)
        if before is not None:
            self._check_fall(before, statement, where)
        if statement.campaign in self._closed:
            expected = "no statement after the final one"
            self._findings.differs("statements", "sequence", where, expected, "another")
        self._newest[statement.campaign] = statement
        if statement.is_final:
            self._closed.add(statement.campaign)

    def _check_fall(self, before: Statement, statement: Statement, where: str) -> None:
        """Corrections are never taken out, and lower a total by no more than the holdback."""
        terms = self._terms.get(statement.campaign)
        holdback = 0 if terms is None else terms.holdback_basis_points
        released = released_base_units(before.lines_total_base_units, holdback)
        floor = max(self._floors.get(statement.campaign, 0), released)
        self._floors[statement.campaign] = floor
        for what, lowest, found in (
            ("corrections", before.corrections, statement.corrections),
            ("lines total", floor, statement.lines_total_base_units),
        ):
            if found < lowest:
                expected = f"at least {lowest}"
                self._findings.differs("statements", f"{what} falls", where, expected, found)


async def check_published_lines(
    log: LogSource,
    submitted: Sequence[StatementSubmitted],
    recomputed: Mapping[StatementKey, Recomputed],
    escrow_domain: Hash,
    findings: Findings,
) -> None:
    """The lines that the operator publishes are the recomputed ones, and their proofs prove."""
    for each in submitted:
        own = recomputed.get((each.statement.campaign, each.statement.sequence))
        if own is None:
            continue
        where = f"campaign {each.statement.campaign} statement {each.statement.sequence}"
        try:
            document = await log.statement(each.statement.campaign, each.statement.sequence)
            published = _lines(document)
        except (InvalidInput, NotFound, VerificationFailed) as error:
            findings.differs("lines", error.message, where, error.expected, error.found)
            continue
        _compare_lines(each.statement, own, published, escrow_domain, where, findings)


def _compare_lines(
    statement: Statement,
    own: Recomputed,
    published: Sequence[tuple[Line, list[Hash]]],
    escrow_domain: Hash,
    where: str,
    findings: Findings,
) -> None:
    publishers = [line.publisher for line, _ in published]
    findings.compare("lines", "publishers", where, sorted(own.lines), sorted(publishers))
    for line, proof in published:
        place = f"{where} publisher {line.publisher}"
        expected = own.lines.get(line.publisher)
        if expected is not None:
            findings.compare("lines", "line", place, expected, line)
        leaf = line_leaf(escrow_domain, statement.campaign, line.publisher, line.counts)
        if not verify_line(statement.lines_root, leaf, proof):
            root = statement.lines_root
            findings.differs("lines", "the line's proof does not prove it", place, root, leaf)


def _lines(document: object) -> list[tuple[Line, list[Hash]]]:
    what = "statement"
    lines = []
    for each in list_in(document, "lines", what):
        line = Line(
            integer_in(each, "publisher", what),
            counts_in(each, "counts", what),
            integer_in(each, "amount_base_units", what),
        )
        proof = [hex_bytes(node, "proof", what, 32) for node in list_in(each, "proof", what)]
        lines.append((line, proof))
    return lines
