"""``adtally finish``: what the operator owed its members, done by attestors without it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from adtally.attestor.finish import Finish, Left, Pass
from adtally.attestor.process import AttestorSettings, running_attestor
from adtally.attestor.sources import LogSource
from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.chain.local_process import free_port
from adtally.chain.wallet import Wallet
from adtally.client.transport import RetryPolicy
from adtally.commands.attest import KeyOptions, open_signer, read_key_file, serve_site
from adtally.errors import InvalidInput

_MAX_PASSES = 50
_REST_SECONDS = 1.0
_PATIENCE = RetryPolicy(deadline_seconds=0.0, request_timeout_seconds=120.0)
_LOCAL_GONE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class FinishOptions:
    """Where the stores are, and who pays for gas.

    ``data_dir`` and ``key`` name an attestor's own store, to be opened here because no process of
    its own runs; None where it runs and is one of the peers.
    """

    rpc_url: str
    deployment: Path
    peers: tuple[str, ...]
    account_key_file: Path
    account_passphrase_file: Path | None
    wait: bool
    data_dir: Path | None = None
    key: KeyOptions | None = None


async def finish(options: FinishOptions, console: Console) -> bool:
    """Do all that can be done; returns whether every earned unit is paid.

    Raises:
        InvalidInput: no store was named.
        ForeignChain: the node serves another chain.
    """
    deployment = Deployment.load(options.deployment)
    key = read_key_file(options.account_key_file, options.account_passphrase_file)
    async with AsyncExitStack() as stack:
        chain = Chain(options.rpc_url, deployment.finality)
        stack.push_async_callback(chain.close)
        await deployment.check(chain)
        urls = list(options.peers)
        if options.data_dir is not None:
            urls.append(await _open_own_store(options, deployment, stack))
        if not urls:
            raise InvalidInput(
                "no attestor's store is named",
                field="peer",
                expected="--peer URL of an attestor that serves, or --data-dir with its key",
            )
        sources = [LogSource(url, _PATIENCE) for url in urls]
        for source in sources:
            stack.push_async_callback(source.close)
        work = Finish(
            deployment,
            Wallet(chain, key),
            sources,
            lambda line: console.print(line, highlight=False),
        )
        outcome = await _until_done(work, wait=options.wait)
    show_left(outcome, console)
    return outcome.is_finished


async def _until_done(work: Finish, *, wait: bool) -> Pass:
    """Passes until one does nothing; with ``wait`` until nothing is left."""
    passes = 0
    while True:
        outcome = await work.run_pass()
        passes += 1
        if not outcome.done and (outcome.is_finished or not wait):
            return outcome
        if not wait and passes >= _MAX_PASSES:
            return outcome
        if not outcome.done:
            await asyncio.sleep(_REST_SECONDS)


async def _open_own_store(
    options: FinishOptions, deployment: Deployment, stack: AsyncExitStack
) -> str:
    """Run the attestor whose store it is in this process, and serve it to ourselves."""
    assert options.data_dir is not None
    if options.key is None:
        raise InvalidInput("an own store needs its key", field="key", expected="--key-file")
    signer = await stack.enter_async_context(open_signer(options.key))
    settings = AttestorSettings(
        # Nobody listens there: the operator is gone, that is why this runs.
        service="http://127.0.0.1:9",
        rpc_url=options.rpc_url,
        deployment=deployment,
        data_dir=options.data_dir,
        peers=options.peers,
        gone_after_seconds=_LOCAL_GONE_SECONDS,
    )
    running = await stack.enter_async_context(running_attestor(settings, signer))
    place = f"127.0.0.1:{free_port()}"
    tasks: list[asyncio.Future[None]] = [
        asyncio.ensure_future(running.rounds.run(_REST_SECONDS)),
        asyncio.ensure_future(serve_site(running.site, place)),
    ]
    stack.push_async_callback(_stop, tasks)
    await asyncio.sleep(_LOCAL_GONE_SECONDS + _REST_SECONDS)
    return f"http://{place}"


async def _stop(tasks: list[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def show_left(outcome: Pass, console: Console) -> None:
    """What is left, from when, and until when."""
    if outcome.left:
        table = Table("campaign", "left", "from", "before", box=box.SIMPLE_HEAD)
        for each in outcome.left:
            table.add_row(
                str(each.campaign) if each.campaign else "all",
                each.what,
                _moment(each, each.from_seconds),
                _moment(each, each.until_seconds),
            )
        console.print(table)
    if outcome.is_finished:
        console.print("[bold green]every earned unit is paid[/bold green]")
    else:
        console.print("[bold yellow]not finished: run it again[/bold yellow]")


def _moment(left: Left, seconds: int | None) -> str:
    if seconds is None:
        return "-"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
