"""The deployment that is watched: chain, contracts, service and attestors, each a process.

What ``adtally up --local-chain`` starts, started one by one, so that each can be watched, and so
that there may be no attestors. Everything lives in one folder, made anew.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.chain.local_node import dumped_finality, start_persistent, stop_persistent
from adtally.chain.local_process import free_port
from adtally.chain.node_tools import find_project_root
from adtally.client.log_client import LogClient
from adtally.commands.deploy import DeployOptions, deploy_contracts
from adtally.commands.private_keys import new_key, write_key
from adtally.demo.processes import ChildProcess, adtally_command
from adtally.demo.waiting import wait_for
from adtally.errors import AdtallyError
from adtally.events.signature import address_of

ATTESTORS = ("A", "B", "C")
_START_SECONDS = 90.0


@dataclass(slots=True)
class Site:
    """An async context manager; leaving it stops every process.

    Attributes:
        rules_json: the rules in force.
        settings: further variables of the service.
        has_attestors: without them nothing is anchored or settled.
    """

    directory: Path
    rules_json: bytes
    settings: dict[str, str]
    has_attestors: bool = True
    port: int = 0
    attestors: list[ChildProcess] = field(default_factory=list)
    _service: ChildProcess | None = None
    _deployment: Deployment | None = None
    _chain: Chain | None = None
    _log: LogClient | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Site:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        try:
            await self._build()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def service(self) -> ChildProcess:
        assert self._service is not None, "the site is not entered"
        return self._service

    @property
    def deployment(self) -> Deployment:
        assert self._deployment is not None, "the site is not entered"
        return self._deployment

    @property
    def chain(self) -> Chain:
        assert self._chain is not None, "the site is not entered"
        return self._chain

    @property
    def log(self) -> LogClient:
        assert self._log is not None, "the site is not entered"
        return self._log

    @property
    def data_dir(self) -> Path:
        """Of the service."""
        return self.directory / "service"

    @property
    def deployment_path(self) -> Path:
        return self.data_dir / "deployment.json"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def require_alive(self) -> None:
        """Raises AdtallyError if a process has ended."""
        for process in (self.service, *self.attestors):
            process.require_running()

    async def _build(self) -> None:
        state = self.directory / "chain"
        rpc_url = await asyncio.to_thread(start_persistent, find_project_root(), state, free_port())
        self._stack.push_async_callback(asyncio.to_thread, stop_persistent, state)
        key_files = [self.directory / f"attestor-{name}" / "attestor.key" for name in ATTESTORS]
        keys = [new_key() for _ in ATTESTORS]
        for path, key in zip(key_files, keys, strict=True):
            write_key(path, key)
        self._deployment = await deploy_contracts(
            DeployOptions(
                rpc_url=rpc_url,
                data_dir=self.data_dir,
                deployer_key_file=None,
                attestors=[address_of(key) for key in keys],
                threshold=None,
                finality=dumped_finality(state),
                deposits_bond=True,
            )
        )
        self._chain = Chain(rpc_url, self._deployment.finality)
        self._stack.push_async_callback(self._chain.close)
        await self._start_service(rpc_url)
        if self.has_attestors:
            for path in key_files:
                self.attestors.append(self._start_attestor(path, rpc_url))

    async def _start_service(self, rpc_url: str) -> None:
        self.port = free_port()
        rules = self.data_dir / "rules.json"
        rules.write_bytes(self.rules_json)
        environment = {
            "ADTALLY_DATA_DIR": str(self.data_dir),
            "ADTALLY_RPC_URL": rpc_url,
            "ADTALLY_PORT": str(self.port),
            "ADTALLY_RULES_FILE": str(rules),
            **self.settings,
        }
        self._service = self._start("service", adtally_command("up"), environment)
        self._log = LogClient(self.url)
        self._stack.push_async_callback(self._log.close)
        await wait_for(
            "the service to answer",
            self._answer,
            alive=self._service.require_running,
            patience_seconds=_START_SECONDS,
        )

    async def _answer(self) -> object | None:
        try:
            return await self.log.status()
        except AdtallyError:
            return None

    def _start_attestor(self, key_file: Path, rpc_url: str) -> ChildProcess:
        command = adtally_command(
            "attest",
            *("--service", self.url),
            *("--rpc-url", rpc_url),
            *("--deployment", str(self.deployment_path)),
            *("--key-file", str(key_file)),
            *("--data-dir", str(key_file.parent)),
        )
        return self._start(key_file.parent.name, command, {})

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> ChildProcess:
        process = ChildProcess(name, command, self.directory / f"{name}.log", environment)
        process.start()
        self._stack.push_async_callback(process.stop)
        return process

    async def audit(self, patience_seconds: float) -> Path | None:
        """Run ``adtally audit`` over the whole log; its report, None if it takes too long."""
        path = self.directory / "audit.json"
        command = adtally_command(
            "audit",
            *("--service", self.url),
            *("--rpc-url", self.chain.rpc.url),
            *("--deployment", str(self.deployment_path)),
            *("--json", str(path)),
            *("--cache", str(self.directory / "audit-cache")),
            "--from-scratch",
        )
        process = self._start("audit", command, {})
        deadline = time.monotonic() + patience_seconds
        while process.is_running:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.2)
        if not path.exists():
            raise AdtallyError("the audit did not come to an end", found=process.log_tail())
        return path
