"""The tree on disk: what it refuses, what it notices, and that memory stays flat."""

from __future__ import annotations

import errno
import random
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adtally.errors import InvalidInput, StorageCorrupt, StorageFailed
from adtally.log.files import OsFiles
from adtally.log.merkle import MerkleTree
from adtally.log.stored_tree import StoredTree
from adtally.rfc9162 import EMPTY_ROOT, HASH_SIZE

SHAPE = {"file_nodes": 64, "unwritten_bytes": 512}
SIZE = 403
LEAVES = random.Random(1).randbytes(SIZE * HASH_SIZE)


@pytest.fixture
def plain() -> MerkleTree:
    tree = MerkleTree()
    tree.append_packed(LEAVES)
    return tree


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A synced tree of SIZE leaves, closed."""
    with StoredTree.open(tmp_path / "tree", **SHAPE) as tree:
        tree.append_packed(LEAVES)
        assert tree.sync() == SIZE
    return tmp_path / "tree"


def reopened(directory: Path, size: int = SIZE) -> StoredTree:
    return StoredTree.open(directory, size, **SHAPE)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


# Opening


def test_open__after_sync__has_root_and_proofs_without_hashing_the_log(
    directory: Path, plain: MerkleTree
) -> None:
    hashed = 0

    def counted(children: bytes | memoryview) -> bytes:
        nonlocal hashed
        hashed += len(children)
        raise AssertionError("only a few nodes are hashed, none in bulk")

    tree = StoredTree.open(directory, SIZE, parents=counted, **SHAPE)
    assert tree.root() == plain.root()
    assert tree.inclusion_proof(77) == plain.inclusion_proof(77)
    assert hashed == 0


def test_open__size_zero__starts_anew_over_whatever_is_there(directory: Path) -> None:
    for path in directory.iterdir():
        path.write_bytes(b"\xff" * 9_999)
    leaves = random.Random(2).randbytes(100 * HASH_SIZE)
    with reopened(directory, 0) as tree:
        assert tree.root() == EMPTY_ROOT
        tree.append_packed(leaves)
        assert tree.sync() == 100
    expected = MerkleTree()
    expected.append_packed(leaves)
    assert reopened(directory, 100).root() == expected.root()


def test_open__every_file_missing_short_or_long__is_refused_by_name(directory: Path) -> None:
    paths = sorted(directory.iterdir())
    assert len(paths) == 7 + 4 + 2 + 6
    for path in paths:
        whole = path.read_bytes()
        for changed in (None, b"", whole[:-1], whole[:-HASH_SIZE], whole + bytes(64 * HASH_SIZE)):
            path.unlink()
            if changed is not None:
                path.write_bytes(changed)
            with pytest.raises(StorageCorrupt, match="delete the tree's directory") as caught:
                reopened(directory)
            assert caught.value.field == str(path)
            path.write_bytes(whole)
    reopened(directory).verify()


def test_open__size_that_was_never_written__is_refused(directory: Path) -> None:
    with pytest.raises(StorageCorrupt):
        reopened(directory, SIZE + 1)
    with pytest.raises(InvalidInput):
        reopened(directory, -1)


def test_open__other_root_than_known__is_refused(directory: Path, plain: MerkleTree) -> None:
    StoredTree.open(directory, SIZE, root=plain.root(), **SHAPE)
    with pytest.raises(StorageCorrupt, match=f"root {plain.root().hex()}"):
        StoredTree.open(directory, SIZE, root=plain.root(SIZE - 1), **SHAPE)


def test_open__damaged_border__is_refused(directory: Path) -> None:
    for height in range(1, SIZE.bit_length()):
        last = (SIZE >> height) - 1
        path = directory / f"level-{height:02d}-{last // 64 * 64:016d}"
        at = last % 64 * HASH_SIZE + 5
        flip(path, at)
        with pytest.raises(StorageCorrupt, match=f"node {last} of height {height}"):
            reopened(directory)
        flip(path, at)
    reopened(directory)


def test_open__disk_that_does_not_answer__is_a_typed_error(directory: Path) -> None:
    class Deaf(OsFiles):
        def list_names(self, directory: Path) -> list[str]:
            raise OSError(errno.EIO, "injected")

    with pytest.raises(StorageFailed, match="injected"):
        StoredTree.open(directory, SIZE, files=Deaf(), **SHAPE)
    (directory / "level-00-0000000000000000").unlink()
    (directory / "level-00-0000000000000000").mkdir()
    with pytest.raises(StorageFailed, match="directory"):
        reopened(directory)


# Damage


def answers(size: int) -> list[Callable[[MerkleTree], object]]:
    """Every root, leaf and proof of a small tree and of the sizes before."""
    asked: list[Callable[[MerkleTree], object]] = []
    for second in range(1, size + 1):
        asked.append(lambda tree, second=second: tree.root(second))
        for other in range(second):
            asked.append(lambda tree, i=other, n=second: tree.inclusion_proof(i, n))
            asked.append(lambda tree, i=other, n=second: tree.proven_leaf(i, n))
            asked.append(lambda tree, i=other, n=second: tree.consistency_proof(i, n))
    asked += [lambda tree, index=index: tree.leaf(index) for index in range(size)]
    return asked


def answer_or_error(ask: Callable[[MerkleTree], object], tree: MerkleTree) -> object:
    try:
        return ask(tree)
    except StorageCorrupt as error:
        return error


@pytest.mark.parametrize("size", [21, 32])
def test_answers__any_damaged_node__are_right_or_refused(tmp_path: Path, size: int) -> None:
    leaves = LEAVES[: size * HASH_SIZE]
    plain = MerkleTree()
    plain.append_packed(leaves)
    expected = [(ask, ask(plain)) for ask in answers(size)]
    tree = StoredTree.open(tmp_path, file_nodes=64, unwritten_bytes=1)
    tree.append_packed(leaves)
    tree.sync()
    refused = 0
    for height in range(size.bit_length()):
        path = tmp_path / f"level-{height:02d}-{0:016d}"
        for index in range(size >> height):
            flip(path, index * HASH_SIZE + 31)
            before = refused
            for ask, right in expected:
                answer = answer_or_error(ask, tree)
                if isinstance(answer, StorageCorrupt):
                    refused += 1
                else:
                    assert answer == right
            in_memory = index >= (size >> height) - 2
            assert refused > before or in_memory
            flip(path, index * HASH_SIZE + 31)
    assert refused
    tree.verify()


class LyingDisk(OsFiles):
    """One read, the one of this number, gives wrong bytes."""

    def __init__(self) -> None:
        self.reads = 0
        self.lie_at = -1

    def pread(self, descriptor: int, size: int, offset: int) -> bytes:
        data = super().pread(descriptor, size, offset)
        self.reads += 1
        return bytes(len(data)) if self.reads - 1 == self.lie_at else data


@pytest.mark.parametrize(
    "ask",
    [
        lambda tree: tree.leaf(13),
        lambda tree: tree.root(100),
        lambda tree: tree.inclusion_proof(13, 100),
        lambda tree: tree.proven_leaf(13, 100),
        lambda tree: tree.consistency_proof(50, 100),
        lambda tree: tree.consistency_proof(50),
    ],
)
def test_answers__any_read_that_lies__are_right_or_refused(
    tmp_path: Path, plain: MerkleTree, ask: Callable[[MerkleTree], object]
) -> None:
    disk = LyingDisk()
    tree = StoredTree.open(tmp_path, files=disk, file_nodes=64, unwritten_bytes=1)
    tree.append_packed(LEAVES)
    right, refused = ask(plain), 0
    disk.reads = 0
    assert ask(tree) == right
    for number in range(disk.reads):
        disk.reads, disk.lie_at = 0, number
        answer = answer_or_error(ask, tree)
        if isinstance(answer, StorageCorrupt):
            refused += 1
        else:
            assert answer == right
    assert refused > 4


def test_root__newest__comes_from_memory_alone(tmp_path: Path) -> None:
    leaves, plain, size = LEAVES * 2, MerkleTree(), 0
    tree = StoredTree.open(tmp_path, file_nodes=64, unwritten_bytes=1)
    for count in [*[1] * 70, 64, 5, 128, 200, 3]:
        more = leaves[size * HASH_SIZE : (size + count) * HASH_SIZE]
        tree.append_packed(more)
        plain.append_packed(more)
        size += count
        assert tree.root() == plain.root()
        for path in tmp_path.iterdir():
            path.write_bytes(bytes(path.stat().st_size))


def test_verify__any_damaged_node__is_found_and_named(directory: Path) -> None:
    tree = reopened(directory)
    tree.verify()
    found = 0
    for path in sorted(directory.iterdir()):
        _, height, first = path.name.split("-")
        for at in range(path.stat().st_size // HASH_SIZE):
            node = int(first) + at
            if node >= (SIZE >> int(height)) - 2:
                continue  # Read from memory, where it is right; ``open`` checks it.
            flip(path, at * HASH_SIZE)
            # A leaf shows in its parent.
            named = (max(int(height), 1), node if int(height) else node // 2)
            with pytest.raises(StorageCorrupt, match=f"node {named[1]} of height {named[0]}:"):
                tree.verify()
            flip(path, at * HASH_SIZE)
            found += 1
    assert found > 2 * SIZE - 30
    tree.verify()


def test_answers__file_cut_under_the_service__are_refused(directory: Path) -> None:
    tree = reopened(directory)
    path = directory / f"level-00-{64:016d}"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StorageCorrupt) as caught:
        tree.inclusion_proof(70)
    assert caught.value.field == str(path)
    with pytest.raises(StorageCorrupt):
        tree.verify()
    assert tree.inclusion_proof(300)


# Failing disks


class FullDisk(OsFiles):
    """Takes so many bytes and no more; ``syncs`` says whether it can sync."""

    def __init__(self, room: int, *, syncs: bool = True) -> None:
        self.room = room
        self.syncs = syncs

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().pwrite(descriptor, data[: self.room], offset)
        self.room -= written
        return written

    def fdatasync(self, descriptor: int) -> None:
        if not self.syncs:
            raise OSError(errno.EIO, "injected")
        super().fdatasync(descriptor)


@pytest.mark.parametrize("room", range(0, 26_000, 1777))
def test_append__full_disk__is_a_typed_error_and_old_sizes_still_answer(
    tmp_path: Path, plain: MerkleTree, room: int
) -> None:
    tree = StoredTree.open(tmp_path, files=FullDisk(room), **SHAPE)

    def grow() -> None:
        for at in range(0, len(LEAVES), 13 * HASH_SIZE):
            tree.append_packed(LEAVES[at : at + 13 * HASH_SIZE])
        tree.sync()

    with pytest.raises(StorageFailed, match=r"No space left.*mend the disk"):
        grow()
    size = tree.size
    assert tree.root() == plain.root(size)
    for index in range(0, size, 7):
        assert tree.inclusion_proof(index) == plain.inclusion_proof(index, size)
    for act in (lambda: tree.append_packed(LEAVES), tree.sync):
        with pytest.raises(StorageFailed, match="takes nothing more"):
            act()
    assert tree.size == size


def test_sync__refused__takes_nothing_more(tmp_path: Path) -> None:
    disk = FullDisk(10**9, syncs=False)
    tree = StoredTree.open(tmp_path, files=disk, **SHAPE)
    tree.append_packed(LEAVES)
    with pytest.raises(StorageFailed, match="injected"):
        tree.sync()
    disk.syncs = True
    with pytest.raises(StorageFailed, match="takes nothing more"):
        tree.sync()
    with pytest.raises(StorageFailed, match="takes nothing more"):
        tree.append_packed(LEAVES)


def test_append__no_whole_hashes__is_refused_and_the_tree_goes_on(tmp_path: Path) -> None:
    tree = StoredTree.open(tmp_path, **SHAPE)
    with pytest.raises(InvalidInput):
        tree.append_packed(b"short")
    tree.append_packed(LEAVES)
    assert tree.size == SIZE


def test_close__then__nothing(directory: Path) -> None:
    tree = reopened(directory)
    tree.close()
    with pytest.raises(StorageFailed, match="closed"):
        tree.append_packed(LEAVES)
    with pytest.raises(StorageFailed, match="closed"):
        tree.inclusion_proof(3)


# Many files, many threads


def open_files(directory: Path) -> int:
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            count += str(link.readlink()).startswith(str(directory))
        except FileNotFoundError:
            continue
    return count


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc")
def test_files__more_than_may_be_open__are_opened_as_needed(
    tmp_path: Path, plain: MerkleTree
) -> None:
    tree = StoredTree.open(tmp_path, file_nodes=2, unwritten_bytes=64)
    for at in range(0, len(LEAVES), 31 * HASH_SIZE):
        tree.append_packed(LEAVES[at : at + 31 * HASH_SIZE])
        tree.sync()
    assert len(list(tmp_path.iterdir())) > 400
    for index in range(SIZE):
        assert tree.inclusion_proof(index) == plain.inclusion_proof(index)
    tree.verify()
    assert 0 < open_files(tmp_path) <= 128
    tree.close()
    assert open_files(tmp_path) == 0


def test_readers__while_leaves_are_added_and_synced__see_right_answers(
    tmp_path: Path,
) -> None:
    total = 6_000
    leaves = random.Random(4).randbytes(total * HASH_SIZE)
    plain = MerkleTree()
    plain.append_packed(leaves)
    tree = StoredTree.open(tmp_path, file_nodes=128, unwritten_bytes=256)
    tree.append_packed(leaves[:HASH_SIZE])

    def read(seed: int) -> int:
        chance, count = random.Random(seed), 0
        while (size := tree.size) < total:
            first, index = chance.randint(1, size), chance.randrange(size)
            assert tree.root(size) == plain.root(size)
            assert tree.leaf(index) == plain.leaf(index)
            assert tree.inclusion_proof(index, size) == plain.inclusion_proof(index, size)
            assert tree.consistency_proof(first, size) == plain.consistency_proof(first, size)
            count += 1
        return count

    def sync() -> int:
        while tree.size < total:
            before = tree.size
            assert before <= tree.sync() <= tree.size
        return tree.sync()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            readers = [pool.submit(read, seed) for seed in range(3)]
            syncing = pool.submit(sync)
            chance = random.Random(5)
            while tree.size < total:
                at, count = tree.size, chance.randint(1, 20)
                tree.append_packed(leaves[at * HASH_SIZE : (at + count) * HASH_SIZE])
            assert all(reader.result() for reader in readers)
            assert syncing.result() == total
    finally:
        sys.setswitchinterval(interval)
    tree.close()
    StoredTree.open(tmp_path, total, root=plain.root(), file_nodes=128).verify()


# Nodes for tiles


@pytest.mark.parametrize(
    ("height", "start", "end"),
    [(0, 0, 1), (0, 0, 256), (0, 256, 403), (0, 3, 4), (0, 1, 4), (3, 5, 50), (8, 0, 1)],
)
def test_nodes__of_any_range__are_those_of_the_plain_tree(
    directory: Path, plain: MerkleTree, height: int, start: int, end: int
) -> None:
    with reopened(directory) as tree:
        found = tree.nodes(height, start, end)
    assert found == plain.nodes(height, start, end)
    assert len(found) == (end - start) * HASH_SIZE


@pytest.mark.parametrize(("height", "start", "end"), [(0, 0, 404), (0, 2, 2), (1, 201, 202)])
def test_nodes__that_are_not_complete__are_refused(
    directory: Path, plain: MerkleTree, height: int, start: int, end: int
) -> None:
    with reopened(directory) as tree, pytest.raises(InvalidInput):
        tree.nodes(height, start, end)
    with pytest.raises(InvalidInput):
        plain.nodes(height, start, end)


@pytest.mark.parametrize("at", [0, 31, 40 * HASH_SIZE])
def test_nodes__one_bit_of_them_flipped_on_disk__are_not_given(directory: Path, at: int) -> None:
    with reopened(directory) as tree:
        flip(directory / f"level-00-{0:016d}", at)
        with pytest.raises(StorageCorrupt):
            tree.nodes(0, 0, 64)
        assert len(tree.nodes(0, 64, 256)) == 192 * HASH_SIZE
