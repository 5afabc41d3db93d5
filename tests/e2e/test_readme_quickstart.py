"""The quickstart of README.md, typed line by line against a service as ``make up`` starts it."""

from __future__ import annotations

import asyncio
import inspect
import re
import runpy
import shlex
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adtally.chain.local_node import stop_persistent
from adtally.chain.local_process import free_port
from adtally.client.log_client import LogClient
from adtally.demo.processes import ChildProcess, adtally_command
from adtally.demo.waiting import wait_for
from adtally.errors import AdtallyError

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.chain]

ROOT = Path(__file__).resolve().parents[2]
DOCS = runpy.run_path(str(ROOT / "tests" / "doc_examples.py"))
PATIENCE_SECONDS = 90.0
_TYPED = re.compile(r"^>>> (.+)$((?:\n(?!>>> ).+)*)", re.MULTILINE)


class Reader:
    """Somebody who follows the page: types, runs, and tries again a little later."""

    def __init__(self, service: ChildProcess, replacements: dict[str, str]) -> None:
        self._service = service
        self._replacements = replacements
        self._names: dict[str, Any] = {"__name__": "example"}

    async def close(self) -> None:
        """Close the one connection that the page leaves open."""
        if "open_chain" in self._names:
            _, chain = self._names["open_chain"]()
            await chain.close()

    def text(self, written: str) -> str:
        for old, new in self._replacements.items():
            written = written.replace(old, new)
        return written

    async def read(self, block: Any) -> None:
        match block.info:
            case "python example":
                exec(compile(self.text(block.text), str(block.page), "exec"), self._names)
            case "text":
                for typed, answer in _TYPED.findall(self.text(block.text)):
                    await self._type(typed, answer.strip())
            case "sh example":
                for command in DOCS["shell_commands"](block):
                    await self._run(self.text(command))

    async def _type(self, typed: str, answer: str) -> None:
        async def attempt() -> tuple[object]:
            found = eval(typed.removeprefix("await "), self._names)
            return (await found if inspect.isawaitable(found) else found,)

        (value,) = await self._patiently(typed, attempt)
        assert ("" if value is None else repr(value)) == answer, typed

    async def _run(self, command: str) -> None:
        words = shlex.split(command)
        if words[0] == "make":
            return
        if words[0] == "adtally":
            words = adtally_command(*words[1:])
        elif words[0] == "curl":
            words.insert(1, "--fail-with-body")

        async def attempt() -> subprocess.CompletedProcess[str]:
            done = await asyncio.to_thread(
                subprocess.run, words, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise AdtallyError(f"exit code {done.returncode}", found=done.stdout + done.stderr)
            return done

        await self._patiently(command, attempt)

    async def _patiently(self, what: str, attempt: Callable[[], Awaitable[Any]]) -> Any:
        """What is refused now may be right a block later: a person would try again."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return await attempt()
            except AdtallyError as error:
                self._service.require_running()
                if time.monotonic() > deadline:
                    raise AssertionError(f"{what}\n{self._service.log_tail()}") from error
            await asyncio.sleep(0.5)


@pytest_asyncio.fixture
async def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reader]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "backend"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    ports = {"8000": str(free_port()), "8545": str(free_port())}
    service = ChildProcess(
        "service",
        adtally_command("up", "--local-chain"),
        tmp_path / "service.log",
        {
            "ADTALLY_PORT": ports["8000"],
            "ADTALLY_RPC_URL": f"http://127.0.0.1:{ports['8545']}",
        },
    )
    service.start()
    try:
        async with LogClient(f"http://127.0.0.1:{ports['8000']}") as log:
            await wait_for(
                "the service to answer",
                log.status,
                alive=service.require_running,
                patience_seconds=PATIENCE_SECONDS,
            )
        reader = Reader(service, {f"127.0.0.1:{old}": f"127.0.0.1:{ports[old]}" for old in ports})
        yield reader
        await reader.close()
    finally:
        await service.stop()
        stop_persistent(tmp_path / "var" / "chain")


@pytest.mark.asyncio
async def test_readme_quickstart__typed_as_it_stands__does_what_it_says(reader: Reader) -> None:
    for block in DOCS["blocks"](ROOT / "README.md"):
        await reader.read(block)
