"""Where the service's time comes from: the system, or a virtual clock for demo and replay."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

from adtally.errors import InvalidInput, StorageCorrupt


class Clock(Protocol):
    """Gives the time; never falls between two calls of one process."""

    def now_ms(self) -> int:
        """UTC milliseconds."""


class SystemClock:
    """The machine's clock, held back from falling when the machine steps it."""

    def __init__(self) -> None:
        self._last_ms = 0

    def now_ms(self) -> int:
        self._last_ms = max(self._last_ms, time.time_ns() // 1_000_000)
        return self._last_ms


class VirtualClock:
    """A clock that stands still until it is set, and remembers its time over a restart.

    Args:
        path: file that holds the time as decimal milliseconds.
        start_ms: time of a clock that was never set.
    """

    def __init__(self, path: Path, start_ms: int = 0) -> None:
        self._path = path
        self._now_ms = start_ms
        if path.exists():
            text = path.read_text()
            if not text.isdecimal():
                raise StorageCorrupt(
                    "the virtual clock's file is damaged",
                    field=str(path),
                    expected="decimal milliseconds",
                    found=repr(text[:20]),
                )
            self._now_ms = int(text)

    def now_ms(self) -> int:
        return self._now_ms

    def set(self, now_ms: int) -> None:
        """Move the clock; durable on return.

        Raises:
            InvalidInput: the time would fall.
        """
        if now_ms < self._now_ms:
            raise InvalidInput(
                "a clock never falls",
                field="now_ms",
                expected=f"at least {self._now_ms}",
                found=str(now_ms),
            )
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            file.write(str(now_ms))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self._now_ms = now_ms
