"""One Parquet file of the derived dataset: its name, what ties it to a log, how it is packed.

From half of their final size on parts are written in order of campaign and publisher and packed as
well as the columns allow; younger ones are soon written again, so they are written fast.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from adtally.analytics.arrow import Table, pa, pq
from adtally.analytics.columns import SCHEMA

SCHEMA_VERSION = b"3"
TEMPORARY_SUFFIX = ".tmp"

_PACKED_LEVEL = 3
_PACKED_ORDER = ("campaign", "publisher", "occurred_at_ms", "leaf_index")
_PACKED_ENCODINGS = {
    "leaf_index": "DELTA_BINARY_PACKED",
    "occurred_at_ms": "DELTA_BINARY_PACKED",
    "received_at_ms": "DELTA_BINARY_PACKED",
    # Ids begin with a time: bytes of the same place side by side compress, whole ids don't.
    "event_id": "BYTE_STREAM_SPLIT",
}

_NAME = re.compile(r"leaves-([0-9]{16})-([0-9]{16})\.parquet\Z")
_ROW_GROUP = 1 << 17
_VERSION_KEY, _ORIGIN_KEY, _LAST_ENTRY_KEY = (
    b"adtally.schema_version",
    b"adtally.log_origin",
    b"adtally.last_entry_sha256",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One file: records and corrections of the leaves ``first`` to ``end`` (exclusive).

    ``last_entry_sha256`` is of the log entry ``end - 1``; it ties the file to one log.
    """

    directory: Path
    first: int
    end: int
    last_entry_sha256: bytes

    @property
    def path(self) -> Path:
        return self.directory / f"leaves-{self.first:016d}-{self.end:016d}.parquet"

    @property
    def span(self) -> int:
        return self.end - self.first


def write_part(
    part: Part, origin: str, merged: Sequence[Part], table: Table, *, packed: bool
) -> Path:
    """Write a part's file under a temporary name, which is returned; it is on disk then.

    Args:
        origin: names the log.
        merged: the parts before it that become part of it.
        table: the rows that are new.

    Raises:
        OSError: the disk refused.
    """
    tables = [pq.read_table(each.path, schema=SCHEMA) for each in merged]
    metadata = {
        _VERSION_KEY: SCHEMA_VERSION,
        _ORIGIN_KEY: origin.encode(),
        _LAST_ENTRY_KEY: part.last_entry_sha256.hex().encode(),
    }
    whole = pa.concat_tables([*tables, table]).replace_schema_metadata(metadata)
    # The process of a parent that was killed may still be at work on the same part.
    temporary = part.path.with_name(f"{part.path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    with temporary.open("wb") as file:
        _write_table(whole, file, packed=packed)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def read_part(path: Path, origin: str) -> Part | None:
    """What a file in the dataset's directory is; None if it is no part of this log."""
    match = _NAME.match(path.name)
    if match is None:
        return None
    try:
        metadata = pq.read_metadata(path).metadata or {}
        last_entry = bytes.fromhex(metadata[_LAST_ENTRY_KEY].decode())
    except (pa.ArrowException, OSError, KeyError, ValueError):
        return None
    if (metadata.get(_VERSION_KEY), metadata.get(_ORIGIN_KEY)) != (SCHEMA_VERSION, origin.encode()):
        return None
    return Part(path.parent, int(match[1]), int(match[2]), last_entry)


def _write_table(table: Table, file: BinaryIO, *, packed: bool) -> None:
    options: dict[str, Any] = {}
    if packed:
        table = table.sort_by([(name, "ascending") for name in _PACKED_ORDER])
        options = {
            "use_dictionary": [name for name in SCHEMA.names if name not in _PACKED_ENCODINGS],
            "column_encoding": _PACKED_ENCODINGS,
            "compression_level": _PACKED_LEVEL,
        }
    pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP, **options)
