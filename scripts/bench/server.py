"""The service's own HTTP application, sequencer and log in a process of its own; no chain, no jobs.

python -m scripts.bench.server DIRECTORY ENGINE CPU      prints its port, serves until it is killed
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvicorn
import uvloop

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.api.application import create_application
from adtally.api.hit_protocol import HitProtocol
from adtally.api.service import Service
from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.collector.collector import Collector
from adtally.collector.hits import HitDesk
from adtally.collector.keys import CollectorKeys
from adtally.collector.visitors import DailySalts
from adtally.config import Settings
from adtally.events.signature import address_of
from adtally.intake.clock import VirtualClock
from adtally.intake.garbage import spare_long_lived_objects
from adtally.intake.sequencer import Sequencer
from adtally.jobs.attestations import AttestationDesk
from adtally.kernel.engine import KernelEngine
from adtally.log.checkpoint import NoteSigner
from adtally.log.store import LogStore
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade

from .world import (
    CHAIN_ID,
    COLLECTOR_SECRET,
    ESCROW,
    ESCROW_DOMAIN,
    EVENT_LOG,
    IDENTITY,
    NOW_MS,
    OPERATOR,
    RECEIPT_KEY,
    TOKEN,
    world_facts,
)

DEPLOYMENT = Deployment(
    chain_id=CHAIN_ID,
    genesis_hash=bytes(32),
    block_number=1,
    access_manager=DeployedContract(b"\x55" * 20, bytes(32)),
    membership=DeployedContract(b"\x44" * 20, bytes(32)),
    event_log=DeployedContract(EVENT_LOG, bytes(32)),
    campaign_escrow=DeployedContract(ESCROW, bytes(32)),
    operator_member=OPERATOR,
    attestor_set=1,
    threshold=2,
    attestors=(),
    receipt_signer=address_of(RECEIPT_KEY),
    tokens={"USDX": DeployedToken(TOKEN, 6, "USD")},
)


async def serve(directory: Path, engine: str) -> None:
    """Run the application on a free port."""
    clock = VirtualClock(directory / "clock", NOW_MS)
    machine = LogMachine(
        IDENTITY, ESCROW_DOMAIN, engine=KernelEngine if engine == "kernel" else PlainEngine
    )
    sequencer = Sequencer(LogStore.open(directory / "log"), machine, clock, RECEIPT_KEY)
    sequencer.start()
    await sequencer.enter_facts(lambda _: world_facts())
    database = Database(f"sqlite+aiosqlite:///{directory / 'control.sqlite3'}")
    await upgrade(database)
    campaigns = machine.facts.campaigns
    service = Service(
        settings=Settings(
            data_dir=directory, clock="virtual", max_body_bytes=2**24, trusted_proxies=1
        ),
        deployment=DEPLOYMENT,
        clock=clock,
        sequencer=sequencer,
        database=database,
        desk=AttestationDesk(database, clock),
        note_signer=NoteSigner(DEPLOYMENT.log_origin, bytes(range(32))),
        deriver=Deriver(
            sequencer.store,
            Dataset(directory / "parquet", DEPLOYMENT.log_origin),
            lambda campaign, publisher: campaigns[campaign].orders[publisher].rates,
        ),
        hits=HitDesk(
            Collector(sequencer, OPERATOR, RECEIPT_KEY),
            CollectorKeys(COLLECTOR_SECRET),
            DailySalts(directory / "salts", 30),
            clock,
            machine,
            token_lifetime_ms=3_600_000,
        ),
    )
    application = create_application(service, with_virtual_clock=True)
    config = uvicorn.Config(
        application,
        port=0,
        access_log=False,
        log_level="error",
        lifespan="off",
        http=HitProtocol,
        proxy_headers=False,
    )
    spare_long_lived_objects()
    listening = config.bind_socket()
    listening.listen()
    print(listening.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2]))
