"""Numbers and bytes out of plain JSON text, for compiled code.

``text`` is one row of bytes with zeros after its end, so that no reader needs to know where that
is: a zero is part of nothing. Readers give what they read and where it ends; ``DECLINED`` in place
of the end says that it is not what they read, which need not be an error in the text.
"""

from __future__ import annotations

import numpy as np

from adtally.kernel.compiled import leaf
from adtally.kernel.words import word8, word32, word64

PADDING = bytes(64)
"""What stands after a text: at least as much as is read at once."""

DECLINED = -1

QUOTE = ord('"')
_ZERO, _NINE = ord("0"), ord("9")
_SPACE, _TAB, _RETURN = ord(" "), ord("\t"), ord("\r")
_DASH = ord("-")
_UUID_SIZE = 36
_MAX_DIGITS = 19
"""Of a number that surely fits 64 bits."""

_TEN = np.uint64(10)


def _bytes(value: int) -> np.uint64:
    """Eight times the same byte."""
    return np.uint64(int.from_bytes(bytes([value]) * 8, "big"))


ANY_CASE = _bytes(0x20)
"""For ``hex_value``: makes capital letters small."""
SMALL_LETTERS = np.uint64(0)
"""For ``hex_value``: capital letters are no digits."""

NO_HEX = np.uint64(2**63)
"""Above all that eight hex digits can say."""

_HIGH_BITS = _bytes(0x80)
_LOW_NIBBLES = _bytes(0x0F)
# Added to a byte below 0x80, these set its high bit from that character on.
_FROM_0, _AFTER_9 = _bytes(0x80 - ord("0")), _bytes(0x7F - ord("9"))
_FROM_A, _AFTER_F = _bytes(0x80 - ord("a")), _bytes(0x7F - ord("f"))
_NINE_MORE = np.uint64(9)
_PAIRS = np.uint64(0x00FF00FF00FF00FF)
_QUADS = np.uint64(0x0000FFFF0000FFFF)
_HALF = np.uint64(0xFFFFFFFF)
_4, _7, _8, _16, _32 = (np.uint64(bits) for bits in (4, 7, 8, 16, 32))


@leaf
def skip_spaces(text, at):
    """Where something else than a space stands. A newline is something else."""
    while True:
        found = word8(text, 0, at)
        if found != _SPACE and found != _TAB and found != _RETURN:
            return at
        at += 1


@leaf
def read_digits(text, at):
    """A row of one to 19 decimal digits."""
    value = np.uint64(0)
    start = at
    while True:
        found = word8(text, 0, at)
        if found < _ZERO or found > _NINE:
            break
        value = value * _TEN + (found - np.uint64(_ZERO))
        at += 1
        if at - start > _MAX_DIGITS:
            return value, DECLINED
    return value, at if at > start else DECLINED


@leaf
def read_number(text, at):
    """A JSON number without sign, fraction or exponent: no zeros in front."""
    value, end = read_digits(text, at)
    if word8(text, 0, at) == _ZERO and end != at + 1:
        return value, DECLINED
    return value, end


@leaf
def read_uuid(text, at):
    """Text of a UUID with its four dashes and the quote behind it: two words, and the end."""
    is_dashed = (
        word8(text, 0, at + 8) == _DASH
        and word8(text, 0, at + 13) == _DASH
        and word8(text, 0, at + 18) == _DASH
        and word8(text, 0, at + 23) == _DASH
        and word8(text, 0, at + _UUID_SIZE) == QUOTE
    )
    first = hex_value(word64(text, 0, at), ANY_CASE)
    second = hex_value(word32(text, 0, at + 9) << _32 | word32(text, 0, at + 14), ANY_CASE)
    third = hex_value(word32(text, 0, at + 19) << _32 | word32(text, 0, at + 24), ANY_CASE)
    fourth = hex_value(word64(text, 0, at + 28), ANY_CASE)
    if not is_dashed or (first | second | third | fourth) >= NO_HEX:
        return first, third, DECLINED
    return first << _32 | second, third << _32 | fourth, at + _UUID_SIZE + 1


@leaf
def hex_value(digits, case):
    """What eight hex digits say, or ``NO_HEX``. ``case``: ``ANY_CASE`` or ``SMALL_LETTERS``.

    All eight at once: of each byte the high bit says what it is. Only a byte from 0x80 on carries
    over to its neighbour, and it is no digit itself, whatever is carried to it.
    """
    letters = digits | case
    is_digit = (digits + _FROM_0) & ~(digits + _AFTER_9)
    is_letter = (letters + _FROM_A) & ~(letters + _AFTER_F)
    if (is_digit | is_letter) & _HIGH_BITS != _HIGH_BITS:
        return NO_HEX
    nibbles = (digits & _LOW_NIBBLES) + ((is_letter & _HIGH_BITS) >> _7) * _NINE_MORE
    pairs = (nibbles | nibbles >> _4) & _PAIRS
    quads = (pairs | pairs >> _8) & _QUADS
    return (quads | quads >> _16) & _HALF
