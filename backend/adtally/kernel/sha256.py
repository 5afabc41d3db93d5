"""SHA-256 (FIPS 180-4) of many equally long messages at once, for the trees of RFC 9162.

A message is a prefix byte and whole words of 32 bits, two blocks in all: a record as a leaf (0x00
and 112 bytes), or two hashes as a node (0x01 and 64 bytes). ``LANES`` messages go through the
rounds side by side, so that the compiler makes vector instructions of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit, uint32

from adtally.rfc9162 import EMPTY_ROOT, HASH_SIZE
from adtally.types import Hash

Hashes = npt.NDArray[np.uint8]
"""One hash a row: (n, 32)."""

LANES = 16
_WORD_BYTES = 4
_FEWEST_WORDS, _MOST_WORDS = 14, 29
"""With fewer, padding would leave one block; with more, it would take a third."""
_LEAF, _NODE = 0, 1

_START = np.array(
    [
        0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
        0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
    ],
    np.uint32,
)  # fmt: skip
_ROUND = np.array(
    [
        0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5,
        0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
        0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3,
        0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
        0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC,
        0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
        0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7,
        0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
        0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13,
        0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
        0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3,
        0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
        0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5,
        0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
        0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208,
        0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
    ],
    np.uint32,
)  # fmt: skip


def leaf_hashes(rows: npt.NDArray[np.uint8]) -> Hashes:
    """SHA-256(0x00 || row) of each row; a row has 14 to 29 whole words of 4 bytes."""
    return _hashed(rows, _LEAF)


def node_hashes(children: Hashes) -> Hashes:
    """SHA-256(0x01 || left || right) of each pair of rows; their number is even."""
    return _hashed(children.reshape(-1, 2 * HASH_SIZE), _NODE)


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


def _hashed(rows: npt.NDArray[np.uint8], prefix: int) -> Hashes:
    count, size = rows.shape
    if size % _WORD_BYTES or not _FEWEST_WORDS <= size // _WORD_BYTES <= _MOST_WORDS:
        expected = f"{_FEWEST_WORDS} to {_MOST_WORDS} words of {_WORD_BYTES} bytes"
        raise ValueError(f"rows of {size} bytes: expected {expected}")
    hashes = np.empty((count, HASH_SIZE), np.uint8)
    _hash_rows(np.ascontiguousarray(rows).view("<u4"), prefix, hashes.view("<u4"))
    return hashes


@njit(cache=True, nogil=True)
def _hash_rows(rows, prefix, hashes):
    schedule = np.zeros((16, LANES), np.uint32)
    state = np.empty((8, LANES), np.uint32)
    working = np.empty((8, LANES), np.uint32)
    before = np.empty(LANES, np.uint32)
    for first in range(0, len(rows), LANES):
        count = min(LANES, len(rows) - first)
        for word in range(8):
            for lane in range(LANES):
                state[word, lane] = _START[word]
        for lane in range(LANES):
            before[lane] = prefix
        for block in range(2):
            _load(rows, first, count, block, before, schedule)
            _compress(schedule, state, working)
        for lane in range(count):
            for word in range(8):
                hashes[first + lane, word] = _swapped(state[word, lane])


@njit
def _load(rows, first, count, block, before, schedule):
    """One block of each message; ``before`` holds the word before, for all is a byte further on."""
    size = rows.shape[1]
    for word in range(16):
        at = 16 * block + word
        if at < size:
            for lane in range(count):
                found = _swapped(rows[first + lane, at])
                schedule[word, lane] = uint32(before[lane] << uint32(24)) | (found >> uint32(8))
                before[lane] = found
        elif at == size:
            for lane in range(LANES):
                schedule[word, lane] = uint32(before[lane] << uint32(24)) | uint32(0x800000)
        else:
            bits = uint32(8 * (4 * size + 1)) if at == 31 else uint32(0)
            for lane in range(LANES):
                schedule[word, lane] = bits


@njit
def _compress(schedule, state, working):
    for word in range(8):
        for lane in range(LANES):
            working[word, lane] = state[word, lane]
    for at in range(0, 64, 8):
        if at >= 16 and at & 15 == 0:
            _extend(schedule)
        # By bits, not by remainder: the compiler then knows that no index is negative.
        word = at & 8
        # The eight working variables change places each round; instead, their names do.
        _round(working, schedule, word, _ROUND[at], 0, 1, 2, 3, 4, 5, 6, 7)
        _round(working, schedule, word + 1, _ROUND[at + 1], 7, 0, 1, 2, 3, 4, 5, 6)
        _round(working, schedule, word + 2, _ROUND[at + 2], 6, 7, 0, 1, 2, 3, 4, 5)
        _round(working, schedule, word + 3, _ROUND[at + 3], 5, 6, 7, 0, 1, 2, 3, 4)
        _round(working, schedule, word + 4, _ROUND[at + 4], 4, 5, 6, 7, 0, 1, 2, 3)
        _round(working, schedule, word + 5, _ROUND[at + 5], 3, 4, 5, 6, 7, 0, 1, 2)
        _round(working, schedule, word + 6, _ROUND[at + 6], 2, 3, 4, 5, 6, 7, 0, 1)
        _round(working, schedule, word + 7, _ROUND[at + 7], 1, 2, 3, 4, 5, 6, 7, 0)
    for word in range(8):
        for lane in range(LANES):
            state[word, lane] += working[word, lane]


@njit
def _extend(schedule):
    """The next sixteen words of the message schedule, in place of the last sixteen."""
    for word in range(16):
        for lane in range(LANES):
            early = schedule[(word + 1) & 15, lane]
            late = schedule[(word + 14) & 15, lane]
            schedule[word, lane] += (
                (_turned(early, 7) ^ _turned(early, 18) ^ (early >> uint32(3)))
                + schedule[(word + 9) & 15, lane]
                + (_turned(late, 17) ^ _turned(late, 19) ^ (late >> uint32(10)))
            )


@njit
def _round(v, schedule, word, constant, a, b, c, d, e, f, g, h):
    """One round; ``a`` to ``h`` are the rows of ``v`` that hold the variables of these names."""
    for lane in range(LANES):
        x = v[e, lane]
        first = uint32(
            v[h, lane]
            + (_turned(x, 6) ^ _turned(x, 11) ^ _turned(x, 25))
            + ((x & v[f, lane]) ^ (~x & v[g, lane]))
            + constant
            + schedule[word, lane]
        )
        y = v[a, lane]
        majority = (y & v[b, lane]) ^ (y & v[c, lane]) ^ (v[b, lane] & v[c, lane])
        v[d, lane] += first
        v[h, lane] = first + (_turned(y, 2) ^ _turned(y, 13) ^ _turned(y, 22)) + majority


@njit
def _turned(word, bits):
    """Rotated right. Numba widens what it shifts; the casts keep vectors of 32 bits."""
    return uint32(uint32(word >> uint32(bits)) | uint32(word << uint32(32 - bits)))


@njit
def _swapped(word):
    """The bytes of a word in the other order."""
    return uint32(
        (word >> uint32(24))
        | ((word >> uint32(8)) & uint32(0xFF00))
        | ((word << uint32(8)) & uint32(0xFF0000))
        | (word << uint32(24))
    )
