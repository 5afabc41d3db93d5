"""Hashes of many records or nodes at once, for the trees of RFC 9162.

A leaf is SHA-256 over 0x00 and a record, a node over 0x01 and two hashes: two blocks each, hashed
``LANES`` at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from adtally.events.record import RECORD_SIZE
from adtally.kernel.sha256_lanes import LANES, WORD_BYTES, hasher
from adtally.rfc9162 import EMPTY_ROOT, HASH_SIZE
from adtally.types import Hash

Hashes = npt.NDArray[np.uint8]
"""One hash a row: (n, 32)."""

_hash_leaf_lanes = hasher(RECORD_SIZE // WORD_BYTES, 0x00)
_hash_node_lanes = hasher(2 * HASH_SIZE // WORD_BYTES, 0x01)


def leaf_hashes(rows: npt.NDArray[np.uint8]) -> Hashes:
    """SHA-256(0x00 || row) of each row; a row is as long as a record."""
    if rows.shape[1] != RECORD_SIZE:
        raise ValueError(f"rows of {rows.shape[1]} bytes: expected records of {RECORD_SIZE}")
    hashes = np.empty((len(rows), HASH_SIZE), np.uint8)
    hash_leaves(_read_only(rows), hashes)
    return hashes


def node_hashes(children: Hashes) -> Hashes:
    """SHA-256(0x01 || left || right) of each pair of rows; their number is even."""
    pairs = _read_only(children).reshape(-1, 2 * HASH_SIZE)
    hashes = np.empty((len(pairs), HASH_SIZE), np.uint8)
    _hash_nodes(pairs, hashes)
    return hashes


def _read_only(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The one form of them that the functions below are compiled for."""
    view = np.ascontiguousarray(rows).view()
    view.flags.writeable = False
    return view


def packed_parents(children: bytes | memoryview) -> bytes:
    """Node hashes of pairs of hashes that stand back to back, in the same form."""
    rows = np.frombuffer(children, np.uint8).reshape(-1, HASH_SIZE)
    return node_hashes(rows).tobytes()


def tree_root(leaves: Hashes) -> Hash:
    """RFC 9162 root hash over leaf hashes; ``rfc9162.tree_root`` is the reference."""
    level = leaves
    while len(level) > 1:
        even = len(level) // 2 * 2
        # A last one without a partner goes up as it is.
        level = np.concatenate((node_hashes(level[:even]), level[even:]))
    return level[0].tobytes() if len(level) else EMPTY_ROOT


@njit(cache=True, nogil=True)
def hash_leaves(rows, hashes):
    whole = len(rows) // LANES * LANES
    for first in range(0, whole, LANES):
        _hash_leaf_lanes(rows, first, hashes)
    if whole < len(rows):
        some, their = _filled_up(rows[whole:])
        _hash_leaf_lanes(some, 0, their)
        hashes[whole:] = their[: len(rows) - whole]


@njit(cache=True, nogil=True)
def _hash_nodes(rows, hashes):
    whole = len(rows) // LANES * LANES
    for first in range(0, whole, LANES):
        _hash_node_lanes(rows, first, hashes)
    if whole < len(rows):
        some, their = _filled_up(rows[whole:])
        _hash_node_lanes(some, 0, their)
        hashes[whole:] = their[: len(rows) - whole]


@njit
def _filled_up(rows):
    """Rows for all lanes, and room for their hashes."""
    filled = np.zeros((LANES, rows.shape[1]), np.uint8)
    filled[: len(rows)] = rows
    return filled, np.empty((LANES, HASH_SIZE), np.uint8)
