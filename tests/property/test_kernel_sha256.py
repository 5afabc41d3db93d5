"""The vector SHA-256 against the standard library's, and the records' array against plain bytes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from adtally import rfc9162
from adtally.events.record import RECORD_SIZE
from adtally.kernel import sha256
from adtally.kernel.records import RecordArray
from adtally.kernel.sha256_lanes import LANES, hasher
from adtally.log.merkle import MerkleTree, plain_parents

counts = st.one_of(st.integers(0, 3 * LANES + 1), st.sampled_from([255, 256, 257]))


def random_rows(seed: int, count: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size), dtype=np.uint8)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), count=counts)
def test_leaf_hashes__any_records__equal_hashlib(seed: int, count: int) -> None:
    rows = random_rows(seed, count, RECORD_SIZE)
    expected = rfc9162.leaf_hashes(row.tobytes() for row in rows)
    assert sha256.leaf_hashes(rows).tobytes() == expected
    framed = random_rows(seed + 1, count, RECORD_SIZE + 5)
    framed[:, 3:-2] = rows
    assert sha256.leaf_hashes(framed[:, 3:-2]).tobytes() == expected


@pytest.mark.parametrize("words", [16, 17, 28, 29])
def test_hasher__messages_of_two_blocks__equal_hashlib(words: int) -> None:
    hash_lanes = hasher(words, 0x5A)

    @njit
    def hash_all(rows: np.ndarray, hashes: np.ndarray) -> None:
        for first in range(0, len(rows), LANES):
            hash_lanes(rows, first, hashes)

    rows = random_rows(words, 3 * LANES, 4 * words)
    hashes = np.empty((len(rows), 32), np.uint8)
    hash_all(rows, hashes)
    assert [each.tobytes() for each in hashes] == [
        hashlib.sha256(b"\x5a" + row.tobytes()).digest() for row in rows
    ]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), count=counts)
def test_trees__any_number_of_records__equal_the_reference(seed: int, count: int) -> None:
    records = RecordArray(random_rows(seed, count, RECORD_SIZE))
    assert records.tree_root == rfc9162.tree_root(tuple(records))
    leaves = records.leaf_hashes.tobytes()
    plain, fast = MerkleTree(plain_parents), MerkleTree(sha256.packed_parents)
    cut = 32 * (seed % (count + 1))
    for tree in (plain, fast):
        tree.append_packed(leaves[:cut])
        tree.append_packed(leaves[cut:])
    assert plain.root() == fast.root() == records.tree_root


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 40))
def test_record_array__any_records__is_a_sequence_of_them(seed: int, count: int) -> None:
    records = RecordArray(random_rows(seed, count, RECORD_SIZE))
    plain = [records[at] for at in range(count)]
    assert list(records) == plain
    assert records == plain
    assert records[1:] == plain[1:]


def test_leaf_hashes__rows_that_are_no_records__are_refused() -> None:
    for size in (111, 113):
        with pytest.raises(ValueError, match="expected records of 112"):
            sha256.leaf_hashes(random_rows(1, 2, size))
