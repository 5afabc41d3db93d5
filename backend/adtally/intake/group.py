"""What one commit adds to the log: entries of any kind, in the form the disk and the tree take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.record import RECORD_SIZE
from adtally.kernel.records import RecordArray
from adtally.log.bundle import LENGTH_BYTES, encode_bundle
from adtally.rfc9162 import leaf_hash, leaf_hashes


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


def split_frame(entries: Sequence[bytes]) -> Iterator[Entries]:
    """The entries of a commit as the parts that it was made of.

    What is no whole batch is given out as it is: whoever applies it finds the fault.
    """
    at = 0
    while at < len(entries):
        if entries[at][0] == ENVELOPE_KIND:
            end = at + 1 + Envelope.from_entry(entries[at]).count
            records = entries[at + 1 : end]
            if end <= len(entries) and all(len(record) == RECORD_SIZE for record in records):
                yield BatchEntries(entries[at], RecordArray.of(records))
                at = end
                continue
        yield FactsEntries(entries[at : at + 1])
        at += 1
