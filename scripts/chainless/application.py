"""The real application on a real log and database; only the chain and its jobs are left out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.api.application import create_application
from adtally.api.service import Service
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.config import Settings
from adtally.events.signature import address_of
from adtally.intake.clock import VirtualClock
from adtally.intake.sequencer import Sequencer
from adtally.jobs.attestations import AttestationDesk
from adtally.kernel.engine import KernelEngine
from adtally.log.checkpoint import NoteSigner
from adtally.log.store import LogStore
from adtally.settlement.machine import FactsEntry, LogMachine
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade

from .facts import (
    CHAIN_ID,
    ESCROW,
    ESCROW_DOMAIN,
    EVENT_LOG,
    IDENTITY,
    MEMBERSHIP,
    NOON_MS,
    RECEIPT_KEY,
    TOKEN,
)

DEPLOYMENT = Deployment(
    chain_id=CHAIN_ID,
    genesis_hash=bytes(32),
    block_number=1,
    access_manager=DeployedContract(b"\x55" * 20, bytes(32)),
    membership=DeployedContract(MEMBERSHIP, bytes(32)),
    event_log=DeployedContract(EVENT_LOG, bytes(32)),
    campaign_escrow=DeployedContract(ESCROW, bytes(32)),
    operator_member=1,
    attestor_set=1,
    threshold=2,
    attestors=(),
    receipt_signer=address_of(RECEIPT_KEY),
    tokens={"USDX": DeployedToken(TOKEN, 6, "USD")},
)


@asynccontextmanager
async def open_application(
    directory: Path,
    facts: Callable[[], Sequence[FactsEntry]],
    machine: LogMachine | None = None,
    *,
    max_body_bytes: int,
) -> AsyncIterator[FastAPI]:
    """The application on the log in ``directory``; a new log begins with ``facts``.

    Args:
        machine: by default a fresh one on the compiled rules. Time stands at ``NOON_MS``.
    """
    clock = VirtualClock(directory / "clock", NOON_MS)
    if machine is None:
        machine = LogMachine(IDENTITY, ESCROW_DOMAIN, engine=KernelEngine)
    sequencer = Sequencer(LogStore.open(directory / "log"), machine, clock, RECEIPT_KEY)
    sequencer.recover()
    sequencer.start()
    if sequencer.store.size == 0:
        await sequencer.enter_facts(lambda _: facts())
    database = Database(f"sqlite+aiosqlite:///{directory / 'control.sqlite3'}")
    await upgrade(database)
    dataset = Dataset(directory / "parquet", DEPLOYMENT.log_origin)
    campaigns = machine.facts.campaigns
    service = Service(
        settings=Settings(data_dir=directory, clock="virtual", max_body_bytes=max_body_bytes),
        deployment=DEPLOYMENT,
        clock=clock,
        sequencer=sequencer,
        database=database,
        desk=AttestationDesk(database, clock),
        note_signer=NoteSigner(DEPLOYMENT.log_origin, bytes(range(32))),
        deriver=Deriver(sequencer.store, dataset, lambda c, p: campaigns[c].orders[p].rates),
    )
    yield create_application(service, with_virtual_clock=True)
    await sequencer.stop()
    await database.close()
