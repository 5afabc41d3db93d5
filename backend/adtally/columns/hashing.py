"""Hashes of RFC 9162, many at a time: who replays a log chooses what computes them.

SHA-256 is the same whoever computes it, so an auditor may take the service's compiled lanes
without sharing its judgement; ``checked`` compares them with hashlib first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from adtally.errors import InvariantBroken
from adtally.events.record import RECORD_SIZE
from adtally.events.record_columns import RecordRows
from adtally.rfc9162 import HASH_SIZE, leaf_hash, node_hash

Hashes = npt.NDArray[np.uint8]
"""One hash a row: (n, 32)."""

_PAIR = 2 * HASH_SIZE
_SAMPLE = 100
"""Rows: more than any number of lanes, and not a multiple of one."""


@dataclass(frozen=True, slots=True)
class Hashing:
    """How leaves and nodes are hashed.

    Attributes:
        leaves: SHA-256(0x00 || row) of each record, (n, RECORD_SIZE) to (n, 32).
        nodes: SHA-256(0x01 || left || right) of each pair of rows, (2n, 32) to (n, 32).
    """

    leaves: Callable[[RecordRows], Hashes]
    nodes: Callable[[Hashes], Hashes]

    def parents(self, children: bytes | memoryview) -> bytes:
        """Node hashes of pairs that stand back to back, as ``MerkleTree`` takes them."""
        return self.nodes(np.frombuffer(children, np.uint8).reshape(-1, HASH_SIZE)).tobytes()


def _plain_leaves(rows: RecordRows) -> Hashes:
    return _hash_each(np.ascontiguousarray(rows).tobytes(), RECORD_SIZE, b"\x00")


def _plain_nodes(children: Hashes) -> Hashes:
    return _hash_each(np.ascontiguousarray(children).tobytes(), _PAIR, b"\x01")


def _hash_each(packed: bytes, size: int, prefix: bytes) -> Hashes:
    sha256 = hashlib.sha256
    digests = [
        sha256(prefix + packed[at : at + size]).digest() for at in range(0, len(packed), size)
    ]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, HASH_SIZE)


PLAIN_HASHING = Hashing(_plain_leaves, _plain_nodes)
"""One after the other by hashlib."""


def checked(hashing: Hashing) -> Hashing:
    """The same, once its hashes of a sample are those of hashlib.

    Raises:
        InvariantBroken: they are not; the code that hashes is broken.
    """
    bits = np.random.default_rng(9162)
    rows = bits.integers(0, 256, (_SAMPLE, RECORD_SIZE), np.uint8)
    children = bits.integers(0, 256, (2 * _SAMPLE, HASH_SIZE), np.uint8)
    for at, found in enumerate(hashing.leaves(rows)):
        _require_equal(leaf_hash(rows[at].tobytes()), found)
    for at, found in enumerate(hashing.nodes(children)):
        left, right = children[2 * at : 2 * at + 2]
        _require_equal(node_hash(left.tobytes(), right.tobytes()), found)
    return hashing


def _require_equal(expected: bytes, found: Hashes) -> None:
    if found.tobytes() != expected:
        raise InvariantBroken(
            f"SHA-256 is computed wrongly: expected {expected.hex()}, found {found.tobytes().hex()}"
        )


def tree_roots(leaves: Hashes, counts: npt.NDArray[np.int64], hashing: Hashing) -> Hashes:
    """Root hashes of many trees whose leaf hashes stand one behind the other.

    Args:
        counts: how many leaves each has, at least one; they sum to the number of ``leaves``.

    Returns:
        One row a tree; ``rfc9162.tree_root`` is the reference for each.
    """
    level = leaves
    while len(level) > len(counts):
        pairs, odd = counts >> 1, (counts & 1).astype(bool)
        if not odd.any():
            level, counts = hashing.nodes(level), pairs
            continue
        firsts = np.cumsum(counts) - counts
        following = pairs + odd
        starts = np.cumsum(following) - following
        # The last of an odd number has no partner and goes up as it is.
        lone = (firsts + counts - 1)[odd]
        paired = np.ones(len(level), bool)
        paired[lone] = False
        raised = np.empty((int(following.sum()), HASH_SIZE), np.uint8)
        places = (starts + pairs)[odd]
        is_node = np.ones(len(raised), bool)
        is_node[places] = False
        raised[places] = level[lone]
        if is_node.any():
            raised[is_node] = hashing.nodes(level[paired])
        level, counts = raised, following
    return level
