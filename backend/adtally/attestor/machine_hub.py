"""The owner's side of the machine processes: start, fork, ask, let go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pickle
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from adtally.attestation.judgement import Computed
from adtally.attestation.reference_state import Summary
from adtally.attestor.machine_messages import (
    LENGTH,
    Apply,
    Begin,
    Compute,
    Fork,
    Hello,
    Message,
    Save,
)
from adtally.errors import AdtallyError, Overloaded
from adtally.types import Hash, Line, LogIdentity

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 60.0
_FORK_SECONDS = 10.0
_FORK_TRIES = 3
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""A process that forks has one thread: others would be missing in the child, locks and all."""


class MachineGone(Overloaded):
    """A machine's process has ended by itself; another is built from the stored entries."""


class Machine:
    """One process that holds the machine at some size; it ends with ``close``."""

    def __init__(
        self,
        hub: MachineHub,
        pid: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._hub = hub
        self.pid = pid
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()
        self.summary: Summary | None = None
        """Where it stands; None before ``begin``."""

    @property
    def size(self) -> int:
        return 0 if self.summary is None else self.summary.size

    async def begin(
        self, identity: LogIdentity, escrow_domain: Hash, snapshot: Path | None = None
    ) -> None:
        """Start with nothing or from a snapshot; raises StorageCorrupt when that is of no use."""
        self.summary = await self._ask(Begin(identity, escrow_domain, snapshot))

    async def fork(self) -> Machine:
        """Another process with the same state."""
        for _ in range(_FORK_TRIES):
            token = self._hub.expect()
            await self._ask(Fork(token))
            try:
                twin = await self._hub.arrived(token, _FORK_SECONDS)
            except MachineGone as error:
                logger.warning("%s: another is forked", error)
                continue
            twin.summary = self.summary
            return twin
        raise MachineGone(f"the machine's process {self.pid} does not fork")

    async def apply(self, bundle: bytes, older_leaves: dict[int, Hash]) -> Summary:
        """Take in entries. After an error this process is of no use any more.

        Raises:
            AdtallyError: they could not have been logged so.
        """
        self.summary = await self._ask(Apply(bundle, older_leaves))
        assert self.summary is not None
        return self.summary

    async def compute(
        self, campaign: int, sequence: int, *, is_final: bool
    ) -> tuple[Computed, list[Line]]:
        """What the campaign owes at this size."""
        found: tuple[Computed, list[Line]] = await self._ask(Compute(campaign, sequence, is_final))
        return found

    async def save(self, path: Path) -> None:
        """Write a snapshot."""
        await self._ask(Save(path))

    def close(self) -> None:
        """Let the process end."""
        self._writer.close()

    async def _ask(self, message: Message) -> Any:
        # Not given up halfway: whoever asks next would get the answer to this.
        reply = await asyncio.shield(asyncio.ensure_future(self._exchange(message)))
        if isinstance(reply, AdtallyError):
            raise reply
        return reply

    async def _exchange(self, message: Message) -> Any:
        async with self._lock:
            data = pickle.dumps(message, protocol=5)
            try:
                self._writer.write(LENGTH.pack(len(data)) + data)
                await self._writer.drain()
                return await _read(self._reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                return MachineGone(f"the machine's process {self.pid} has ended")


class MachineHub:
    """Where machine processes say hello; an async context manager. Its end is theirs."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="adtally-"))
        self._address = str(self._folder / "machines")
        self._expected: dict[str, asyncio.Future[Machine]] = {}
        self._machines: list[Machine] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> MachineHub:
        # The folder is ours alone, so whoever connects is a process of ours.
        self._server = await asyncio.start_unix_server(self._greet, self._address)
        return self

    async def __aexit__(self, *_: object) -> None:
        for machine in self._machines:
            machine.close()
        if self._server is not None:
            self._server.close()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(process.wait, 5.0)
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def start(self) -> Machine:
        """A fresh process."""
        token = self.expect()
        command = [sys.executable, "-m", "adtally.attestor.machine_worker", self._address, token]
        self._processes = [each for each in self._processes if each.poll() is None]
        self._processes.append(await asyncio.to_thread(_started, command))
        return await self.arrived(token)

    def expect(self) -> str:
        """A token for a process that will say hello."""
        token = secrets.token_hex(16)
        self._expected[token] = asyncio.get_running_loop().create_future()
        return token

    async def arrived(self, token: str, seconds: float = _PATIENCE_SECONDS) -> Machine:
        """The process with this token, once it is here."""
        try:
            return await asyncio.wait_for(self._expected[token], seconds)
        except TimeoutError:
            raise MachineGone("a machine's process did not come up") from None
        finally:
            del self._expected[token]

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            hello = await _read(reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        waiting = self._expected.get(hello.token) if isinstance(hello, Hello) else None
        if waiting is None or waiting.done():
            writer.close()
            return
        machine = Machine(self, hello.pid, reader, writer)
        self._machines = [each for each in self._machines if not each._writer.is_closing()]
        self._machines.append(machine)
        waiting.set_result(machine)


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, env=os.environ | _ONE_THREAD, start_new_session=True
    )


async def _read(reader: asyncio.StreamReader) -> Any:
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    return pickle.loads(await reader.readexactly(length))
