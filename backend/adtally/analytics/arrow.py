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
