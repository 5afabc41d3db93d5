"""Child processes of the demo: started in a session of their own, always stopped again.

Their output goes to a file that every error message names. A session of their own means that
Ctrl-C reaches only the driver, which then stops them in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from adtally.errors import AdtallyError

_STOP_SECONDS = 10.0
_TAIL_LINES = 12


class ChildProcess:
    """One process and its log file; ``start`` may be called again after it ended.

    Args:
        name: what people call it, e.g. ``service``.
        command: program and arguments.
        log_path: output is appended here.
        environment: added to the driver's own.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._command = list(command)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self._environment,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL to the process itself, as an out-of-memory killer would; reaps it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for the whole session where that is not enough."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, _STOP_SECONDS)
        _kill_group(process.pid)
        process.wait()

    def require_running(self) -> None:
        """Raises AdtallyError, with the end of its log, if the process has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise AdtallyError(
                f"the {self.name} process ended by itself",
                expected="a running process",
                found=f"exit code {code}; last lines:\n{self.log_tail()}",
                action=f"read {self.log_path}",
            )

    def log_tail(self) -> str:
        """The last lines it wrote."""
        if not self.log_path.exists():
            return "(no output)"
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:]) or "(no output)"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def adtally_command(*arguments: str) -> list[str]:
    """The command line of an ``adtally`` command run by this very interpreter."""
    return [sys.executable, "-m", "adtally.cli", *arguments]
