"""One proof for several leaves of a tree of RFC 9162: what their inclusion proofs share, once.

The hashes are those of the largest subtrees without any of the leaves, from left to right, so they
follow from the indexes and the size alone: there is one proof, and no place for another hash in it.
With one leaf they are its inclusion proof in another order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from adtally.errors import InvalidInput, VerificationFailed
from adtally.rfc9162 import HASH_SIZE, node_hash
from adtally.types import Hash


def subtrees_beside(indexes: Sequence[int], size: int) -> list[tuple[int, int]]:
    """The subtrees whose hashes make the proof, from left to right, each as first and end leaf.

    Args:
        indexes: of the leaves, ascending, each once, at least one.
        size: number of leaves of the tree.

    Raises:
        InvalidInput: the indexes are not so, or beyond the tree.
    """
    _check(indexes, size)
    found: list[tuple[int, int]] = []

    def visit(first: int, end: int, low: int, high: int) -> None:
        if low == high:
            found.append((first, end))
        elif end - first > 1:
            middle, cut = _halves(indexes, first, end, low, high)
            visit(first, middle, low, cut)
            visit(middle, end, cut, high)

    visit(0, size, 0, len(indexes))
    return found


def verify_leaves(leaves: Mapping[int, Hash], size: int, proof: Sequence[Hash], root: Hash) -> None:
    """Raises VerificationFailed unless all leaves stand in the tree (size, root).

    Args:
        leaves: leaf hashes by leaf index.
    """
    found = root_of_leaves(leaves, size, proof)
    if found != root:
        raise _failed(f"root 0x{root.hex()}", f"0x{found.hex()}")


def root_of_leaves(leaves: Mapping[int, Hash], size: int, proof: Sequence[Hash]) -> Hash:
    """The root of the only tree of ``size`` leaves that the proof can be about.

    Args:
        leaves: leaf hashes by leaf index.

    Raises:
        VerificationFailed: the proof has not as many hashes as indexes and size demand.
        InvalidInput: no leaves, or one beyond the tree.
    """
    indexes = sorted(leaves)
    _check(indexes, size)
    left = list(reversed(proof))

    def visit(first: int, end: int, low: int, high: int) -> Hash:
        if low == high:
            if not left:
                raise _failed("a longer proof", f"{len(proof)} hashes")
            return left.pop()
        if end - first == 1:
            return leaves[first]
        middle, cut = _halves(indexes, first, end, low, high)
        below = visit(first, middle, low, cut)
        return node_hash(below, visit(middle, end, cut, high))

    found = visit(0, size, 0, len(indexes))
    if left or any(len(each) != HASH_SIZE for each in proof):
        raise _failed("as many hashes of 32 bytes as are needed", f"{len(proof)} hashes")
    return found


def _halves(indexes: Sequence[int], first: int, end: int, low: int, high: int) -> tuple[int, int]:
    """Where RFC 9162 divides the leaves, and how many of the indexes lie before it."""
    middle = first + (1 << (end - first - 1).bit_length() - 1)
    cut = low
    while cut < high and indexes[cut] < middle:
        cut += 1
    return middle, cut


def _check(indexes: Sequence[int], size: int) -> None:
    ascending = all(a < b for a, b in pairwise(indexes))
    if not indexes or not ascending or indexes[0] < 0 or indexes[-1] >= size:
        raise InvalidInput(
            "no leaves to prove",
            field="indexes",
            expected=f"ascending indexes below {size}",
            found=str(list(indexes)[:8]),
        )


def _failed(expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(
        "the proof of the leaves does not verify", field="proof", expected=expected, found=found
    )


def join_proofs(proofs: Mapping[int, Sequence[Hash]], size: int) -> tuple[Hash, ...]:
    """What ``verify_leaves`` takes, out of inclusion proofs of the same leaves at the same size.

    Args:
        proofs: RFC 9162 inclusion proofs by leaf index, not checked here.

    Raises:
        VerificationFailed: a proof has not the length that its index and size demand.
    """
    known: dict[tuple[int, int], Hash] = {}
    for index, proof in proofs.items():
        path = _siblings(index, size)
        if len(path) != len(proof):
            raise _failed(f"{len(path)} hashes for leaf {index}", f"{len(proof)}")
        known.update(zip(path, proof, strict=True))
    return tuple(known[subtree] for subtree in subtrees_beside(sorted(proofs), size))


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """The subtrees in an inclusion proof, in its order: from the leaf to the root."""
    first, end = 0, size
    path: list[tuple[int, int]] = []
    while end - first > 1:
        middle = first + (1 << (end - first - 1).bit_length() - 1)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((first, middle))
            first = middle
    return path[::-1]
