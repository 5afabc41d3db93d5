"""Records as they stand in the log, found by id; and the batches around them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adtally.errors import NotFound, StorageCorrupt
from adtally.events.batch import ENVELOPE_KIND, MAX_BATCH_EVENTS, Envelope
from adtally.events.record import AdEvent, EventType, clear_verdict, event_id_text
from adtally.events.verdict import Verdict
from adtally.evidence.event_ids import EntrySource, EventIds
from adtally.log.merkle import MerkleTree
from adtally.log.multiproof import join_proofs
from adtally.proofs.bundle import LoggedEntry
from adtally.proofs.cite import PARENT_FROM, TAKES_NO_ID, cite_facts, depth
from adtally.rfc9162 import leaf_hash
from adtally.settlement.corrections import NEVER_MADE_GOOD
from adtally.types import Hash

_BACK = 512


@dataclass(frozen=True, slots=True)
class Found:
    """A record at its leaf index."""

    index: int
    record: bytes
    event: AdEvent


@dataclass(frozen=True, slots=True)
class InBatch:
    """The envelope before a record, at its leaf index, and the record's proof in its batch."""

    first_index: int
    envelope: bytes
    records_proof: tuple[Hash, ...]

    @property
    def parsed(self) -> Envelope:
        return Envelope.from_entry(self.envelope)


class Records:
    """Reads the log; for worker threads, since the disk may be slow."""

    def __init__(self, source: EntrySource, ids: EventIds) -> None:
        self._source = source
        self._ids = ids

    def occurrences(
        self, publisher: int, event_id: bytes, kind: EventType | None = None
    ) -> Iterator[Found]:
        """Every record of the publisher's event, of one type or all, by type and leaf index."""
        for each in EventType if kind is None else (kind,):
            for found in self._read(self._ids.find(publisher, each, event_id)):
                event = found.event
                if (event.publisher, event.type, event.id) == (publisher, each, event_id):
                    yield found

    def children(self, publisher: int, kind: EventType, parent_id: bytes) -> Iterator[Found]:
        """Every accepted event of a type with this parent, by leaf index."""
        for found in self._read(self._ids.find_children(publisher, kind, parent_id)):
            event = found.event
            if (event.publisher, event.type, event.parent_id) == (publisher, kind, parent_id):
                yield found

    def behind(
        self, found: Found, envelope: Envelope, facts: Iterable[LoggedEntry]
    ) -> list[LoggedEntry]:
        """What a record's verdict rests on: facts, the first of its id, parents; by leaf index.

        Args:
            facts: facts entries of the log, ascending, at least all before the record.
        """
        before = (each for each in facts if each.index < found.index)
        cited = cite_facts(found.event, envelope, before)
        cited += [LoggedEntry(each.index, each.record) for each in self._records_behind(found)]
        return sorted(cited, key=lambda each: each.index)

    def _records_behind(self, found: Found) -> list[Found]:
        event = found.event
        if event.verdict in NEVER_MADE_GOOD:
            same = self.occurrences(event.publisher, event.id, event.type)
            return _first(
                each
                for each in same
                if each.index < found.index and each.event.verdict not in TAKES_NO_ID
            )
        if event.type is EventType.IMPRESSION or depth(event) < PARENT_FROM:
            return []
        kind = EventType.CLICK if event.type is EventType.CONVERSION else EventType.IMPRESSION
        named = [
            each
            for each in self.occurrences(event.publisher, event.parent_id, kind)
            if each.index < found.index
        ]
        accepted = [each for each in named if each.event.verdict is Verdict.ACCEPTED]
        parents = _first(accepted or named)
        if event.verdict is not Verdict.PARENT_ALREADY_USED:
            return parents
        siblings = self.children(event.publisher, event.type, event.parent_id)
        return parents + _first(each for each in siblings if each.index < found.index)

    def _read(self, indexes: Iterable[int]) -> Iterator[Found]:
        for index in indexes:
            (entry,) = self._source.entries(index, index + 1)
            yield Found(index, entry, AdEvent.from_record(entry))

    def batch_of(self, index: int) -> InBatch:
        """The batch that the record at ``index`` is in.

        Raises:
            StorageCorrupt: the log has no envelope where one must be.
        """
        first = self._envelope_before(index)
        (envelope,) = self._source.entries(first, first + 1)
        count = Envelope.from_entry(envelope).count
        tree = MerkleTree()
        tree.append(
            [
                leaf_hash(clear_verdict(record))
                for record in self._source.entries(first + 1, first + 1 + count)
            ]
        )
        position = index - first - 1
        path = tree.inclusion_proof(position)
        return InBatch(first, envelope, join_proofs({position: path}, count))

    def _envelope_before(self, index: int) -> int:
        end = index
        while end > 0 and index - end <= MAX_BATCH_EVENTS:
            start = max(0, end - _BACK)
            entries = self._source.entries(start, end)
            for at in range(len(entries) - 1, -1, -1):
                if entries[at][:1] == bytes((ENVELOPE_KIND,)):
                    return start + at
            end = start
        raise StorageCorrupt(
            "a record has no envelope before it",
            field=f"entry {index}",
            expected=f"an envelope among the {MAX_BATCH_EVENTS} entries before it",
            found="none",
            action="restore the log",
        )


def _first(found: Iterable[Found]) -> list[Found]:
    return [each for each, _ in zip(found, range(1), strict=False)]


def require_one_type(found: Iterable[Found], publisher: int, event_id: bytes) -> list[Found]:
    """What was found, if it is one event.

    Raises:
        NotFound: nothing.
        NotFound: events of several types share the id; says which.
    """
    records = list(found)
    types = sorted({each.event.type for each in records})
    if len(types) == 1:
        return records
    name = event_id_text(event_id)
    raise NotFound(
        "the log has no such event" if not types else "several events have this id",
        field="type" if types else "id",
        expected=f"an event of publisher {publisher} that is logged"
        if not types
        else "one of " + ", ".join(each.label for each in types),
        found=name if not types else "no type",
        action="check publisher, id and type; ids name a publisher's event of one type"
        if not types
        else "say the type: an id names one event of each type",
    )
