"""What one commit adds to the log: entries of any kind, to and from the form of disk and tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from adtally.errors import InvalidInput
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.verdict import Verdicts
from adtally.kernel.logged_records import FRAMED_SIZE, Bytes, LoggedRecords, lay_out
from adtally.kernel.records import RecordArray
from adtally.kernel.sha256 import Hashes
from adtally.log.bundle import LENGTH_BYTES, encode_bundle
from adtally.log.segment import UnsealedFrame
from adtally.rfc9162 import HASH_SIZE, leaf_hash, leaf_hashes


@dataclass(frozen=True, slots=True)
class FactsEntries:
    """Facts or corrections."""

    entries: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def bundle_bytes(self) -> int:
        """Bytes that the entries take, each behind its length."""
        return sum(len(entry) + LENGTH_BYTES for entry in self.entries)

    def lay_out(self, bundle: Bytes, hashes: Hashes) -> None:
        """Write each entry behind its length, and their leaf hashes."""
        bundle[:] = np.frombuffer(encode_bundle(self.entries), np.uint8)
        hashes[:] = _rows(leaf_hashes(self.entries))


@dataclass(frozen=True, slots=True)
class BatchEntries:
    """An envelope, and records as they were signed with the verdicts that they are to have."""

    envelope: bytes
    records: RecordArray
    verdicts: Verdicts

    def __len__(self) -> int:
        return 1 + len(self.records)

    @property
    def bundle_bytes(self) -> int:
        """Bytes that envelope and records take, each behind its length."""
        return LENGTH_BYTES + len(self.envelope) + len(self.records) * FRAMED_SIZE

    def lay_out(self, bundle: Bytes, hashes: Hashes) -> None:
        """As ``FactsEntries.lay_out``."""
        start = LENGTH_BYTES + len(self.envelope)
        bundle[:start] = np.frombuffer(encode_bundle([self.envelope]), np.uint8)
        hashes[0] = np.frombuffer(leaf_hash(self.envelope), np.uint8)
        lay_out(self.records, self.verdicts, bundle[start:], hashes[1:])


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """A whole batch out of the log."""

    envelope: bytes
    records: LoggedRecords

    def __len__(self) -> int:
        return 1 + len(self.records)


Entries = FactsEntries | BatchEntries
"""Consecutive entries on their way to the log."""
LoggedEntries = FactsEntries | LoggedBatch
"""Consecutive entries that are in it."""


@dataclass(slots=True)
class Commit:
    """Entries that are written as one frame."""

    first_index: int
    parts: list[Entries] = field(default_factory=list)
    count: int = 0
    bundle_bytes: int = 0

    def add(self, entries: Entries) -> int:
        """Append entries; returns the leaf index of the first."""
        index = self.first_index + self.count
        self.parts.append(entries)
        self.count += len(entries)
        self.bundle_bytes += entries.bundle_bytes
        return index

    def laid_out(self) -> tuple[UnsealedFrame, bytes]:
        """The frame of all entries, and their leaf hashes back to back."""
        frame = UnsealedFrame(self.bundle_bytes)
        hashes = np.empty((self.count, HASH_SIZE), np.uint8)
        start = index = 0
        for part in self.parts:
            end, behind = start + part.bundle_bytes, index + len(part)
            part.lay_out(frame.payload[start:end], hashes[index:behind])
            start, index = end, behind
        return frame, hashes.tobytes()


def logged_leaf_hashes(parts: Sequence[LoggedEntries]) -> bytes:
    """Leaf hashes of consecutive entries, back to back."""
    pieces: list[bytes] = []
    for part in parts:
        if isinstance(part, LoggedBatch):
            pieces += [leaf_hash(part.envelope), part.records.leaf_hashes.tobytes()]
        else:
            pieces.append(leaf_hashes(part.entries))
    return b"".join(pieces)


def _rows(hashes: bytes) -> Hashes:
    return np.frombuffer(hashes, np.uint8).reshape(-1, HASH_SIZE)


def split_bundle(bundle: bytes) -> Iterator[LoggedEntries]:
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
            records = LoggedRecords.read(bundle, end, Envelope.from_entry(entry).count)
            if records is not None:
                yield LoggedBatch(entry, records)
                at = end + len(records) * FRAMED_SIZE
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
