"""The few file operations the log and its tree are built on, behind a protocol.

Tests put a faulty disk here (EIO, ENOSPC, short writes, a kill between any two calls); nothing
else of the log knows what a file is made of. Every call may raise OSError.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Protocol


class FileLayer(Protocol):
    """What segment store and tree need of a disk; descriptors are plain ints."""

    def make_directory(self, directory: Path) -> None:
        """Create it, durably, and every missing parent; an existing one is fine."""

    def list_names(self, directory: Path) -> list[str]:
        """Names in the directory."""

    def free_bytes(self, directory: Path) -> int:
        """What can still be written on the directory's disk."""

    def lock(self, path: Path) -> int | None:
        """Take the exclusive lock on a file; None when another holds it."""

    def open(self, path: Path, *, create: bool = False) -> int:
        """Open for reading and writing; ``create`` refuses an existing file."""

    def close(self, descriptor: int) -> None: ...

    def size(self, descriptor: int) -> int:
        """Length in bytes."""

    def preallocate(self, descriptor: int, size: int) -> None:
        """Reserve blocks up to ``size``; what was not written reads as zeros."""

    def truncate(self, descriptor: int, size: int) -> None: ...

    def pwrite(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        """Write; may write less than all and says how much."""

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        """Up to ``size`` bytes at ``offset``; fewer only at the end of the file."""

    def fdatasync(self, descriptor: int) -> None:
        """Return once the data are on disk."""

    def fsync(self, descriptor: int) -> None:
        """Return once data, length and allocation are on disk."""

    def sync_directory(self, directory: Path) -> None:
        """Return once the directory's entries are on disk."""

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes at ``offset`` of a file; fewer only at its end."""


def write_all(files: FileLayer, descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data``, in as many calls as the disk makes of it; raises OSError."""
    written = files.pwrite(descriptor, data, offset)
    while written < len(data):
        more = files.pwrite(descriptor, data[written:], offset + written)
        if more <= 0:
            raise OSError(errno.EIO, "the disk took no more bytes")
        written += more


class OsFiles:
    """The operating system's files."""

    def make_directory(self, directory: Path) -> None:
        missing = [each for each in (directory, *directory.parents) if not each.exists()]
        directory.mkdir(parents=True, exist_ok=True)
        for each in reversed(missing):
            self.sync_directory(each.parent)

    def list_names(self, directory: Path) -> list[str]:
        return sorted(os.listdir(directory))

    def free_bytes(self, directory: Path) -> int:
        found = os.statvfs(directory)
        return found.f_bavail * found.f_frsize

    def lock(self, path: Path) -> int | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def open(self, path: Path, *, create: bool = False) -> int:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if create else 0)
        return os.open(path, flags, 0o644)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def preallocate(self, descriptor: int, size: int) -> None:
        os.posix_fallocate(descriptor, 0, size)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def pwrite(self, descriptor: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(descriptor, data, offset)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        piece = os.pread(descriptor, size, offset)
        if len(piece) == size:
            return piece
        pieces = []
        while piece:
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
            piece = os.pread(descriptor, size, offset)
        return b"".join(pieces)

    def fdatasync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def sync_directory(self, directory: Path) -> None:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            # Python sets aside what is asked for, so ask for no more than there is.
            size = min(size, os.fstat(descriptor).st_size - offset)
            return self.pread(descriptor, size, offset) if size > 0 else b""
        finally:
            os.close(descriptor)
