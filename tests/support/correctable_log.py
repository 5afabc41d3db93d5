"""A world's log with its leaves, entry by entry, and corrections of what it holds."""

from __future__ import annotations

from typing import Any

from adtally.events.correction import Correction, CorrectionReason
from adtally.events.record import AdEvent
from adtally.events.verdict import Verdict
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import FactsEntry, LogMachine, batch_entries
from support.world import ALICE, CAMPAIGN, ESCROW_DOMAIN, IDENTITY, World


class CorrectableLog:
    """What the operator keeps, without a disk."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tree = MerkleTree()
        self.machine = LogMachine(IDENTITY, ESCROW_DOMAIN, leaves=self.tree)
        self.entries: list[bytes] = []
        for facts in world.facts():
            self.enter(facts)

    def enter(self, facts: FactsEntry) -> int:
        """Enter facts or a correction; returns its leaf index."""
        entry = facts.to_entry()
        self.machine.apply_facts(facts)
        return self._append([entry])

    def send(self, *events: AdEvent, member: int = ALICE, at_ms: int | None = None) -> list[int]:
        """Log a batch; returns its records' leaf indexes."""
        received_at_ms = self.now_ms if at_ms is None else at_ms
        batch = self.world.batch(list(events), member=member)
        verdicts = self.machine.judge_batch(batch, received_at_ms)
        first = self._append(batch_entries(batch, received_at_ms, verdicts))
        return [first + 1 + offset for offset in range(len(events))]

    def correction(self, index: int, change: int, **fields: Any) -> Correction:
        """A correction of the record at ``index`` now."""
        plain: dict[str, Any] = {
            "recorded_at_ms": self.now_ms,
            "reason": CorrectionReason.LATE_SIVT if change < 0 else CorrectionReason.MAKE_GOOD,
            "record": self.entries[index],
            "detail": "",
        }
        return Correction(index=index, change=change, **(plain | fields))

    def correct(self, index: int, change: int, **fields: Any) -> int:
        """Enter a correction; returns its leaf index."""
        return self.enter(self.correction(index, change, **fields))

    def verdict(self, index: int) -> Verdict:
        return AdEvent.from_record(self.entries[index]).verdict

    def replayed(self) -> LogMachine:
        """Another machine that has read the same entries."""
        tree = MerkleTree()
        tree.append([leaf_hash(entry) for entry in self.entries])
        machine = LogMachine(IDENTITY, ESCROW_DOMAIN, leaves=tree)
        for entry in self.entries:
            machine.apply(entry)
        return machine

    @property
    def now_ms(self) -> int:
        return max(self.world.now_ms, self.machine.last_received_at_ms)

    @property
    def total(self) -> int:
        """Sum of the campaign's lines, in base units."""
        return self.machine.accruals.lines_total_base_units(CAMPAIGN)

    def line(self, publisher: int = ALICE) -> int:
        """The publisher's amount, in base units; 0 without a line."""
        lines = self.machine.accruals.lines(CAMPAIGN)
        return sum(line.amount_base_units for line in lines if line.publisher == publisher)

    def _append(self, entries: list[bytes]) -> int:
        first = len(self.entries)
        self.entries += entries
        self.tree.append([leaf_hash(entry) for entry in entries])
        return first
