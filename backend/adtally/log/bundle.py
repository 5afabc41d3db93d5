"""Entry bundles as in C2SP tlog-tiles: each entry behind its length in 16 bits, big-endian.

Encoding and decoding work on runs of equally long entries (records all are), so that a batch
costs no Python per entry. An entry has 1 to 65,535 bytes: the log knows no empty ones.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import groupby

from adtally.errors import InvalidInput
from adtally.events.facts import MAX_ENTRY_SIZE

LENGTH_BYTES = 2
"""Before each entry."""
_FIRST_GALLOP = 16


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The entries, each behind its length.

    Raises:
        InvalidInput: an entry is empty or longer than 65,535 bytes.
    """
    pieces = []
    for length, run in groupby(entries, key=len):
        if not 1 <= length <= MAX_ENTRY_SIZE:
            raise _malformed(f"an entry of {length} bytes")
        prefix = length.to_bytes(LENGTH_BYTES, "big")
        pieces.append(prefix)
        pieces.append(prefix.join(run))
    return b"".join(pieces)


def decode_bundle(bundle: bytes) -> list[bytes]:
    """The entries of a bundle; the inverse of ``encode_bundle``.

    Raises:
        InvalidInput: an empty entry, or the bytes end within one.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(bundle):
        length, count = _run(bundle, at)
        end = at + count * (LENGTH_BYTES + length)
        view = memoryview(bundle)[at:end]
        entries += [entry for (entry,) in struct.iter_unpack(f"{LENGTH_BYTES}x{length}s", view)]
        at = end
    return entries


def count_entries(bundle: bytes) -> int:
    """How many entries a bundle holds; raises InvalidInput as ``decode_bundle`` does."""
    total = at = 0
    while at < len(bundle):
        length, count = _run(bundle, at)
        at += count * (LENGTH_BYTES + length)
        total += count
    return total


def slice_bundle(bundle: bytes, start: int, end: int) -> bytes:
    """The bundle of entries ``start`` to ``end`` (exclusive), cut without decoding.

    Raises:
        InvalidInput: malformed, or fewer than ``end`` entries.
    """
    first = _offset_of(bundle, 0, start)
    return bundle[first : _offset_of(bundle, first, end - start)]


def _offset_of(bundle: bytes, at: int, skip: int) -> int:
    while skip:
        if at >= len(bundle):
            raise _malformed("fewer entries than asked for")
        length, count = _run(bundle, at)
        count = min(count, skip)
        at += count * (LENGTH_BYTES + length)
        skip -= count
    return at


def _run(bundle: bytes, at: int) -> tuple[int, int]:
    """Length of the entry at ``at``, and how many entries of that length stand there in a row.

    Gallops: compares ever more prefixes at once, so that short runs stay cheap too.
    """
    high, low = bundle[at : at + 1], bundle[at + 1 : at + 2]
    length = int.from_bytes(high + low, "big")
    step = LENGTH_BYTES + length
    if not low or length == 0 or at + step > len(bundle):
        raise _malformed(f"{len(bundle) - at} bytes at offset {at} that are no entry")
    count, window = 1, _FIRST_GALLOP
    while True:
        begin = at + count * step
        window = min(window, (len(bundle) - begin) // step)
        stop = begin + window * step
        highs, lows = bundle[begin:stop:step], bundle[begin + 1 : stop : step]
        alike = window - max(len(highs.lstrip(high)), len(lows.lstrip(low)))
        count += alike
        if alike < window or window == 0:
            return length, count
        window *= 2


def _malformed(found: str) -> InvalidInput:
    return InvalidInput(
        "not an entry bundle",
        field="bundle",
        expected=f"entries of 1 to {MAX_ENTRY_SIZE} bytes, each behind a 16 bit length",
        found=found,
    )
