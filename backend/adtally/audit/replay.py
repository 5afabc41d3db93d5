"""Step 2: replay the log from its first entry; every signature and verdict is computed again.

By default in array expressions (``columns``), which the plain reference holds to account; with
``implementation="reference"`` by the reference itself.

On the way it keeps what later steps compare with the chain: the statement that the log gives at
each size for which one was settled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
from adtally.settlement.machine import LogMachine, MachineDump
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


@dataclass(frozen=True, slots=True)
class ReplayState:
    """What a replay knows at the end of a group commit; another can go on from it.

    Attributes:
        verdicts: how many records have each verdict, by its code.
        stops: anchored sizes at which nothing was cut in two.
    """

    machine: MachineDump
    recomputed: Mapping[StatementKey, Recomputed]
    verdicts: Mapping[int, int]
    corrections: int
    stops: frozenset[int]

    def fits(self, submitted: Sequence[StatementSubmitted], anchored_sizes: Sequence[int]) -> bool:
        """Whether a replay that goes on from here sees all that is asked for."""
        size = self.machine.size
        return all(each in self.stops or each >= size for each in anchored_sizes) and all(
            self._knows(each.statement) or each.statement.tree_size >= size for each in submitted
        )

    def _knows(self, asked: Statement) -> bool:
        own = self.recomputed.get((asked.campaign, asked.sequence))
        return (
            own is not None
            and own.statement.tree_size == asked.tree_size
            and own.statement.is_final == asked.is_final
        )


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
        self._stopped: set[int] = set()

    def resume(self, state: ReplayState, facts: Iterable[tuple[int, bytes]]) -> None:
        """Go on from what another replay knew; to be called before anything is fed.

        Args:
            facts: every entry below the state's size that is neither envelope nor record.

        Raises:
            AdtallyError: the state is not one of this log.
        """
        self.machine.load(state.machine, facts)
        self.verdicts.update(state.verdicts)
        self.corrections = state.corrections
        self.recomputed.update(state.recomputed)
        self._stopped |= state.stops
        self._findings.holds("replay", self.machine.size)
        self._findings.holds("corrections", state.corrections)
        if self.machine.size in self._stops:
            self._stop()

    def state(self) -> ReplayState | None:
        """What it knows now; None in the middle of a batch or after an entry that can't stand, and
        of the reference, which is always built from the log.
        """
        if self.is_broken or self.is_cut or not isinstance(self.machine, ColumnMachine):
            return None
        return ReplayState(
            self.machine.dump(),
            dict(self.recomputed),
            dict(self.verdicts),
            self.corrections,
            frozenset(self._stopped),
        )

    @property
    def is_cut(self) -> bool:
        """Whether what was fed ends inside a batch or a range of facts."""
        try:
            self.machine.require_complete()
        except AdtallyError:
            return True
        return False

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
        where = f"anchor at tree size {size}"
        if size in self._anchored and self._require_complete("anchors", where):
            self._stopped.add(size)
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
