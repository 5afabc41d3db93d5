"""The real application on a real log and database; only the chain and its jobs are left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.api.application import create_application
from adtally.api.service import Service
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.collector.collector import Collector
from adtally.collector.hits import HitDesk
from adtally.collector.keys import CollectorKeys
from adtally.collector.visitors import DailySalts
from adtally.config import Settings
from adtally.events.signature import address_of
from adtally.intake.clock import VirtualClock
from adtally.intake.sequencer import Sequencer
from adtally.jobs.attestations import AttestationDesk
from adtally.kernel.engine import KernelEngine
from adtally.log.checkpoint import NoteSigner
from adtally.log.store import LogStore
from adtally.settlement.machine import LogMachine
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade
from support.world import (
    CHAIN_ID,
    ESCROW,
    ESCROW_DOMAIN,
    EVENT_LOG,
    IDENTITY,
    NOON_MS,
    OPERATOR,
    RECEIPT_KEY,
    TOKEN,
    World,
)

DEPLOYMENT = Deployment(
    chain_id=CHAIN_ID,
    genesis_hash=bytes(32),
    block_number=1,
    access_manager=DeployedContract(b"\x55" * 20, bytes(32)),
    membership=DeployedContract(b"\x44" * 20, bytes(32)),
    event_log=DeployedContract(EVENT_LOG, bytes(32)),
    campaign_escrow=DeployedContract(ESCROW, bytes(32)),
    operator_member=1,
    attestor_set=1,
    threshold=2,
    attestors=(),
    receipt_signer=address_of(RECEIPT_KEY),
    tokens={"USDX": DeployedToken(TOKEN, 6, "USD")},
)


def hit_desk(sequencer: Sequencer, clock: VirtualClock, directory: Path) -> HitDesk:
    """The operator of the world takes single hits, as in the service."""
    return HitDesk(
        Collector(sequencer, OPERATOR, RECEIPT_KEY),
        CollectorKeys.load_or_create(directory / "keys" / "collector.key"),
        DailySalts(directory / "salts", 30),
        clock,
        sequencer.machine,
        3_600_000,
    )


@asynccontextmanager
async def running_application(directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose log holds the world's facts."""
    async with running_service(directory) as service:
        app = create_application(service, with_virtual_clock=True)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


@asynccontextmanager
async def running_service(directory: Path, **settings: Any) -> AsyncIterator[Service]:
    """The parts behind such an application; ``settings`` replace single ones."""
    clock = VirtualClock(directory / "clock", NOON_MS)
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, engine=KernelEngine)
    sequencer = Sequencer(LogStore.open(directory / "log"), machine, clock, RECEIPT_KEY)
    sequencer.recover()
    sequencer.start()
    if sequencer.store.size == 0:
        await sequencer.enter_facts(lambda _: World().facts())
    database = Database(f"sqlite+aiosqlite:///{directory / 'control.sqlite3'}")
    await upgrade(database)
    dataset = Dataset(directory / "parquet", DEPLOYMENT.log_origin)
    campaigns = machine.facts.campaigns
    service = Service(
        settings=Settings(
            **({"data_dir": directory, "clock": "virtual", "max_body_bytes": 200_000} | settings)
        ),
        deployment=DEPLOYMENT,
        clock=clock,
        sequencer=sequencer,
        database=database,
        desk=AttestationDesk(database, clock),
        note_signer=NoteSigner(DEPLOYMENT.log_origin, bytes(range(32))),
        deriver=Deriver(sequencer.store, dataset, lambda c, p: campaigns[c].orders[p].rates),
        hits=hit_desk(sequencer, clock, directory),
    )
    try:
        yield service
    finally:
        await service.hits.collector.stop()
        await sequencer.stop()
        await database.close()
