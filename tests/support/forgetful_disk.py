"""A disk that forgets: after a power loss any subset of unsynced sectors may be there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
DIRECTORY = Path("/log")


class PowerLoss(BaseException):
    """Everything in memory is gone."""


@dataclass
class File:
    """What programs see, and what the platter holds."""

    seen: bytearray = field(default_factory=bytearray)
    kept: bytearray = field(default_factory=bytearray)


class ForgetfulDisk:
    """Only what was synced is sure to survive; of the rest, each sector by chance.

    ``grows``: writes may make a file longer; else they must go into preallocated space.
    """

    def __init__(self, *, grows: bool = False) -> None:
        self.grows = grows
        self.files: dict[str, File] = {}
        self.durable_names: set[str] = set()
        self.descriptors: dict[int, str] = {}
        self.locked = False
        self.operations_left = 10**9

    def _step(self) -> None:
        self.operations_left -= 1
        if self.operations_left < 0:
            raise PowerLoss

    def make_directory(self, directory: Path) -> None:
        assert directory == DIRECTORY

    def list_names(self, directory: Path) -> list[str]:
        return list(self.files)

    def lock(self, path: Path) -> int | None:
        if self.locked:
            return None
        self.locked = True
        return 0

    def open(self, path: Path, *, create: bool = False) -> int:
        self._step()
        if create:
            assert path.name not in self.files
            self.files[path.name] = File()
        descriptor = max(self.descriptors, default=0) + 1
        self.descriptors[descriptor] = path.name
        return descriptor

    def close(self, descriptor: int) -> None:
        if descriptor == 0:
            self.locked = False
        else:
            del self.descriptors[descriptor]

    def _file(self, descriptor: int) -> File:
        return self.files[self.descriptors[descriptor]]

    def size(self, descriptor: int) -> int:
        return len(self._file(descriptor).seen)

    def preallocate(self, descriptor: int, size: int) -> None:
        self._step()
        seen = self._file(descriptor).seen
        seen.extend(bytes(max(0, size - len(seen))))

    def truncate(self, descriptor: int, size: int) -> None:
        self._step()
        del self._file(descriptor).seen[size:]

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        self._step()
        seen = self._file(descriptor).seen
        if self.grows:
            seen.extend(bytes(max(0, offset + len(data) - len(seen))))
        assert offset + len(data) <= len(seen), "every write goes into preallocated space"
        seen[offset : offset + len(data)] = data
        return len(data)

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        return bytes(self._file(descriptor).seen[offset : offset + size])

    def fdatasync(self, descriptor: int) -> None:
        self._step()
        file = self._file(descriptor)
        file.kept[:] = file.seen

    def fsync(self, descriptor: int) -> None:
        self.fdatasync(descriptor)

    def sync_directory(self, directory: Path) -> None:
        self._step()
        self.durable_names = set(self.files)

    def read(self, path: Path, offset: int, size: int) -> bytes:
        return bytes(self.files[path.name].seen[offset : offset + size])

    def restart(self, chance: random.Random) -> None:
        """Come back with the durable bytes and some of the others."""
        for name in list(self.files):
            if name not in self.durable_names and chance.random() < 0.5:
                del self.files[name]
                continue
            file = self.files[name]
            length = len(chance.choice([file.seen, file.kept]))
            kept = file.kept[:length] + bytes(max(0, length - len(file.kept)))
            for at in range(0, min(length, len(file.seen)), SECTOR):
                if chance.random() < 0.5:
                    end = min(at + SECTOR, length, len(file.seen))
                    kept[at:end] = file.seen[at:end]
            file.kept, file.seen = bytearray(kept), bytearray(kept)
        self.durable_names = set(self.files)
        self.descriptors.clear()
        self.locked = False
        self.operations_left = 10**9
