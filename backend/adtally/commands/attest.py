"""``adtally attest``: one attestor at work, from public data and its own view of the chain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from rich.console import Console

from adtally.attestor.keystore import (
    decrypt_keystore,
    is_keystore,
    read_passphrase,
    require_private,
    write_keystore,
)
from adtally.attestor.process import AttestorSettings, lock_file, running_attestor
from adtally.attestor.signers import AttestorSigner, KeySigner, external_signer
from adtally.attestor.site import AttestorSite, create_site
from adtally.chain.deployment import Deployment
from adtally.commands.private_keys import new_key, read_key
from adtally.errors import Conflict, InvalidInput
from adtally.events.signature import address_of

logger = logging.getLogger(__name__)

_PARENT_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """Where an attestor's signatures come from: a key file, or an external signer and an address.

    ``key_file`` is an encrypted keystore, or for demos a raw key with mode 0600.
    """

    key_file: Path | None
    passphrase_file: Path | None = None
    signer: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class AttestOptions:
    """Where an attestor gets its data, and where it keeps what it signed.

    ``serve`` is host and port of its own site. ``parent`` is the pid of the starting process, with
    which this one is to end.
    """

    service: str
    rpc_url: str
    deployment: Path
    key: KeyOptions
    data_dir: Path
    interval_seconds: float
    peers: tuple[str, ...] = ()
    serve: str | None = None
    note_verifier: str | None = None
    gone_after_seconds: float = 86_400.0
    parent: int | None = None


def create_key(path: Path, passphrase_file: Path | None, console: Console) -> None:
    """Make an attestor's key, encrypted, and tell its address, which the deployment names."""
    key = new_key()
    write_keystore(path, key, read_passphrase(passphrase_file, confirm=True))
    console.print(f"0x{address_of(key).hex()}")


@asynccontextmanager
async def open_signer(options: KeyOptions) -> AsyncIterator[AttestorSigner]:
    """The signer that the options name.

    Raises:
        InvalidInput: they name none, or two.
        NotAllowed: the passphrase is wrong, or others can read a raw key.
        Conflict: another process uses the key file.
    """
    if (options.signer is None) == (options.key_file is None):
        raise InvalidInput(
            "name one of a key file and an external signer",
            expected="--key-file, or --signer with --address",
            found="both" if options.signer is not None else "neither",
        )
    async with AsyncExitStack() as stack:
        if options.signer is not None:
            signer = external_signer(options.signer, _address(options.address))
        else:
            assert options.key_file is not None
            signer = KeySigner(read_key_file(options.key_file, options.passphrase_file))
            lock_file(options.key_file.with_name(f".{options.key_file.name}.lock"), stack)
        stack.push_async_callback(signer.close)
        yield signer


def read_key_file(path: Path, passphrase_file: Path | None) -> bytes:
    """The key in an encrypted keystore, or in a raw key file that nobody else can read."""
    if is_keystore(path):
        return decrypt_keystore(path, read_passphrase(passphrase_file))
    key = read_key(path)
    require_private(path)
    logger.warning("%s holds a key in the clear: for demos and tests only", path)
    return key


def _address(text: str | None) -> bytes:
    try:
        address = bytes.fromhex((text or "").removeprefix("0x"))
    except ValueError:
        address = b""
    if len(address) != 20:
        raise InvalidInput(
            "an external signer needs the attestor's address",
            field="address",
            expected="--address 0x... (20 bytes)",
            found=text,
        )
    return address


async def attest(options: AttestOptions) -> None:
    """Attest, and serve what is stored, until cancelled.

    Raises:
        NotAllowed: the key is not of the deployment's attestor set.
        ForeignChain: the node serves another chain.
        Conflict: this key has signed two different things under one name, or works elsewhere.
    """
    settings = AttestorSettings(
        service=options.service,
        rpc_url=options.rpc_url,
        deployment=Deployment.load(options.deployment),
        data_dir=options.data_dir,
        peers=options.peers,
        note_verifier=options.note_verifier,
        gone_after_seconds=options.gone_after_seconds,
    )
    async with open_signer(options.key) as signer:
        logger.info("attesting as 0x%s", signer.address.hex())
        work = asyncio.ensure_future(_work(settings, signer, options))
        await (work if options.parent is None else _until_orphaned(work, options.parent))


async def _work(settings: AttestorSettings, signer: AttestorSigner, options: AttestOptions) -> None:
    async with running_attestor(settings, signer) as running:
        tasks = [asyncio.ensure_future(running.rounds.run(options.interval_seconds))]
        if options.serve is not None:
            tasks.append(asyncio.ensure_future(serve_site(running.site, options.serve)))
        try:
            # Neither ends by itself: what ends has failed, and the other must not go on alone.
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


class _Server(uvicorn.Server):
    """Leaves signals to the command."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_site(site: AttestorSite, place: str) -> None:
    """Serve at HOST:PORT until cancelled; raises Conflict where that can't be had."""
    host, _, port = place.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise InvalidInput("no place to serve at", field="serve", expected="HOST:PORT", found=place)
    try:
        listening = socket.create_server((host.strip("[]"), int(port)))
    except OSError as error:
        raise Conflict(
            "the attestor's site can't be opened there",
            field="serve",
            expected="a free port of this machine",
            found=f"{place}: {error}",
        ) from None
    config = uvicorn.Config(
        create_site(site), access_log=False, log_level="warning", lifespan="off"
    )
    try:
        await _Server(config).serve(sockets=[listening])
    finally:
        listening.close()


async def _until_orphaned(task: asyncio.Future[None], parent: int) -> None:
    """Work until the process ``parent`` that started this one has gone, however it went."""
    while not task.done() and os.getppid() == parent:
        await asyncio.wait([task], timeout=_PARENT_POLL_SECONDS)
    if not task.done():
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
