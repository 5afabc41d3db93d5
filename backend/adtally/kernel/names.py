"""Short fixed words in a text, such as field names and labels, found by compiled code.

A name is three big-endian 64-bit words, zeros after its last letter, and its size: a text may hold
zeros as well. A table of them is an array of rows, open addressing by the first word: the three
words, the size, then the numbers that the name stands for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from adtally.errors import InvariantBroken
from adtally.kernel.compiled import leaf
from adtally.kernel.words import leading_zeros, word64

Names = npt.NDArray[np.uint64]

NUMBERS = 4
"""Column of a name's first number."""

_WORD_SIZE = 8
_MAX_SIZE = 3 * _WORD_SIZE - 1
_MULTIPLIER = 0x9E3779B97F4A7C15
_FACTOR = np.uint64(_MULTIPLIER)
_SHIFT = np.uint64(40)
_ONE = np.uint64(1)
_EIGHT = np.uint64(8)
_BITS_OF_BYTE = np.uint64(3)
_ALL = np.uint64(2**64 - 1)
_LOW_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)
_QUOTES = np.uint64(int.from_bytes(b'"' * _WORD_SIZE, "big"))


def name_table(numbers: Mapping[str, Sequence[int]]) -> Names:
    """The names with their numbers, of which all have equally many.

    Raises:
        InvariantBroken: a name is too long, empty or not ASCII, or two start with the same word.
    """
    size = 2 ** (2 * len(numbers)).bit_length()
    rows = np.zeros((size, NUMBERS + len(next(iter(numbers.values())))), np.uint64)
    for name, meant in numbers.items():
        if not name or not name.isascii() or len(name) > _MAX_SIZE:
            raise InvariantBroken(f"no name for a table: {name!r}")
        words = np.frombuffer(name.encode().ljust(3 * _WORD_SIZE, b"\0"), ">u8")
        at = (int(words[0]) * _MULTIPLIER % 2**64 >> int(_SHIFT)) % size
        while rows[at, 0]:
            if rows[at, 0] == words[0]:
                raise InvariantBroken(f"two names start like {name!r}")
            at = (at + 1) % size
        rows[at, :NUMBERS], rows[at, NUMBERS:] = (*words, len(name)), meant
    return rows


@leaf
def find_name(table, text, at):
    """The row of the name that starts at ``at``, and where its closing quote stands.

    The row is -1 if the text up to the next quote is no name of the table. Only these very letters
    are a name: no escape, nothing beyond ASCII. The text goes on for three words at least.
    """
    first, size = _until_quote(word64(text, 0, at))
    second = third = np.uint64(0)
    if size == _EIGHT:
        second, more = _until_quote(word64(text, 0, at + 8))
        size += more
        if more == _EIGHT:
            third, more = _until_quote(word64(text, 0, at + 16))
            size += more
    return _row_of(table, first, second, third, size), at + np.int64(size)


@leaf
def _row_of(table, first, second, third, size):
    # Free places hold zeros, as the words of an empty text do.
    if first == 0:
        return np.int64(-1)
    mask = np.uint64(len(table)) - _ONE
    at = (first * _FACTOR >> _SHIFT) & mask
    while table[at, 0] != 0 and table[at, 0] != first:
        at = (at + _ONE) & mask
    is_it = (
        table[at, 0] == first
        and table[at, 1] == second
        and table[at, 2] == third
        and table[at, 3] == size
    )
    return np.int64(at) if is_it else np.int64(-1)


@leaf
def _until_quote(word):
    """The bytes in front of the first quote, zeros instead of the others, and how many they are."""
    others = word ^ _QUOTES
    # The high bit of each byte that is zero, and of no other: nothing carries over.
    quotes = ~(((others & _LOW_SEVEN) + _LOW_SEVEN) | others | _LOW_SEVEN)
    size = leading_zeros(quotes) >> _BITS_OF_BYTE
    if size == _EIGHT:
        return word, size
    return word & ~(_ALL >> (size << _BITS_OF_BYTE)), size
