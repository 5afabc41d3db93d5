"""The compiled engine: what ``LogMachine`` judges and books by, for whole batches."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adtally.errors import InvariantBroken
from adtally.events.record import RECORD_SIZE, AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.kernel.facts_table import FactRows, FactsTable, Words
from adtally.kernel.ledger import Ledger
from adtally.kernel.records import RecordArray
from adtally.kernel.rules import Index, Moment, judge
from adtally.kernel.tables import copy_events, find_event
from adtally.types import Role
from adtally.verification.age_floors import AgeFloors
from adtally.verification.fact_state import FactState, MemberFacts
from adtally.verification.rule_set import RuleSet

_FIRST_PLACES = 2**12
_VERDICTS = [Verdict(code) for code in range(len(Verdict))]


@dataclass(slots=True)
class _Table:
    """Rows of a hash table and how many are taken: a third to two thirds once it is not small."""

    rows: Words
    taken: int = 0

    def make_room(self, count: int, oldest_ms: int, seed: np.uint64) -> None:
        """Have ``count`` free rows; what occurred before ``oldest_ms`` is dropped on the way."""
        if 3 * (self.taken + count) <= 2 * len(self.rows):
            return
        is_taken = self.rows[:, 0] != 0
        kept = int((is_taken & (self.rows[:, 1] >> np.uint64(16) >= oldest_ms)).sum()) + count
        places = 2 ** (max(2 * kept, _FIRST_PLACES) - 1).bit_length()
        into = np.zeros((places, self.rows.shape[1]), np.uint64)
        self.taken = copy_events(self.rows, into, np.uint64(max(oldest_ms, 0)), seed)
        self.rows = into


def prepare() -> None:
    """Compile, or load what was compiled before, so that the first batch does not wait for it."""
    engine = KernelEngine(FactState())
    nobody = MemberFacts(0, bytes(20), 0, 0, bytes(20))
    records = RecordArray(np.zeros((1, RECORD_SIZE), np.uint8))
    if records.first_refused != 0:
        raise InvariantBroken("the kernel takes a record of zeros")
    engine.judge(records, nobody, 0, RuleSet())


class KernelEngine:
    """Implements ``settlement.engine.Engine``.

    Args:
        facts: the state that the machine applies facts to.
    """

    def __init__(self, facts: FactState) -> None:
        self._facts = facts
        self._floors = AgeFloors()
        self._seed = np.uint64(secrets.randbits(64))
        self._rows = FactRows(self._seed)
        self._ledger = Ledger(self._rows)
        self._seen = _Table(np.zeros((_FIRST_PLACES, 5), np.uint64))
        self._parents = _Table(np.zeros((_FIRST_PLACES, 4), np.uint64))
        self._table: FactsTable | None = None
        self._built_from = -1

    @property
    def accruals(self) -> Ledger:
        """What has been earned, with a row for every order that the facts know by now."""
        self._facts_table()
        return self._ledger

    def parse(self, records: Sequence[bytes]) -> RecordArray:
        """As ``Engine.parse``."""
        parsed = RecordArray.of(records)
        parsed.require_unjudged()
        return parsed

    def unset(self, records: Sequence[bytes]) -> RecordArray:
        """As ``Engine.unset``."""
        return RecordArray.of(records).with_verdicts(bytes(len(records)))

    def judge(
        self, records: RecordArray, sender: MemberFacts, received_at_ms: int, rules: RuleSet
    ) -> list[Verdict]:
        """Verdicts on records with verdict zero, in log order; books them and takes their ids."""
        self._floors.advance(received_at_ms, rules)
        self._seen.make_room(len(records), self._floors.oldest_event_ms, self._seed)
        self._parents.make_room(len(records), self._floors.oldest_parent_ms, self._seed)
        facts = self._facts_table()
        codes = np.empty(len(records), np.uint8)
        ids, parents = judge(
            records.rows,
            _digests(records),
            _moment(self._floors, sender, received_at_ms, rules),
            facts,
            self._ledger.books,
            Index(self._seen.rows, self._parents.rows, self._seed),
            codes,
        )
        self._seen.taken += ids
        self._parents.taken += parents
        return [_VERDICTS[code] for code in codes.tolist()]

    def knows(self, event: AdEvent) -> bool:
        """Whether the event's id is taken, as far as ids are remembered."""
        if event.occurred_at_ms < self._floors.oldest_event_ms:
            return False
        return bool(self._seen.rows[self._place(event), 0])

    def take(self, event: AdEvent, unset_record: bytes) -> None:
        """Take the id of an event that a correction has made good, unless it is forgotten."""
        if event.occurred_at_ms < self._floors.oldest_event_ms:
            return
        self._seen.make_room(1, self._floors.oldest_event_ms, self._seed)
        row = self._seen.rows[self._place(event)]
        self._seen.taken += int(row[0] == 0)
        row[:3] = _key(event)
        row[3:] = _digests(RecordArray.of([unset_record]))[0]

    def _place(self, event: AdEvent) -> int:
        name, high, low = _key(event)
        return int(find_event(self._seen.rows, name, high, low, self._seed))

    def _facts_table(self) -> FactsTable:
        if self._table is None or self._built_from != self._facts.version:
            self._table = self._rows.build(self._facts)
            self._built_from = self._facts.version
            self._ledger.make_room()
        return self._table


def _key(event: AdEvent) -> tuple[np.uint64, np.uint64, np.uint64]:
    return (
        np.uint64(event.publisher << 8 | event.type),
        np.uint64(int.from_bytes(event.id[:8], "big")),
        np.uint64(int.from_bytes(event.id[8:], "big")),
    )


def _digests(records: RecordArray) -> Words:
    """Two words of each record's hash."""
    return records.leaf_hashes.view(np.uint64)[:, :2]


def _moment(floors: AgeFloors, sender: MemberFacts, received_at_ms: int, rules: RuleSet) -> Moment:
    windows = np.zeros(1 + len(EventType), np.int64)
    windows[EventType.VIEWABLE] = rules.viewable_window_ms
    windows[EventType.CLICK] = rules.click_window_ms
    windows[EventType.CONVERSION] = rules.conversion_window_ms
    return Moment(
        received_at_ms=received_at_ms,
        oldest_event_ms=floors.oldest_event_ms,
        oldest_parent_ms=floors.oldest_parent_ms,
        max_clock_skew_ms=rules.max_clock_skew_ms,
        windows_ms=windows,
        is_refused_agent=_flags(rules.refused_user_agent_classes),
        is_refused_network=_flags(rules.refused_network_classes),
        sender=sender.id,
        is_collector=sender.has_role(Role.COLLECTOR),
        is_publisher=sender.has_role(Role.PUBLISHER),
        publishers_report_conversions=rules.publisher_conversions,
    )


def _flags(codes: Sequence[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    flags = np.zeros(256, np.bool_)
    flags[list(codes)] = True
    return flags
