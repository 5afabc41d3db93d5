"""Step 2: replay the log from its first entry; every signature and verdict is computed again.

By default in array expressions (``columns``), which the plain reference holds to account; with
``implementation="reference"`` by the reference itself.

On the way it keeps what later steps compare with the chain: the statement that the log gives at
each size for which one was settled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adtally.audit.chain_events import StatementSubmitted
from adtally.audit.report import Findings
from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import PLAIN_HASHING, Hashing
from adtally.columns.machine import ColumnMachine
from adtally.errors import AdtallyError
from adtally.events.correction import CORRECTION_KIND
from adtally.events.record import VERDICT_OFFSET
from adtally.events.verdict import Verdict
from adtally.settlement.corrections import Leaves
from adtally.settlement.machine import LogMachine
from adtally.types import Hash, Line, LogIdentity, Statement

Implementation = Literal["columns", "reference"]
"""Which code replays the log; they agree."""

StatementKey = tuple[int, int]
"""Campaign and sequence."""


_CORRECTION = bytes((CORRECTION_KIND,))


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What the log itself gives for a statement, and whether it may say it is final there."""

    statement: Statement
    lines: dict[int, Line]
    may_be_final: bool


class Replay:
    """Feeds entries to a machine and stops at sizes of interest.

    Args:
        submitted: the statements found on chain.
        anchored_sizes: sizes that were anchored; none may cut a batch in two.
        leaves: leaf hashes of what is fed, at the latest when it is.
        hashing: computes leaf and node hashes many at a time.
    """

    def __init__(
        self,
        identity: LogIdentity,
        escrow_domain: Hash,
        submitted: Sequence[StatementSubmitted],
        anchored_sizes: Sequence[int],
        findings: Findings,
        leaves: Leaves,
        *,
        implementation: Implementation = "columns",
        hashing: Hashing = PLAIN_HASHING,
    ) -> None:
        self.machine = (
            ColumnMachine(identity, escrow_domain, leaves=leaves, hashing=hashing)
            if implementation == "columns"
            else LogMachine(identity, escrow_domain, leaves=leaves)
        )
        self.recomputed: dict[StatementKey, Recomputed] = {}
        self.verdicts: Counter[int] = Counter()
        self.corrections = 0
        self.is_broken = False
        self._findings = findings
        self._submitted: dict[int, list[Statement]] = {}
        for each in submitted:
            self._submitted.setdefault(each.statement.tree_size, []).append(each.statement)
        self._anchored = set(anchored_sizes)
        self._stops = sorted(self._anchored | set(self._submitted))

    def feed(self, entries: Sequence[bytes]) -> None:
        """Apply the next entries (fastest as EntryColumns); after the first that can't stand
        there, nothing more.
        """
        entries = EntryColumns.of(entries)
        verdicts = np.bincount(entries.rows[:, VERDICT_OFFSET])
        found = np.flatnonzero(verdicts)
        self.verdicts.update(dict(zip(found.tolist(), verdicts[found].tolist(), strict=True)))
        done = 0
        while done < len(entries) and not self.is_broken:
            following = bisect_right(self._stops, self.machine.size)
            until = self._stops[following] if following < len(self._stops) else None
            part = entries[done : None if until is None else done + until - self.machine.size]
            self._apply(part)
            done += len(part)
            if self.machine.size == until and not self.is_broken:
                self._stop()

    def finish(self) -> None:
        """The log's end must not cut a batch or a range of facts in two."""
        if not self.is_broken:
            self._require_complete("replay", f"end of the log at size {self.machine.size}")

    def verdict_counts(self) -> dict[str, int]:
        """How many records have each verdict, by its label."""
        known = {verdict.value: verdict.label for verdict in Verdict}
        return {
            known.get(code, f"unknown_{code}"): count
            for code, count in sorted(self.verdicts.items())
        }

    def _apply(self, entries: EntryColumns) -> None:
        machine = self.machine
        start = machine.size
        try:
            if isinstance(machine, ColumnMachine):
                machine.take(entries)
            else:
                for entry in entries:
                    machine.apply(entry)
        except AdtallyError as error:
            self.is_broken = True
            where = f"entry {machine.size}"
            self._findings.differs(
                "replay",
                error.message,
                where,
                error.expected or "an entry that follows from those before it",
                error.found or error.code,
            )
        applied = machine.size - start
        self._findings.holds("replay", applied)
        corrections = sum(
            place < applied and entry[:1] == _CORRECTION for place, entry in entries.others
        )
        self.corrections += corrections
        self._findings.holds("corrections", corrections)

    def _stop(self) -> None:
        size = self.machine.size
        if size in self._anchored:
            self._require_complete("anchors", f"anchor at tree size {size}")
        for asked in self._submitted.get(size, []):
            where = f"campaign {asked.campaign} statement {asked.sequence}"
            if self._require_complete("statements", where):
                statement, lines = self.machine.statement(
                    asked.campaign, asked.sequence, is_final=asked.is_final
                )
                self.recomputed[asked.campaign, asked.sequence] = Recomputed(
                    statement,
                    {line.publisher: line for line in lines},
                    self.machine.may_be_final(asked.campaign),
                )

    def _require_complete(self, check: str, where: str) -> bool:
        try:
            self.machine.require_complete()
        except AdtallyError as error:
            self._findings.differs(check, error.message, where, error.expected, error.found)
            return False
        return True
