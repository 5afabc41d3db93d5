"""Puts one attestor together, and takes it apart again: store, machine, key, peers, site."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adtally.attestation.answers import AnswerBook, Domains
from adtally.attestation.signing_record import SigningRecord
from adtally.attestor.attesting import Attesting
from adtally.attestor.chain_book import ChainBook
from adtally.attestor.cosigning import Cosigning
from adtally.attestor.facts_desk import FactsDesk
from adtally.attestor.follower import LogFollower
from adtally.attestor.ladder import MachineLadder
from adtally.attestor.log_copy import LogCopy
from adtally.attestor.machine_hub import MachineHub
from adtally.attestor.peers import Peers
from adtally.attestor.read_auth import AttestorReadAuth
from adtally.attestor.recall import Recall
from adtally.attestor.rounds import Rounds
from adtally.attestor.signers import AttestorSigner
from adtally.attestor.signing import SigningDesk
from adtally.attestor.site import AttestorSite
from adtally.attestor.sources import LogSource, SourceFailed
from adtally.attestor.statement_store import StatementStore
from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.chain.files import write_atomically
from adtally.errors import AdtallyError, Conflict, ForeignChain, InvalidInput, NotAllowed
from adtally.events.facts import ContractCode
from adtally.log.checkpoint import NoteVerifier
from adtally.log.files import OsFiles

logger = logging.getLogger(__name__)

SNAPSHOT_AT_STOP_ENTRIES = 2_000
_ASK_SECONDS = 1.0
_HEARD = "operator-heard"
"""An empty file, as old as the operator's last answer: a restart must not make it young again."""


@dataclass(frozen=True, slots=True)
class AttestorSettings:
    """What one attestor is started with.

    Attributes:
        service: address of the operator's service.
        peers: addresses of other attestors' stores.
        data_dir: its own store; nobody else writes there.
        note_verifier: the log's checkpoint key; None takes the one that the service names at the
            first start, and keeps to it.
        gone_after_seconds: without an answer of the service for so long, it counts as gone.
        snapshot_every_entries: a start replays at most about so much of the store.
    """

    service: str
    rpc_url: str
    deployment: Deployment
    data_dir: Path
    peers: Sequence[str] = ()
    note_verifier: str | None = None
    gone_after_seconds: float = 86_400.0
    snapshot_every_entries: int = 250_000


@dataclass(frozen=True, slots=True)
class RunningAttestor:
    """An attestor ready for its rounds."""

    rounds: Rounds
    site: AttestorSite
    attesting: Attesting
    recall: Recall


@asynccontextmanager
async def running_attestor(
    settings: AttestorSettings, signer: AttestorSigner
) -> AsyncIterator[RunningAttestor]:
    """Open the store and everything around it.

    Raises:
        NotAllowed: the key is not of the deployment's attestor set.
        Conflict: another process works in the folder, or this key has signed two things.
        ForeignChain: the node serves another chain, or the folder holds another log.
        StorageCorrupt, StorageFailed: the store can't be used.
    """
    deployment = settings.deployment
    _require_member(deployment, signer)
    async with AsyncExitStack() as stack:
        _lock_folder(settings.data_dir, stack)
        chain = Chain(settings.rpc_url, deployment.finality)
        stack.push_async_callback(chain.close)
        await deployment.check(chain)
        auth = AttestorReadAuth(deployment.log_identity, signer)
        operator = LogSource(settings.service, auth=auth)
        stack.push_async_callback(operator.close)
        domains = Domains(deployment.log_identity, deployment.campaign_escrow.address)
        peers = Peers(settings.peers, domains)
        stack.push_async_callback(peers.close)
        verifier = await _pinned_verifier(settings, [operator, *peers.sources])
        follower = await _open_follower(settings, chain, verifier, stack)
        record = SigningRecord(settings.data_dir / "signed.jsonl")
        stack.callback(record.close)
        if record.conflict is not None:
            raise _conflict(record.conflict)
        book = AnswerBook(settings.data_dir / "answers.jsonl", domains)
        stack.callback(book.close)
        chain_book = ChainBook(chain, deployment, settings.data_dir / "chain.jsonl")
        stack.callback(chain_book.close)
        attesting = Attesting(
            follower,
            chain_book,
            SigningDesk(signer, record, book, domains, peers),
            StatementStore(settings.data_dir / "statements", deployment.escrow_domain),
            gone_after_seconds=settings.gone_after_seconds,
            silent_seconds=_silent_seconds(settings.data_dir / _HEARD),
            on_heard=(settings.data_dir / _HEARD).touch,
        )
        recall = Recall(record, book, domains, signer.address, chain_book, operator, peers.sources)
        cosigning = Cosigning(
            settings.data_dir, signer, record, domains, deployment.log_origin, operator
        )
        rounds = Rounds(attesting, recall, operator, peers.sources, deployment.attestors, cosigning)
        document = deployment.to_json() | {"note_verifier": str(verifier)}
        site = AttestorSite(attesting, rounds, document, deployment.attestors, settings.data_dir)
        yield RunningAttestor(rounds, site, attesting, recall)
        if follower.ladder.head.size - follower.ladder.snapshot_size >= SNAPSHOT_AT_STOP_ENTRIES:
            try:
                await follower.ladder.snapshot()
            except (AdtallyError, OSError) as error:
                logger.warning("no snapshot at the stop, the next start replays more: %s", error)


async def _open_follower(
    settings: AttestorSettings, chain: Chain, verifier: NoteVerifier, stack: AsyncExitStack
) -> LogFollower:
    deployment, folder = settings.deployment, settings.data_dir
    copy = await asyncio.to_thread(LogCopy, folder)
    stack.callback(copy.close)
    hub = await stack.enter_async_context(MachineHub())
    ladder = MachineLadder(
        hub,
        copy,
        folder / "snapshots",
        deployment.log_identity,
        deployment.escrow_domain,
        snapshot_every_entries=settings.snapshot_every_entries,
    )
    await ladder.open()
    logger.info("%d entries stored, %d of them replayed from the store", copy.size, ladder.replayed)
    contracts = {
        deployment.membership.address: ContractCode.MEMBERSHIP,
        deployment.campaign_escrow.address: ContractCode.CAMPAIGN_ESCROW,
    }
    facts = FactsDesk(chain, contracts, deployment.block_number)
    return LogFollower(copy, ladder, facts, folder, verifier, deployment.log_origin)


def _require_member(deployment: Deployment, signer: AttestorSigner) -> None:
    if signer.address not in deployment.attestors:
        raise NotAllowed(
            "this key belongs to none of the deployment's attestors",
            field="key",
            expected=", ".join(f"0x{each.hex()}" for each in deployment.attestors),
            found=f"0x{signer.address.hex()}",
            action="use the key whose address was named at deployment",
        )


def _lock_folder(folder: Path, stack: AsyncExitStack) -> None:
    lock_file(folder / "lock", stack)


def lock_file(path: Path, stack: AsyncExitStack) -> None:
    """Hold an exclusive lock until the stack ends; raises Conflict where another process does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = OsFiles().lock(path)
    if descriptor is None:
        raise Conflict(
            "another attestor works with this folder or key",
            field=str(path),
            expected="one process",
            found="the file is locked",
            action="stop the other one first; one key must never sign in two places",
        )
    stack.callback(os.close, descriptor)


async def _pinned_verifier(
    settings: AttestorSettings, sources: Sequence[LogSource]
) -> NoteVerifier:
    """The log's checkpoint key: as given, as kept, or as named by whoever answers first."""
    path = settings.data_dir / "log.json"
    kept: dict[str, Any] = {}
    if path.exists():
        try:
            kept = json.loads(path.read_text())
        except ValueError:
            raise InvalidInput("the file is damaged", field=str(path), action="delete it") from None
    origin = settings.deployment.log_origin
    if kept.get("log_origin", origin) != origin:
        raise ForeignChain(
            "the folder holds another log",
            field=str(path),
            expected=origin,
            found=str(kept["log_origin"]),
            action="give every log a folder of its own",
        )
    text = settings.note_verifier or kept.get("note_verifier")
    while text is None:
        for source in sources:
            try:
                text = await source.note_verifier()
                break
            except SourceFailed as error:
                logger.warning("waiting for somebody to name the checkpoint key: %s", error)
        else:
            await asyncio.sleep(_ASK_SECONDS)
    verifier = NoteVerifier.parse(str(text))
    document = {"log_origin": origin, "note_verifier": str(verifier)}
    if document != kept:
        write_atomically(path, (json.dumps(document, indent=2) + "\n").encode())
    return verifier


def _silent_seconds(path: Path) -> float:
    return max(time.time() - path.stat().st_mtime, 0.0) if path.exists() else 0.0


def _conflict(found: str) -> Conflict:
    return Conflict(
        "this key has signed two different things under one name; nothing is signed any more",
        field="signed.jsonl",
        found=found,
        action="retire the key: k attestors name the set's next version without it",
    )
