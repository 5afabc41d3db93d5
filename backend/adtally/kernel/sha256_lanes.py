"""SHA-256 (FIPS 180-4) of sixteen messages side by side, written as vector code for LLVM.

Numba's loops over lanes take three times as long: the compiler loses the vectors on the way. Here
each of the sixteen words of a block is one vector with a lane for each message, whatever registers
the processor has: LLVM cuts vectors that are wider than those.

A message is one prefix byte and whole words of 32 bits, two blocks in all.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
_BLOCK_WORDS = 16
WORD_BYTES = 4
_HASH_WORDS = 8

_START = (
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
    0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
)  # fmt: skip
_ROUND = (
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
)  # fmt: skip

_I64 = ir.IntType(64)
_LANE = ir.IntType(32)
_VECTOR = ir.VectorType(_LANE, LANES)
_HALF = ir.VectorType(_LANE, _HASH_WORDS)
_UNDEFINED = ir.Constant(_VECTOR, ir.Undefined)


def hasher(words: int, prefix: int) -> Callable[..., Any]:
    """A function ``(rows, first, hashes)`` for compiled code.

    It hashes ``prefix || row`` for the rows ``first`` to ``first + LANES`` of ``rows``, bytes of
    shape (n, 4 * words), into the same rows of ``hashes``, bytes of shape (n, 32). A row's bytes
    stand side by side; rows may stand apart.

    Args:
        words: 16 to 29; with fewer, a block could not be loaded at once, with more, padding would
            need a third block.
    """

    @intrinsic
    def hash_lanes(_context: Any, rows: Any, first: Any, hashes: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, at, target = arguments
            inputs = _addresses(context, builder, signature.args[0], source, at)
            outputs = _addresses(context, builder, signature.args[2], target, at)
            _Lanes(builder).hash(inputs, outputs, words, prefix)
            return context.get_dummy_value()

        return types.void(rows, first, hashes), generate

    return hash_lanes


def _addresses(context: Any, builder: Any, kind: Any, array: Any, first: Any) -> list[Any]:
    """Where each lane's row starts."""
    made = context.make_array(kind)(context, builder, array)
    stride = cgutils.unpack_tuple(builder, made.strides)[0]
    at = builder.mul(first, stride)
    found = []
    for _ in range(LANES):
        found.append(builder.gep(made.data, [at]))
        at = builder.add(at, stride)
    return found


class _Lanes:
    """Emits the rounds; every value is a vector of one word of each message."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder
        three = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        one = ir.FunctionType(_VECTOR, [_VECTOR])
        self._shift = cgutils.get_or_insert_function(builder.module, three, "llvm.fshr.v16i32")
        self._swap = cgutils.get_or_insert_function(builder.module, one, "llvm.bswap.v16i32")

    def hash(self, inputs: Sequence[Any], outputs: Sequence[Any], words: int, prefix: int) -> None:
        message = self._message(inputs, words, prefix)
        state = [_splat(word) for word in _START]
        for at in range(0, len(message), _BLOCK_WORDS):
            state = self._compressed(state, message[at : at + _BLOCK_WORDS])
        swapped = [self._builder.call(self._swap, [word]) for word in state]
        rows = self._transposed(swapped + [_UNDEFINED] * (LANES - _HASH_WORDS))
        low = ir.Constant(ir.VectorType(_LANE, _HASH_WORDS), list(range(_HASH_WORDS)))
        for row, address in zip(rows, outputs, strict=True):
            half = self._builder.shuffle_vector(row, _UNDEFINED, low)
            where = self._builder.bitcast(address, _HALF.as_pointer())
            self._builder.store(half, where, align=1)

    def _message(self, inputs: Sequence[Any], words: int, prefix: int) -> list[Any]:
        """Both blocks, padded: all is a byte further on than in the rows."""
        loaded = self._loaded(inputs, 0)
        if words > _BLOCK_WORDS:
            # The last sixteen words: nothing is read behind a row.
            rest = self._loaded(inputs, words - _BLOCK_WORDS)
            loaded += rest[2 * _BLOCK_WORDS - words :]
        framed = [_splat(prefix), *loaded, _splat(0x80 << 24)]
        pairs = itertools.pairwise(framed)
        shifted = [self._builder.call(self._shift, [*pair, _splat(8)]) for pair in pairs]
        zeros = 2 * _BLOCK_WORDS - len(shifted) - 1
        return [*shifted, *[_splat(0)] * zeros, _splat(8 * (WORD_BYTES * words + 1))]

    def _loaded(self, inputs: Sequence[Any], word: int) -> list[Any]:
        """Sixteen words of every row, from ``word`` on."""
        rows = []
        for address in inputs:
            at = self._builder.gep(address, [ir.Constant(_I64, WORD_BYTES * word)])
            vector = self._builder.bitcast(at, _VECTOR.as_pointer())
            row = self._builder.load(vector, align=1)
            rows.append(self._builder.call(self._swap, [row]))
        return self._transposed(rows)

    def _transposed(self, rows: list[Any]) -> list[Any]:
        """Rows to columns, by swapping ever smaller quarters of the square."""
        step = LANES // 2
        while step:
            upper = [lane if not lane & step else lane - step + LANES for lane in range(LANES)]
            lower = [lane + step if not lane & step else lane + LANES for lane in range(LANES)]
            for at in range(LANES):
                if not at & step:
                    pair = rows[at], rows[at + step]
                    rows[at] = self._builder.shuffle_vector(*pair, _picked(upper))
                    rows[at + step] = self._builder.shuffle_vector(*pair, _picked(lower))
            step //= 2
        return rows

    def _compressed(self, state: list[Any], block: list[Any]) -> list[Any]:
        """The state after one block (6.2.2)."""
        words, working = list(block), list(state)
        for at, constant in enumerate(_ROUND):
            if at >= _BLOCK_WORDS:
                words.append(self._extended(words[-_BLOCK_WORDS:]))
            working = self._round(working, self._sum(words[at], _splat(constant)))
        return [self._sum(*pair) for pair in zip(state, working, strict=True)]

    def _extended(self, words: Sequence[Any]) -> Any:
        """The next word of the message schedule, from the last sixteen."""
        early, late = words[1], words[14]
        first = self._xor(self._turned(early, 7), self._turned(early, 18), self._cut(early, 3))
        second = self._xor(self._turned(late, 17), self._turned(late, 19), self._cut(late, 10))
        return self._sum(words[0], first, words[9], second)

    def _round(self, working: Sequence[Any], word: Any) -> list[Any]:
        a, b, c, d, e, f, g, h = working
        builder = self._builder
        choice = builder.xor(g, builder.and_(e, builder.xor(f, g)))
        majority = builder.or_(builder.and_(a, b), builder.and_(c, builder.or_(a, b)))
        mixed_e = self._xor(self._turned(e, 6), self._turned(e, 11), self._turned(e, 25))
        mixed_a = self._xor(self._turned(a, 2), self._turned(a, 13), self._turned(a, 22))
        first = self._sum(h, word, mixed_e, choice)
        return [self._sum(first, mixed_a, majority), a, b, c, builder.add(d, first), e, f, g]

    def _sum(self, first: Any, *more: Any) -> Any:
        for each in more:
            first = self._builder.add(first, each)
        return first

    def _xor(self, first: Any, second: Any, third: Any) -> Any:
        return self._builder.xor(self._builder.xor(first, second), third)

    def _turned(self, word: Any, bits: int) -> Any:
        """Rotated right."""
        return self._builder.call(self._shift, [word, word, _splat(bits)])

    def _cut(self, word: Any, bits: int) -> Any:
        """Shifted right."""
        return self._builder.lshr(word, _splat(bits))


def _splat(word: int) -> Any:
    return ir.Constant(_VECTOR, [word] * LANES)


def _picked(lanes: Sequence[int]) -> Any:
    return ir.Constant(_VECTOR, list(lanes))
