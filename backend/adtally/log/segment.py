"""Frames: how one group commit stands in a segment file.

A frame is a header, a bundle of entries as payload, and a trailer::

    magic 4 | epoch 4 | sequence 8 | first index 8 | count 4 | length 4 | CRC32C of payload 4
    | CRC32C of the header so far 4 | end of header 4 | payload | end of frame 4

Sequences count frames over the whole log from 1; the epoch rises each time the log is opened
for writing. Segments are preallocated, so what was never written reads as zeros; the markers at
the edges of header and frame hold no zero byte and no single flipped bit makes one. That tells
a frame that was never finished (torn: truncate it) from one that was and has since changed
(corrupt: stop), even when it is the last. A disk loses whole sectors, so a sector of zeros
inside a frame counts as never written too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c
import numpy as np

from adtally.errors import InvalidInput, StorageCorrupt
from adtally.log.bundle import count_entries

MAGIC = b"ADTF"
_HEADER_END = b"\xa5\x5a\xa5\x5a"
_FRAME_END = b"\x3c\xc3\x3c\xc3"
_FIELDS = struct.Struct(">4sIQQIII")
_CRC = struct.Struct(">I")
HEADER_SIZE = _FIELDS.size + _CRC.size + len(_HEADER_END)
OVERHEAD = HEADER_SIZE + len(_FRAME_END)
MAX_PAYLOAD = 2**32 - 1
_SECTOR = 512
_ZEROS = bytes(2**20)
_NAME = re.compile(r"segment-([0-9]{16})\.log\Z")


def segment_name(first_index: int) -> str:
    """Name of the file whose first entry has this index; names sort as their indexes do."""
    return f"segment-{first_index:016d}.log"


def segment_index(name: str) -> int:
    """Index in a segment's name; -1 for other files."""
    match = _NAME.match(name)
    return int(match[1]) if match else -1


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """A frame's header; ``length`` is the payload's, in bytes."""

    epoch: int
    sequence: int
    first_index: int
    count: int
    length: int
    payload_crc: int

    @property
    def size(self) -> int:
        """Bytes of the whole frame."""
        return OVERHEAD + self.length

    @property
    def end_index(self) -> int:
        """Index after the frame's last entry."""
        return self.first_index + self.count


@dataclass(frozen=True, slots=True)
class Position:
    """What the next frame must say: sequence and first index exactly, at least this epoch."""

    sequence: int = 1
    index: int = 0
    epoch: int = 0

    def after(self, header: FrameHeader) -> Position:
        return Position(header.sequence + 1, header.end_index, header.epoch)

    def admits(self, header: FrameHeader) -> bool:
        return (
            header.sequence == self.sequence
            and header.first_index == self.index
            and header.epoch >= self.epoch
        )

    def is_stale(self, header: FrameHeader) -> bool:
        """Whether the frame is a leftover from before this position."""
        return header.epoch < self.epoch or header.sequence < self.sequence


@dataclass(frozen=True, slots=True)
class Scan:
    """What a segment holds: its frames with their offsets, where they end, and what follows."""

    frames: tuple[tuple[int, FrameHeader], ...]
    end: int
    is_torn: bool
    position: Position


class UnsealedFrame:
    """Room for a frame: fill ``payload``, which holds anything at first, then ``seal`` it.

    A frame is laid out where it is written from, because copying takes as long as hashing.
    """

    __slots__ = ("_frame", "payload")

    def __init__(self, length: int) -> None:
        self._frame = np.empty(OVERHEAD + length, np.uint8)
        self.payload = self._frame[HEADER_SIZE : HEADER_SIZE + length]

    @staticmethod
    def of(payload: bytes) -> UnsealedFrame:
        """One with this payload."""
        frame = UnsealedFrame(len(payload))
        frame.payload[:] = np.frombuffer(payload, np.uint8)
        return frame

    def seal(self, epoch: int, sequence: int, first_index: int, count: int) -> memoryview:
        """The frame's bytes."""
        # An array is taken as it is; a memoryview would have to be copied.
        crc: int = google_crc32c.value(self.payload)
        length = len(self.payload)
        fields = _FIELDS.pack(MAGIC, epoch, sequence, first_index, count, length, crc)
        header = fields + _CRC.pack(google_crc32c.value(fields)) + _HEADER_END
        frame = self._frame.data
        frame[:HEADER_SIZE], frame[HEADER_SIZE + length :] = header, _FRAME_END
        return frame


def read_header(data: bytes, at: int) -> FrameHeader | None:
    """The header at an offset, or None when no whole and valid one stands there."""
    slot = data[at : at + HEADER_SIZE]
    if len(slot) < HEADER_SIZE or not slot.startswith(MAGIC) or not slot.endswith(_HEADER_END):
        return None
    fields = slot[: _FIELDS.size]
    (crc,) = _CRC.unpack_from(slot, _FIELDS.size)
    if google_crc32c.value(fields) != crc:
        return None
    _, epoch, sequence, first_index, count, length, payload_crc = _FIELDS.unpack(fields)
    return FrameHeader(epoch, sequence, first_index, count, length, payload_crc)


def read_frame(data: bytes, at: int) -> tuple[FrameHeader, bytes] | None:
    """Header and payload of the frame at an offset, or None unless it is there as written."""
    header = read_header(data, at)
    if header is None:
        return None
    end = at + header.size
    payload = data[at + HEADER_SIZE : end - len(_FRAME_END)]
    if (
        len(payload) != header.length
        or data[end - len(_FRAME_END) : end] != _FRAME_END
        or google_crc32c.value(payload) != header.payload_crc
    ):
        return None
    return header, payload


def scan_segment(data: bytes, position: Position, name: str, start: int = 0) -> Scan:
    """Read the frames of a segment.

    Args:
        data: the whole file.
        position: what the first frame must say.
        name: the file's name, for the error.
        start: offset of that frame.

    Raises:
        StorageCorrupt: committed bytes have changed, or frames are missing.
    """
    frames: list[tuple[int, FrameHeader]] = []
    at = start
    while (frame := read_frame(data, at)) is not None and position.admits(frame[0]):
        header, payload = frame
        _check_count(header, payload, name, at)
        frames.append((at, header))
        at += header.size
        position = position.after(header)
    torn = not _is_zero(data, at)
    if torn:
        _refuse_unless_torn(data, at, position, name)
    return Scan(tuple(frames), at, torn, position)


def _is_zero(data: bytes, at: int) -> bool:
    """Whether there are only zeros from ``at`` on; compared, for counting takes longer."""
    while at < len(data):
        size = min(len(data) - at, len(_ZEROS))
        if not data.startswith(_ZEROS[:size], at):
            return False
        at += size
    return True


def _check_count(header: FrameHeader, payload: bytes, name: str, at: int) -> None:
    try:
        found = count_entries(payload)
    except InvalidInput as error:
        raise damaged(name, at, "an entry bundle in the frame", str(error)) from None
    if found != header.count or found == 0:
        raise damaged(name, at, f"{header.count} entries in the frame", str(found))


def _refuse_unless_torn(data: bytes, at: int, position: Position, name: str) -> None:
    """Raises StorageCorrupt unless what stands at ``at`` is an append that never finished."""
    header = read_header(data, at)
    is_stale = header is not None and position.is_stale(header)
    after = at + (header.size if header is not None and not is_stale else 1)
    for later_at, later in _later_frames(data, after):
        if not position.is_stale(later):
            raise damaged(
                name,
                at,
                f"frame {position.sequence} with first index {position.index}",
                f"damaged bytes, and frame {later.sequence} behind them at offset {later_at}",
            )
    if header is None:
        slot = data[at : at + HEADER_SIZE]
        if len(slot) == HEADER_SIZE and slot[0] and slot[-1]:
            raise damaged(name, at, "a frame's header", "a finished header with a wrong checksum")
    elif not is_stale:
        _refuse_if_finished(data, at, header, position, name)


def _refuse_if_finished(
    data: bytes, at: int, header: FrameHeader, position: Position, name: str
) -> None:
    expected = f"frame {position.sequence} with first index {position.index}"
    if read_frame(data, at) is not None:
        found = f"frame {header.sequence} with first index {header.first_index}"
        raise damaged(name, at, expected, found)
    end = at + header.size
    if end <= len(data) and data[end - 1] and not _has_empty_sector(data, at, end):
        raise damaged(name, at, expected, "a finished frame with a wrong checksum")


def _later_frames(data: bytes, start: int) -> Iterator[tuple[int, FrameHeader]]:
    """Every valid frame at or after an offset, wherever its magic is found."""
    at = data.find(MAGIC, start)
    while at >= 0:
        frame = read_frame(data, at)
        if frame is not None:
            yield at, frame[0]
        at = data.find(MAGIC, at + 1)


def _has_empty_sector(data: bytes, start: int, end: int) -> bool:
    empty = bytes(_SECTOR)
    first = -(-start // _SECTOR) * _SECTOR
    return any(data[at : at + _SECTOR] == empty for at in range(first, end - _SECTOR + 1, _SECTOR))


def damaged(name: str, at: int, expected: str, found: str) -> StorageCorrupt:
    """The error for bytes at an offset of a segment that are not what was written."""
    return StorageCorrupt(
        f"segment {name} is damaged at offset {at}",
        field=name,
        expected=expected,
        found=found,
        action="restore the segment from a copy (an attestor keeps one); never edit it",
    )
