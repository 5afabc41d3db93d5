"""Memory of a service that runs for months with thousands of requests a second."""

from __future__ import annotations

import ctypes
import gc
import sys

_YOUNG_OBJECTS = 50_000
_M_ARENA_MAX = -8
"""Of glibc's malloc.h."""


def spare_long_lived_objects() -> None:
    """Call when everything is loaded: what lives as long as the process is looked at no more.

    Modules, routes and replayed state are hundreds of thousands of objects; going through them
    again and again costs a fifth of a single hit's time and most of its 99th percentile.
    """
    gc.collect()
    gc.freeze()
    _, middle, old = gc.get_threshold()
    gc.set_threshold(_YOUNG_OBJECTS, middle, old)


def share_one_heap() -> None:
    """Call before there are threads: glibc then keeps one heap, not one for each thread.

    Threads hand each other what they make (pages of the log, answers), so with a heap each all of
    them grow for hours: what one thread frees, another can't use. Python lets one thread allocate
    at a time anyway.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and needs none
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, 1)
