"""The log as files that never change: paths and sizes of C2SP tlog-tiles, and of bulk files.

``tile/<L>/<N>`` holds 256 hashes of perfect subtrees of 256**L entries, ``tile/entries/<N>`` 256
entries as a bundle. Where the log ends there are fewer, and the path ends in ``.p/<W>``. N is
written in groups of three digits, all but the last with an x: 1234067 is ``x001/x234/067``. A bulk
file, ``bulk/<N>``, holds 65,536 entries: the 256 bundles that a tile of level 1 stands for, joined.

A file has exactly one path. Whatever else is asked for does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from adtally.errors import InvalidInput
from adtally.types import UINT64_MAX

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
"""Hashes in a full tile, entries in a full bundle."""
BULK_ENTRIES = TILE_WIDTH * TILE_WIDTH
"""Entries in a bulk file."""
MAX_LEVEL = 63

_NUMBER = r"(?P<number>(?:x[0-9]{3}/)*[0-9]{3})"
_WIDTH = r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
_TILE = re.compile(rf"tile/(?P<level>entries|0|[1-9][0-9]?)/{_NUMBER}{_WIDTH}")
_BULK = re.compile(rf"bulk/{_NUMBER}")
_MAX_PATH = 64


class FileKind(Enum):
    """What a file of the log holds."""

    HASHES = "tile"
    ENTRIES = "tile/entries"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of the log.

    Attributes:
        kind: what it holds.
        number: which of its kind and level, from 0.
        level: of a tile of hashes; else 0.
        width: hashes or entries; full files have 256, bulk files 65,536.
    """

    kind: FileKind
    number: int
    level: int = 0
    width: int = TILE_WIDTH

    @property
    def full_width(self) -> int:
        return BULK_ENTRIES if self.kind is FileKind.BULK else TILE_WIDTH

    @property
    def is_full(self) -> bool:
        return self.width == self.full_width

    @property
    def path(self) -> str:
        """Its only path, relative to where the log is published."""
        number = encode_number(self.number)
        if self.kind is FileKind.HASHES:
            number = f"{self.level}/{number}"
        suffix = "" if self.is_full else f".p/{self.width}"
        return f"{self.kind.value}/{number}{suffix}"

    @property
    def height(self) -> int:
        """Of the subtrees that it holds the hashes of; 0 where it holds entries."""
        return TILE_HEIGHT * self.level

    @property
    def start(self) -> int:
        """Index of its first entry, or of its first node at its height."""
        return self.number * self.full_width

    @property
    def end(self) -> int:
        """The same behind its last."""
        return self.start + self.width

    @property
    def tree_size(self) -> int:
        """The smallest tree that has this file."""
        return self.end << self.height


def tile(level: int, number: int, width: int = TILE_WIDTH) -> LogFile:
    """A tile of hashes."""
    return LogFile(FileKind.HASHES, number, level, width)


def bundle_file(number: int, width: int = TILE_WIDTH) -> LogFile:
    """A bundle of entries."""
    return LogFile(FileKind.ENTRIES, number, 0, width)


def bulk_file(number: int) -> LogFile:
    """65,536 entries."""
    return LogFile(FileKind.BULK, number, 0, BULK_ENTRIES)


def encode_number(number: int) -> str:
    """Groups of three digits, each a folder: all but the last begin with an x."""
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def parse_path(path: str) -> LogFile:
    """The file of a path.

    Raises:
        InvalidInput: no file of any log has this path.
    """
    match = (_TILE.fullmatch(path) or _BULK.fullmatch(path)) if len(path) <= _MAX_PATH else None
    if match is None:
        raise _no_path(path)
    found = match.groupdict()
    number = int(found["number"].replace("x", "").replace("/", ""))
    if "level" not in found:
        file = bulk_file(number)
    else:
        width = TILE_WIDTH if found["width"] is None else int(found["width"])
        is_bundle = found["level"] == "entries"
        file = bundle_file(number, width) if is_bundle else tile(int(found["level"]), number, width)
    # Groups of zeros in front, or a partial file of full width, would be a second path.
    if file.path != path or file.level > MAX_LEVEL or file.width > file.full_width:
        raise _no_path(path)
    if file.tree_size > UINT64_MAX:
        raise _no_path(path)
    return file


def files_of(tree_size: int, since: int = 0) -> Iterator[LogFile]:
    """Every file that a log of this size has and needs: full ones, and partial ones at its end.

    Entries come first, then hashes from the leaves up, then bulk files.

    Args:
        tree_size: entries in the log.
        since: leave out the full files that a log of this size had already.
    """
    for number, width in _pieces(tree_size, since):
        yield bundle_file(number, width)
    level = 0
    while tree_size >> TILE_HEIGHT * level:
        height = TILE_HEIGHT * level
        for number, width in _pieces(tree_size >> height, since >> height):
            yield tile(level, number, width)
        level += 1
    for number in range(since // BULK_ENTRIES, tree_size // BULK_ENTRIES):
        yield bulk_file(number)


def _pieces(count: int, since: int) -> Iterator[tuple[int, int]]:
    for number in range(since // TILE_WIDTH, count // TILE_WIDTH):
        yield number, TILE_WIDTH
    if count % TILE_WIDTH:
        yield count // TILE_WIDTH, count % TILE_WIDTH


def _no_path(path: str) -> InvalidInput:
    return InvalidInput(
        "no file of a log has this path",
        field="path",
        expected="tile/<L>/<N>, tile/entries/<N>, each perhaps with .p/<1 to 255>, or bulk/<N>; "
        "N as in x001/234",
        found=repr(path[:80]),
    )
