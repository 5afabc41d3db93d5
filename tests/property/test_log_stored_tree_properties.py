"""The tree on disk equals the plain one, whatever is appended, left behind, or goes wrong."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.errors import StorageFailed
from adtally.kernel.sha256 import packed_parents
from adtally.log.files import OsFiles
from adtally.log.merkle import MerkleTree, Parents, plain_parents
from adtally.log.stored_tree import StoredTree
from adtally.rfc9162 import HASH_SIZE
from support.faulty_files import FAULTS, FaultyFiles, Killed
from support.forgetful_disk import DIRECTORY, ForgetfulDisk, PowerLoss

shapes = st.fixed_dictionaries(
    {
        "file_nodes": st.sampled_from([1, 2, 3, 8, 64, 2**20]),
        "unwritten_bytes": st.sampled_from([1, 64, 96, 320, 4096]),
    }
)
counts = st.one_of(st.integers(0, 9), st.integers(10, 120))
parents = st.sampled_from([plain_parents, packed_parents])


class QuickFiles(OsFiles):
    """Nothing here loses power, so nothing need wait for the disk."""

    def fdatasync(self, descriptor: int) -> None:
        pass

    def sync_directory(self, directory: Path) -> None:
        pass


@contextmanager
def new_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as path:
        yield Path(path) / "tree"


def plain_tree(leaves: bytes) -> MerkleTree:
    tree = MerkleTree()
    tree.append_packed(leaves)
    return tree


def assert_equal(tree: StoredTree, leaves: bytes, chance: random.Random) -> None:
    """Same size, and the same roots and proofs at the newest and at some other sizes."""
    plain = plain_tree(leaves)
    assert tree.size == plain.size
    assert tree.root() == plain.root()
    for _ in range(12):
        second = chance.choice([plain.size, chance.randint(0, plain.size)])
        first = chance.randint(0, second)
        assert tree.root(second) == plain.root(second)
        assert tree.consistency_proof(first, second) == plain.consistency_proof(first, second)
        if second:
            index = chance.randrange(second)
            assert tree.leaf(index) == plain.leaf(index)
            assert tree.inclusion_proof(index, second) == plain.inclusion_proof(index, second)
            assert tree.proven_leaf(index, second) == plain.proven_leaf(index, second)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), appends=st.lists(counts, max_size=12), shape=shapes, how=parents)
def test_stored_tree__grown_in_any_chunks__equals_the_plain_tree(
    seed: int, appends: list[int], shape: dict[str, int], how: Parents
) -> None:
    chance, leaves, plain = random.Random(seed), b"", MerkleTree()
    with new_directory() as directory, StoredTree.open(directory, parents=how, **shape) as tree:
        for count in appends:
            more = chance.randbytes(count * HASH_SIZE)
            tree.append_packed(more)
            plain.append_packed(more)
            leaves += more
            assert tree.root() == plain.root()
        assert_equal(tree, leaves, chance)
        tree.verify()


def spoil_what_is_behind(
    directory: Path, size: int, file_nodes: int, chance: random.Random
) -> None:
    """Change the files in every way that a tree of ``size`` leaves need not mind."""
    for path in sorted(directory.iterdir()):
        _, height, first = path.name.split("-")
        needed = min(max((size >> int(height)) - int(first), 0), file_nodes) * HASH_SIZE
        data = path.read_bytes()
        assert len(data) >= needed
        spare = min(file_nodes * HASH_SIZE - needed, 200)
        garbage = chance.randbytes(chance.randint(0, spare))
        changed = chance.choice(
            [
                data,
                data[: chance.randint(needed, len(data))],
                data[:needed] + garbage,
                data[:needed] + garbage + data[needed + len(garbage) :],
            ]
        )
        if not needed and chance.random() < 0.3:
            path.unlink()
        else:
            path.write_bytes(changed)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lives=st.lists(st.lists(counts, max_size=5), min_size=2, max_size=5),
    shape=shapes,
    how=parents,
)
def test_stored_tree__opened_at_any_synced_size__goes_on_from_there(
    seed: int, lives: list[list[int]], shape: dict[str, int], how: Parents
) -> None:
    chance, leaves, size = random.Random(seed), b"", 0
    with new_directory() as directory:
        for appends in lives:
            root = chance.choice([None, plain_tree(leaves).root()])
            disk = QuickFiles()
            with StoredTree.open(
                directory, size, root=root, parents=how, files=disk, **shape
            ) as tree:
                assert_equal(tree, leaves, chance)
                durable = tree.sync()
                for count in appends:
                    more = chance.randbytes(count * HASH_SIZE)
                    tree.append_packed(more)
                    leaves += more
                    if chance.random() < 0.6:
                        durable = tree.sync()
                        assert durable == tree.size
                assert_equal(tree, leaves, chance)
                tree.verify()
            size = chance.choice([durable, chance.randint(0, durable)])
            leaves = leaves[: size * HASH_SIZE]
            spoil_what_is_behind(directory, size, shape["file_nodes"], chance)


class Life:
    """Appends and syncs until something goes wrong, and knows what was promised."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.leaves = b""
        self.durable = 0

    def run(self, tree: StoredTree, counts: list[int]) -> None:
        for number, count in enumerate(counts):
            more = self.chance.randbytes(count * HASH_SIZE)
            self.leaves += more
            tree.append_packed(more)
            if number % 3 == 2:
                self.durable = tree.sync()

    @property
    def promised(self) -> bytes:
        return self.leaves[: self.durable * HASH_SIZE]


@pytest.mark.parametrize("fault", FAULTS)
def test_stored_tree__fault_at_every_operation__keeps_what_was_synced(
    tmp_path: Path, fault: str
) -> None:
    shape = {"file_nodes": 16, "unwritten_bytes": 128}
    at = 0
    while True:
        directory, life = tmp_path / str(at), Life(at)
        files = FaultyFiles(at, fault)
        try:
            with StoredTree.open(directory, files=files, **shape) as tree:
                life.run(tree, [5, 1, 9, 30, 2, 4, 7, 20])
        except (Killed, StorageFailed):
            assert files.happened
        root = plain_tree(life.promised).root()
        with StoredTree.open(directory, life.durable, root=root, **shape) as tree:
            life.leaves = life.promised
            assert_equal(tree, life.leaves, life.chance)
            life.run(tree, [3, 40, 11])
            assert_equal(tree, life.leaves, life.chance)
            tree.verify()
        if files.count <= at:
            break
        at += 1
    assert at > 50


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lives=st.lists(
        st.tuples(st.lists(st.integers(1, 40), max_size=12), st.integers(0, 90)),
        min_size=1,
        max_size=5,
    ),
)
def test_stored_tree__killed_or_power_lost_at_any_moment__keeps_what_was_synced(
    seed: int, lives: list[tuple[list[int], int]]
) -> None:
    shape = {"file_nodes": 40, "unwritten_bytes": 256}
    disk, life = ForgetfulDisk(grows=True), Life(seed)
    for appends, operations in lives:
        life.leaves = life.promised
        root = plain_tree(life.leaves).root()
        tree = StoredTree.open(DIRECTORY, life.durable, root=root, files=disk, **shape)
        tree.verify()
        assert_equal(tree, life.leaves, life.chance)
        disk.operations_left = operations
        try:
            life.run(tree, appends)
        except PowerLoss:
            pass
        finally:
            tree.close()
        if life.chance.random() < 0.7:
            disk.restart(life.chance)
        else:
            disk.operations_left = 10**9
