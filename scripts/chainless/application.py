"""The real application on a real log and database; only the chain and its jobs are left out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.api.application import create_application
from adtally.api.service import Service
from adtally.chain.connection import Chain
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.chain.log_proofs import LogProver
from adtally.collector.collector import Collector
from adtally.collector.hits import HitDesk
from adtally.collector.keys import CollectorKeys
from adtally.collector.visitors import DailySalts
from adtally.config import Settings
from adtally.events.signature import address_of
from adtally.evidence.desk import ProofDesk
from adtally.evidence.event_ids import EventIds
from adtally.intake.clock import Clock, VirtualClock
from adtally.intake.recovery import recovered_sequencer
from adtally.intake.sequencer import Sequencer
from adtally.jobs.attestations import AttestationDesk
from adtally.kernel.engine import KernelEngine
from adtally.log.checkpoint import NoteSigner
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import FactsEntry, LogMachine
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade

from .facts import (
    CHAIN_ID,
    COLLECTOR_SECRET,
    ESCROW,
    ESCROW_DOMAIN,
    EVENT_LOG,
    IDENTITY,
    MEMBERSHIP,
    NOON_MS,
    RECEIPT_KEY,
    TOKEN,
)

NO_CHAIN = "http://127.0.0.1:9"
"""Where nobody answers."""

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
    **settings: Any,
) -> AsyncIterator[ASGIApp]:
    """The application of ``open_service``."""
    async with open_service(directory, facts, **settings) as service:
        yield create_application(service, with_virtual_clock=True)


@asynccontextmanager
async def open_service(
    directory: Path,
    facts: Callable[[], Sequence[FactsEntry]],
    **changed: Any,
) -> AsyncIterator[Service]:
    """A service on the log in ``directory``; a new log begins with ``facts``.

    Args:
        changed: settings that are not the default. Time stands at ``NOON_MS``.
    """
    # Tests open many: only what is measured takes memory ahead.
    changed = {"dedupe_ready_bytes": 0, **changed}
    settings = Settings(data_dir=directory, clock="virtual", **changed)
    clock = VirtualClock(directory / "clock", NOON_MS)
    engine = partial(KernelEngine, ready_bytes=settings.dedupe_ready_bytes)
    machine = LogMachine(
        IDENTITY, ESCROW_DOMAIN, engine=engine if settings.engine == "kernel" else PlainEngine
    )
    sequencer = recovered_sequencer(settings.log_folders, machine, clock, RECEIPT_KEY)
    sequencer.start()
    if sequencer.store.size == 0:
        await sequencer.enter_facts(lambda _: facts())
    database = Database(f"sqlite+aiosqlite:///{directory / 'control.sqlite3'}")
    await upgrade(database)
    service = make_service(settings, clock, sequencer, database)
    try:
        yield service
    finally:
        await service.hits.collector.stop()
        await sequencer.stop()
        await database.close()


def make_service(
    settings: Settings, clock: Clock, sequencer: Sequencer, database: Database
) -> Service:
    """The parts that requests meet."""
    machine = sequencer.machine
    campaigns = machine.facts.campaigns
    dataset = Dataset(settings.parquet_dir, DEPLOYMENT.log_origin)
    deriver = Deriver(sequencer.store, dataset, lambda c, p: campaigns[c].orders[p].rates)
    return Service(
        settings=settings,
        deployment=DEPLOYMENT,
        clock=clock,
        sequencer=sequencer,
        database=database,
        desk=AttestationDesk(database, clock, DEPLOYMENT.log_identity),
        note_signer=NoteSigner(DEPLOYMENT.log_origin, bytes(range(32))),
        deriver=deriver,
        proofs=ProofDesk(
            DEPLOYMENT,
            sequencer,
            database,
            EventIds(settings.event_ids_dir, sequencer.store),
            LogProver(Chain(NO_CHAIN)),
            deriver,
        ),
        hits=HitDesk(
            Collector(sequencer, DEPLOYMENT.operator_member, RECEIPT_KEY),
            CollectorKeys(COLLECTOR_SECRET),
            DailySalts(settings.data_dir / "salts", 30),
            clock,
            machine,
            token_lifetime_ms=3_600_000,
        ),
    )
