"""A disk that fails at one operation, in one of the ways disks and machines fail."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from adtally.log.files import OsFiles

FAULTS = [
    "EIO",
    "EIO after effect",
    "ENOSPC",
    "short write",
    "short write, then kill",
    "kill before",
    "kill after",
]


class Killed(BaseException):
    """The process ends here."""


class FaultyFiles(OsFiles):
    """Real files; the operation number ``at`` goes wrong in the way ``fault`` says.

    Operations count from 0 over everything that changes the disk.
    """

    def __init__(self, at: int, fault: str) -> None:
        self.at = at
        self.fault = fault
        self.count = 0
        self.happened = False
        self.descriptors: set[int] = set()

    def _run(self, operation: Callable[[], int | None]) -> int | None:
        number = self.count
        self.count += 1
        if number != self.at:
            return operation()
        self.happened = True
        if self.fault == "EIO":
            raise OSError(errno.EIO, "injected")
        if self.fault == "ENOSPC":
            raise OSError(errno.ENOSPC, "injected")
        if self.fault == "kill before":
            raise Killed
        result = operation()
        if self.fault == "EIO after effect":
            raise OSError(errno.EIO, "injected")
        if self.fault == "kill after":
            raise Killed
        return result

    def lock(self, path: Path) -> int | None:
        descriptor = super().lock(path)
        if descriptor is not None:
            self.descriptors.add(descriptor)
        return descriptor

    def open(self, path: Path, *, create: bool = False) -> int:
        def operation() -> int:
            descriptor = OsFiles.open(self, path, create=create)
            self.descriptors.add(descriptor)
            return descriptor

        result = self._run(operation)
        assert result is not None
        return result

    def close(self, descriptor: int) -> None:
        self.descriptors.discard(descriptor)
        super().close(descriptor)

    def preallocate(self, descriptor: int, size: int) -> None:
        self._run(lambda: OsFiles.preallocate(self, descriptor, size))

    def truncate(self, descriptor: int, size: int) -> None:
        self._run(lambda: OsFiles.truncate(self, descriptor, size))

    def fdatasync(self, descriptor: int) -> None:
        self._run(lambda: OsFiles.fdatasync(self, descriptor))

    def fsync(self, descriptor: int) -> None:
        self._run(lambda: OsFiles.fsync(self, descriptor))

    def sync_directory(self, directory: Path) -> None:
        self._run(lambda: OsFiles.sync_directory(self, directory))

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        if self.count == self.at and self.fault in ("short write", "short write, then kill"):
            self.happened = True
            self.count += 1
            written = OsFiles.pwrite(self, descriptor, data[: len(data) * 2 // 3], offset)
            if self.fault == "short write, then kill":
                raise Killed
            return written
        result = self._run(lambda: OsFiles.pwrite(self, descriptor, data, offset))
        assert result is not None
        return result

    def end_process(self) -> None:
        """What the kernel does after kill -9: close everything."""
        for descriptor in list(self.descriptors):
            os.close(descriptor)
        self.descriptors.clear()
