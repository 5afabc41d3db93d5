"""The derived Parquet files: parts by leaf range, safe against a crash at any moment.

A part is written under a temporary name, synced, then renamed, so under its final name it is
whole. What is new is merged with the youngest parts the way a binary counter carries, so their
number stays logarithmic; a merged part replaces its inputs by covering their range, whether or not
they have been deleted yet. Readers get a list of parts that cover each leaf once. A part of
``SEALED_SPAN`` leaves is merged no more; from half of that on parts are written in order of
campaign and publisher and packed as well as the columns allow. Everything here can be thrown away
and derived again.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from adtally.analytics.arrow import Table, pa, pq
from adtally.analytics.columns import SCHEMA

SCHEMA_VERSION = b"2"
SEALED_SPAN = 1 << 20
"""Parts are not merged into ones that cover more leaves than this."""

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
_TEMPORARY_SUFFIX = ".tmp"
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

    path: Path
    first: int
    end: int
    last_entry_sha256: bytes

    @property
    def span(self) -> int:
        return self.end - self.first


class Dataset:
    """The parts in one directory, always covering leaves 0 to ``size`` without gap or overlap.

    One writer at a time; any number of readers in the same process.

    Args:
        directory: holds nothing but parts; created when missing.
        origin: names the log; parts of another one are deleted.
    """

    def __init__(self, directory: Path, origin: str) -> None:
        self.directory = directory
        self._origin = origin.encode()
        self._lock = threading.Lock()
        self._readers = 0
        self._obsolete: list[Path] = []
        directory.mkdir(parents=True, exist_ok=True)
        self._parts = self._recover()

    @property
    def size(self) -> int:
        """Number of log entries that the parts cover."""
        parts = self._parts
        return parts[-1].end if parts else 0

    @property
    def room(self) -> int:
        """How many more leaves fill the part that is growing."""
        growing = 0
        for part in reversed(self._parts):
            if _is_packed(part.span) or growing + part.span > SEALED_SPAN:
                break
            growing += part.span
        return SEALED_SPAN - growing

    @property
    def parts(self) -> tuple[Part, ...]:
        """The current parts by ascending leaf range."""
        return tuple(self._parts)

    @contextmanager
    def reading(self) -> Iterator[tuple[Part, ...]]:
        """The parts, none of whose files is deleted inside the block."""
        with self._lock:
            self._readers += 1
            parts = tuple(self._parts)
        try:
            yield parts
        finally:
            with self._lock:
                self._readers -= 1
            with suppress(OSError):  # what can't be deleted now is tried again later
                self._delete_obsolete()

    def append(self, end: int, table: Table, last_entry_sha256: bytes) -> None:
        """Add the records of the leaves ``size`` to ``end``; durable on return.

        Raises:
            OSError: the disk refused; the parts are as before.
        """
        kept, merged = self._carry(end - self.size)
        tables = [pq.read_table(part.path, schema=SCHEMA) for part in merged]
        first = merged[0].first if merged else self.size
        part = self._write(first, end, pa.concat_tables([*tables, table]), last_entry_sha256)
        self._replace(merged, [*kept, part])

    def clear(self) -> None:
        """Forget everything, because it was derived from another log."""
        self._replace(self._parts, [])

    def _carry(self, span: int) -> tuple[list[Part], list[Part]]:
        """The parts that stay, and those that become one with ``span`` new leaves."""
        count = len(self._parts)
        while count:
            left = self._parts[count - 1]
            if left.span >= 2 * span or left.span + span > SEALED_SPAN:
                break
            span += left.span
            count -= 1
        return self._parts[:count], self._parts[count:]

    def _replace(self, outdated: Sequence[Part], parts: list[Part]) -> None:
        kept = {part.path for part in parts}
        with self._lock:
            # A name may come back into use before its old file was deleted.
            outdated_paths = [*self._obsolete, *(part.path for part in outdated)]
            self._obsolete = [path for path in outdated_paths if path not in kept]
            self._parts = parts
        self._delete_obsolete()

    def _delete_obsolete(self) -> None:
        with self._lock:
            if self._readers:
                return
            while self._obsolete:
                self._obsolete[-1].unlink(missing_ok=True)
                self._obsolete.pop()

    def _write(self, first: int, end: int, table: Table, last_entry: bytes) -> Part:
        path = self.directory / f"leaves-{first:016d}-{end:016d}.parquet"
        temporary = path.with_name(path.name + _TEMPORARY_SUFFIX)
        metadata = {
            _VERSION_KEY: SCHEMA_VERSION,
            _ORIGIN_KEY: self._origin,
            _LAST_ENTRY_KEY: last_entry.hex().encode(),
        }
        with temporary.open("wb") as file:
            _write_table(
                table.replace_schema_metadata(metadata), file, packed=_is_packed(end - first)
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        self._sync_directory()
        return Part(path, first, end, last_entry)

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _recover(self) -> list[Part]:
        """The longest gapless chain of parts from leaf 0; everything else is deleted."""
        for leftover in self.directory.glob("*" + _TEMPORARY_SUFFIX):
            leftover.unlink()
        found = [part for path in self.directory.iterdir() if (part := self._read_part(path))]
        found.sort(key=lambda part: (part.first, -part.end))
        chain: list[Part] = []
        for part in found:
            if part.first == (chain[-1].end if chain else 0):
                chain.append(part)
        kept = {part.path for part in chain}
        for path in self.directory.glob("leaves-*.parquet"):
            if path not in kept:
                path.unlink()
        return chain

    def _read_part(self, path: Path) -> Part | None:
        match = _NAME.match(path.name)
        if match is None:
            return None
        try:
            metadata = pq.read_metadata(path).metadata or {}
            last_entry = bytes.fromhex(metadata[_LAST_ENTRY_KEY].decode())
        except (pa.ArrowException, OSError, KeyError, ValueError):
            return None
        if (metadata.get(_VERSION_KEY), metadata.get(_ORIGIN_KEY)) != (
            SCHEMA_VERSION,
            self._origin,
        ):
            return None
        return Part(path, int(match[1]), int(match[2]), last_entry)


def _is_packed(span: int) -> bool:
    return 2 * span >= SEALED_SPAN


def _write_table(table: Table, file: BinaryIO, *, packed: bool) -> None:
    """Young parts are soon written again, so they are written fast; old ones are written well."""
    options: dict[str, Any] = {}
    if packed:
        table = table.sort_by([(name, "ascending") for name in _PACKED_ORDER])
        options = {
            "use_dictionary": [name for name in SCHEMA.names if name not in _PACKED_ENCODINGS],
            "column_encoding": _PACKED_ENCODINGS,
            "compression_level": _PACKED_LEVEL,
        }
    pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP, **options)
