"""Where parts are measured: a server on the first core, the load on the last, a fresh folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Stage:
    """The cores and the folder of a run.

    Args:
        build: where everything is written; servers store on this disk.
        cores: numbers of the cores that the run may use, in order.
    """

    build: Path = BUILD
    cores: tuple[int, ...] = field(
        default_factory=lambda: tuple(sorted(os.sched_getaffinity(0))),
    )

    @property
    def server_core(self) -> int:
        return self.cores[0]

    @property
    def load_core(self) -> int:
        return self.cores[-1]

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder, removed afterwards."""
        directory = self.build / "data"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    @contextmanager
    def pinned(self, *cores: int) -> Iterator[None]:
        """This process, and what it starts meanwhile, on these cores only."""
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    @contextmanager
    def process(
        self, command: list[str], *cores: int, log: Path | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """A program on these cores, killed at the end; ``log`` takes its standard error."""
        with self.pinned(*cores), ExitStack() as stack:
            errors = stack.enter_context(log.open("a")) if log else None
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()

    @contextmanager
    def server(self, module: str, *arguments: str) -> Iterator[int]:
        """``python -m module FOLDER ARGUMENTS CORE`` with a fresh folder; gives its port.

        Meanwhile this process has the other core.

        Raises:
            RuntimeError: the server printed no port.
        """
        core = self.server_core
        with self.folder() as folder:
            command = [sys.executable, "-m", module, str(folder), *arguments, str(core)]
            with self.process(command, core) as process, self.pinned(self.load_core):
                yield read_port(process)


def read_port(process: subprocess.Popen[str]) -> int:
    """The port that a server prints as its first line.

    Raises:
        RuntimeError: it printed something else, or ended.
    """
    line = process.stdout.readline().strip() if process.stdout else ""
    if not line.isdecimal():
        raise RuntimeError(f"expected a port from {process.args}, found {line!r}")
    return int(line)
