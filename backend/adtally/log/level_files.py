"""The levels of a Merkle tree as files, so that memory stays flat however long the log is.

A file holds a range of one level, hash after hash, without header: ``level-HH-IIIIIIIIIIIIIIII``
begins with node I (decimal) of height H. A full file never changes again.

Of each level, the end stands in memory: what was not written yet (some 64 KiB) and always the
last two nodes, which are all that the root of the newest size is made of. The rest is read with
``pread``. Memory mapping would be faster to read, but where a mapped page can't be had (the disk
is full, a block is bad, somebody cut the file) the kernel kills the process; ``pread`` and
``pwrite`` raise an error that can be told.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from adtally.errors import StorageCorrupt, StorageFailed
from adtally.log.files import FileLayer, write_all
from adtally.rfc9162 import HASH_SIZE
from adtally.types import Hash

FILE_NODES = 2**25
"""Nodes in a full file: 1 GiB."""

UNWRITTEN_BYTES = 64 * 1024
"""What a level gathers in memory before it is written."""

_OPEN_FILES = 128
_KEPT = 2
"""Nodes of each level that stay in memory. In a tree of n leaves with last leaf l = n - 1 the
root is made of nodes (l >> h) - 1 of height h, and a level has n >> h nodes or one less."""

_KEPT_BYTES = _KEPT * HASH_SIZE


class LevelFile:
    """An open file. It is closed when nobody holds it any more, so never under a reader."""

    __slots__ = ("_files", "descriptor")

    def __init__(self, files: FileLayer, descriptor: int) -> None:
        self._files = files
        self.descriptor = descriptor

    def __del__(self) -> None:
        # An error here can't be told, and need not be: unsynced files are held.
        with suppress(OSError):
            self._files.close(self.descriptor)


class Unsynced(NamedTuple):
    """Files that hold more than the disk may, and whether the directory does."""

    files: set[LevelFile]
    names: bool


class LevelFiles:
    """Implements ``Levels``. One thread appends and writes; any thread reads at the same time.

    Args:
        directory: holds the files, and nothing else; created when missing.
        files: the disk.
        file_nodes: nodes in a full file.
        unwritten_bytes: what a level gathers in memory before it is written.
    """

    def __init__(
        self, directory: Path, files: FileLayer, file_nodes: int, unwritten_bytes: int
    ) -> None:
        self._directory = directory
        self._files = files
        self._file_nodes = file_nodes
        self._unwritten_bytes = unwritten_bytes
        self._tails: list[_Tail] = []
        self._unsynced: set[LevelFile] = set()
        # A file that is there already may stand in a directory that was never synced.
        self._names_unsynced = True
        self._closed = False
        self._file = lru_cache(maxsize=_OPEN_FILES)(self._open)
        try:
            files.make_directory(directory)
            self._names = set(files.list_names(directory))
            self._uncut = set(self._names)
        except OSError as error:
            raise _failed(directory, error) from error

    # Levels ------------------------------------------------------------------------------------

    def append(self, height: int, hashes: bytes) -> None:
        """Add nodes; raises StorageFailed when the disk takes no more."""
        if height == len(self._tails):
            self._tails.append(_Tail(0, bytearray(), 0))
        tail = self._tails[height]
        if len(tail.hashes) + len(hashes) < self._unwritten_bytes:
            tail.hashes += hashes
        else:
            self._write_tail(height, hashes)

    def node(self, height: int, index: int) -> Hash:
        """The hash of one node; raises as ``read`` does."""
        tail = self._tails[height]
        if index >= tail.start:
            at = (index - tail.start) * HASH_SIZE
            return bytes(tail.hashes[at : at + HASH_SIZE])
        number, at = divmod(index, self._file_nodes)
        return self._read_file(height, number, at, 1)

    # More than memory can ----------------------------------------------------------------------

    def restore(self, size: int) -> None:
        """Take the files as those of a tree that has ``size`` leaves, and change nothing yet.

        Raises:
            StorageCorrupt: a file is missing, shorter than ``size`` demands, or too long.
            StorageFailed: the disk did not answer.
        """
        for height in range(size.bit_length()):
            count = size >> height
            for first in range(0, count, self._file_nodes):
                self._check_file(height, first, min(self._file_nodes, count - first))
            start = max(0, count - _KEPT)
            end = self._read_files(height, start, count)
            self._tails.append(_Tail(start, bytearray(end), count))

    def read(self, height: int, start: int, end: int) -> bytes:
        """Nodes ``start`` to ``end`` (exclusive), back to back.

        Raises:
            StorageCorrupt: a file is missing or has become shorter.
            StorageFailed: the disk did not answer.
        """
        tail = self._tails[height]
        cut = min(max(start, tail.start), end)
        low, high = (max(0, each - tail.start) * HASH_SIZE for each in (cut, end))
        return self._read_files(height, start, cut) + bytes(tail.hashes[low:high])

    def write(self) -> Unsynced:
        """Hand everything to the operating system; ``sync`` takes what this returns.

        Raises StorageFailed.
        """
        for height in range(len(self._tails)):
            self._write_tail(height)
        unsynced = Unsynced(self._unsynced, self._names_unsynced)
        self._unsynced, self._names_unsynced = set(), False
        return unsynced

    def sync(self, unsynced: Unsynced) -> None:
        """Return once all that is on disk; from any thread, appends may go on meanwhile.

        Raises:
            StorageFailed: the disk refused. What of it is on disk nobody knows.
        """
        try:
            for file in unsynced.files:
                self._files.fdatasync(file.descriptor)
            if unsynced.names:
                self._files.sync_directory(self._directory)
        except OSError as error:
            raise _failed(self._directory, error) from error

    def close(self) -> None:
        """Give up the files; what was not written is lost."""
        self._closed = True
        self._unsynced = set()
        self._file.cache_clear()

    # Writing -----------------------------------------------------------------------------------

    def _write_tail(self, height: int, more: bytes = b"") -> None:
        """Write what was not written yet, and ``more`` after it."""
        tail = self._tails[height]
        unwritten = b"".join((tail.hashes[(tail.written - tail.start) * HASH_SIZE :], more))
        if not unwritten:
            return
        self._write_files(height, tail.written, unwritten)
        count = tail.written + len(unwritten) // HASH_SIZE
        # A new one, for readers may hold the old: they find in it what they came for.
        end = (tail.hashes[-_KEPT_BYTES:] + more[-_KEPT_BYTES:])[-_KEPT_BYTES:]
        self._tails[height] = _Tail(count - len(end) // HASH_SIZE, end, count)

    def _write_files(self, height: int, index: int, hashes: bytes) -> None:
        while hashes:
            number, at = divmod(index, self._file_nodes)
            piece = hashes[: (self._file_nodes - at) * HASH_SIZE]
            try:
                file = self._file(height, number)
                # Noted before: held until synced, it stays open, and its errors are not lost.
                self._unsynced.add(file)
                self._cut(self._path(height, number).name, file.descriptor, at)
                write_all(self._files, file.descriptor, piece, at * HASH_SIZE)
            except OSError as error:
                raise _failed(self._path(height, number), error) from error
            index += len(piece) // HASH_SIZE
            hashes = hashes[len(piece) :]

    def _cut(self, name: str, descriptor: int, nodes: int) -> None:
        """Before the first write to a file that was there: cut off what is behind its nodes."""
        if name in self._uncut:
            self._files.truncate(descriptor, nodes * HASH_SIZE)
            self._uncut.discard(name)

    # Reading -----------------------------------------------------------------------------------

    def _read_files(self, height: int, start: int, end: int) -> bytes:
        pieces = []
        while start < end:
            number, at = divmod(start, self._file_nodes)
            count = min(self._file_nodes - at, end - start)
            pieces.append(self._read_file(height, number, at, count))
            start += count
        return b"".join(pieces)

    def _read_file(self, height: int, number: int, at: int, count: int) -> bytes:
        size = count * HASH_SIZE
        try:
            descriptor = self._file(height, number).descriptor
            data = self._files.pread(descriptor, size, at * HASH_SIZE)
        except OSError as error:
            raise _failed(self._path(height, number), error) from error
        if len(data) != size:
            expected = f"{size} bytes at {at * HASH_SIZE}"
            raise damaged_level(self._path(height, number), expected, f"{len(data)} bytes")
        return data

    # Files -------------------------------------------------------------------------------------

    def _path(self, height: int, number: int) -> Path:
        return self._directory / f"level-{height:02d}-{number * self._file_nodes:016d}"

    def _open(self, height: int, number: int) -> LevelFile:
        """Open a file, a new one if there was none when the tree was opened."""
        path = self._path(height, number)
        if self._closed:
            raise OSError("the tree is closed")
        create = path.name not in self._names
        file = LevelFile(self._files, self._files.open(path, create=create))
        if create:
            self._names.add(path.name)
            self._names_unsynced = True
        return file

    def _check_file(self, height: int, first: int, nodes: int) -> None:
        number = first // self._file_nodes
        path = self._path(height, number)
        least, most = nodes * HASH_SIZE, self._file_nodes * HASH_SIZE
        expected = f"{least} to {most} bytes"
        if path.name not in self._names:
            raise damaged_level(path, expected, "no such file")
        try:
            found = self._files.size(self._file(height, number).descriptor)
        except OSError as error:
            raise _failed(path, error) from error
        if not least <= found <= most:
            raise damaged_level(path, expected, f"{found} bytes")


class _Tail:
    """The end of a level in memory: from node ``start`` on; files hold the first ``written``.

    ``start`` never changes and ``hashes`` only grows, so a reader that holds one is safe.
    """

    __slots__ = ("hashes", "start", "written")

    def __init__(self, start: int, hashes: bytearray, written: int) -> None:
        self.start = start
        self.hashes = hashes
        self.written = written


def damaged_level(path: Path, expected: str, found: str) -> StorageCorrupt:
    """The error that says that the tree's files are not what was written, and what helps."""
    return StorageCorrupt(
        "the Merkle tree's files are damaged",
        field=str(path),
        expected=expected,
        found=found,
        action="stop, delete the tree's directory and start again: the log builds it anew",
    )


def _failed(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        "the disk refused the Merkle tree",
        field=str(path),
        expected="a disk that takes and gives data",
        found=str(error),
        action="mend the disk (space, permissions, health) and restart",
    )
