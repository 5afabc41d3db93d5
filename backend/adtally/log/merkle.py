"""The Merkle tree of RFC 9162 (section 2.1): SHA-256, leaves prefixed 0x00, nodes 0x01.

Only perfect subtrees are kept; they never change as the tree grows, so roots and proofs of
every past size cost a logarithm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from adtally.errors import InvalidInput
from adtally.log.levels import Levels, MemoryLevels
from adtally.rfc9162 import EMPTY_ROOT, HASH_SIZE, node_hash
from adtally.types import Hash

Parents = Callable[[bytes | memoryview], bytes]
"""Node hashes of pairs of hashes that stand back to back, in the same form."""

_NODE = hashlib.sha256(b"\x01")
_PAIR = 2 * HASH_SIZE
_FEW = 4 * _PAIR
"""Up to here one hash after the other is faster than what it costs to start a vector's worth."""


class MerkleTree:
    """An append-only tree that answers for its present and every past size.

    Args:
        parents: hashes nodes in bulk, as ``plain_parents`` does.
        levels: where the hashes are kept, empty as yet; by default in memory.
    """

    def __init__(self, parents: Parents | None = None, levels: Levels | None = None) -> None:
        self._parents = parents or plain_parents
        self._levels: Levels = MemoryLevels() if levels is None else levels
        self._size = 0

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    def append(self, leaf_hashes: Sequence[Hash]) -> None:
        """Add leaves, given by their hashes of 32 bytes each."""
        self.append_packed(b"".join(leaf_hashes))

    def append_packed(self, hashes: bytes) -> None:
        """Add leaves, given by their hashes back to back.

        Raises:
            InvalidInput: the length is no multiple of 32.
        """
        if len(hashes) % HASH_SIZE:
            raise InvalidInput(
                "leaf hashes have a fixed length",
                field="leaf_hashes",
                expected=f"a multiple of {HASH_SIZE} bytes",
                found=f"{len(hashes)} bytes",
            )
        size = self.size + len(hashes) // HASH_SIZE
        self._grow(hashes)
        self._publish(size)

    def _grow(self, hashes: bytes) -> None:
        """Add leaves, and on each level above the parents that they complete."""
        height, count = 0, self.size
        while hashes:
            # The last node so far may have had no partner; now it has.
            lone = self._levels.node(height, count - 1) if count & 1 else b""
            self._levels.append(height, hashes)
            packed = lone + hashes
            children = memoryview(packed)[: len(packed) // _PAIR * _PAIR]
            hashes = self._node_hashes(children)
            height += 1
            count >>= 1

    def _publish(self, size: int) -> None:
        """Let readers see the leaves up to ``size``; all levels hold them."""
        self._size = size

    def leaf(self, index: int) -> Hash:
        """Hash of the leaf at ``index``; raises InvalidInput outside the tree."""
        if not 0 <= index < self.size:
            raise _out_of_range("index", f"0 to {self.size - 1}", index)
        return self._levels.node(0, index)

    def root(self, size: int | None = None) -> Hash:
        """Root hash of the first ``size`` leaves, by default of all.

        Raises:
            InvalidInput: the tree never had that size.
        """
        size = self._checked_size(size)
        if size == 0:
            return EMPTY_ROOT
        return self._right_border(size)[-1]

    def inclusion_proof(self, index: int, size: int | None = None) -> list[Hash]:
        """Audit path of leaf ``index`` in the first ``size`` leaves (RFC 9162, 2.1.3.1).

        Raises:
            InvalidInput: no such size, or no such leaf in it.
        """
        size = self._checked_size(size)
        if not 0 <= index < size:
            raise _out_of_range("index", f"0 to {size - 1}", index)
        return self._path(0, index, size)

    def proven_leaf(self, index: int, size: int | None = None) -> tuple[Hash, Hash, list[Hash]]:
        """A leaf's hash, the root of the first ``size`` leaves, and the audit path between them.

        Raises:
            InvalidInput: no such size, or no such leaf in it.
        """
        path = self.inclusion_proof(index, size)
        return self.leaf(index), self.root(size), path

    def consistency_proof(self, first: int, second: int | None = None) -> list[Hash]:
        """Proof that the first ``second`` leaves extend the first ``first`` (2.1.4.1).

        It is empty for equal sizes and for ``first`` 0, which every tree extends.

        Raises:
            InvalidInput: no such sizes, or ``first`` is the larger.
        """
        second = self._checked_size(second)
        if not 0 <= first <= second:
            raise _out_of_range("first", f"0 to {second}", first)
        if first in (0, second):
            return []
        height, index = 0, first - 1
        while index & 1:
            index >>= 1
            height += 1
        # When the old tree is perfect its root is known to the verifier and stays out.
        start = [self._levels.node(height, index)] if index else []
        return start + self._path(height, index, second)

    def nodes(self, height: int, start: int, end: int) -> bytes:
        """Roots of the perfect subtrees ``start`` to ``end`` (exclusive) of 2**height leaves.

        Back to back, as tiles hold them.

        Raises:
            InvalidInput: not all of them are complete, or there are none to give.
        """
        count = self.size >> height if height >= 0 else 0
        if not 0 <= start < end <= count:
            raise _out_of_range("nodes", f"a range within 0 to {count}, not empty", end)
        return self._levels.read(height, start, end)

    def _node_hashes(self, children: bytes | memoryview) -> bytes:
        return plain_parents(children) if len(children) <= _FEW else self._parents(children)

    def _path(self, height: int, index: int, size: int) -> list[Hash]:
        """Siblings from the perfect subtree (height, index) up to the root at ``size``."""
        path = []
        border = self._right_border(size)
        last = (size - 1) >> height
        while last:
            sibling = index ^ 1
            if sibling < last:
                path.append(self._levels.node(height, sibling))
            elif sibling == last:
                path.append(border[height])
            index >>= 1
            last >>= 1
            height += 1
        return path

    def _right_border(self, size: int) -> list[Hash]:
        """For each height, the hash of the rightmost subtree at ``size``, perfect or not."""
        last = size - 1
        border = [self._levels.node(0, last)]
        height = 0
        while last:
            lone = last % 2 == 0
            border.append(
                border[-1] if lone else node_hash(self._levels.node(height, last - 1), border[-1])
            )
            last >>= 1
            height += 1
        return border

    def _checked_size(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise _out_of_range("tree_size", f"0 to {self.size}", size)
        return size


def plain_parents(children: bytes | memoryview) -> bytes:
    """Node hashes of pairs of hashes that stand back to back, in the same form."""
    hashes = []
    for at in range(0, len(children), _PAIR):
        node = _NODE.copy()
        node.update(children[at : at + _PAIR])
        hashes.append(node.digest())
    return b"".join(hashes)


def packed_root(hashes: bytes | memoryview, behind: Hash = b"") -> Hash:
    """The tree hash (RFC 9162, 2.1.1) of perfect subtrees of one height, given back to back.

    Of leaf hashes it is the root of their tree; of a tile, the root of what the tile covers.

    Args:
        hashes: roots of the subtrees.
        behind: root of what stands behind them, less than one more of them; empty if nothing does.
    """
    packed, root = bytes(hashes), behind
    while packed:
        if len(packed) % _PAIR:
            # It and all behind it are smaller than what is left of them: they go together.
            last = packed[-HASH_SIZE:]
            root = node_hash(last, root) if root else last
        packed = plain_parents(memoryview(packed)[: len(packed) // _PAIR * _PAIR])
    return root or EMPTY_ROOT


def _out_of_range(field: str, expected: str, found: int) -> InvalidInput:
    return InvalidInput(
        f"{field} is outside the tree", field=field, expected=expected, found=str(found)
    )
