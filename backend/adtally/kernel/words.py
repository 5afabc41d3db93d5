"""Big-endian numbers out of rows of bytes and into them, one access each, for compiled code.

Put together from single bytes they would cost a load, a shift and a bound check for every byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from adtally.kernel.compiled import leaf

_BYTE, _WORD = 8, 64
_LOW_48 = np.uint64(2**48 - 1)


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Of a byte of a row; the arguments start ``rows, at, offset``."""
    source, row, byte = arguments[:3]
    made = context.make_array(signature.args[0])(context, builder, source)
    stride = cgutils.unpack_tuple(builder, made.strides)[0]
    row = context.cast(builder, row, signature.args[1], types.intp)
    byte = context.cast(builder, byte, signature.args[2], types.intp)
    return builder.gep(made.data, [builder.add(builder.mul(row, stride), byte)])


def _loader(bits: int) -> Callable[..., Any]:
    """A function ``(rows, at, offset)``: ``bits`` at a byte of a row, as an unsigned number.

    ``rows`` are bytes; those of a row stand side by side. Nothing is checked.
    """

    @intrinsic
    def load(_context: Any, rows: Any, at: Any, offset: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = _address(context, builder, signature, arguments)
            number = ir.IntType(bits)
            stored = builder.load(builder.bitcast(address, number.as_pointer()), align=1)
            swapped = stored if bits == _BYTE else builder.bswap(stored)
            return swapped if bits == _WORD else builder.zext(swapped, ir.IntType(_WORD))

        return types.uint64(rows, at, offset), generate

    return load


def _storer(bits: int) -> Callable[..., Any]:
    """A function ``(rows, at, offset, value)`` that puts the low ``bits`` at a byte of a row."""

    @intrinsic
    def store(_context: Any, rows: Any, at: Any, offset: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address = _address(context, builder, signature, arguments)
            number = ir.IntType(bits)
            word = context.cast(builder, arguments[3], signature.args[3], types.uint64)
            cut = word if bits == _WORD else builder.trunc(word, number)
            swapped = cut if bits == _BYTE else builder.bswap(cut)
            builder.store(swapped, builder.bitcast(address, number.as_pointer()), align=1)
            return context.get_dummy_value()

        return types.void(rows, at, offset, value), generate

    return store


@intrinsic
def _leading_zeros(_context: Any, _word: Any) -> Any:

    def generate(_: Any, builder: Any, __: Any, arguments: Any) -> Any:
        return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


leading_zeros: Callable[..., Any] = _leading_zeros
"""How many bits of a 64-bit word are zero in front of the first that is not; 64 of zero."""

word8 = _loader(8)
word16 = _loader(16)
word32 = _loader(32)
_load64 = _loader(64)
put8 = _storer(8)
put16 = _storer(16)
put32 = _storer(32)
put64 = _storer(64)


@leaf
def word48(rows, at, offset):
    """Six bytes; the two before them are in the row as well."""
    return _load64(rows, at, offset - 2) & _LOW_48


@leaf
def word64(rows, at, offset):
    """Eight bytes."""
    return _load64(rows, at, offset)
