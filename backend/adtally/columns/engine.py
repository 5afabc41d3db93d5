"""The columnar engine: what ``LogMachine`` judges and books by, a run of batches at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adtally.columns.event_ids import Digests, EventIds
from adtally.columns.hashing import PLAIN_HASHING, Hashes, Hashing
from adtally.columns.judge import Moments, Trial
from adtally.columns.offers import Offers
from adtally.columns.rows import (
    RecordColumns,
    SignedRows,
    first_malformed,
    packed_rows,
    unjudged_rows,
)
from adtally.errors import InvariantBroken
from adtally.events.record import VERDICT_OFFSET, AdEvent
from adtally.events.record_columns import RecordRows
from adtally.events.verdict import Verdict, Verdicts
from adtally.settlement.accrual import Accruals, AccrualsDump, LineDump
from adtally.settlement.engine import EngineDump, unjudged
from adtally.types import Counts, Role
from adtally.verification.age_floors import AgeFloors
from adtally.verification.fact_state import FactState, MemberFacts
from adtally.verification.rule_set import RuleSet

_AMOUNT_BYTES = 32
_DIGEST_BYTES = 16


class ColumnEngine:
    """Implements ``settlement.engine.Engine``; ``trial`` is for runs of logged batches.

    Args:
        facts: the state that the machine applies facts to.
        hashing: computes leaf and node hashes.
    """

    def __init__(self, facts: FactState, hashing: Hashing = PLAIN_HASHING) -> None:
        self.hashing = hashing
        self.accruals = Accruals()
        self.floors = AgeFloors()
        self.ids = EventIds(self.floors)
        self._offers = Offers(facts)
        self.knows = self.ids.knows
        self.take = self.ids.take_one

    def trial(
        self,
        columns: RecordColumns,
        leaves: Hashes,
        batches: Sequence[tuple[int, int, MemberFacts]],
        rules: RuleSet,
    ) -> Trial:
        """Well-formed records of some batches, before the court; takes their ids.

        Args:
            leaves: leaf hash of each record without its verdict.
            batches: number of records, received-at (ms) and sender of each.
        """
        digests: Digests = np.ascontiguousarray(leaves[:, :_DIGEST_BYTES]).view("V16").ravel()
        moments = self._moments(batches, rules)
        return Trial(columns, digests, moments, rules, self._offers, self.ids, self.accruals)

    def _moments(self, batches: Sequence[tuple[int, int, MemberFacts]], rules: RuleSet) -> Moments:
        floors = self.floors
        rows = np.empty((len(batches), 6), np.int64)
        roles = np.empty((len(batches), 2), bool)
        for at, (count, received_at_ms, sender) in enumerate(batches):
            floors.advance(received_at_ms, rules)
            rows[at] = (
                count,
                received_at_ms,
                sender.id,
                floors.oldest_event_ms,
                floors.oldest_impression_ms,
                floors.oldest_click_ms,
            )
            roles[at] = sender.has_role(Role.COLLECTOR), sender.has_role(Role.PUBLISHER)
        count_of, received, senders, event, impression, click = rows.T
        return Moments(
            count_of, received, senders, roles[:, 0], roles[:, 1], event, impression, click
        )

    def parse(self, records: Sequence[bytes]) -> SignedRows:
        """As ``Engine.parse``."""
        rows = packed_rows(records)
        judged = np.flatnonzero(rows[:, VERDICT_OFFSET])
        refused = min(first_malformed(RecordColumns(rows)), *judged[:1].tolist(), len(rows))
        if refused < len(rows):
            unjudged(rows[refused].tobytes())
            raise InvariantBroken(f"refused, but well-formed: {rows[refused].tobytes()!r}")
        return records if isinstance(records, SignedRows) else SignedRows.of(rows, self.hashing)

    def unset(self, records: Sequence[bytes]) -> SignedRows:
        """As ``Engine.unset``."""
        return SignedRows.of(unjudged_rows(packed_rows(records)), self.hashing)

    def verdicts(self, records: Sequence[bytes]) -> Verdicts:
        """As ``Engine.verdicts``."""
        return Verdicts(packed_rows(records)[:, VERDICT_OFFSET].tobytes())

    def judge(
        self, records: SignedRows, sender: MemberFacts, received_at_ms: int, rules: RuleSet
    ) -> Verdicts:
        """As ``Engine.judge``: guesses, and takes what would have to be instead as a new guess.

        With each guess at least one more verdict from the start on is right.
        """
        batch = (len(records), received_at_ms, sender)
        trial = self.trial(RecordColumns(records.rows), records.leaves, [batch], rules)
        guess = np.full(len(records), Verdict.ACCEPTED, np.uint8)
        while not np.array_equal(found := trial.expected(guess), guess):
            guess = found
        trial.book(guess)
        return Verdicts(guess.tobytes())

    # Putting aside -----------------------------------------------------------------------------

    def dump(self) -> EngineDump:
        """As ``Engine.dump``; the same state always gives the same bytes."""
        floors, books = self.floors, self.accruals.dump()
        times = (floors.oldest_event_ms, floors.oldest_impression_ms, floors.oldest_click_ms)
        lines = sorted(books.lines)
        counts = [
            (each.campaign, each.publisher, each.counts.impressions, each.counts.viewables,
             each.counts.clicks, each.counts.conversions)
            for each in lines
        ]  # fmt: skip
        amounts = b"".join(
            amount.to_bytes(_AMOUNT_BYTES, "big")
            for each in lines
            for amount in (each.amount_milli, each.highest_base_units)
        )
        corrections = sorted(books.corrections.items())
        return {
            "floors": np.array(times, np.int64),
            "lines": np.array(counts, np.uint64).reshape(-1, 6),
            "amounts": np.frombuffer(amounts, np.uint8).reshape(-1, 2, _AMOUNT_BYTES),
            "corrections": np.array(corrections, np.uint64).reshape(-1, 2),
            **self.ids.dump(),
        }

    def load(self, dump: Mapping[str, Any]) -> None:
        """As ``Engine.load``."""
        floors = self.floors
        times = dump["floors"].tolist()
        floors.oldest_event_ms, floors.oldest_impression_ms, floors.oldest_click_ms = times
        lines = [
            LineDump(campaign, publisher, Counts(*counts), *_amounts(amounts))
            for (campaign, publisher, *counts), amounts in zip(
                dump["lines"].tolist(), dump["amounts"], strict=True
            )
        ]
        self.accruals.load(AccrualsDump(lines, dict(dump["corrections"].tolist())))
        self.ids.load(dump)


def _amounts(packed: Any) -> tuple[int, int]:
    amount_milli, highest_base_units = (int.from_bytes(each.tobytes(), "big") for each in packed)
    return amount_milli, highest_base_units


def refuse_malformed(row: RecordRows) -> None:
    """Raise what the reference says of a record that ``first_malformed`` found."""
    AdEvent.from_record(row.tobytes())
    raise InvariantBroken(f"refused, but well-formed: {row.tobytes()!r}")
