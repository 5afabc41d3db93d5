"""The compiled engine: what ``LogMachine`` judges and books by, for whole batches."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from adtally.errors import InvariantBroken
from adtally.events.record import RECORD_SIZE, VERDICT_OFFSET, AdEvent, EventType, clear_verdict
from adtally.events.verdict import Verdicts
from adtally.kernel.event_ids import EventIds
from adtally.kernel.event_lines import read_events
from adtally.kernel.facts_table import FactRows, FactsTable
from adtally.kernel.ledger import Ledger
from adtally.kernel.logged_records import FRAMED_SIZE, LoggedRecords, lay_out
from adtally.kernel.records import RecordArray
from adtally.kernel.rules import Moment, judge
from adtally.kernel.sha256 import packed_parents, tree_root
from adtally.rfc9162 import HASH_SIZE
from adtally.settlement.engine import EngineDump
from adtally.types import Role
from adtally.verification.age_floors import AgeFloors
from adtally.verification.fact_state import FactState, MemberFacts
from adtally.verification.rule_set import DAY_MS, RuleSet

MEMORY_BYTES = 2**30
"""For event ids, if nothing else is said."""


def prepare() -> None:
    """Compile, or load what was compiled before, so that no batch ever waits for it.

    What runs late is compiled now as well: trees of several leaves, corrections, forgetting.
    """
    engine = KernelEngine(FactState(), memory_bytes=0)
    nobody = MemberFacts(0, bytes(20), 0, 0, bytes(20))
    records = RecordArray.packed(bytes(2 * RECORD_SIZE))
    if records.first_refused != 0:
        raise InvariantBroken("the kernel takes a record of zeros")
    if read_events(b"{}", 0, 2, b"\n") is not None:
        raise InvariantBroken("the kernel reads an event without fields")
    verdicts = engine.judge(records, nobody, 0, RuleSet())
    bundle, hashes = np.empty(2 * FRAMED_SIZE, np.uint8), np.empty((2, HASH_SIZE), np.uint8)
    lay_out(records, verdicts, bundle, hashes)
    logged = LoggedRecords.read(bundle.tobytes(), 0, 2)
    if logged is None or logged.verdicts != verdicts:
        raise InvariantBroken("the kernel can't read what it has laid out")
    if packed_parents(hashes.tobytes()) != tree_root(logged.leaf_hashes):
        raise InvariantBroken("the kernel has two roots for one tree")
    event = AdEvent(EventType.IMPRESSION, 1, 1, 1, 1, id=bytes(16), occurred_at_ms=0)
    # The first time has passed the event's age, the second that of every parent.
    for now_ms in (2 * DAY_MS, 30 * DAY_MS):
        engine.take(event, bytes(RECORD_SIZE))
        engine.ids.knows(event)
        engine.judge(records, nobody, now_ms, RuleSet())


class KernelEngine:
    """Implements ``settlement.engine.Engine``.

    Args:
        facts: the state that the machine applies facts to.
        memory_bytes: the most that event ids may take.
        ready_bytes: what of it is taken at once, so that no batch waits for it.
    """

    def __init__(
        self, facts: FactState, memory_bytes: int = MEMORY_BYTES, ready_bytes: int = 0
    ) -> None:
        self._facts = facts
        self._floors = AgeFloors()
        seed = np.uint64(secrets.randbits(64))
        self.ids = EventIds(seed, memory_bytes, ready_bytes)
        self._rows = FactRows(seed)
        self._ledger = Ledger(self._rows)
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
        if isinstance(records, LoggedRecords):
            return records.signed
        return RecordArray.of([clear_verdict(record) for record in records])

    def verdicts(self, records: Sequence[bytes]) -> Verdicts:
        """As ``Engine.verdicts``."""
        if isinstance(records, LoggedRecords):
            return records.verdicts
        return Verdicts(record[VERDICT_OFFSET] for record in records)

    def judge(
        self, records: RecordArray, sender: MemberFacts, received_at_ms: int, rules: RuleSet
    ) -> Verdicts:
        """Verdicts on records with verdict zero, in log order; books them and takes their ids."""
        self._floors.advance(received_at_ms, rules)
        self.ids.advance(self._floors, received_at_ms + rules.max_clock_skew_ms, len(records))
        facts = self._facts_table()
        codes = np.empty(len(records), np.uint8)
        judge(
            records.rows,
            records.leaf_hashes.view(np.uint64),
            _moment(sender, received_at_ms, rules),
            facts,
            self._ledger.books,
            self.ids.table,
            self.ids.floors,
            codes,
        )
        return Verdicts(codes.tobytes())

    def knows(self, event: AdEvent) -> bool:
        """Whether the event's id is taken, as far as ids are remembered."""
        return self.ids.knows(event)

    def take(self, event: AdEvent, unset_record: bytes) -> None:
        """Take the id of an event that a correction has made good, unless it is forgotten."""
        self.ids.take(event, unset_record)

    def dump(self) -> EngineDump:
        """As ``Engine.dump``."""
        self._facts_table()
        floors = self._floors
        times = (floors.oldest_event_ms, floors.oldest_impression_ms, floors.oldest_click_ms)
        parts = (self.ids.dump(), self._rows.dump(), self._ledger.dump())
        return {"floors": np.array(times, np.int64), **parts[0], **parts[1], **parts[2]}

    def load(self, dump: EngineDump) -> None:
        """As ``Engine.load``."""
        floors = self._floors
        times = dump["floors"].tolist()
        floors.oldest_event_ms, floors.oldest_impression_ms, floors.oldest_click_ms = times
        self.ids.load(dump)
        self._rows.load(dump)
        self._table = None
        self._facts_table()
        self._ledger.load(dump)

    def _facts_table(self) -> FactsTable:
        if self._table is None or self._built_from != self._facts.version:
            self._table = self._rows.build(self._facts)
            self._built_from = self._facts.version
            self._ledger.make_room()
        return self._table


def _moment(sender: MemberFacts, received_at_ms: int, rules: RuleSet) -> Moment:
    windows = np.zeros(1 + len(EventType), np.int64)
    windows[EventType.VIEWABLE] = rules.viewable_window_ms
    windows[EventType.CLICK] = rules.click_window_ms
    windows[EventType.CONVERSION] = rules.conversion_window_ms
    return Moment(
        received_at_ms=received_at_ms,
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
