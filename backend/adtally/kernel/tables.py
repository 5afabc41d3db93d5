"""Open-addressing hash tables on plain arrays, for compiled code.

Keys are whole, never a hash of them, so that no two keys are ever taken for one. Places follow from
a hash with a secret seed: whoever chooses event ids can't choose where they go. Nothing is ever
removed one by one; tables are built anew when they fill up or what they hold has grown old.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from adtally.kernel.compiled import leaf

_MULTIPLIER_1 = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_2 = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)


@leaf
def mix(word, seed):
    """64 bits in, 64 bits out, every bit depending on every bit of both."""
    mixed = (word ^ seed) * _MULTIPLIER_1
    mixed = (mixed ^ (mixed >> _SHIFT)) * _MULTIPLIER_2
    return mixed ^ (mixed >> _SHIFT)


@leaf
def find_word(keys, key, seed):
    """Place of a nonzero ``key`` in ``keys``, or of the free place where it would go.

    ``keys`` has a power of two of places, of which some are free (zero).
    """
    mask = np.uint64(len(keys) - 1)
    at = mix(key, seed) & mask
    while keys[at] != 0 and keys[at] != key:
        at = (at + np.uint64(1)) & mask
    return np.int64(at)


@njit(cache=True)
def put_words(keys, values, new_keys, new_values, seed):
    """Set ``values`` for ``new_keys`` (nonzero); the caller has made room."""
    for i in range(len(new_keys)):
        at = find_word(keys, new_keys[i], seed)
        keys[at] = new_keys[i]
        values[at] = new_values[i]


@leaf
def event_hash(name, high, low, seed):
    """Of an event's key: publisher and type in one word, and the two words of its id."""
    return mix(low ^ mix(high ^ mix(name, seed), seed), seed)
