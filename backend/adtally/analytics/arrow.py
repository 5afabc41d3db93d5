"""pyarrow, which ships no types; everything it returns is ``Any`` to the type checker."""

from __future__ import annotations

from typing import Any

import pyarrow
import pyarrow.parquet

pa: Any = pyarrow
pq: Any = pyarrow.parquet

Table = Any
"""A ``pyarrow.Table``."""
Array = Any
"""A ``pyarrow.Array``."""


def give_memory_back() -> None:
    """Let the system have what Arrow holds and nobody uses.

    Its pool keeps what the largest merge has ever taken, some hundred MiB, for the next one. The C
    library keeps some 20 MiB for every thread that ever read a part of the log; Arrow's system pool
    is the way to its ``malloc_trim``.
    """
    pa.default_memory_pool().release_unused()
    pa.system_memory_pool().release_unused()
