"""Step 2: replay the log from its first entry; every signature and verdict is computed again.

On the way it keeps what later steps compare with the chain: the statement that the log gives at
each size for which one was settled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from adtally.audit.chain_events import StatementSubmitted
from adtally.audit.report import Findings
from adtally.errors import AdtallyError
from adtally.events.correction import CORRECTION_KIND
from adtally.events.record import RECORD_KIND, RECORD_SIZE, VERDICT_OFFSET
from adtally.events.verdict import Verdict
from adtally.settlement.corrections import Leaves
from adtally.settlement.machine import LogMachine
from adtally.types import Hash, Line, LogIdentity, Statement

StatementKey = tuple[int, int]
"""Campaign and sequence."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What the log itself gives for a statement, and whether it may say it is final there."""

    statement: Statement
    lines: dict[int, Line]
    may_be_final: bool


class Replay:
    """Feeds entries to the reference machine and stops at sizes of interest.

    Args:
        submitted: the statements found on chain.
        anchored_sizes: sizes that were anchored; none may cut a batch in two.
        leaves: leaf hashes of what is fed, at the latest when it is.
    """

    def __init__(
        self,
        identity: LogIdentity,
        escrow_domain: Hash,
        submitted: Sequence[StatementSubmitted],
        anchored_sizes: Sequence[int],
        findings: Findings,
        leaves: Leaves,
    ) -> None:
        self.machine = LogMachine(identity, escrow_domain, leaves=leaves)
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
        """Apply the next entries; after the first that can't stand there, nothing more."""
        for entry in entries:
            if len(entry) == RECORD_SIZE and entry[0] == RECORD_KIND:
                self.verdicts[entry[VERDICT_OFFSET]] += 1
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

    def _apply(self, entries: Sequence[bytes]) -> None:
        machine = self.machine
        start = machine.size
        try:
            for entry in entries:
                machine.apply(entry)
                if entry[0] == CORRECTION_KIND:
                    self.corrections += 1
                    self._findings.holds("corrections")
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
        self._findings.holds("replay", machine.size - start)

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
