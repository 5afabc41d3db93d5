"""The tree behind ``linesRoot``: OpenZeppelin's standard Merkle tree over a statement's lines.

Leaves are hashed twice and pairs are hashed in sorted order, so neither an internal node nor a
64-byte pre-image can pass for a leaf. The layout is that of ``@openzeppelin/merkle-tree``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from adtally.errors import NotFound
from adtally.types import Counts, Hash, Line

EMPTY_LINES_ROOT = bytes(32)


def line_leaf(escrow_domain: Hash, campaign: int, publisher: int, counts: Counts) -> Hash:
    """keccak256(keccak256(abi.encode(domain, campaign, publisher, counts...)))."""
    words = (
        campaign,
        publisher,
        counts.impressions,
        counts.viewables,
        counts.clicks,
        counts.conversions,
    )
    return keccak(keccak(escrow_domain + b"".join(word.to_bytes(32, "big") for word in words)))


def _pair(left: Hash, right: Hash) -> Hash:
    return keccak(left + right) if left < right else keccak(right + left)


@dataclass(frozen=True, slots=True)
class Subtree:
    """A part of a claim tree that is proven at once.

    ``proof`` leads from ``node``, its top, to the root; ``proofs`` from each publisher's line to
    ``node``.
    """

    node: Hash
    proof: tuple[Hash, ...]
    proofs: Mapping[int, tuple[Hash, ...]]


class ClaimTree:
    """Root and proofs of one statement's lines.

    Args:
        escrow_domain: EIP-712 domain separator of the escrow.
        campaign: campaign id.
        lines: at most one a publisher; may be empty, then the root is zero and proves nothing.
    """

    def __init__(self, escrow_domain: Hash, campaign: int, lines: Sequence[Line]) -> None:
        leaves = sorted(
            (line_leaf(escrow_domain, campaign, line.publisher, line.counts), line.publisher)
            for line in lines
        )
        count = len(leaves)
        # A complete binary tree in an array, root first, leaves from the end backwards.
        self._nodes: list[Hash] = [b""] * max(2 * count - 1, 0)
        self._position: dict[int, int] = {}
        for rank, (leaf, publisher) in enumerate(leaves):
            place = len(self._nodes) - 1 - rank
            self._nodes[place] = leaf
            self._position[publisher] = place
        for place in range(count - 2, -1, -1):
            self._nodes[place] = _pair(self._nodes[2 * place + 1], self._nodes[2 * place + 2])

    @property
    def root(self) -> Hash:
        return self._nodes[0] if self._nodes else EMPTY_LINES_ROOT

    def proof(self, publisher: int) -> list[Hash]:
        """Sibling hashes from the line's leaf up to the root.

        Raises:
            NotFound: the publisher has no line in this statement.
        """
        place = self._position.get(publisher)
        if place is None:
            raise NotFound(
                "the publisher has no line in this statement",
                field="publisher",
                expected=f"one of {sorted(self._position)}",
                found=str(publisher),
            )
        return list(self._path(place, 0))

    def subtrees(self, height: int) -> Iterator[Subtree]:
        """The tree in parts of at most ``2**height`` lines, each line in one, always the same."""
        depth = len(self._nodes).bit_length() - 1
        first = 2 ** max(depth - height, 0) - 1
        below: dict[int, dict[int, tuple[Hash, ...]]] = {}
        for publisher, place in self._position.items():
            top = place
            while top > 2 * first:
                top = (top - 1) // 2
            below.setdefault(top, {})[publisher] = self._path(place, top)
        for top, proofs in sorted(below.items()):
            yield Subtree(self._nodes[top], self._path(top, 0), proofs)

    def _path(self, place: int, top: int) -> tuple[Hash, ...]:
        """Siblings from a node up to another above it."""
        path = []
        while place > top:
            path.append(self._nodes[place + 1 if place % 2 else place - 1])
            place = (place - 1) // 2
        return tuple(path)


def verify_line(root: Hash, leaf: Hash, proof: Sequence[Hash]) -> bool:
    """Whether ``proof`` leads from ``leaf`` to ``root``, as the escrow checks it."""
    node = leaf
    for sibling in proof:
        node = _pair(node, sibling)
    return node == root and root != EMPTY_LINES_ROOT
