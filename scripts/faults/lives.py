"""Starting, killing and asking the processes of ``scripts.faults.server``."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from adtally.errors import Conflict

from .disk import Fault
from .server import STATUS_DISK_FAILED, STATUS_REFUSED
from .wire import Connection

ROOT = Path(__file__).resolve().parents[2]
SEGMENT_BYTES = 8_192
"""Small, so that a few batches fill one."""
PUBLISHERS = 3
KILLED = -signal.SIGKILL
_WAIT_SECONDS = 30.0
_LOCK_TRIES, _LOCK_WAIT_SECONDS = 40, 0.05


@dataclass(slots=True)
class Life:
    """One process of the service.

    ``port`` is None when it never served; then ``refused`` tells why, or it was killed before.
    """

    launcher: Launcher
    pid: int
    port: int | None
    refused: dict[str, Any] | None
    status: int | None = None

    def ended(self, seconds: float = _WAIT_SECONDS) -> int | None:
        """Wait for its end; exit status, minus a signal's number, None when it goes on."""
        if self.status is None:
            asked = self.launcher.ask(do="wait", pid=self.pid, seconds=seconds)
            self.status = asked["status"]
        return self.status

    @property
    def is_alive(self) -> bool:
        return self.ended(0) is None

    async def kill(self) -> None:
        """kill -9, unless it is over already."""
        if self.is_alive:
            os.kill(self.pid, signal.SIGKILL)
            self.ended()

    async def was_killed(self) -> bool:
        """Whether it ended by kill -9; waits for its end."""
        return self.ended() == KILLED

    async def has_failed_by_itself(self) -> bool:
        """Whether it stopped, or refused to start, as it must on a failing disk."""
        return self.ended() in (STATUS_REFUSED, STATUS_DISK_FAILED)

    def client(self) -> Connection:
        """A connection of its own; to a life that never served, one that gets no answer."""
        return Connection(self.port or 0)


class Launcher:
    """The process that all lives are forked from."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(ROOT / "backend"), str(ROOT)])
        self._process = subprocess.Popen(
            [sys.executable, "-m", "scripts.faults.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._answer()

    def __enter__(self) -> Launcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it, and with it every life."""
        self._process.communicate()

    async def start(
        self,
        directory: Path,
        *,
        fault: Fault | None = None,
        trace: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        publishers: int = PUBLISHERS,
        disk_bytes_per_second: int = 0,
        snapshot_every: int | None = None,
    ) -> Life:
        """A life over a data directory; returns when it serves, has refused to, or is dead.

        Args:
            fault: what its disk does to it.
            trace: whether its write steps are noted in a file ``trace`` in the directory.
            disk_bytes_per_second: what the disk takes; 0 for as much as it can.
            snapshot_every: so many entries; None for no snapshots.
        """
        command = {
            "do": "start",
            "directory": str(directory),
            "fault": None if fault is None else asdict(fault),
            "trace": trace,
            "segment_bytes": segment_bytes,
            "publishers": publishers,
            "disk_bytes_per_second": disk_bytes_per_second,
            "snapshot_every": snapshot_every,
        }
        for _ in range(_LOCK_TRIES):
            answer = self.ask(**command)
            if answer.get("refused") != Conflict.code:
                break
            # The last life's snapshot process gives up the lock a moment after its parent's death.
            await asyncio.sleep(_LOCK_WAIT_SECONDS)
        refused = answer if "refused" in answer else None
        return Life(self, answer["pid"], answer.get("port"), refused)

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the launcher has died; its error stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer
