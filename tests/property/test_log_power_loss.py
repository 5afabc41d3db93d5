"""A disk that forgets: after a power loss any subset of unsynced sectors may be there."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.log.store import LogStore

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
    """Only what was synced is sure to survive; of the rest, each sector by chance."""

    def __init__(self) -> None:
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
        assert offset + len(data) <= len(seen), "every write goes into preallocated space"
        seen[offset : offset + len(data)] = data
        return len(data)

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


def run_until_loss(
    disk: ForgetfulDisk, acknowledged: list[bytes], counts: list[int], content: random.Random
) -> list[bytes]:
    """Append until the power goes; returns the append in flight."""
    in_flight: list[bytes] = []
    try:
        store = LogStore.open(DIRECTORY, files=disk, segment_bytes=4096)
        for count in counts:
            in_flight = [content.randbytes(content.choice([20, 109, 112])) for _ in range(count)]
            assert store.append(in_flight) == len(acknowledged)
            acknowledged += in_flight
            in_flight = []
    except PowerLoss:
        pass
    return in_flight


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lives=st.lists(
        st.tuples(st.lists(st.integers(1, 30), max_size=12), st.integers(0, 40)),
        min_size=1,
        max_size=5,
    ),
)
def test_store__power_lost_at_any_moment__keeps_every_acknowledged_append(
    seed: int, lives: list[tuple[list[int], int]]
) -> None:
    chance = random.Random(seed)
    disk = ForgetfulDisk()
    acknowledged: list[bytes] = []
    for counts, operations in lives:
        disk.operations_left = operations
        in_flight = run_until_loss(disk, acknowledged, counts, chance)
        disk.restart(chance)
        store = LogStore.open(DIRECTORY, files=disk, segment_bytes=4096)
        found = store.entries(0, store.size)
        assert found in (acknowledged, acknowledged + in_flight)
        acknowledged = found
        store.close()
