"""How much of the machine others used while a part ran: its rates, and ratios to it, suffer."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)
"""Places of idle and waiting for the disk in the first line; see proc_stat(5)."""
_COUNTED = 8
"""user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already."""


class Others:
    """Watches from when it is made. Only what ended meanwhile counts as the bench's own."""

    def __init__(self) -> None:
        self._busy, self._own, self._at = busy_seconds(), own_seconds(), time.monotonic()

    def share(self) -> float | None:
        """CPU time of others, over that of all cores; None where the system does not tell."""
        busy = busy_seconds()
        if busy is None or self._busy is None:
            return None
        spent = busy - self._busy - (own_seconds() - self._own)
        passed = (time.monotonic() - self._at) * (os.cpu_count() or 1)
        return min(max(spent / passed, 0.0), 1.0)


def busy_seconds() -> float | None:
    """CPU seconds of all processes since the machine started."""
    try:
        words = _STAT.read_text().split("\n", 1)[0].split()[1 : 1 + _COUNTED]
    except OSError:
        return None
    ticks = sum(int(word) for place, word in enumerate(words) if place not in _IDLE)
    return ticks / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
