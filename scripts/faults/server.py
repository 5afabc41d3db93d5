"""The service's application, sequencer and log as real processes that are quickly started.

Modules are imported and the rules compiled once; each life is a fork of that process, over a disk
with or without a fault. Commands are lines of JSON on standard input, one answer each on standard
output; at its end all lives are killed.

    python -m scripts.faults.server
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI
from scripts.chainless.application import make_service
from scripts.chainless.facts import ESCROW_DOMAIN, IDENTITY, NOON_MS, RECEIPT_KEY
from scripts.chainless.world import publishers as numbered
from scripts.chainless.world import world_facts
from starlette.types import ASGIApp

from adtally.api.application import create_application
from adtally.api.hit_protocol import HitProtocol
from adtally.config import Settings
from adtally.errors import AdtallyError
from adtally.intake.clock import VirtualClock
from adtally.intake.recovery import LogFolders, recovered_sequencer
from adtally.intake.sequencer import Sequencer
from adtally.kernel.engine import KernelEngine, prepare
from adtally.log.files import FileLayer, OsFiles
from adtally.settlement.machine import LogMachine
from adtally.storage.database import Database

from .disk import Fault, FaultyFiles, SlowFiles

START_SECONDS = 120
STATUS_REFUSED, STATUS_DISK_FAILED = 2, 3


async def open_sequencer(
    directory: Path,
    files: FileLayer,
    segment_bytes: int,
    publishers: int,
    on_failure: Callable[[], None],
    snapshot_every: int | None = None,
) -> Sequencer:
    """Recover the log as ``adtally.app`` does, and start it; a new one gets the world's facts.

    Raises:
        AdtallyError: it must not be served, or the disk failed.
    """
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, verify_signatures=False, engine=KernelEngine)
    folders = LogFolders(
        directory / "log",
        directory / "tree",
        directory / "snapshots",
        snapshot_every,
        segment_bytes,
    )
    clock = VirtualClock(directory / "clock", NOON_MS)
    sequencer = recovered_sequencer(
        folders, machine, clock, RECEIPT_KEY, on_failure=on_failure, files=files
    )
    machine.require_signatures()
    sequencer.start()
    if machine.rules is None:
        try:
            await sequencer.enter_facts(lambda _: world_facts(numbered(publishers)))
        except AdtallyError:
            await sequencer.stop()
            raise
    return sequencer


def make_application(directory: Path, sequencer: Sequencer) -> ASGIApp:
    """What requests meet. None of this harness touches the control database, which is empty."""
    settings = Settings(data_dir=directory, clock="virtual", max_body_bytes=2**24)
    database = Database(f"sqlite+aiosqlite:///{directory / 'control.sqlite3'}")
    clock = VirtualClock(directory / "clock", NOON_MS)
    service = make_service(settings, clock, sequencer, database)
    return create_application(service, with_virtual_clock=False)


class _Server(uvicorn.Server):
    """Leaves signals to ``_serve``, as the service does."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(command: dict[str, Any], report: Callable[[object], None]) -> int:
    """One life; returns the status of its process."""
    directory = Path(command["directory"])
    config = uvicorn.Config(
        FastAPI(),
        port=0,
        access_log=False,
        log_level="error",
        lifespan="off",
        http=HitProtocol,
        proxy_headers=False,
        backlog=4096,
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)
    try:
        sequencer = await open_sequencer(
            directory,
            _files(command),
            command["segment_bytes"],
            command["publishers"],
            lambda: os.kill(os.getpid(), signal.SIGTERM),
            command["snapshot_every"],
        )
    except AdtallyError as error:
        report({"refused": error.code, "field": error.field, "text": str(error)})
        return STATUS_REFUSED
    config.app = make_application(directory, sequencer)
    listening = config.bind_socket()
    listening.listen(4096)
    report({"port": listening.getsockname()[1]})
    await server.serve(sockets=[listening])
    failed = sequencer.failure is not None
    await sequencer.stop()
    return STATUS_DISK_FAILED if failed else 0


def _files(command: dict[str, Any]) -> FileLayer:
    """The disk that a life gets."""
    directory = Path(command["directory"])
    if command["disk_bytes_per_second"]:
        return SlowFiles(command["disk_bytes_per_second"])
    if command["fault"] is None and not command["trace"]:
        return OsFiles()
    fault = None if command["fault"] is None else Fault(**command["fault"])
    trace = directory / "trace" if command["trace"] else None
    return FaultyFiles(fault, directory / "platter", trace)


class _Forks:
    """Starts lives and tells how they ended."""

    def __init__(self) -> None:
        prepare()
        self._alive: set[int] = set()
        gc.collect()
        gc.freeze()

    def start(self, command: dict[str, Any]) -> dict[str, Any]:
        Path(command["directory"]).mkdir(parents=True, exist_ok=True)
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read_end)
            self._live(command, write_end)
        os.close(write_end)
        self._alive.add(pid)
        ready, _, _ = select.select([read_end], [], [], START_SECONDS)
        with os.fdopen(read_end) as answers:
            line = answers.readline() if ready else ""
        return {"pid": pid} | (json.loads(line) if line else {"died": True})

    def _live(self, command: dict[str, Any], write_end: int) -> None:
        """In the forked process: never returns."""
        status = 1
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, 0)
            os.dup2(nothing, 1)
            errors = Path(command["directory"]) / "stderr"
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)

            def report(answer: object) -> None:
                os.write(write_end, json.dumps(answer).encode() + b"\n")
                os.close(write_end)

            status = uvloop.run(_serve(command, report))
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)

    def wait(self, pid: int, seconds: float) -> dict[str, Any]:
        """How a life ended: exit status, minus the signal's number, or None while it lives."""
        deadline = time.monotonic() + seconds
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._alive.discard(pid)
                return {"status": os.waitstatus_to_exitcode(status)}
            if time.monotonic() >= deadline:
                return {"status": None}
            time.sleep(0.002)

    def end(self) -> None:
        for pid in self._alive:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main() -> None:
    forks = _Forks()
    print(json.dumps({"ready": True}), flush=True)
    try:
        for line in iter(sys.stdin.readline, ""):
            command = json.loads(line)
            if command["do"] == "start":
                answer = forks.start(command)
            else:
                answer = forks.wait(command["pid"], command["seconds"])
            print(json.dumps(answer), flush=True)
    finally:
        forks.end()
        # DuckDB's bindings complain at an orderly exit of the interpreter.
        os._exit(0)


if __name__ == "__main__":
    main()
