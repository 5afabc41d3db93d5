"""Where every frame of the log stands; a few bytes per frame, nothing per entry."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from adtally.log.segment import OVERHEAD, FrameHeader


@dataclass(frozen=True, slots=True)
class FramePlace:
    """A frame's entries (``first_index`` to ``end_index``) and its bytes in a segment."""

    segment: int
    offset: int
    size: int
    first_index: int
    end_index: int


class FrameIndex:
    """Frames in order of the log. A million frames cost 24 MB.

    One thread adds; others may read at the same time: they see a frame once ``size`` covers it.
    """

    def __init__(self) -> None:
        self._first = array("Q")
        self._offset = array("Q")
        self._length = array("I")
        self._segment = array("I")
        self._size = 0

    @property
    def size(self) -> int:
        """Number of entries in all frames."""
        return self._size

    def add(self, segment: int, offset: int, header: FrameHeader) -> None:
        """Enter the next frame."""
        self._offset.append(offset)
        self._length.append(header.length)
        self._segment.append(segment)
        self._first.append(header.first_index)
        self._size = header.end_index

    def to_bytes(self) -> list[bytes]:
        """All frames, as ``from_bytes`` takes them; in this machine's byte order."""
        columns = (self._first, self._offset, self._length, self._segment)
        return [column.tobytes() for column in columns]

    @staticmethod
    def from_bytes(columns: Sequence[bytes], size: int) -> FrameIndex:
        """The frames that ``to_bytes`` gave when there were ``size`` entries."""
        index = FrameIndex()
        own = (index._first, index._offset, index._length, index._segment)
        for column, read in zip(own, columns, strict=True):
            column.frombytes(read)
        index._size = size
        return index

    def find(self, index: int) -> int:
        """Number of the frame that holds an entry."""
        return bisect_right(self._first, index) - 1

    def place(self, number: int) -> FramePlace:
        """Where frame ``number`` stands."""
        following = number + 1
        return FramePlace(
            self._segment[number],
            self._offset[number],
            OVERHEAD + self._length[number],
            self._first[number],
            self._first[following] if following < len(self._first) else self._size,
        )

    def group(self, number: int, end: int, most_bytes: int) -> list[FramePlace]:
        """Frames from ``number`` on, side by side in one segment, to be read at once.

        At least one; none that starts at or behind entry ``end``; no more once ``most_bytes``
        are reached.
        """
        group = [self.place(number)]
        start = group[0].offset
        while group[-1].end_index < end and group[-1].offset - start < most_bytes:
            following = self.place(number + len(group))
            if following.segment != group[0].segment:
                break
            group.append(following)
        return group
