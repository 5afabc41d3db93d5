"""The root of a log that is read once from its start, in memory that grows with its logarithm.

Where proofs are wanted there is ``MerkleTree``; who only needs roots keeps the roots of the
perfect subtrees that the leaves so far fall into, largest first (RFC 9162, 2.1.1).
"""

from __future__ import annotations

from collections.abc import Iterable

from adtally.rfc9162 import EMPTY_ROOT, leaf_hash, node_hash
from adtally.types import Hash


class CompactRange:
    """Takes entries in order and answers for the root of all so far.

    Args:
        size: how many leaves there are before.
        subtrees: the roots of the perfect subtrees that those fall into, largest first.
    """

    def __init__(self, size: int = 0, subtrees: Iterable[Hash] = ()) -> None:
        self.size = size
        self._subtrees = list(subtrees)

    def append(self, entries: Iterable[bytes]) -> None:
        """Add entries (not their hashes)."""
        self.append_hashes(map(leaf_hash, entries))

    def append_hashes(self, hashes: Iterable[Hash]) -> None:
        """Add leaves by their hashes; roots of perfect subtrees of one height do as well."""
        for each in hashes:
            node = each
            # One subtree ends here for every trailing one bit of the number of leaves so far.
            full = self.size
            while full & 1:
                node = node_hash(self._subtrees.pop(), node)
                full >>= 1
            self._subtrees.append(node)
            self.size += 1

    def root(self) -> Hash:
        """Root hash of all entries so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        *others, root = self._subtrees
        for left in reversed(others):
            root = node_hash(left, root)
        return root
