"""Big-endian numbers out of rows of bytes, one load each, for compiled code.

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

_LOW_48 = np.uint64(2**48 - 1)


def _loader(bits: int) -> Callable[..., Any]:
    """A function ``(rows, at, offset)``: ``bits`` at a byte of a row, as an unsigned number.

    ``rows`` are bytes; those of a row stand side by side. Nothing is checked.
    """

    @intrinsic
    def load(_context: Any, rows: Any, at: Any, offset: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, row, byte = arguments
            made = context.make_array(signature.args[0])(context, builder, source)
            stride = cgutils.unpack_tuple(builder, made.strides)[0]
            row = context.cast(builder, row, signature.args[1], types.intp)
            byte = context.cast(builder, byte, signature.args[2], types.intp)
            address = builder.gep(made.data, [builder.add(builder.mul(row, stride), byte)])
            number = ir.IntType(bits)
            stored = builder.load(builder.bitcast(address, number.as_pointer()), align=1)
            return builder.zext(builder.bswap(stored), ir.IntType(64))

        return types.uint64(rows, at, offset), generate

    return load


word16 = _loader(16)
word32 = _loader(32)
_load64 = _loader(64)


@leaf
def word48(rows, at, offset):
    """Six bytes; the two before them are in the row as well."""
    return _load64(rows, at, offset - 2) & _LOW_48


@leaf
def word64(rows, at, offset):
    """Eight bytes."""
    return _load64(rows, at, offset)
