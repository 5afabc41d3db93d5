"""What one commit adds to the log: entries of any kind, in the form the disk and the tree take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adtally.errors import InvalidInput
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.record import RECORD_SIZE
from adtally.kernel.records import RecordArray
from adtally.log.bundle import LENGTH_BYTES, encode_bundle
from adtally.rfc9162 import leaf_hash, leaf_hashes

_FRAMED = LENGTH_BYTES + RECORD_SIZE
_RECORD_LENGTH = np.frombuffer(RECORD_SIZE.to_bytes(LENGTH_BYTES, "big"), np.uint8)


@dataclass(frozen=True, slots=True)
class FactsEntries:
    """Facts or corrections."""

    entries: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def bundle_bytes(self) -> int:
        """Length of ``bundle``."""
        return sum(len(entry) + LENGTH_BYTES for entry in self.entries)

    def bundle(self) -> bytes:
        """Each entry behind its length."""
        return encode_bundle(self.entries)

    def leaf_hashes(self) -> bytes:
        """Their leaf hashes back to back."""
        return leaf_hashes(self.entries)


@dataclass(frozen=True, slots=True)
class BatchEntries:
    """An envelope and its judged records."""

    envelope: bytes
    records: RecordArray

    def __len__(self) -> int:
        return 1 + len(self.records)

    @property
    def bundle_bytes(self) -> int:
        """Length of ``bundle``."""
        records = len(self.records) * (RECORD_SIZE + LENGTH_BYTES)
        return len(self.envelope) + LENGTH_BYTES + records

    def bundle(self) -> bytes:
        """Each entry behind its length."""
        return encode_bundle([self.envelope]) + self.records.bundle()

    def leaf_hashes(self) -> bytes:
        """Their leaf hashes back to back."""
        return leaf_hash(self.envelope) + self.records.leaf_hashes.tobytes()


Entries = FactsEntries | BatchEntries
"""Consecutive entries."""


def split_bundle(bundle: bytes) -> Iterator[Entries]:
    """The entries of a commit as the parts that it was made of.

    What is no whole batch is given out entry by entry: whoever applies it finds the fault.

    Raises:
        InvalidInput: the bytes are no entry bundle, or an envelope does not parse.
    """
    at = 0
    while at < len(bundle):
        start, end = _entry(bundle, at)
        entry = bundle[start:end]
        if entry[0] == ENVELOPE_KIND:
            records = _records(bundle, end, Envelope.from_entry(entry).count)
            if records is not None:
                yield BatchEntries(entry, records)
                at = end + len(records) * _FRAMED
                continue
        yield FactsEntries([entry])
        at = end


def _entry(bundle: bytes, at: int) -> tuple[int, int]:
    """Where the entry whose length stands at ``at`` begins and ends."""
    start = at + LENGTH_BYTES
    end = start + int.from_bytes(bundle[at:start], "big")
    if not start < end <= len(bundle):
        raise InvalidInput(
            "not an entry bundle",
            field="bundle",
            expected="entries, each behind its length",
            found=f"{len(bundle) - at} bytes at offset {at} that are no entry",
        )
    return start, end


def _records(bundle: bytes, at: int, count: int) -> RecordArray | None:
    """So many records that stand at ``at``, or None when something else does."""
    end = at + count * _FRAMED
    if end > len(bundle):
        return None
    framed = np.frombuffer(bundle, np.uint8, count * _FRAMED, at).reshape(count, _FRAMED)
    if not (framed[:, :LENGTH_BYTES] == _RECORD_LENGTH).all():
        return None
    return RecordArray(np.ascontiguousarray(framed[:, LENGTH_BYTES:]))
