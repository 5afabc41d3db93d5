"""The operating system's files, with one fault at one write step."""

from __future__ import annotations

import errno
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from adtally.log.files import OsFiles

from .platter import Platter

WRITE_STEPS = frozenset(
    {
        "make_directory", "lock", "open", "preallocate", "truncate", "pwrite", "fdatasync",
        "fsync", "sync_directory",
    }
)  # fmt: skip
READS = frozenset({"list_names", "free_bytes", "close", "size", "pread", "read"})

KILLS = ("kill_before", "kill_within", "kill_after")
POWER_LOSSES = ("power_loss_before", "power_loss_after")
ERRORS = {
    "eio": errno.EIO,
    "eio_after_effect": errno.EIO,
    "enospc": errno.ENOSPC,
    "erofs": errno.EROFS,
}
NO_ROOM = ("enospc", "erofs")
SHORT_WRITES = ("short_write", "short_write_then_enospc")

_GRACE_SECONDS = 0.01
"""Before the process dies: an answer that was given too early gets out and counts."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at which write step (from 0); ``seed`` decides what is left to chance."""

    step: int
    kind: str
    seed: int = 0


def kinds_for(step: str) -> tuple[str, ...]:
    """Every fault that a write step of this name can meet."""
    every = (*KILLS, *POWER_LOSSES, *ERRORS)
    return (*every, *SHORT_WRITES) if step == "pwrite" else every


class FaultyFiles(OsFiles):
    """Counts the calls that change the disk; the one that ``fault`` names goes wrong.

    Args:
        fault: None for a run that only counts.
        image: see ``Platter``.
        trace: each step's name is appended to this file before it is done.
    """

    def __init__(self, fault: Fault | None, image: Path, trace: Path | None = None) -> None:
        self.steps: list[str] = []
        self._fault = fault
        self._chance = random.Random(f"{fault}")
        self._platter = Platter(image)
        self._paths: dict[int, Path] = {}
        self._stepping = threading.RLock()
        self._trace = -1
        if trace is not None:
            self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def make_directory(self, directory: Path) -> None:
        self._step("make_directory", lambda: OsFiles.make_directory(self, directory))

    def lock(self, path: Path) -> int | None:
        return self._step("lock", lambda: self._lock(path))

    def _lock(self, path: Path) -> int | None:
        return OsFiles.lock(self, path)

    def open(self, path: Path, *, create: bool = False) -> int:
        descriptor = self._step("open", lambda: self._open(path, create=create))
        assert descriptor is not None
        return descriptor

    def _open(self, path: Path, *, create: bool) -> int:
        descriptor = OsFiles.open(self, path, create=create)
        self._paths[descriptor] = path
        self._platter.opened(path, created=create)
        return descriptor

    def preallocate(self, descriptor: int, size: int) -> None:
        self._step(
            "preallocate",
            lambda: OsFiles.preallocate(self, descriptor, size),
            lambda: OsFiles.preallocate(self, descriptor, size // 2),
        )

    def truncate(self, descriptor: int, size: int) -> None:
        self._step("truncate", lambda: OsFiles.truncate(self, descriptor, size))

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        def part() -> int:
            length = self._chance.randrange(1, max(len(data), 2))
            return OsFiles.pwrite(self, descriptor, data[:length], offset)

        written = self._step("pwrite", lambda: OsFiles.pwrite(self, descriptor, data, offset), part)
        assert written is not None
        return written

    def fdatasync(self, descriptor: int) -> None:
        self._step("fdatasync", lambda: self._sync(OsFiles.fdatasync, descriptor))

    def fsync(self, descriptor: int) -> None:
        self._step("fsync", lambda: self._sync(OsFiles.fsync, descriptor))

    def _sync(self, sync: Callable[[OsFiles, int], None], descriptor: int) -> None:
        sync(self, descriptor)
        self._platter.synced(self._paths[descriptor])

    def sync_directory(self, directory: Path) -> None:
        self._step("sync_directory", lambda: self._sync_directory(directory))

    def _sync_directory(self, directory: Path) -> None:
        OsFiles.sync_directory(self, directory)
        self._platter.names_synced()

    def _step(
        self,
        name: str,
        whole: Callable[[], int | None],
        part: Callable[[], int | None] | None = None,
    ) -> int | None:
        """Do a step, or let it go wrong; ``part`` does some of it and returns how much.

        One at a time, whatever the thread: whoever dies does so alone, with nothing written after.
        """
        with self._stepping:
            return self._numbered(len(self.steps), name, whole, part)

    def _numbered(
        self,
        number: int,
        name: str,
        whole: Callable[[], int | None],
        part: Callable[[], int | None] | None,
    ) -> int | None:
        self.steps.append(name)
        if self._trace >= 0:
            os.write(self._trace, f"{name}\n".encode())
        if self._fault is None or number < self._fault.step:
            return whole()
        if number > self._fault.step:
            return self._after_the_fault(number, whole)
        kind = self._fault.kind
        if kind in ERRORS:
            if kind == "eio_after_effect":
                whole()
            raise OSError(ERRORS[kind], "injected")
        if kind in SHORT_WRITES and part is not None:
            return part()
        return self._die_at(kind, whole, part)

    def _die_at(
        self, kind: str, whole: Callable[[], int | None], part: Callable[[], int | None] | None
    ) -> NoReturn:
        """Die before, within or after a step; one without parts is under way in a thread then."""
        if kind == "kill_within" and part is None:
            threading.Thread(target=whole, daemon=True).start()
        elif kind == "kill_within" and part is not None:
            part()
        elif kind.endswith("_after"):
            whole()
        self.die()

    def _after_the_fault(self, number: int, whole: Callable[[], int | None]) -> int | None:
        assert self._fault is not None
        if self._fault.kind == "short_write_then_enospc" and number == self._fault.step + 1:
            raise OSError(errno.ENOSPC, "injected")
        return whole()

    def die(self) -> NoReturn:
        """Kill this process, and the power if the fault says so."""
        assert self._fault is not None
        time.sleep(_GRACE_SECONDS)
        if self._fault.kind in POWER_LOSSES:
            self._platter.lose_power(self._chance)
        else:
            self._platter.save()
        self.end_process()

    def end_process(self) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        while True:
            time.sleep(1)


class SlowFiles(OsFiles):
    """A disk that takes so many bytes a second: a sync waits for what was written before it."""

    def __init__(self, bytes_per_second: int) -> None:
        self._bytes_per_second = bytes_per_second
        self._unsynced = 0

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        written = super().pwrite(descriptor, data, offset)
        self._unsynced += written
        return written

    def fdatasync(self, descriptor: int) -> None:
        time.sleep(self._unsynced / self._bytes_per_second)
        self._unsynced = 0
        super().fdatasync(descriptor)
