"""A log of small segments, its archive on an fsspec target, and a target that fails."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from adtally.log.archive import Archive
from adtally.log.archiver import Archiver
from adtally.log.merkle import MerkleTree
from adtally.log.store import LogStore
from adtally.rfc9162 import leaf_hash

ORIGIN = "adtally.example/31337/0x1111"
SEGMENT = 2048


def made_entries(seed: int, number: int) -> list[list[bytes]]:
    """Entries of ``number`` group commits."""
    content = random.Random(seed)
    return [
        [content.randbytes(109), *(content.randbytes(112) for _ in range(content.randrange(1, 6)))]
        for _ in range(number)
    ]


def write_log(directory: Path, batches: list[list[bytes]]) -> None:
    """Append the batches to a log of small segments."""
    with LogStore.open(directory, segment_bytes=SEGMENT) as store:
        for batch in batches:
            store.append(batch)


def tree_of(store: LogStore) -> MerkleTree:
    tree = MerkleTree()
    tree.append([leaf_hash(entry) for entry in store.entries(0, store.size)])
    return tree


def archive_all(archiver: Archiver, tree: MerkleTree) -> None:
    """What the job does in a round."""
    archiver.look()
    for segment in archiver.pending():
        archiver.archive_next(segment, tree.root(segment.end_index))


def archived(directory: Path, archive: Archive, origin: str = ORIGIN) -> int:
    """Archive what is sealed of the log in a folder; returns up to which entry."""
    with LogStore.open(directory, segment_bytes=SEGMENT) as store:
        archiver = Archiver(store, archive, origin)
        archive_all(archiver, tree_of(store))
        return archiver.archived_entries


def local_archive(folder: Path) -> Archive:
    return Archive.open(f"file://{folder}")


def segments(directory: Path) -> dict[str, bytes]:
    """The segments in a folder, by name, in order."""
    return {path.name: path.read_bytes() for path in sorted(directory.glob("segment-*.log"))}


class Crash(BaseException):
    """The process ends here."""


class FaultyTarget(LocalFileSystem):  # type: ignore[misc]
    """A folder; the call number ``at`` goes wrong in the way ``fault`` says.

    Calls count from 0 over everything that reads or changes the target. ``half``: a write leaves
    the first half of its bytes there.
    """

    cachable = False

    def __init__(self, at: int = -1, fault: str = "error") -> None:
        super().__init__()
        self.at = at
        self.fault = fault
        self.count = 0

    @property
    def happened(self) -> bool:
        return 0 <= self.at < self.count

    def run(self, call: Callable[[], Any], half: Callable[[], Any] = lambda: None) -> Any:
        number = self.count
        self.count += 1
        if number != self.at:
            return call()
        if self.fault == "half, then error":
            half()
        if self.fault == "half, then crash":
            half()
            raise Crash
        if self.fault == "crash":
            raise Crash
        if self.fault == "crash after":
            done = call()
            if hasattr(done, "close"):
                done.close()
            raise Crash
        raise RuntimeError("the target is broken")

    def ls(self, path: str, detail: bool = False, **options: Any) -> Any:
        return self.run(lambda: LocalFileSystem.ls(self, path, detail, **options))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        self.run(lambda: LocalFileSystem.makedirs(self, path, exist_ok))

    def cat_file(self, path: str, **options: Any) -> Any:
        return self.run(lambda: LocalFileSystem.cat_file(self, path, **options))

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        self.run(
            lambda: Path(path).write_bytes(value),
            lambda: Path(path).write_bytes(value[: len(value) // 2]),
        )

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        return _FaultyFile(self, self.run(lambda: Path(path).open(mode)))


class _FaultyFile:
    def __init__(self, target: FaultyTarget, file: Any) -> None:
        self._target = target
        self._file = file

    def __enter__(self) -> _FaultyFile:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> Any:
        return self._target.run(lambda: self._file.read(size))

    def write(self, data: bytes) -> None:
        self._target.run(
            lambda: self._file.write(data), lambda: self._file.write(data[: len(data) // 2])
        )
