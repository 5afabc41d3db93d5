"""``adtally up``: the service, and with ``--local-chain`` everything it needs around it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from adtally.app import serve
from adtally.chain.local_node import dumped_finality, start_persistent, stop_persistent
from adtally.chain.local_process import HOST, free_port, is_free
from adtally.chain.node_tools import find_project_root
from adtally.commands.deploy import DeployOptions, deploy_contracts, show_deployment
from adtally.commands.private_keys import new_key, read_key, write_key
from adtally.config import Settings
from adtally.demo.processes import ChildProcess, adtally_command
from adtally.events.signature import address_of

ATTESTORS = ("A", "B", "C")
_CHAIN = "chain"


def up(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    start_logging()
    serve(settings)


def up_local(settings: Settings, console: Console) -> None:
    """A local chain that keeps its state, contracts, three attestors, and the service.

    For trying things out: whoever runs all attestors proves nothing to anybody. The chain is a
    process of its own and goes on when this one ends; the next start finds it again.
    """
    start_logging()
    data_dir = settings.data_dir
    state = data_dir / _CHAIN
    port = urlsplit(settings.rpc_url).port or 8545
    rpc_url = start_persistent(find_project_root(), state, port)
    key_files = [data_dir / "attestors" / name / "attestor.key" for name in ATTESTORS]
    for path in key_files:
        if not path.exists():
            write_key(path, new_key())
    if not settings.deployment_path.exists():
        console.print("first start: compiling and deploying the contracts")
        options = DeployOptions(
            rpc_url=rpc_url,
            data_dir=data_dir,
            deployer_key_file=None,
            attestors=[address_of(read_key(path)) for path in key_files],
            threshold=None,
            finality=dumped_finality(state),
            deposits_bond=True,
        )
        deployment = asyncio.run(deploy_contracts(options))
        show_deployment(deployment, data_dir, console)
    sites = [f"{HOST}:{_port(settings.port + at)}" for at in range(1, 1 + len(key_files))]
    attestors = [
        _attestor(settings, rpc_url, path, site, sites)
        for path, site in zip(key_files, sites, strict=True)
    ]
    for attestor in attestors:
        attestor.start()
    console.print(
        f"service: http://{settings.host}:{settings.port}/docs   chain: {rpc_url}   "
        f"attestors: {', '.join(f'http://{site}' for site in sites)}   logs: {data_dir}/*.log",
        highlight=False,
    )
    try:
        serve(settings.model_copy(update={"rpc_url": rpc_url}))
    finally:
        asyncio.run(_stop(attestors))


def stop_local(settings: Settings, console: Console) -> None:
    """End the chain that ``up_local`` leaves running; its state stays for the next start.

    Raises:
        ChainUnavailable: it does not end in time.
    """
    state = settings.data_dir / _CHAIN
    if stop_persistent(state):
        console.print(f"the local chain has ended, its state is kept in {state}", highlight=False)
    else:
        console.print(f"no supervisor of a local chain runs on {state}", highlight=False)


def _port(wanted: int) -> int:
    """The port, or another one where somebody listens on it."""
    return wanted if is_free(wanted) else free_port()


def _attestor(
    settings: Settings, rpc_url: str, key_file: Path, site: str, sites: Sequence[str]
) -> ChildProcess:
    folder = key_file.parent
    command = adtally_command(
        "attest",
        *("--service", f"http://{settings.host}:{settings.port}"),
        *("--rpc-url", rpc_url),
        *("--deployment", str(settings.deployment_path)),
        *("--key-file", str(key_file)),
        *("--data-dir", str(folder)),
        *("--serve", site),
        *("--parent", str(os.getpid())),
    )
    for other in sites:
        if other != site:
            command += ["--peer", f"http://{other}"]
    name = folder.name
    return ChildProcess(f"attestor {name}", command, settings.data_dir / f"attestor-{name}.log")


async def _stop(attestors: list[ChildProcess]) -> None:
    await asyncio.gather(*(attestor.stop() for attestor in attestors))


def start_logging() -> None:
    """Own messages to stderr, one line each; libraries only when something is wrong."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("adtally").setLevel(logging.INFO)
