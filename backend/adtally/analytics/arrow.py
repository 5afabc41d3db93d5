"""pyarrow, which ships no types; everything it returns is ``Any`` to the type checker."""

from __future__ import annotations

import os
from typing import Any

# The C library's memory, which ``give_memory_back`` can reach: Arrow's own pool keeps pages that
# are hardly used for hours. Read once, when Arrow is loaded.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import pyarrow
import pyarrow.parquet

pa: Any = pyarrow
pq: Any = pyarrow.parquet

Table = Any
"""A ``pyarrow.Table``."""
Array = Any
"""A ``pyarrow.Array``."""


def give_memory_back() -> None:
    """Let the system have what nobody uses: Arrow's system pool is the way to ``malloc_trim``."""
    pa.default_memory_pool().release_unused()
