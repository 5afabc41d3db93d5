"""The Merkle tree of a running service: on disk, and checked whenever it answers.

Its files are derived from the log's segments, so losing them loses time only. But a root that is
signed, or a proof that is served, must be right: the newest root is known in memory, and whatever
comes from disk is tied to it by a proof before it is given away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import TracebackType

from adtally.errors import InvalidInput, StorageFailed, VerificationFailed
from adtally.log.compact_range import CompactRange
from adtally.log.files import FileLayer, OsFiles
from adtally.log.level_files import FILE_NODES, UNWRITTEN_BYTES, LevelFiles, damaged_level
from adtally.log.merkle import MerkleTree, Parents
from adtally.log.proof import verify_consistency, verify_inclusion
from adtally.rfc9162 import EMPTY_ROOT, HASH_SIZE
from adtally.types import Hash

_VERIFY_NODES = 2**15


class StoredTree(MerkleTree):
    """A ``MerkleTree`` whose levels are files. Make one with ``StoredTree.open``.

    One thread appends. ``sync`` and ``verify`` may run in another at the same time, and any
    thread may ask for roots and proofs of sizes that it has seen. What reads the disk raises
    ``StorageFailed`` when that does not answer and ``StorageCorrupt`` when it answers wrongly.
    After a failed append or sync the tree takes nothing more, since nobody knows what the disk
    holds; open it again at a size that was synced.
    """

    def __init__(self, directory: Path, levels: LevelFiles, parents: Parents | None) -> None:
        super().__init__(parents, levels)
        self._directory = directory
        self._level_files = levels
        self._newest = (0, EMPTY_ROOT)
        self._failure: str | None = None
        self._changing = Lock()
        self._syncing = Lock()

    @classmethod
    def open(
        cls,
        directory: Path,
        size: int = 0,
        *,
        root: Hash | None = None,
        parents: Parents | None = None,
        files: FileLayer | None = None,
        file_nodes: int = FILE_NODES,
        unwritten_bytes: int = UNWRITTEN_BYTES,
    ) -> StoredTree:
        """Open the tree as it was with ``size`` leaves; what is behind them is overwritten.

        Whoever opens it holds the log's lock, which guards the tree as well.

        Args:
            directory: the tree's own; created when missing.
            size: what a ``sync`` returned, or less, and no ``open`` since was at less; 0 starts
                anew, whatever is there.
            root: what the tree must have as root, if the caller knows.
            parents: hashes nodes in bulk, as ``plain_parents`` does.
            files: the disk.
            file_nodes: nodes in a full file; must never change for a directory.
            unwritten_bytes: what a level gathers in memory before it is written.

        Raises:
            InvalidInput: a negative size.
            StorageCorrupt: the files do not hold a tree of that size and root.
            StorageFailed: the disk did not answer.
        """
        if size < 0:
            raise InvalidInput(
                "a tree has no negative size", field="size", expected="0 or more", found=str(size)
            )
        files = OsFiles() if files is None else files
        levels = LevelFiles(directory, files, file_nodes, unwritten_bytes)
        tree = cls(directory, levels, parents)
        try:
            levels.restore(size)
            tree._publish(size)
            tree._check_border(root)
        except BaseException:
            tree.close()
            raise
        return tree

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._newest[0]

    # What a tree does --------------------------------------------------------------------------

    def append_packed(self, hashes: bytes) -> None:
        """Add leaves, given by their hashes back to back. They are not durable before ``sync``.

        Raises:
            InvalidInput: the length is no multiple of 32; the tree goes on.
            StorageFailed: the disk takes no more, or refused before.
        """
        with self._changing, self._sound():
            super().append_packed(hashes)

    def leaf(self, index: int) -> Hash:
        leaf, size = super().leaf(index), self.size
        self._check_path(leaf, index, size, super().inclusion_proof(index, size))
        return leaf

    def root(self, size: int | None = None) -> Hash:
        newest, newest_root = self._newest
        if size is None or size == newest:
            return newest_root
        root = super().root(size)
        if size:
            proof = super().consistency_proof(size, newest)
            with self._checking(f"the tree of size {size}"):
                verify_consistency(size, newest, root, newest_root, proof)
        return root

    def inclusion_proof(self, index: int, size: int | None = None) -> list[Hash]:
        size = self._checked_size(size)
        proof = super().inclusion_proof(index, size)
        self._check_path(super().leaf(index), index, size, proof)
        return proof

    def proven_leaf(self, index: int, size: int | None = None) -> tuple[Hash, Hash, list[Hash]]:
        # One check for all three: the root is tied to the newest one, leaf and path to the root.
        size = self._checked_size(size)
        path = super().inclusion_proof(index, size)
        leaf, root = super().leaf(index), self.root(size)
        with self._checking(f"the path from leaf {index}"):
            verify_inclusion(leaf, index, size, path, root)
        return leaf, root, path

    def consistency_proof(self, first: int, second: int | None = None) -> list[Hash]:
        second = self._checked_size(second)
        proof = super().consistency_proof(first, second)
        if first:
            old, new = self.root(first), self.root(second)
            with self._checking(f"the way from size {first} to {second}"):
                verify_consistency(first, second, old, new, proof)
        return proof

    def nodes(self, height: int, start: int, end: int) -> bytes:
        packed = super().nodes(height, start, end)
        # With them as its last nodes the tree has a size whose root can be checked.
        border = CompactRange(start, self._perfect_subtrees(height, start))
        border.append_hashes(packed[at : at + HASH_SIZE] for at in range(0, len(packed), HASH_SIZE))
        expected, found = self.root(end << height), border.root()
        if expected != found:
            what = f"nodes {start} to {end} of height {height} lead to root {expected.hex()}"
            raise damaged_level(self._directory, what, f"root {found.hex()}")
        return packed

    # What a stored tree does besides -----------------------------------------------------------

    def sync(self) -> int:
        """Make the tree durable as it is now; from any thread, and appends may go on meanwhile.

        Returns:
            The number of leaves that are on disk, with which the tree can be opened.

        Raises:
            StorageFailed: the disk refused now or before.
        """
        with self._syncing:
            with self._changing, self._sound():
                size = self.size
                unsynced = self._level_files.write()
            with self._sound():
                self._level_files.sync(unsynced)
        return size

    def verify(self) -> None:
        """Compute all levels anew from the leaves, and compare; about a second for 10M leaves.

        Raises:
            StorageCorrupt: a node is not the hash of its children; says which.
        """
        size = self.size
        for height in range(1, size.bit_length()):
            for start in range(0, size >> height, _VERIFY_NODES):
                end = min(start + _VERIFY_NODES, size >> height)
                self._verify_nodes(height, start, end)

    def close(self) -> None:
        """Give up the files, without ``sync``."""
        self._failure = "the tree is closed"
        self._level_files.close()

    def __enter__(self) -> StoredTree:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Inside ------------------------------------------------------------------------------------

    def _publish(self, size: int) -> None:
        # All of the newest border is in memory here. Size and root change in one step, for readers
        # go by both.
        self._newest = (size, self._right_border(size)[-1] if size else EMPTY_ROOT)

    def _check_border(self, root: Hash | None) -> None:
        """Check the nodes that the root is made of against their children, and the root itself."""
        for height in range(1, self.size.bit_length()):
            count = self.size >> height
            self._verify_nodes(height, max(0, count - 2), count)
        if root is not None and root != self.root():
            expected = f"root {root.hex()} at size {self.size}"
            raise damaged_level(self._directory, expected, f"root {self.root().hex()}")

    def _perfect_subtrees(self, height: int, count: int) -> list[Hash]:
        """Roots of those that the first ``count`` nodes of a height fall into, largest first."""
        return [
            self._level_files.node(height + up, (count >> up) - 1)
            for up in reversed(range(count.bit_length()))
            if count >> up & 1
        ]

    def _check_path(self, leaf: Hash, index: int, size: int, path: list[Hash]) -> None:
        root = self.root(size)
        with self._checking(f"the path from leaf {index}"):
            verify_inclusion(leaf, index, size, path, root)

    def _verify_nodes(self, height: int, start: int, end: int) -> None:
        children = self._level_files.read(height - 1, 2 * start, 2 * end)
        expected, found = self._node_hashes(children), self._level_files.read(height, start, end)
        if expected == found:
            return
        for at in range(0, len(found), HASH_SIZE):
            wanted, stored = expected[at : at + HASH_SIZE], found[at : at + HASH_SIZE]
            if wanted != stored:
                node = f"node {start + at // HASH_SIZE} of height {height}"
                raise damaged_level(self._directory, f"{node}: {wanted.hex()}", stored.hex())

    @contextmanager
    def _checking(self, what: str) -> Iterator[None]:
        try:
            yield
        except VerificationFailed as error:
            expected = f"{what} leads to the tree's root"
            raise damaged_level(self._directory, expected, str(error.found)) from error

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """Refuse after a failure, and note one."""
        if self._failure is not None:
            raise StorageFailed(
                "the Merkle tree takes nothing more after a failure",
                field=str(self._directory),
                expected="a working disk",
                found=self._failure,
                action="mend the disk and restart",
            )
        try:
            yield
        except InvalidInput:
            raise
        except BaseException as error:
            self._failure = str(error) or repr(error)
            raise
