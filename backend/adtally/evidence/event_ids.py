"""Where events stand in the log, by their ids: sorted runs of fingerprints, derived from the log.

A run covers ``RUN_ENTRIES`` entries and is a file of pairs (fingerprint, leaf index) in order; the
entries behind the last full run are kept in memory. A lookup is one binary search a run. What it
finds is only a hint: the record at that index decides. Deleting the folder costs time only
(``docs/decisions/0031-event-ids-in-sorted-runs.md``).
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from adtally.events.record import RECORD_KIND, RECORD_SIZE, EventType
from adtally.events.verdict import Verdict

RUN_ENTRIES = 1 << 20
_READ_ENTRIES = 1 << 13
"""Read at a time: few, so that the thread that answers requests is never kept waiting long."""

_CHILD = 0x80
_SALT_FILE = "salt"
_SUFFIX = ".run"
_ROW = np.dtype([("key", "<u8"), ("leaf", "<u8")])
_RECORD = np.dtype(
    {
        "names": ["type", "verdict", "publisher", "id", "parent"],
        "formats": ["u1", "u1", ">u4", (">u8", 2), (">u8", 2)],
        "offsets": [1, 3, 8, 20, 36],
        "itemsize": RECORD_SIZE,
    }
)

_Rows = npt.NDArray[np.void]
_Words = npt.NDArray[np.uint64]


class EntrySource(Protocol):
    """The log's durable entries; ``adtally.log.store.LogStore`` is one."""

    @property
    def size(self) -> int:
        """Number of durable entries."""

    def entries(self, start: int, end: int) -> list[bytes]:
        """The entries ``start`` to ``end`` (exclusive)."""


class EventIds:
    """The index. Safe to use from any thread; one catches up at a time.

    Args:
        directory: its own; created when missing.
        source: the log; reading it must be safe from the calling thread.
        run_entries: entries in a full run; must never change for a directory.
    """

    def __init__(
        self, directory: Path, source: EntrySource, run_entries: int = RUN_ENTRIES
    ) -> None:
        self._directory = directory
        self._source = source
        self._run_entries = run_entries
        self._lock = threading.Lock()
        self._salt: _Words | None = None
        self._runs: list[_Rows] = []
        self._tail: list[_Rows] = []
        self._covered = 0

    @property
    def covered(self) -> int:
        """Entries of the log that a lookup finds without reading the log first."""
        return self._covered

    def catch_up(self, most_runs: int | None = None) -> int:
        """Read what the log holds by now.

        Args:
            most_runs: end after so many full runs.

        Returns:
            The number of entries covered.

        Raises:
            StorageCorrupt, StorageFailed: the log can't be read.
            OSError: the disk of the index refused.
        """
        with self._lock:
            if self._salt is None:
                self._open()
            size, full = self._source.size, len(self._runs)
            while self._covered < size:
                end = min(size, self._covered + _READ_ENTRIES, self._run_end())
                self._read(self._covered, end)
                if self._covered == self._run_end_of(full):
                    self._write_run()
                    full = len(self._runs)
                    if most_runs is not None:
                        most_runs -= 1
                        if most_runs <= 0:
                            break
            return self._covered

    def find(self, publisher: int, kind: EventType, event_id: bytes) -> Iterator[int]:
        """Leaf indexes of records that may be this event's, ascending, as far as covered."""
        return self._leaves(publisher, kind, event_id)

    def find_children(self, publisher: int, kind: EventType, parent_id: bytes) -> Iterator[int]:
        """Leaf indexes of records that may be accepted events of this type with this parent."""
        return self._leaves(publisher, kind | _CHILD, parent_id)

    # Inside ------------------------------------------------------------------------------------

    def _leaves(self, publisher: int, kind: int, event_id: bytes) -> Iterator[int]:
        with self._lock:
            if self._salt is None:
                self._open()
            runs, salt = [*self._runs, *self._tail], self._salt
        assert salt is not None
        words = np.frombuffer(event_id, ">u8").astype(np.uint64)[None]
        key = _keys(salt, words, np.array([publisher], np.uint64), np.array([kind], np.uint64))[0]
        for run in runs:
            low = int(np.searchsorted(run["key"], key, "left"))
            high = int(np.searchsorted(run["key"], key, "right"))
            yield from (int(leaf) for leaf in run["leaf"][low:high])

    def _run_end(self) -> int:
        return self._run_end_of(len(self._runs))

    def _run_end_of(self, run: int) -> int:
        return (run + 1) * self._run_entries

    def _read(self, start: int, end: int) -> None:
        entries = self._source.entries(start, end)
        kept = [
            at
            for at, entry in enumerate(entries)
            if len(entry) == RECORD_SIZE and entry[0] == RECORD_KIND
        ]
        if kept:
            assert self._salt is not None
            packed = np.frombuffer(b"".join([entries[at] for at in kept]), _RECORD)
            leaves = np.array(kept, np.uint64) + np.uint64(start)
            self._tail.append(_rows(self._salt, packed, leaves))
            self._merge_tail()
        self._covered = end

    def _merge_tail(self) -> None:
        """Keep the tail in few pieces, each larger than the next: lookups search them all."""
        tail = self._tail
        while len(tail) > 1 and 2 * len(tail[-1]) >= len(tail[-2]):
            last = tail.pop()
            tail[-1] = _sorted(np.concatenate([tail[-1], last]))

    def _write_run(self) -> None:
        rows = _sorted(np.concatenate(self._tail)) if self._tail else np.empty(0, _ROW)
        assert self._salt is not None
        digest = self._digest(self._salt, self._covered)
        path = self._directory / f"{len(self._runs):08d}-{digest}{_SUFFIX}"
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            file.write(rows.tobytes())
            file.flush()
            os.fdatasync(file.fileno())
        temporary.replace(path)
        self._runs.append(_mapped(path))
        self._tail = []

    def _open(self) -> None:
        """Take up what is there, if it is of this log and this salt."""
        self._directory.mkdir(parents=True, exist_ok=True)
        salt_path = self._directory / _SALT_FILE
        salt = salt_path.read_bytes() if salt_path.exists() else b""
        if len(salt) != 64:
            self._delete_runs(0)
            salt = secrets.token_bytes(64)
            salt_path.write_bytes(salt)
        words = np.frombuffer(salt, np.uint64) | np.uint64(1)
        runs: list[_Rows] = []
        for path in sorted(self._directory.glob(f"*{_SUFFIX}")):
            number = len(runs)
            end = self._run_end_of(number)
            known = end <= self._source.size and path.name == (
                f"{number:08d}-{self._digest(words, end)}{_SUFFIX}"
            )
            if not known or path.stat().st_size % _ROW.itemsize:
                self._delete_runs(number)
                break
            runs.append(_mapped(path))
        # Only now, together: where the log can't be read, the next call opens from the start.
        self._salt, self._runs = words, runs
        self._covered = len(runs) * self._run_entries

    def _digest(self, salt: _Words, end: int) -> str:
        """Names what a run was made of: the salt, and the log by the run's last entry."""
        (last,) = self._source.entries(end - 1, end)
        return hashlib.sha256(salt.tobytes() + last).hexdigest()[:32]

    def _delete_runs(self, first: int) -> None:
        for path in sorted(self._directory.glob(f"*{_SUFFIX}"))[first:]:
            path.unlink()


def _rows(salt: _Words, records: npt.NDArray[np.void], leaves: _Words) -> _Rows:
    """A row for each record, and one for each accepted child under its parent's id."""
    publisher = records["publisher"].astype(np.uint64)
    kind = records["type"].astype(np.uint64)
    keys = _keys(salt, records["id"].astype(np.uint64), publisher, kind)
    is_child = (records["verdict"] == Verdict.ACCEPTED) & (records["type"] != EventType.IMPRESSION)
    parents = records["parent"][is_child].astype(np.uint64)
    under = _keys(salt, parents, publisher[is_child], kind[is_child] | np.uint64(_CHILD))
    rows = np.empty(len(keys) + len(under), _ROW)
    rows["key"] = np.concatenate([keys, under])
    rows["leaf"] = np.concatenate([leaves, leaves[is_child]])
    return _sorted(rows)


def _keys(salt: _Words, ids: _Words, publisher: _Words, kind: _Words) -> _Words:
    """Fingerprints of 64 bits. Secret multipliers keep anyone from choosing ids that collide."""
    with np.errstate(over="ignore"):
        mixed: _Words = (ids[:, 0] ^ salt[0]) * salt[1]
        mixed ^= mixed >> np.uint64(32)
        mixed = (mixed + (ids[:, 1] ^ salt[2])) * salt[3]
        mixed ^= mixed >> np.uint64(29)
        mixed = (mixed + ((publisher << np.uint64(8) | kind) ^ salt[4])) * salt[5]
        mixed ^= mixed >> np.uint64(32)
        return mixed


def _sorted(rows: _Rows) -> _Rows:
    # Leaves ascend already in what is put together here, and a stable sort leaves them so.
    return rows[np.argsort(rows["key"], kind="stable")]


def _mapped(path: Path) -> _Rows:
    if path.stat().st_size == 0:
        return np.empty(0, _ROW)
    return np.memmap(path, _ROW, "r")
