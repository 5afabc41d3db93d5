"""What goes to the chain, and its gas: anchors by the service's own decision, statements, lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from adtally.jobs.decisions import (
    AnchorPolicy,
    AskedCheckpoint,
    NewEntries,
    anchor_reason,
    may_ask_beyond,
)
from adtally.verification.rule_set import RuleSet

from .inputs import UnitCosts
from .scenario import Scenario
from .traffic import DAY_SECONDS, STEP_SECONDS, Ints

LINES_A_TRANSACTION = 50


@dataclass(frozen=True, slots=True)
class OnChain:
    """Of all logs together, except for the busiest account.

    Attributes:
        transactions_most: of the log that has most; each log sends one at a time.
        transactions_room: blocks of the day, so what one log can send.
    """

    anchors: int
    statements: int
    lines: int
    anchor_gas: int
    statement_gas: int
    claim_gas: int
    transactions: int
    transactions_most: int
    transactions_room: int

    @property
    def gas(self) -> int:
        return self.anchor_gas + self.statement_gas + self.claim_gas


def on_chain(
    scenario: Scenario, costs: UnitCosts, taken: Ints, statements: Ints, lines: Ints
) -> OnChain:
    """Transactions of a day on which every campaign has one statement and all its lines are paid.

    Args:
        taken: entries by (log, step).
        statements, lines: by log.
    """
    anchors = [anchor_sizes(scenario, each) for each in taken]
    anchor_gas = 0
    for sizes, of_day in zip(anchors, taken.sum(axis=1), strict=True):
        older = int(of_day) * scenario.log_age_days
        anchor_gas += sum(_gas_of_anchor(costs, older + size) for size in sizes)
    claims = -(-lines // LINES_A_TRANSACTION)
    sent = np.array([len(sizes) for sizes in anchors]) + statements + claims
    return OnChain(
        anchors=sum(len(sizes) for sizes in anchors),
        statements=int(statements.sum()),
        lines=int(lines.sum()),
        anchor_gas=anchor_gas,
        statement_gas=int(statements.sum()) * costs.settle_gas,
        claim_gas=int(lines.sum()) * costs.claim_gas,
        transactions=int(sent.sum()),
        transactions_most=int(sent.max()),
        transactions_room=DAY_SECONDS // scenario.block_seconds,
    )


def anchor_sizes(scenario: Scenario, taken: Ints) -> list[int]:
    """Tree sizes at which a log of this day is anchored."""
    policy = AnchorPolicy(scenario.anchor_every_entries, scenario.anchor_every_seconds)
    promise = RuleSet().anchor_promise_seconds
    asked: AskedCheckpoint | None = None
    sizes = [0]
    oldest_ms = 0
    for step, size in enumerate(np.cumsum(taken).tolist()):
        now_ms = (step + 1) * STEP_SECONDS * 1_000
        if asked and now_ms >= asked.asked_at_ms + scenario.anchor_latency_seconds * 1_000:
            asked = None
        if size == sizes[-1]:
            oldest_ms = now_ms
            continue
        new = NewEntries(size - sizes[-1], oldest_ms, promise)
        if anchor_reason(new, policy, now_ms) and may_ask_beyond(asked, policy, now_ms):
            sizes.append(size)
            asked, oldest_ms = AskedCheckpoint(now_ms), now_ms
    return sizes[1:]


def _gas_of_anchor(costs: UnitCosts, size: int) -> int:
    return round(costs.anchor_gas + costs.anchor_gas_a_level * math.log2(max(size, 1)))
