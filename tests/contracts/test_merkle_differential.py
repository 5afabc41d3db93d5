"""The contract's RFC 9162 verifier against the RFC's recursive definitions, in pyrevm."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256

import pytest
from eth_utils import function_signature_to_4byte_selector
from evm_contracts import DEPLOYER, deploy, harness_bytecode, new_evm
from pyrevm import EVM

from adtally.errors import VerificationFailed
from adtally.log import proof as python_proof

ALL_PAIRS = 300
"""Every pair of sizes up to this one; larger ones by random choice."""

LARGE = 200_000
LARGE_PAIRS = 150

_CONSISTENT = function_signature_to_4byte_selector(
    "isConsistent(uint64,uint64,bytes32,bytes32,bytes32[])"
)
_INCLUDED = function_signature_to_4byte_selector(
    "isIncluded(uint64,uint64,bytes32,bytes32,bytes32[])"
)


# ------------------------------------------------------------------ reference (section 2.1)


def leaf(index: int) -> bytes:
    """Hash of the tests' entry ``index``."""
    return sha256(b"\0" + index.to_bytes(8, "big")).digest()


def split(size: int) -> int:
    """The largest power of two smaller than ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


@lru_cache(maxsize=1 << 18)
def root(low: int, high: int) -> bytes:
    """MTH(D[low:high])."""
    if high - low == 1:
        return leaf(low)
    middle = low + split(high - low)
    return sha256(b"\1" + root(low, middle) + root(middle, high)).digest()


def path(index: int, low: int, high: int) -> list[bytes]:
    """PATH(index, D[low:high])."""
    if high - low == 1:
        return []
    middle = low + split(high - low)
    if index < middle:
        return [*path(index, low, middle), root(middle, high)]
    return [*path(index, middle, high), root(low, middle)]


def subproof(first: int, low: int, high: int, whole: bool) -> list[bytes]:
    """SUBPROOF(first, D[low:high], whole)."""
    if first == high - low:
        return [] if whole else [root(low, high)]
    k = split(high - low)
    if first <= k:
        return [*subproof(first, low, low + k, whole), root(low + k, high)]
    return [*subproof(first - k, low + k, high, False), root(low, low + k)]


# ------------------------------------------------------------------ the contract


class Verifier:
    """The library behind its harness."""

    def __init__(self) -> None:
        self._evm: EVM = new_evm()
        self._address = deploy(self._evm, harness_bytecode())

    def consistent(
        self, first: int, second: int, old: bytes, new: bytes, nodes: list[bytes]
    ) -> bool:
        return self._ask(_CONSISTENT, first, second, old, new, nodes)

    def included(
        self, index: int, size: int, leaf_hash: bytes, top: bytes, nodes: list[bytes]
    ) -> bool:
        return self._ask(_INCLUDED, index, size, leaf_hash, top, nodes)

    def _ask(
        self, selector: bytes, a: int, b: int, left: bytes, right: bytes, nodes: list[bytes]
    ) -> bool:
        words = [a, b], [left, right], [5 * 32, len(nodes)]
        data = selector + b"".join(
            (
                *(word.to_bytes(32, "big") for word in words[0]),
                *words[1],
                *(word.to_bytes(32, "big") for word in words[2]),
                *nodes,
            )
        )
        answer = self._evm.message_call(DEPLOYER, self._address, calldata=data, is_static=True)
        return int.from_bytes(bytes(answer), "big") == 1


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return Verifier()


def python_says(check: str, *arguments: object) -> bool:
    """What adtally.log.proof answers to the same question."""
    try:
        getattr(python_proof, check)(*arguments)
    except VerificationFailed:
        return False
    return True


def mutations(nodes: list[bytes], dice: random.Random) -> Iterator[list[bytes]]:
    """A flipped bit, a node too few, a node too many, two swapped."""
    if nodes:
        at = dice.randrange(len(nodes))
        bit = 1 << dice.randrange(256)
        flipped = (int.from_bytes(nodes[at], "big") ^ bit).to_bytes(32, "big")
        yield [*nodes[:at], flipped, *nodes[at + 1 :]]
        yield nodes[:at] + nodes[at + 1 :]
        if len(nodes) > 1:
            yield [*nodes[1:], nodes[0]]
    yield [*nodes, dice.randbytes(32)]


def size_pairs() -> Iterator[tuple[int, int]]:
    for second in range(2, ALL_PAIRS + 1):
        for first in range(1, second):
            yield first, second
    dice = random.Random(9162)
    for _ in range(LARGE_PAIRS):
        second = dice.randrange(2, LARGE)
        yield dice.choice((dice.randrange(1, second), split(second))), second


# ------------------------------------------------------------------ consistency


def test_consistency__every_pair_of_sizes__holds_and_each_mutation_fails(
    verifier: Verifier,
) -> None:
    dice = random.Random(1)
    asked = 0
    for first, second in size_pairs():
        old, new = root(0, first), root(0, second)
        nodes = subproof(first, 0, second, True)
        assert verifier.consistent(first, second, old, new, nodes), (first, second)
        assert python_says("verify_consistency", first, second, old, new, nodes)
        for wrong in mutations(nodes, dice):
            assert not verifier.consistent(first, second, old, new, wrong), (first, second)
            assert not python_says("verify_consistency", first, second, old, new, wrong)
            asked += 1
        assert not verifier.consistent(first, second, new, new, nodes)
        assert not verifier.consistent(first, second, old, old, nodes)
    assert asked > 4 * ALL_PAIRS


def test_consistency__other_sizes_than_the_proofs_own__answer_as_the_python_verifier(
    verifier: Verifier,
) -> None:
    dice = random.Random(2)
    for first, second in size_pairs():
        nodes = subproof(first, 0, second, True)
        old, new = root(0, first), root(0, second)
        other_first = dice.randrange(1, second)
        other_second = dice.randrange(first + 1, 2 * second + 2)
        for a, b in ((other_first, second), (first, other_second)):
            found = verifier.consistent(a, b, old, new, nodes)
            assert found == python_says("verify_consistency", a, b, old, new, nodes), (a, b)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (5, 5), (6, 5), (2**64 - 1, 1)])
def test_consistency__sizes_that_do_not_grow__is_false(
    verifier: Verifier, first: int, second: int
) -> None:
    top = root(0, 5)
    assert not verifier.consistent(first, second, top, top, [])
    assert not verifier.consistent(first, second, bytes(32), top, [top])


# ------------------------------------------------------------------ inclusion


def test_inclusion__every_leaf_of_every_size__holds_and_each_mutation_fails(
    verifier: Verifier,
) -> None:
    dice = random.Random(3)
    leaves = [(i, size) for size in range(1, ALL_PAIRS + 1) for i in range(size)]
    leaves += [(dice.randrange(size), size) for _, size in list(size_pairs())[-LARGE_PAIRS:]]
    for index, size in leaves:
        top, nodes = root(0, size), path(index, 0, size)
        assert verifier.included(index, size, leaf(index), top, nodes), (index, size)
        assert python_says("verify_inclusion", leaf(index), index, size, nodes, top)
        for wrong in mutations(nodes, dice):
            assert not verifier.included(index, size, leaf(index), top, wrong), (index, size)
        assert not verifier.included(index, size, leaf(size), top, nodes)
        assert not verifier.included(size, size, leaf(index), top, nodes)
        if size > 1:
            assert not verifier.included((index + 1) % size, size, leaf(index), top, nodes)
