"""The tree against published vectors and a naive recursive reading of RFC 9162."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from adtally.errors import InvalidInput
from adtally.log.merkle import MerkleTree
from adtally.log.stored_tree import StoredTree
from adtally.rfc9162 import EMPTY_ROOT, leaf_hash, leaf_hashes, node_hash

# transparency-dev/merkle, testonly/constants.go and proof/verify_test.go (Apache-2.0).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
N_96A2 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
N_5F08 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N_6B47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
N_BC1A = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N_CA85 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N_D37E = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N_FAC5 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N_6E34 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
N_0EBC = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N_B086 = "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f"

INCLUSION = [
    (0, 1, []),
    (0, 8, [N_96A2, N_5F08, N_6B47]),
    (5, 8, [N_BC1A, N_CA85, N_D37E]),
    (2, 3, [N_FAC5]),
    (1, 5, [N_6E34, N_5F08, N_BC1A]),
]
CONSISTENCY = [
    (1, 1, []),
    (1, 8, [N_96A2, N_5F08, N_6B47]),
    (6, 8, [N_0EBC, N_CA85, N_D37E]),
    (2, 5, [N_5F08, N_BC1A]),
    (6, 7, [N_0EBC, N_B086, N_D37E]),
]


NewTree = Callable[[], MerkleTree]


@pytest.fixture(params=["memory", "disk"])
def new_tree(request: pytest.FixtureRequest, tmp_path: Path) -> NewTree:
    if request.param == "memory":
        return MerkleTree
    return lambda: StoredTree.open(tmp_path / "tree", file_nodes=4)


@pytest.fixture
def vector_tree(new_tree: NewTree) -> MerkleTree:
    tree = new_tree()
    tree.append([leaf_hash(leaf) for leaf in LEAVES])
    return tree


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def naive_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive_root(leaves[:k])]


def naive_consistency(first: int, leaves: list[bytes], known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162, 2.1.4.1."""
    if first == len(leaves):
        return [] if known else [naive_root(leaves)]
    k = split(len(leaves))
    if first <= k:
        return [*naive_consistency(first, leaves[:k], known), naive_root(leaves[k:])]
    return [*naive_consistency(first - k, leaves[k:], False), naive_root(leaves[:k])]


@cache
def split(size: int) -> int:
    """Largest power of two below ``size``."""
    return 1 << (size - 1).bit_length() - 1


@pytest.mark.parametrize("size", range(9))
def test_merkle__published_vectors__same_roots(vector_tree: MerkleTree, size: int) -> None:
    assert vector_tree.root(size) == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "proof"), INCLUSION)
def test_merkle__published_vectors__same_inclusion_proofs(
    vector_tree: MerkleTree, index: int, size: int, proof: list[str]
) -> None:
    assert [each.hex() for each in vector_tree.inclusion_proof(index, size)] == proof


@pytest.mark.parametrize(("first", "second", "proof"), CONSISTENCY)
def test_merkle__published_vectors__same_consistency_proofs(
    vector_tree: MerkleTree, first: int, second: int, proof: list[str]
) -> None:
    assert [each.hex() for each in vector_tree.consistency_proof(first, second)] == proof


def test_merkle__every_size_to_70__equals_the_naive_reading(new_tree: NewTree) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(70)]
    tree = new_tree()
    for size in range(1, 71):
        tree.append([leaves[size - 1]])
        assert tree.root() == naive_root(leaves[:size])
    for size in range(1, 71):
        for index in range(size):
            assert tree.inclusion_proof(index, size) == naive_path(index, leaves[:size])
        for first in range(1, size + 1):
            assert tree.consistency_proof(first, size) == naive_consistency(first, leaves[:size])


def test_merkle__empty__has_the_hash_of_nothing(new_tree: NewTree) -> None:
    tree = new_tree()
    assert tree.size == 0
    assert tree.root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    assert tree.consistency_proof(0, 0) == []


def test_merkle__from_nothing__needs_no_proof(vector_tree: MerkleTree) -> None:
    assert vector_tree.consistency_proof(0, 8) == []


def test_leaf_hashes__many__equal_one_by_one() -> None:
    packed = leaf_hashes(LEAVES)
    assert packed == b"".join(leaf_hash(leaf) for leaf in LEAVES)
    assert leaf_hash(b"") == ROOTS[1]


def test_merkle__leaf__given_back(vector_tree: MerkleTree) -> None:
    assert [vector_tree.leaf(index) for index in range(8)] == [leaf_hash(each) for each in LEAVES]


def test_merkle__outside_the_tree__refused(vector_tree: MerkleTree) -> None:
    for call in (
        lambda: vector_tree.root(9),
        lambda: vector_tree.root(-1),
        lambda: vector_tree.leaf(8),
        lambda: vector_tree.leaf(-1),
        lambda: vector_tree.inclusion_proof(8, 8),
        lambda: vector_tree.inclusion_proof(0, 9),
        lambda: vector_tree.inclusion_proof(0, 0),
        lambda: vector_tree.consistency_proof(5, 4),
        lambda: vector_tree.consistency_proof(-1, 4),
        lambda: vector_tree.append([b"short"]),
    ):
        with pytest.raises(InvalidInput):
            call()
    assert vector_tree.size == 8
