"""A faulty disk under the store: at every file operation, in every way it can fail.

After each fault the log is opened again on a sound disk. Every acknowledged append must be there
once, at its index; the one in flight is there wholly or not at all; the root equals one rebuilt
independently; and appending goes on.
"""

from __future__ import annotations

import errno
import random
from pathlib import Path

import pytest

from adtally.errors import StorageCorrupt, StorageFailed
from adtally.log.bundle import count_entries
from adtally.log.files import OsFiles
from adtally.log.merkle import MerkleTree
from adtally.log.segment import UnsealedFrame
from adtally.log.store import LogStore
from adtally.rfc9162 import EMPTY_ROOT, leaf_hash, leaf_hashes, node_hash
from support.faulty_files import FAULTS, FaultyFiles, Killed

SEGMENT = 2048


def batch(number: int) -> list[bytes]:
    content = random.Random(number)
    return [content.randbytes(109), *(content.randbytes(112) for _ in range(1 + number % 5))]


def rebuilt_root(leaves: list[bytes]) -> bytes:
    """RFC 9162's recursive definition, independent of the tree under test."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(rebuilt_root(leaves[:k]), rebuilt_root(leaves[k:]))


def root_of(store: LogStore) -> bytes:
    tree = MerkleTree()
    tree.append_packed(leaf_hashes(store.entries(0, store.size)))
    return tree.root()


class Session:
    """Appends batches and remembers what was acknowledged and what was in flight."""

    def __init__(self) -> None:
        self.acknowledged: list[bytes] = []
        self.in_flight: list[bytes] = []
        self.number = 0

    def append(self, store: LogStore) -> None:
        self.in_flight = batch(self.number)
        self.number += 1
        first = store.append(self.in_flight)
        assert first == len(self.acknowledged)
        self.acknowledged += self.in_flight
        self.in_flight = []

    def check(self, store: LogStore) -> None:
        """Accept what recovery found of the append in flight; all the rest must be exact."""
        found = store.entries(0, store.size)
        assert found in (self.acknowledged, self.acknowledged + self.in_flight)
        self.acknowledged, self.in_flight = found, []
        assert root_of(store) == rebuilt_root(self.acknowledged)


def tear_tail(directory: Path, session: Session) -> None:
    """Leave half an append behind, as a crash does."""
    last = sorted(directory.glob("segment-*.log"))[-1]
    data = last.read_bytes()
    end = len(data.rstrip(b"\0"))
    frame = UnsealedFrame.of(b"\0\x70" + bytes(range(1, 113)))
    torn = bytes(frame.seal(1, 99, 9, 1))[:70]
    last.write_bytes(data[:end] + torn + data[end + len(torn) :])
    assert session.in_flight == []


def run(directory: Path, files: FaultyFiles, session: Session) -> None:
    """Two sessions with rotations; the second starts on a torn tail."""
    store = LogStore.open(directory, files=files, segment_bytes=SEGMENT)
    for _ in range(6):
        session.append(store)
    store.close()
    tear_tail(directory, session)
    store = LogStore.open(directory, files=files, segment_bytes=SEGMENT)
    session.check(store)
    for _ in range(4):
        session.append(store)
    store.close()


def recover_and_go_on(directory: Path, session: Session) -> None:
    for _ in range(2):
        with LogStore.open(directory, segment_bytes=SEGMENT) as store:
            session.check(store)
            session.append(store)
            session.append(store)
    with LogStore.open(directory, segment_bytes=SEGMENT) as store:
        session.check(store)


@pytest.mark.parametrize("fault", FAULTS)
def test_store__fault_at_every_operation__loses_nothing_acknowledged(
    tmp_path: Path, fault: str
) -> None:
    at = 0
    while True:
        directory = tmp_path / str(at)
        files, session = FaultyFiles(at, fault), Session()
        try:
            run(directory, files, session)
        except (Killed, StorageFailed):
            assert files.happened
        files.end_process()
        recover_and_go_on(directory, session)
        if files.count <= at:
            break
        at += 1
    assert at > 30


@pytest.mark.parametrize("fault", ["EIO", "EIO after effect", "ENOSPC"])
def test_store__after_a_write_error__takes_nothing_until_reopened(
    tmp_path: Path, fault: str
) -> None:
    sound = FaultyFiles(10**9, fault)
    with LogStore.open(tmp_path / "count", files=sound, segment_bytes=SEGMENT) as store:
        Session().append(store)
    operations_of_first_append = sound.count
    for at in range(1, operations_of_first_append):
        files, session = FaultyFiles(at, fault), Session()
        directory = tmp_path / str(at)
        store = LogStore.open(directory, files=files, segment_bytes=SEGMENT)
        with pytest.raises(StorageFailed):
            session.append(store)
        in_flight = session.in_flight
        for _ in range(3):
            with pytest.raises(StorageFailed):
                store.append([b"the disk works again, but nobody knows what it holds"])
        assert store.failure is not None
        assert store.size == 0
        store.close()
        session.in_flight = in_flight
        recover_and_go_on(directory, session)


def test_store__torn_frame_of_every_length__is_truncated(tmp_path: Path) -> None:
    session = Session()
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        session.append(store)
        session.append(store)
        path = sorted(tmp_path.glob("segment-*.log"))[-1]
        before = path.read_bytes()
        start = len(before.rstrip(b"\0"))
        session.append(store)
    whole = path.read_bytes()
    frame = whole[start:].rstrip(b"\0")
    kept = session.acknowledged[: -len(batch(2))]
    for length in range(len(frame) + 1):
        path.write_bytes(before[:start] + frame[:length] + bytes(SEGMENT - start - length))
        with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
            expected = kept if length < len(frame) else session.acknowledged
            assert store.entries(0, store.size) == expected
        if length < len(frame):
            assert not path.read_bytes()[start:].strip(b"\0")
    path.write_bytes(before[:start] + frame[:100])
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        assert store.append(batch(2)) == len(kept)
        assert store.entries(0, store.size) == session.acknowledged


def test_store__flipped_bit_in_committed_frames__is_refused_by_name(tmp_path: Path) -> None:
    session = Session()
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        for _ in range(12):
            session.append(store)
    paths = sorted(tmp_path.glob("segment-*.log"))
    assert len(paths) >= 3
    choice = random.Random(3)
    flips = 0
    for path in paths:
        whole = path.read_bytes()
        committed = len(whole.rstrip(b"\0"))
        for bit in choice.sample(range(committed * 8), 150):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            path.write_bytes(changed)
            with pytest.raises(StorageCorrupt) as caught:
                LogStore.open(tmp_path, segment_bytes=SEGMENT)
            assert caught.value.field == path.name
            with pytest.raises(StorageCorrupt):
                read_through(tmp_path)
            assert path.read_bytes() == changed
            flips += 1
        path.write_bytes(whole)
    assert flips == 150 * len(paths)
    assert read_through(tmp_path) == len(session.acknowledged)
    with LogStore.open(tmp_path, segment_bytes=SEGMENT) as store:
        session.check(store)


def read_through(directory: Path) -> int:
    """Open by headers alone, then read all, as a recovery does; the number of entries."""
    with LogStore.open(directory, segment_bytes=SEGMENT, is_read_next=True) as store:
        return sum(count_entries(payload) for payload in store.payloads())


def test_store__disk_full_on_rotation__reads_go_on(tmp_path: Path) -> None:
    class FullDisk(OsFiles):
        full = False

        def preallocate(self, descriptor: int, size: int) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().preallocate(descriptor, size)

    files, session = FullDisk(), Session()
    store = LogStore.open(tmp_path, files=files, segment_bytes=SEGMENT)
    session.append(store)
    files.full = True
    while 2 * store.size < SEGMENT // 112:
        session.append(store)
    session.in_flight = [b"x" * 2000]
    with pytest.raises(StorageFailed, match="No space left"):
        store.append(session.in_flight)
    assert store.entries(0, store.size) == session.acknowledged
    store.close()
    # Still full after a restart: it opens and reads, and refuses only to write.
    store = LogStore.open(tmp_path, files=files, segment_bytes=SEGMENT)
    session.check(store)
    with pytest.raises(StorageFailed):
        store.append([b"x" * 2000])
    store.close()
    recover_and_go_on(tmp_path, session)
