"""What the machine can do at all: hashing, syncing; one core, within the same run."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adtally.events.record import RECORD_SIZE
from adtally.kernel.sha256 import leaf_hashes

from ..sheet import Sheet
from ..stage import Stage

_ROWS = 100_000
_COMMITS = 200
_COMMIT_BYTES = 1_000 * (RECORD_SIZE + 2)


def measure(stage: Stage) -> Sheet:
    """What no log on this machine can pass with one core and this disk."""
    sheet = Sheet()
    with stage.pinned(stage.server_core):
        openssl, lanes = hash_rates()
        sheet.put("limit.sha256_per_second", openssl, "113 bytes each, hashlib, one core")
        sheet.put("limit.sha256_lanes_per_second", lanes, "the same by the kernel")
        sheet.put("limit.fdatasync_per_second", sync_rate(stage.build), "114,000 bytes each")
    return sheet


def hash_rates() -> tuple[float, float]:
    """Leaf hashes of records a second: one after the other by OpenSSL, and the kernel's lanes."""
    rows = np.random.default_rng(1).integers(0, 256, (_ROWS, RECORD_SIZE), dtype=np.uint8)
    messages = [b"\0" + row.tobytes() for row in rows]
    leaf_hashes(rows[:100])
    return (
        _ROWS / _best(lambda: [hashlib.sha256(message).digest() for message in messages]),
        _ROWS / _best(lambda: leaf_hashes(rows)),
    )


def sync_rate(directory: Path) -> float:
    """Appends of 1,000 records' bytes a second, each written and synced, preallocated."""
    path = directory / "sync"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.posix_fallocate(descriptor, 0, _COMMITS * _COMMIT_BYTES)
        os.fsync(descriptor)
        data = os.urandom(_COMMIT_BYTES)
        started = time.perf_counter()
        for number in range(_COMMITS):
            os.pwrite(descriptor, data, number * _COMMIT_BYTES)
            os.fdatasync(descriptor)
        return _COMMITS / (time.perf_counter() - started)
    finally:
        os.close(descriptor)
        path.unlink()


def _best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of three runs."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
