"""What intake knows at one size of the log, in a file, so that a start replays only the tail.

A snapshot is derived: without one the whole log is replayed. It is read only by the code that
wrote it (``format`` names its sources), whole (a checksum), and together with the tree of its size.

    magic 8 | length of header 4 | header (MessagePack) | arrays back to back | CRC32C 4
"""

from __future__ import annotations

import logging
import mmap
import os
import re
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import google_crc32c
import msgspec
import numpy as np

from adtally.errors import StorageCorrupt, StorageFull
from adtally.intake.receipts import BatchIndex
from adtally.kernel import SOURCES
from adtally.log.frame_index import FrameIndex
from adtally.log.segment import Position
from adtally.log.store import SPARE_BYTES, StorePoint
from adtally.settlement.machine import MachineDump
from adtally.types import Hash, LogIdentity

logger = logging.getLogger(__name__)

_MAGIC = b"adtsnap1"
_LENGTH = _CRC = struct.Struct(">I")
_NAME = re.compile(r"snapshot-([0-9]{16})\Z")
_PIECE = 16 * 2**20
_KEPT = 2
"""Files: should the newest be damaged, the one before it is taken."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything but the leaf hashes, which the stored tree has."""

    identity: LogIdentity
    root: Hash
    machine: MachineDump
    facts: Sequence[tuple[int, bytes]]
    """Leaf index and bytes of every entry that is neither envelope nor record."""
    batches: BatchIndex
    store: StorePoint

    @property
    def size(self) -> int:
        """Of the log."""
        return self.machine.size


class _Header(msgspec.Struct):
    format: str
    chain_id: int
    event_log: bytes
    root: bytes
    size: int
    last_received_at_ms: int
    next_sequence: dict[int, int]
    facts: list[tuple[int, bytes]]
    promises: list[tuple[int, int]]
    segments: list[str]
    offset: int
    position: tuple[int, int, int]
    arrays: list[tuple[str, str, tuple[int, ...]]]
    """Name, type and shape of each."""


class SnapshotFolder:
    """The snapshots of one log."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def newest(self, identity: LogIdentity) -> Snapshot | None:
        """The newest snapshot that can be used; a warning tells of each that can't.

        Nothing is removed: perhaps another process has the log, and these are its snapshots.

        Raises:
            OSError: the disk did not answer.
        """
        for path in self._paths():
            try:
                snapshot = _read(path)
                if snapshot.identity != identity:
                    raise _unusable(path, "a snapshot of this log", "one of another")
            except StorageCorrupt as error:
                logger.warning("%s; more of the log is replayed", error)
            else:
                return snapshot
        return None

    def forget(self, beyond: int) -> None:
        """Remove all of more than ``beyond`` entries: the tree is about to become another there."""
        for path in self._paths():
            if _size_in(path) > beyond:
                path.unlink()

    def require_room(self, snapshot: Snapshot) -> None:
        """Leave to the log what it needs: a snapshot must not fill the disk.

        Raises:
            StorageFull: writing it would leave less than ``SPARE_BYTES`` twice over.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        # The rest is a few bytes a batch and fits the margin.
        size = sum(array.nbytes for array in snapshot.machine.engine.values())
        free = shutil.disk_usage(self._directory).free
        if free < size + 2 * SPARE_BYTES:
            raise StorageFull(f"{free} bytes free in {self._directory} for a snapshot of {size}")

    def path(self, snapshot: Snapshot) -> Path:
        """Where ``write`` puts it: a name that does not count yet."""
        return self._directory / f"snapshot-{snapshot.size:016d}.new"

    def write(self, snapshot: Snapshot) -> Path:
        """Write and sync a snapshot; it counts once it was given to ``keep``."""
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self.path(snapshot)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            _write(descriptor, snapshot)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return path

    def keep(self, written: Path) -> None:
        """Let a written snapshot count; the tree is durable up to its size."""
        written.rename(written.with_suffix(""))
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        for old in (*self._paths()[_KEPT:], *self._directory.glob("snapshot-*.new")):
            old.unlink()

    def _paths(self) -> list[Path]:
        """Newest first."""
        found = [path for path in self._directory.glob("snapshot-*") if _NAME.match(path.name)]
        return sorted(found, reverse=True)


def _size_in(path: Path) -> int:
    return int(path.name.removeprefix("snapshot-"))


def _write(descriptor: int, snapshot: Snapshot) -> None:
    arrays = _arrays(snapshot)
    position = snapshot.store.position
    header = msgspec.msgpack.encode(
        _Header(
            format=SOURCES,
            chain_id=snapshot.identity.chain_id,
            event_log=snapshot.identity.event_log,
            root=snapshot.root,
            size=snapshot.size,
            last_received_at_ms=snapshot.machine.last_received_at_ms,
            next_sequence=dict(snapshot.machine.next_sequence),
            facts=list(snapshot.facts),
            promises=snapshot.batches.promises,
            segments=list(snapshot.store.segments),
            offset=snapshot.store.offset,
            position=(position.sequence, position.index, position.epoch),
            arrays=[(name, array.dtype.str, array.shape) for name, array in arrays],
        )
    )
    crc = 0
    for piece in chain((_MAGIC, _LENGTH.pack(len(header)), header), _pieces(arrays)):
        crc = google_crc32c.extend(crc, piece)
        _write_all(descriptor, piece)
    _write_all(descriptor, _CRC.pack(crc))


def _arrays(snapshot: Snapshot) -> list[tuple[str, np.ndarray[Any, Any]]]:
    frames = snapshot.store.frames.to_bytes()
    made = {f"frames.{number}": np.frombuffer(each, np.uint8) for number, each in enumerate(frames)}
    for member, firsts in snapshot.batches.firsts().items():
        made[f"batches.{member}"] = np.array(firsts, np.uint64)
    return list({**made, **snapshot.machine.engine}.items())


def _pieces(arrays: Sequence[tuple[str, np.ndarray[Any, Any]]]) -> Iterator[bytes]:
    for _, array in arrays:
        view = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for at in range(0, len(view), _PIECE):
            yield view[at : at + _PIECE].tobytes()


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read(path: Path) -> Snapshot:
    """Raises StorageCorrupt when it is not what this code wrote."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < len(_MAGIC) + _LENGTH.size + _CRC.size:
            raise _unusable(path, "a snapshot", "too few bytes")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    view = memoryview(data)
    (length,) = _LENGTH.unpack_from(view, len(_MAGIC))
    start = len(_MAGIC) + _LENGTH.size
    if view[: len(_MAGIC)] != _MAGIC or _checksum(view[:-4]) != view[-4:]:
        raise _unusable(path, "a whole snapshot", "other bytes, or a part of one")
    header = msgspec.msgpack.decode(view[start : start + length], type=_Header)
    if header.format != SOURCES:
        raise _unusable(path, "one of this very version", f"one of {header.format}")
    arrays = _read_arrays(header, view, start + length)
    frames = [arrays.pop(f"frames.{number}").tobytes() for number in range(4)]
    batches = BatchIndex.restored(
        {
            int(name.removeprefix("batches.")): arrays.pop(name).tobytes()
            for name in [name for name in arrays if name.startswith("batches.")]
        },
        header.promises,
    )
    return Snapshot(
        LogIdentity(header.chain_id, header.event_log),
        header.root,
        MachineDump(header.size, header.last_received_at_ms, header.next_sequence, arrays),
        header.facts,
        batches,
        StorePoint(
            tuple(header.segments),
            header.offset,
            Position(*header.position),
            FrameIndex.from_bytes(frames, header.size),
        ),
    )


def _read_arrays(header: _Header, view: memoryview, at: int) -> dict[str, np.ndarray[Any, Any]]:
    arrays = {}
    for name, kind, shape in header.arrays:
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        arrays[name] = np.frombuffer(view[at : at + size], kind).reshape(shape)
        at += size
    return arrays


def _checksum(view: memoryview) -> bytes:
    crc = 0
    for at in range(0, len(view), _PIECE):
        crc = google_crc32c.extend(crc, bytes(view[at : at + _PIECE]))
    return _CRC.pack(crc)


def _unusable(path: Path, expected: str, found: str) -> StorageCorrupt:
    return StorageCorrupt(
        f"{path.name} can't be used", field=str(path), expected=expected, found=found
    )
