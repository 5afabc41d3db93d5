"""Every proof of every size pair verifies; every mutation of one fails."""

from __future__ import annotations

import pytest

from adtally.errors import VerificationFailed
from adtally.log.merkle import MerkleTree
from adtally.log.proof import verify_consistency, verify_inclusion
from adtally.rfc9162 import EMPTY_ROOT, leaf_hash

SIZES = 256


@pytest.fixture(scope="module")
def tree() -> MerkleTree:
    tree = MerkleTree()
    tree.append([leaf_hash(number.to_bytes(2, "big")) for number in range(SIZES)])
    return tree


@pytest.fixture(scope="module")
def roots(tree: MerkleTree) -> list[bytes]:
    return [tree.root(size) for size in range(SIZES + 1)]


def flipped(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


def mutations(proof: list[bytes], seed: int) -> list[list[bytes]]:
    """Each hash changed, dropped or doubled, neighbours swapped, and both ends lengthened."""
    changed = [[*proof, EMPTY_ROOT], [EMPTY_ROOT, *proof], [*proof, b""]]
    for at, each in enumerate(proof):
        changed.append([*proof[:at], flipped(each, seed + at), *proof[at + 1 :]])
        changed.append([*proof[:at], *proof[at + 1 :]])
        changed.append([*proof[: at + 1], *proof[at:]])
        if at:
            changed.append([*proof[: at - 1], each, proof[at - 1], *proof[at + 1 :]])
    return changed


def refuses_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    try:
        verify_inclusion(leaf, index, size, proof, root)
    except VerificationFailed:
        return True
    return False


def refuses_consistency(
    first: int, second: int, old: bytes, new: bytes, proof: list[bytes]
) -> bool:
    try:
        verify_consistency(first, second, old, new, proof)
    except VerificationFailed:
        return True
    return False


def test_verify_inclusion__every_leaf_and_size__verifies(
    tree: MerkleTree, roots: list[bytes]
) -> None:
    for size in range(1, SIZES + 1):
        for index in range(size):
            proof = tree.inclusion_proof(index, size)
            verify_inclusion(tree.leaf(index), index, size, proof, roots[size])


def test_verify_inclusion__every_mutation__fails(tree: MerkleTree, roots: list[bytes]) -> None:
    for size in range(1, SIZES + 1):
        # One leaf of every size, another each time, gives every shape of path.
        index = size * 7919 % size if size % 2 else size * 104_729 // 3 % size
        leaf, proof, root = tree.leaf(index), tree.inclusion_proof(index, size), roots[size]
        assert refuses_inclusion(flipped(leaf, size), index, size, proof, root)
        assert refuses_inclusion(leaf, index, size, proof, flipped(root, size))
        assert refuses_inclusion(leaf, size, size, proof, root)
        assert refuses_inclusion(leaf, -1, size, proof, root)
        assert refuses_inclusion(leaf, index, 0, proof, root)
        for other in {index ^ 1, index ^ 2, index + 1, index - 1} & set(range(size)):
            assert refuses_inclusion(leaf, other, size, proof, root)
        for wrong in mutations(proof, size):
            assert refuses_inclusion(leaf, index, size, wrong, root)


def test_verify_consistency__every_size_pair__verifies(
    tree: MerkleTree, roots: list[bytes]
) -> None:
    for second in range(1, SIZES + 1):
        for first in range(1, second + 1):
            proof = tree.consistency_proof(first, second)
            verify_consistency(first, second, roots[first], roots[second], proof)


def test_verify_consistency__every_size_pair_mutated__fails(
    tree: MerkleTree, roots: list[bytes]
) -> None:
    for second in range(1, SIZES + 1):
        for first in range(1, second + 1):
            proof = tree.consistency_proof(first, second)
            old, new = roots[first], roots[second]
            assert refuses_consistency(first, second, flipped(old, second), new, proof)
            assert refuses_consistency(first, second, old, flipped(new, first), proof)
            # One changed proof of each kind per pair; the test below takes all for some pairs.
            wrong = mutations(proof, first)
            assert refuses_consistency(first, second, old, new, wrong[second % len(wrong)])


@pytest.mark.parametrize("second", [1, 2, 3, 7, 8, 9, 100, 127, 128, 129, 255, 256])
def test_verify_consistency__every_mutation__fails(
    tree: MerkleTree, roots: list[bytes], second: int
) -> None:
    for first in range(1, second + 1):
        proof = tree.consistency_proof(first, second)
        old, new = roots[first], roots[second]
        for wrong in mutations(proof, first):
            assert refuses_consistency(first, second, old, new, wrong)
        if first != second:
            assert refuses_consistency(first, second, new, old, proof)
            assert refuses_consistency(second, first, new, old, proof)
            assert refuses_consistency(first, second, old, new, [])


def test_verify_consistency__from_an_empty_tree__refused(roots: list[bytes]) -> None:
    assert refuses_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, [])
    assert refuses_consistency(0, 8, EMPTY_ROOT, roots[8], [])
    assert refuses_consistency(0, 8, roots[5], roots[8], [])


def test_verify__roots_that_are_no_hashes__refused() -> None:
    assert refuses_inclusion(b"", 0, 1, [], b"")
    assert refuses_consistency(1, 1, b"", b"", [])


def test_verify__forked_tree_of_equal_prefix_length__refused(
    tree: MerkleTree, roots: list[bytes]
) -> None:
    fork = MerkleTree()
    fork.append([tree.leaf(index) for index in range(50)])
    fork.append([leaf_hash(b"rewritten")])
    fork.append([tree.leaf(index) for index in range(51, 100)])
    for first in range(51, 100):
        proof = fork.consistency_proof(first, 100)
        assert refuses_consistency(first, 100, roots[first], fork.root(100), proof)
