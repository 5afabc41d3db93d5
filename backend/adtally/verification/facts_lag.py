"""Whether batches were judged without changes on chain that were already old.

A change on chain counts from the entry on that brings it into the log, so an operator that holds
facts back judges by an old world: a payer without funds, a publisher without an order. The rule set
bounds that (``max_facts_lag_seconds``); ``docs/spec/facts.md`` says how it is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from adtally.errors import InvalidInput
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.correction import CORRECTION_KIND, Correction
from adtally.events.facts import CHAIN_FACTS_KIND, RULES_KIND, ChainFacts, RulesFacts
from adtally.verification.rule_set import RuleSet


@dataclass(frozen=True, slots=True)
class Judged:
    """The newest batch or correction that was judged by the same facts and rules.

    Attributes:
        through_block: last block whose facts stand before it; -1 if there are none.
        index: its leaf index.
        at_ms: when it was received.
        max_lag_seconds: of the rules in force there.
    """

    through_block: int
    index: int
    at_ms: int
    max_lag_seconds: int

    def is_late_for(self, block_timestamp_seconds: int) -> bool:
        """Whether facts of a block of that time had to stand before it."""
        return self.at_ms > (block_timestamp_seconds + self.max_lag_seconds) * 1000


class JudgedTrace:
    """Follows a log and keeps one ``Judged`` for each stretch between facts or rules.

    Times never fall in a log, so the newest of a stretch is the one that waited longest.
    """

    def __init__(self) -> None:
        self._done: list[Judged] = []
        self._open: Judged | None = None
        self._through = -1
        self._max_lag_seconds: int | None = None

    @property
    def stretches(self) -> list[Judged]:
        """In log order."""
        return self._done if self._open is None else [*self._done, self._open]

    def add(self, entries: Iterable[tuple[int, bytes]]) -> None:
        """Take in the next entries that are no records, with their leaf indices.

        What does not parse is passed over: it is for the replay to refuse it.
        """
        for index, entry in entries:
            try:
                self._take(index, entry)
            except InvalidInput:
                continue

    def _take(self, index: int, entry: bytes) -> None:
        kind = entry[0] if entry else -1
        if kind == ENVELOPE_KIND:
            self._judged(index, Envelope.from_entry(entry).received_at_ms)
        elif kind == CORRECTION_KIND:
            self._judged(index, Correction.from_entry(entry).recorded_at_ms)
        elif kind == CHAIN_FACTS_KIND:
            facts = ChainFacts.from_entry(entry)
            if facts.part + 1 == facts.parts:
                self._close()
                self._through = max(self._through, facts.last_block)
        elif kind == RULES_KIND:
            rules = RuleSet.from_json(RulesFacts.from_entry(entry).rules_json)
            self._close()
            self._max_lag_seconds = rules.max_facts_lag_seconds

    def load(self, stretches: Iterable[Judged], facts: Iterable[tuple[int, bytes]]) -> None:
        """Know what a trace knew.

        Args:
            stretches: its own.
            facts: all entries that it had seen, envelopes and records left out.
        """
        self.add(facts)
        self._done, self._open = list(stretches), None

    def _judged(self, index: int, at_ms: int) -> None:
        if self._max_lag_seconds is not None:
            self._open = Judged(self._through, index, at_ms, self._max_lag_seconds)

    def _close(self) -> None:
        if self._open is not None:
            self._done.append(self._open)
            self._open = None
