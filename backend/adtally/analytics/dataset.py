"""The derived Parquet files: parts by leaf range, safe against a crash at any moment.

A part is written under a temporary name, synced, then renamed, so under its final name it is
whole. What is new is merged with the youngest parts the way a binary counter carries, so their
number stays logarithmic; a merged part replaces its inputs by covering their range, whether or not
they have been deleted yet. Readers get a list of parts that cover each leaf once. A part of
``SEALED_SPAN`` leaves is merged no more. Everything here can be thrown away and derived again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from adtally.analytics.arrow import Table
from adtally.analytics.part_file import TEMPORARY_SUFFIX, Part, read_part, write_part

SEALED_SPAN = 1 << 20
"""Parts are not merged into ones that cover more leaves than this."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A part on disk that does not count yet; it is to follow the first ``kept`` parts."""

    temporary: Path
    kept: int
    part: Part


@dataclass(frozen=True, slots=True)
class Stock:
    """The parts there are, as values: enough to make the next one, in any process."""

    directory: Path
    origin: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Number of log entries that the parts cover."""
        return self.parts[-1].end if self.parts else 0

    @property
    def room(self) -> int:
        """How many more leaves fill the part that is growing."""
        growing = 0
        for part in reversed(self.parts):
            if _is_packed(part.span) or growing + part.span > SEALED_SPAN:
                break
            growing += part.span
        return SEALED_SPAN - growing

    def first_of_next(self, end: int) -> int:
        """The first leaf of the part that would end with leaf ``end``."""
        kept = self._kept(end)
        return self.parts[kept].first if kept < len(self.parts) else self.size

    def draft(self, end: int, table: Table, last_entry_sha256: bytes) -> Draft:
        """Write the part that adds the records of the leaves ``size`` to ``end``.

        Raises:
            OSError: the disk refused.
        """
        kept = self._kept(end)
        part = Part(self.directory, self.first_of_next(end), end, last_entry_sha256)
        packed = _is_packed(part.span)
        temporary = write_part(part, self.origin, self.parts[kept:], table, packed=packed)
        return Draft(temporary, kept, part)

    def _kept(self, end: int) -> int:
        """How many parts stay, when those behind become one with the new leaves."""
        span, count = end - self.size, len(self.parts)
        while count:
            left = self.parts[count - 1]
            if left.span >= 2 * span or left.span + span > SEALED_SPAN:
                break
            span += left.span
            count -= 1
        return count


class Dataset:
    """The parts in one directory, always covering leaves 0 to ``size`` without gap or overlap.

    One writer at a time; any number of readers in the same process.

    Args:
        directory: holds nothing but parts; created when missing.
        origin: names the log; parts of another one are deleted.
    """

    def __init__(self, directory: Path, origin: str) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._readers = 0
        self._obsolete: list[Path] = []
        directory.mkdir(parents=True, exist_ok=True)
        self._stock = Stock(directory, origin, tuple(_recovered(directory, origin)))

    @property
    def stock(self) -> Stock:
        """What there is now."""
        return self._stock

    @property
    def size(self) -> int:
        """Number of log entries that the parts cover."""
        return self._stock.size

    @property
    def parts(self) -> tuple[Part, ...]:
        """The current parts by ascending leaf range."""
        return self._stock.parts

    @contextmanager
    def reading(self) -> Iterator[tuple[Part, ...]]:
        """The parts, none of whose files is deleted inside the block."""
        with self._lock:
            self._readers += 1
            parts = self.parts
        try:
            yield parts
        finally:
            with self._lock:
                self._readers -= 1
            with suppress(OSError):  # what can't be deleted now is tried again later
                self._delete_obsolete()

    def adopt(self, draft: Draft) -> None:
        """Let a draft made from ``stock`` count; durable on return.

        Raises:
            OSError: the disk refused; the parts are as before.
        """
        os.replace(draft.temporary, draft.part.path)
        self._sync_directory()
        self._replace((*self.parts[: draft.kept], draft.part))

    def clear(self) -> None:
        """Forget everything, because it was derived from another log."""
        self._replace(())

    def _replace(self, parts: Sequence[Part]) -> None:
        kept = {part.path for part in parts}
        with self._lock:
            # A name may come back into use before its old file was deleted.
            outdated = [*self._obsolete, *(part.path for part in self.parts)]
            self._obsolete = [path for path in outdated if path not in kept]
            self._stock = Stock(self.directory, self._stock.origin, tuple(parts))
        self._delete_obsolete()

    def _delete_obsolete(self) -> None:
        with self._lock:
            if self._readers:
                return
            while self._obsolete:
                self._obsolete[-1].unlink(missing_ok=True)
                self._obsolete.pop()

    def _sync_directory(self) -> None:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _recovered(directory: Path, origin: str) -> list[Part]:
    """The longest gapless chain of parts from leaf 0; everything else is deleted."""
    for leftover in directory.glob("*" + TEMPORARY_SUFFIX):
        leftover.unlink()
    found = [part for path in directory.iterdir() if (part := read_part(path, origin))]
    found.sort(key=lambda part: (part.first, -part.end))
    chain: list[Part] = []
    for part in found:
        if part.first == (chain[-1].end if chain else 0):
            chain.append(part)
    kept = {part.path for part in chain}
    for path in directory.glob("leaves-*.parquet"):
        if path not in kept:
            path.unlink()
    return chain


def _is_packed(span: int) -> bool:
    return 2 * span >= SEALED_SPAN
