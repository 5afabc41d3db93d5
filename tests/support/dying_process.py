"""The service's application in this process, over a disk that can end it: for many short lives.

A death here is an exception at the write step, and from then on every call to the disk raises; what
a power loss leaves of the files is decided as for a real process. Sockets are left out.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import httpx

ROOT = Path(__file__).resolve().parents[2]

# scripts/ is no package that is installed.
sys.path.insert(0, str(ROOT))

from scripts.faults.disk import Fault, FaultyFiles  # noqa: E402
from scripts.faults.lives import PUBLISHERS, SEGMENT_BYTES  # noqa: E402
from scripts.faults.server import make_service, open_sequencer  # noqa: E402
from scripts.faults.wire import Answer  # noqa: E402

from adtally.api.application import create_application  # noqa: E402
from adtally.errors import AdtallyError  # noqa: E402
from adtally.intake.sequencer import Sequencer  # noqa: E402


class ProcessDied(BaseException):
    """The process would be gone here."""


class DyingFiles(FaultyFiles):
    """Ends the process by an exception; keeps its descriptors, which the kernel would close."""

    def __init__(self, fault: Fault | None, image: Path, trace: Path | None) -> None:
        super().__init__(fault, image, trace)
        self.is_dead = False
        self._descriptors: set[int] = set()

    def _lock(self, path: Path) -> int | None:
        descriptor = super()._lock(path)
        if descriptor is not None:
            self._descriptors.add(descriptor)
        return descriptor

    def _open(self, path: Path, *, create: bool) -> int:
        descriptor = super()._open(path, create=create)
        self._descriptors.add(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        self._descriptors.discard(descriptor)
        super().close(descriptor)

    def _step(self, *arguments: Any) -> int | None:
        if self.is_dead:
            raise ProcessDied
        return super()._step(*arguments)

    def end_process(self) -> NoReturn:
        self.is_dead = True
        raise ProcessDied

    def release(self) -> None:
        """What the kernel does after a death."""
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


class InProcessClient:
    """Speaks to the application without a socket; a dead one gives no answer."""

    def __init__(self, app: Any, files: DyingFiles) -> None:
        self._files = files
        self._is_served = app is not None
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://faults")

    async def request(self, request: bytes) -> Answer | None:
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, path, _ = first.split()
        headers = dict(line.split(": ", 1) for line in lines)
        if self._files.is_dead or not self._is_served:
            return None
        answer = await self._http.request(method, path, headers=headers, content=body)
        if self._files.is_dead and answer.status_code != 200:
            return None
        return Answer(answer.status_code, answer.content, answer.headers.get("retry-after"))

    async def get(self, path: str) -> Answer | None:
        return await self.request(f"GET {path} HTTP/1.1\r\nhost: faults\r\n\r\n".encode())

    def close(self) -> None:
        """Nothing is open."""


class InProcessLife:
    """As ``scripts.faults.lives.Life``."""

    def __init__(self, app: Any, files: DyingFiles, sequencer: Sequencer | None) -> None:
        self._app = app
        self._files = files
        self._sequencer = sequencer

    @property
    def is_alive(self) -> bool:
        return self._sequencer is not None and not self._files.is_dead

    def client(self) -> InProcessClient:
        return InProcessClient(self._app, self._files)

    async def kill(self) -> None:
        if self._sequencer is not None:
            await self._sequencer.stop()
        self._files.release()

    async def was_killed(self) -> bool:
        return self._files.is_dead

    async def has_failed_by_itself(self) -> bool:
        return self._sequencer is None or self._sequencer.failure is not None


class InProcessStarter:
    """As ``scripts.faults.lives.Launcher``."""

    async def start(
        self, directory: Path, *, fault: Fault | None = None, trace: bool = False
    ) -> InProcessLife:
        os.makedirs(directory, exist_ok=True)
        files = DyingFiles(fault, directory / "platter", directory / "trace" if trace else None)
        try:
            sequencer = await open_sequencer(
                directory, files, SEGMENT_BYTES, PUBLISHERS, lambda: None
            )
        except (ProcessDied, AdtallyError):
            return InProcessLife(None, files, None)
        app = create_application(make_service(directory, sequencer), with_virtual_clock=False)
        return InProcessLife(app, files, sequencer)
