"""What a process and a folder take, read from Linux's /proc and the file system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Probe:
    """One look at a process.

    Attributes:
        at: seconds of the run.
        anonymous_bytes: memory that is its own (RssAnon): what a leak makes grow.
        resident_bytes: with the pages of mapped files, which the kernel takes back when it likes.
    """

    at: float
    anonymous_bytes: int
    resident_bytes: int
    open_files: int


def look(pid: int, at: float) -> Probe:
    """Look at a process now.

    Raises:
        OSError: there is no such process.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    return Probe(
        at,
        _bytes_of(status, "RssAnon"),
        _bytes_of(status, "VmRSS"),
        len(os.listdir(f"/proc/{pid}/fd")),
    )


def _bytes_of(status: str, name: str) -> int:
    """A line of /proc/PID/status such as ``RssAnon:     1234 kB``."""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise OSError(f"/proc does not tell {name}")


def bytes_under(folder: Path) -> int:
    """Disk that a folder's files have (blocks, not lengths: segments are preallocated)."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total
