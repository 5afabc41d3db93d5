"""Bringing memory near before it is needed, for compiled code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_FOR_WRITING, _TO_ALL_CACHES, _DATA = 1, 3, 1
"""Of LLVM's ``llvm.prefetch``."""


@intrinsic
def _prefetched(_context: Any, array: Any, row: Any) -> Any:

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, address = ir.IntType(32), ir.IntType(8).as_pointer()
        made = context.make_array(signature.args[0])(context, builder, arguments[0])
        stride = cgutils.unpack_tuple(builder, made.strides)[0]
        at = context.cast(builder, arguments[1], signature.args[1], types.intp)
        start = builder.gep(builder.bitcast(made.data, address), [builder.mul(at, stride)])
        kind = ir.FunctionType(ir.VoidType(), [address, number, number, number])
        prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        how = [ir.Constant(number, each) for each in (_FOR_WRITING, _TO_ALL_CACHES, _DATA)]
        builder.call(prefetch, [start, *how])
        return context.get_dummy_value()

    return types.void(array, row), generate


prefetch: Callable[..., Any] = _prefetched
"""``(array, row)``: have the start of a row in the cache soon, to be written; nothing waits for it.

A load would do the same, but only as many fit the processor's window as are few instructions apart.
"""
