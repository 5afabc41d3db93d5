"""Patricia tries: roots of ethereum/tests (trieanyorder.json), and proofs that must fail."""

from __future__ import annotations

import pytest

from adtally.errors import AdtallyError, NotFound, VerificationFailed
from adtally.ethereum.patricia import trie_proof, trie_root, verify_value
from adtally.ethereum.rlp import encode, uint

ROOTS = [
    (
        {b"A": b"a" * 50},
        "d23786fb4a010da3ce639d66d5e904a11dbc02746d1ce25029e53290cabf28ab",
    ),
    (
        {b"doe": b"reindeer", b"dog": b"puppy", b"dogglesworth": b"cat"},
        "8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3",
    ),
    (
        {b"do": b"verb", b"horse": b"stallion", b"doge": b"coin", b"dog": b"puppy"},
        "5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84",
    ),
    (
        {b"foo": b"bar", b"food": b"bass"},
        "17beaa1648bafa633cda809c90c04af50fc8aed3cb40d16efbddee6fdf63c4c3",
    ),
    ({}, "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"),
]
RECEIPTS = {encode(uint(at)): b"receipt %d" % at * (1 + at % 7) for at in range(300)}


@pytest.mark.parametrize(("values", "root"), ROOTS)
def test_trie_root__known_trie__its_root(values: dict[bytes, bytes], root: str) -> None:
    assert trie_root(values).hex() == root


@pytest.mark.parametrize("values", [values for values, _ in ROOTS] + [RECEIPTS])
def test_trie_proof__every_key__proves_its_value(values: dict[bytes, bytes]) -> None:
    root = trie_root(values)
    for key, value in values.items():
        assert verify_value(root, key, trie_proof(values, key)) == value


def test_verify_value__any_bit_of_any_node_flipped__fails() -> None:
    root, key = trie_root(RECEIPTS), encode(uint(200))
    nodes = trie_proof(RECEIPTS, key)
    assert len(nodes) > 2
    for number, node in enumerate(nodes):
        for bit in range(0, 8 * len(node), 5):
            changed = bytearray(node)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(AdtallyError):
                verify_value(root, key, (*nodes[:number], bytes(changed), *nodes[number + 1 :]))


def test_verify_value__proof_of_another_key__fails() -> None:
    root = trie_root(RECEIPTS)
    with pytest.raises(VerificationFailed):
        verify_value(root, encode(uint(3)), trie_proof(RECEIPTS, encode(uint(200))))


def test_verify_value__node_too_many_or_few__fails() -> None:
    root, key = trie_root(RECEIPTS), encode(uint(5))
    nodes = trie_proof(RECEIPTS, key)
    for wrong in ((*nodes, nodes[-1]), nodes[:-1], ()):
        with pytest.raises(VerificationFailed):
            verify_value(root, key, wrong)


def test_verify_value__key_that_the_trie_does_not_hold__fails() -> None:
    values = {b"do": b"verb", b"dog": b"puppy", b"doge": b"coin"}
    for absent in (b"d", b"doges", b"horse"):
        with pytest.raises(VerificationFailed):
            verify_value(trie_root(values), absent, trie_proof(values, b"dog"))
        with pytest.raises(NotFound):
            trie_proof(values, absent)
