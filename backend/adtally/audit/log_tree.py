"""The log's Merkle tree as an audit keeps it: small, whatever the log's size.

Entries are cut into chunks of 65,536, as bulk files are. Of a full chunk only the root of its
perfect subtree is kept for ever (RFC 9162, 2.1.1), 32 bytes; whoever needs an older leaf or root
reads the chunk's entries again, and they are believed only if they have that root.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from adtally.errors import NotFound
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import EMPTY_ROOT, HASH_SIZE, node_hash
from adtally.types import Hash

CHUNK = 65_536
"""Leaves per chunk."""
_KEPT = 4
"""Full chunks whose leaves stay in memory; 4 MiB each."""


class LogTree:
    """Takes leaf hashes in order; answers for roots and for leaves of chunks at hand.

    Args:
        make_tree: a tree for one chunk; another hashes faster.
    """

    def __init__(self, make_tree: Callable[[], MerkleTree] = MerkleTree) -> None:
        self._make_tree = make_tree
        self._levels: list[list[Hash]] = [[]]
        """Of full chunks' roots, and of what they complete above them."""
        self._open = make_tree()
        self._kept: OrderedDict[int, MerkleTree] = OrderedDict()
        self._watched: set[int] = set()
        self.roots: dict[int, Hash] = {}
        """Roots at the sizes watched, once they are reached."""

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self._levels[0]) * CHUNK + self._open.size

    @property
    def chunk_roots(self) -> list[Hash]:
        """Roots of the full chunks, in order."""
        return self._levels[0]

    @property
    def open_leaves(self) -> bytes:
        """Leaf hashes of the last chunk while it is not full, back to back."""
        return b"".join(self._open.leaf(index) for index in range(self._open.size))

    def load(self, chunk_roots: Iterable[Hash], open_leaves: bytes, roots: dict[int, Hash]) -> None:
        """Know what another tree knew; this one must be empty."""
        for root in chunk_roots:
            self._close(root)
        self._open.append_packed(open_leaves)
        self.roots.update(roots)

    def watch(self, sizes: Iterable[int]) -> None:
        """Keep the roots at these sizes, as soon as the tree has them."""
        self._watched |= {size for size in sizes if size not in self.roots}

    def append_packed(self, hashes: bytes) -> None:
        """Add leaves, given by their hashes back to back."""
        while hashes:
            room = (CHUNK - self._open.size) * HASH_SIZE
            before = self.size
            self._open.append_packed(hashes[:room])
            hashes = hashes[room:]
            if self._open.size == CHUNK:
                self._keep(len(self._levels[0]), self._open)
                self._close(self._open.root())
                self._open = self._make_tree()
            self._note_watched(before)

    def _note_watched(self, before: int) -> None:
        for size in [size for size in self._watched if before <= size <= self.size]:
            self._watched.discard(size)
            self.roots[size] = self.root(size)

    def _close(self, root: Hash) -> None:
        """Add a full chunk."""
        height, node = 0, root
        while True:
            self._levels[height].append(node)
            row = self._levels[height]
            if len(row) % 2:
                return
            node = node_hash(row[-2], row[-1])
            height += 1
            if height == len(self._levels):
                self._levels.append([])

    def root(self, size: int | None = None) -> Hash:
        """Root hash of the first ``size`` leaves, by default of all.

        Raises:
            NotFound: beyond the tree, or in a chunk that is not at hand.
        """
        size = self.size if size is None else size
        if size in self.roots:
            return self.roots[size]
        last, rest = divmod(size, CHUNK)
        node: Hash | None = self._chunk(last).root(rest) if rest else None
        for level in self._levels:
            if last % 2:
                left = level[last - 1]
                node = left if node is None else node_hash(left, node)
            last //= 2
        return EMPTY_ROOT if node is None else node

    def leaf(self, index: int) -> Hash:
        """Hash of the leaf at ``index``.

        Raises:
            NotFound: beyond the tree, or in a chunk that is not at hand.
        """
        chunk, at = divmod(index, CHUNK)
        tree = self._chunk(chunk)
        if at >= tree.size:
            raise _absent(f"leaf {index}")
        return tree.leaf(at)

    def has_chunk(self, chunk: int) -> bool:
        """Whether the chunk's leaves are at hand."""
        return chunk >= len(self._levels[0]) or chunk in self._kept

    def bring(self, chunk: int, hashes: bytes) -> bool:
        """Have a full chunk's leaves at hand again; False if they are not those it had."""
        tree = self._make_tree()
        tree.append_packed(hashes)
        if tree.size != CHUNK or tree.root() != self._levels[0][chunk]:
            return False
        self._keep(chunk, tree)
        return True

    def _keep(self, chunk: int, tree: MerkleTree) -> None:
        self._kept[chunk] = tree
        self._kept.move_to_end(chunk)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _chunk(self, chunk: int) -> MerkleTree:
        if chunk == len(self._levels[0]):
            return self._open
        tree = self._kept.get(chunk)
        if tree is None:
            raise _absent(f"entries {chunk * CHUNK} to {(chunk + 1) * CHUNK - 1}")
        return tree


def _absent(what: str) -> NotFound:
    return NotFound(
        "this part of the log is not at hand",
        field="entries",
        expected=what,
        found="nothing",
        action="read the entries again first",
    )
