"""A second reader of segment files, which shares no code with the log's own.

It takes frames as long as they are whole and follow one another, and says where it stopped. What
stands behind the last one is not its affair: an append that never finished, or nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import google_crc32c

_HEAD = struct.Struct(">4sIQQII4s4s4s")
_TAIL = b"\x3c\xc3\x3c\xc3"


class Commit(NamedTuple):
    """One frame: where it stands, and the entries that were committed together."""

    path: Path
    offset: int
    end: int
    first_index: int
    entries: list[bytes]


def read_commits(directory: Path) -> list[Commit]:
    """All whole frames of a log, in order."""
    commits: list[Commit] = []
    index = epoch = 0
    for path in sorted(directory.glob("segment-*.log")):
        if int(path.stem.split("-")[1]) != index:
            break
        for commit, its_epoch in _frames(path, len(commits) + 1, index, epoch):
            commits.append(commit)
            index, epoch = commit.first_index + len(commit.entries), its_epoch
    return commits


def _frames(path: Path, sequence: int, index: int, epoch: int) -> Iterator[tuple[Commit, int]]:
    data, at = path.read_bytes(), 0
    while len(data) - at > _HEAD.size:
        magic, its_epoch, number, first, count, length, crc, head_crc, mark = _HEAD.unpack_from(
            data, at
        )
        end = at + _HEAD.size + length + len(_TAIL)
        payload = data[at + _HEAD.size : end - len(_TAIL)]
        if (
            (magic, mark, data[end - len(_TAIL) : end]) != (b"ADTF", b"\xa5\x5a\xa5\x5a", _TAIL)
            or (number, first) != (sequence, index)
            or its_epoch < epoch
            or google_crc32c.value(data[at : at + 36]).to_bytes(4, "big") != head_crc
            or google_crc32c.value(payload).to_bytes(4, "big") != crc
        ):
            return
        entries = read_bundle(payload)
        if len(entries) != count:
            return
        yield Commit(path, at, end, first, entries), its_epoch
        at, sequence, index, epoch = end, sequence + 1, index + count, its_epoch


def read_bundle(payload: bytes) -> list[bytes]:
    """Entries that stand each behind its length in 16 bits."""
    entries, at = [], 0
    while at + 2 <= len(payload):
        length = payload[at] << 8 | payload[at + 1]
        entries.append(payload[at + 2 : at + 2 + length])
        at += 2 + length
    return entries
