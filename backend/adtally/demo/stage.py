"""The stage: a fresh chain, the contracts, the service and three attestors, as processes.

Everything lives under one folder and is removed at the start, so that the demo can be played
again and again. Leaving the stage stops every process, whatever happened on it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from eth_utils import keccak

from adtally.chain.accounts import local_account
from adtally.chain.compile import compile_contracts
from adtally.chain.connection import Chain
from adtally.chain.deploy import MemberKeys, deploy
from adtally.chain.deployment import Deployment
from adtally.chain.local_node import dumped_finality, start_persistent, stop_persistent
from adtally.chain.local_process import LocalNode, free_port, start_hardhat
from adtally.chain.node_tools import find_project_root
from adtally.client.fields import Fields
from adtally.client.log_client import LogClient
from adtally.client.transport import RetryPolicy
from adtally.demo.bonding import deposit_bond
from adtally.demo.local_time import LocalTime, give_ether, set_chain_time
from adtally.demo.processes import ChildProcess, adtally_command
from adtally.demo.waiting import wait_for, wait_until_final
from adtally.errors import AdtallyError
from adtally.events.signature import address_of
from adtally.intake.keys import OperatorKeys

ATTESTORS = ("A", "B", "C")
THRESHOLD = 2
_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class StageSettings:
    """How the service on the stage runs; virtual seconds unless said otherwise.

    Attributes:
        keep: what an earlier run left is gone on with, on a chain that keeps its state.
        job_tick_seconds: real time between two looks of each job.
        patience_seconds: real time that the driver waits for a service that is away.
        gone_after_seconds: real time without the service after which attestors may finish.
    """

    rules_json: bytes
    keep: bool = False
    fx_json: bytes = b"[]"
    anchor_every_entries: int = 100_000
    anchor_every_seconds: int = 3_600
    job_tick_seconds: float = 0.1
    attest_interval_seconds: float = 0.2
    patience_seconds: float = 90.0
    gone_after_seconds: float = 86_400.0


@dataclass(slots=True)
class Stage:
    """An async context manager; ``build`` brings everything up to the service.

    Attributes:
        directory: everything is written under it; ours in it are removed at the start.
    """

    directory: Path
    settings: StageSettings
    service_url: str = ""
    attestors: dict[str, ChildProcess] = field(default_factory=dict)
    attestor_urls: dict[str, str] = field(default_factory=dict)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _processes: list[ChildProcess] = field(default_factory=list)
    _node: LocalNode | None = None
    _chain: Chain | None = None
    _deployment: Deployment | None = None
    _service: ChildProcess | None = None
    _log: LogClient | None = None

    async def __aenter__(self) -> Stage:
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self.settings.keep:
            clear(self.directory)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.gather(*(process.stop() for process in self._processes))
        await self._stack.aclose()

    # What stands on it -------------------------------------------------------------------------

    @property
    def chain(self) -> Chain:
        assert self._chain is not None, "the stage is not built"
        return self._chain

    @property
    def deployment(self) -> Deployment:
        assert self._deployment is not None, "the stage is not built"
        return self._deployment

    @property
    def service(self) -> ChildProcess:
        assert self._service is not None, "the service is not started"
        return self._service

    @property
    def log(self) -> LogClient:
        assert self._log is not None, "the service is not started"
        return self._log

    @property
    def registrar_key(self) -> bytes:
        """The deployer's key: registrar, and minter of mock dollars."""
        return local_account(0).private_key

    @property
    def deployment_path(self) -> Path:
        return self.directory / "deployment.json"

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(deadline_seconds=self.settings.patience_seconds)

    def require_alive(self) -> None:
        """Raises AdtallyError if a process that should run has ended."""
        if self._node is not None and self._node.process.poll() is not None:
            raise AdtallyError(
                "the chain's process ended by itself", action=f"read {self._node.log_path}"
            )
        self.service.require_running()
        for attestor in self.attestors.values():
            attestor.require_running()

    # Building it -------------------------------------------------------------------------------

    async def start_chain(self) -> None:
        """Start the local chain, fresh or where it was; returns once it answers."""
        root = find_project_root()
        if self.settings.keep:
            state = self.directory / "chain"
            url = await asyncio.to_thread(start_persistent, root, state, self._kept_port())
            self._stack.push_async_callback(asyncio.to_thread, stop_persistent, state)
            self._chain = Chain(url, dumped_finality(state))
        else:
            log_path = self.directory / "chain.log"
            self._node = await asyncio.to_thread(start_hardhat, root, log_path)
            self._stack.push_async_callback(asyncio.to_thread, self._node.stop)
            self._chain = Chain(self._node.url)
        self._stack.push_async_callback(self._chain.close)

    def _kept_port(self) -> int:
        path = self.directory / "chain.port"
        if not path.exists():
            path.write_text(str(free_port()))
        return int(path.read_text())

    async def deploy(self, now_seconds: int) -> None:
        """Compile, set the chain's time, deploy, and write deployment file and keys; nothing of
        it where that was done by an earlier run.
        """
        if self.deployment_path.exists():
            self._deployment = Deployment.load(self.deployment_path)
            await self._deployment.check(self.chain)
            return
        artifacts = await asyncio.to_thread(compile_contracts, find_project_root())
        await set_chain_time(self.chain, now_seconds)
        keys = OperatorKeys.load_or_create(self.directory / "service" / "keys")
        account = address_of(keys.transaction)
        await give_ether(self.chain, account, 10**21)
        self._deployment = await deploy(
            self.chain,
            artifacts,
            deployer_key=self.registrar_key,
            operator=MemberKeys(account, address_of(keys.receipt)),
            attestors=[address_of(attestor_key(name)) for name in ATTESTORS],
            threshold=THRESHOLD,
        )
        await deposit_bond(self.chain, self._deployment, keys.transaction)
        await wait_until_final(self.chain)
        self._deployment.save(self.deployment_path)

    async def start_service(self, now_ms: int) -> LocalTime:
        """Start service and attestors; returns the time that both clocks obey."""
        port = free_port()
        self.service_url = f"http://127.0.0.1:{port}"
        folder = self.directory / "service"
        (folder / "rules.json").write_bytes(self.settings.rules_json)
        (folder / "fx.json").write_bytes(self.settings.fx_json)
        self._service = ChildProcess(
            "service",
            adtally_command("up"),
            self.directory / "service.log",
            self._service_environment(port, folder, now_ms),
        )
        self._start(self._service)
        self._log = LogClient(self.service_url, self.retry)
        self._stack.push_async_callback(self._log.close)
        status = await wait_for(
            "the service to answer",
            self.log.status,
            alive=self._service.require_running,
            patience_seconds=_START_SECONDS,
        )
        self.attestor_urls = {name: f"http://127.0.0.1:{free_port()}" for name in ATTESTORS}
        for name in ATTESTORS:
            self.attestors[name] = self._attestor(name)
            self._start(self.attestors[name])
        return LocalTime(self.chain, self._log, Fields(status, "status").integer("now_ms"))

    def _start(self, process: ChildProcess) -> None:
        self._processes.append(process)
        process.start()

    def _service_environment(self, port: int, folder: Path, now_ms: int) -> Mapping[str, str]:
        settings = self.settings
        return {
            "ADTALLY_DATA_DIR": str(folder),
            "ADTALLY_DEPLOYMENT": str(self.deployment_path),
            "ADTALLY_RPC_URL": self.chain.rpc.url,
            "ADTALLY_PORT": str(port),
            "ADTALLY_CLOCK": "virtual",
            "ADTALLY_VIRTUAL_START_MS": str(now_ms),
            "ADTALLY_RULES_FILE": str(folder / "rules.json"),
            "ADTALLY_FX_FILE": str(folder / "fx.json"),
            "ADTALLY_ANCHOR_EVERY_ENTRIES": str(settings.anchor_every_entries),
            "ADTALLY_ANCHOR_EVERY_SECONDS": str(settings.anchor_every_seconds),
            "ADTALLY_JOB_TICK_SECONDS": str(settings.job_tick_seconds),
        }

    def _attestor(self, name: str) -> ChildProcess:
        folder = self.directory / f"attestor-{name}"
        folder.mkdir(exist_ok=True)
        key_file = folder / "attestor.key"
        key_file.touch(mode=0o600)
        key_file.write_text(attestor_key(name).hex() + "\n")
        command = adtally_command(
            "attest",
            *("--service", self.service_url),
            *("--rpc-url", self.chain.rpc.url),
            *("--deployment", str(self.deployment_path)),
            *("--key-file", str(key_file)),
            *("--data-dir", str(folder)),
            *("--interval", str(self.settings.attest_interval_seconds)),
            *("--serve", self.attestor_urls[name].removeprefix("http://")),
            *("--gone-after", str(self.settings.gone_after_seconds)),
        )
        for other, url in self.attestor_urls.items():
            if other != name:
                command += ["--peer", url]
        return ChildProcess(f"attestor {name}", command, self.directory / f"attestor-{name}.log")


def attestor_key(name: str) -> bytes:
    """An attestor's key, derived from its name: local chains only."""
    return keccak(f"adtally demo attestor {name}".encode())


def clear(directory: Path) -> None:
    """Remove from the folder what an earlier run left, nothing else."""
    for path in directory.iterdir():
        if path.is_dir() and (path.name == "service" or path.name.startswith("attestor-")):
            shutil.rmtree(path)
        elif path.suffix == ".log" or path.name in ("deployment.json", "report.json", "audit.json"):
            path.unlink()
