"""Which ids are taken, by which record, and which of them count as parents.

One row an id that was ever taken and may still be looked up: until it is older than the rules
allow events to be, or, of an accepted impression or click, until no child can name it any more
(``verification.age_floors``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from adtally.columns.key_table import Keys, KeyTable, Rows
from adtally.columns.rows import Codes, Mask, Numbers, Words
from adtally.events.record import AdEvent, EventType
from adtally.rfc9162 import leaf_hash
from adtally.verification.age_floors import AgeFloors

ACCEPTED = np.uint8(1)
"""Flag of an accepted impression or click. Bit ``kind`` says that a child of that type counts."""

_COLUMNS = {"digest": np.dtype("V16"), "campaign": np.uint32, "flags": np.uint8}
_TIME_SHIFT = np.uint64(16)
_KIND_SHIFT = np.uint64(8)
_KIND_MASK = np.uint64(0xFF)
_DIGEST_SIZE = 16

Digests = npt.NDArray[np.void]
"""The first 16 bytes of the leaf hash of each record without verdict."""


def event_keys(high: Words, low: Words, publisher: Words, kind: Codes) -> Keys:
    """What names events: the halves of their ids, then publisher and type."""
    return Keys(high, low, publisher << _KIND_SHIFT | kind)


class EventIds:
    """Ids and parents, by publisher and type."""

    def __init__(self, floors: AgeFloors, seed: int | None = None) -> None:
        self._floors = floors
        self._table = KeyTable(_COLUMNS, seed)

    @property
    def count(self) -> int:
        """How many rows are in use."""
        return self._table.count

    @property
    def capacity(self) -> int:
        """For how many rows there is room."""
        return self._table.capacity

    def take(self, keys: Keys, digests: Digests, campaigns: Words) -> Rows:
        """Take ids that are still free; gives the row of each.

        A row that was there before, or that the same id has earlier in the call, belongs to
        another record. The first id of the call would get row ``count``, and so on.
        """
        self._table.room_for(len(digests), self._is_alive)
        base = self._table.count
        rows = self._table.take(keys)
        columns = self._table.columns
        columns["digest"][base : self._table.count] = digests
        columns["campaign"][base : self._table.count] = campaigns
        return rows

    def make_room(self, number: int) -> None:
        """Before rows are looked up that ``number`` more ids must not move."""
        self._table.room_for(number, self._is_alive)

    def find(self, keys: Keys) -> Rows:
        """The row of each id, -1 of those that are free."""
        return self._table.find(keys)

    def digests(self, rows: Rows) -> Digests:
        """Of the records that took the ids."""
        digests: Digests = self._table.columns["digest"][rows]
        return digests

    def campaigns(self, rows: Rows) -> npt.NDArray[np.uint32]:
        """Of the records that took the ids."""
        campaigns: npt.NDArray[np.uint32] = self._table.columns["campaign"][rows]
        return campaigns

    def flags(self, rows: Rows) -> Codes:
        """``ACCEPTED`` and what the parent is used by."""
        flags: Codes = self._table.columns["flags"][rows]
        return flags

    def accept(self, rows: Rows) -> None:
        """These impressions and clicks may be named as parents from now on."""
        self._table.columns["flags"][rows] |= ACCEPTED

    def use(self, parents: Rows, kinds: Codes) -> None:
        """A child of this type counts for each parent from now on; none is named twice."""
        for kind in (EventType.VIEWABLE, EventType.CLICK, EventType.CONVERSION):
            self._table.columns["flags"][parents[kinds == kind]] |= np.uint8(1 << kind)

    def knows(self, event: AdEvent) -> bool:
        """As ``settlement.engine.Engine.knows``."""
        return (
            event.occurred_at_ms >= self._floors.oldest_event_ms
            and int(self.find(_key(event))[0]) >= 0
        )

    def take_one(self, event: AdEvent, unset_record: bytes) -> None:
        """As ``settlement.engine.Engine.take``."""
        if event.occurred_at_ms >= self._floors.oldest_event_ms:
            digest = leaf_hash(unset_record)[:_DIGEST_SIZE]
            campaign = np.array([event.campaign], np.uint64)
            self.take(_key(event), np.frombuffer(digest, "V16"), campaign)

    def dump(self) -> dict[str, npt.NDArray[np.generic]]:
        """Everything that may still be looked up, in arrays."""
        rows = self._table.live_rows()
        rows = rows[self._is_alive(rows)]
        keys = self._table.keys.pick(rows)
        columns = {name: column[rows] for name, column in self._table.columns.items()}
        return {**{f"ids.{name}": each for name, each in keys._asdict().items()},
                **{f"ids.{name}": each for name, each in columns.items()}}  # fmt: skip

    def load(self, dump: Mapping[str, Any]) -> None:
        """Know only what ``dump`` gave."""
        self._table.fill(
            Keys(*(dump[f"ids.{name}"].astype(np.uint64) for name in Keys._fields)),
            {name: dump[f"ids.{name}"] for name in self._table.columns},
        )

    def _is_alive(self, rows: Rows) -> Mask:
        keys = self._table.keys
        occurred_at_ms = (keys.first[rows] >> _TIME_SHIFT).view(np.int64)
        kind = keys.third[rows] & _KIND_MASK
        accepted = (self.flags(rows) & ACCEPTED) != 0
        floors = self._floors
        oldest_ms: Numbers = np.where(
            kind == EventType.CLICK, floors.oldest_click_ms, floors.oldest_impression_ms
        )
        alive: Mask = (occurred_at_ms >= floors.oldest_event_ms) | (
            accepted & (occurred_at_ms >= oldest_ms)
        )
        return alive


def _key(event: AdEvent) -> Keys:
    words = np.frombuffer(event.id, ">u8").astype(np.uint64)
    publisher = np.array([event.publisher], np.uint64)
    return event_keys(words[:1], words[1:], publisher, np.array([event.type], np.uint8))
