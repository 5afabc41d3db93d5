"""Puts one service together: storage, log, chain, jobs, HTTP.

Order of the start: bind the port, refuse a foreign chain, migrate the control database, replay the
log and compare it with every checkpoint that was given out, start the sequencer, enter what the
chain has decided meanwhile, then serve.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial

import uvicorn
import uvloop
from fastapi import FastAPI

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.api.application import create_application
from adtally.api.hit_protocol import HitProtocol
from adtally.api.service import Service
from adtally.chain.connection import Chain
from adtally.chain.contracts.campaign_escrow import CampaignEscrow
from adtally.chain.contracts.event_log import EventLog
from adtally.chain.contracts.membership import Membership
from adtally.chain.deployment import Deployment
from adtally.chain.effects import standard_effects
from adtally.chain.log_proofs import LogProver
from adtally.chain.outbox import Outbox
from adtally.chain.watcher import Watcher
from adtally.collector.collector import Collector
from adtally.collector.hits import HitDesk
from adtally.collector.keys import CollectorKeys
from adtally.collector.visitors import DailySalts
from adtally.config import Settings
from adtally.errors import ChainUnavailable, InvalidInput, InvariantBroken, StorageFailed
from adtally.events.facts import RulesFacts
from adtally.events.signature import address_of
from adtally.evidence.desk import ProofDesk
from adtally.evidence.event_ids import EventIds
from adtally.intake.clock import Clock, SystemClock, VirtualClock
from adtally.intake.keys import OperatorKeys
from adtally.intake.memory import share_one_heap, spare_long_lived_objects
from adtally.intake.recovery import recovered_sequencer
from adtally.intake.sequencer import Sequencer
from adtally.jobs.archive import ArchiveJob
from adtally.jobs.attestations import AttestationDesk
from adtally.jobs.context import JobContext
from adtally.jobs.decisions import AnchorPolicy
from adtally.jobs.derive import DeriveJob
from adtally.jobs.event_ids import EventIdsJob
from adtally.jobs.requests import RequestBook
from adtally.jobs.runner import JobRunner, Round, standard_jobs
from adtally.kernel.engine import KernelEngine, prepare
from adtally.log.archive import Archive
from adtally.log.archived_files import ArchivedFiles
from adtally.log.checkpoint import NoteSigner
from adtally.log.files import OsFiles
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade
from adtally.storage.repositories.attestations import checkpoint_requests_above
from adtally.storage.stores import SqlOutboxStore, SqlWatcherStore
from adtally.types import Rates

logger = logging.getLogger(__name__)

KEEP_ALIVE_SECONDS = 75
"""Longer than proxies keep idle connections (60 s): who closes first must not be the one that is
asked, or a request is sent into a connection that is being closed.
"""


def _open_clock(settings: Settings) -> Clock:
    if settings.clock == "system":
        return SystemClock()
    return VirtualClock(settings.data_dir / "clock", settings.virtual_start_ms)


def _open_sequencer(
    settings: Settings, deployment: Deployment, clock: Clock, keys: OperatorKeys
) -> Sequencer:
    """Replay the log; the machine's own bytes are guarded by CRC and by the checkpoints."""
    prepare()
    machine = LogMachine(
        deployment.log_identity,
        deployment.escrow_domain,
        verify_signatures=False,
        engine=partial(
            KernelEngine,
            memory_bytes=settings.dedupe_memory_bytes,
            ready_bytes=settings.dedupe_ready_bytes,
        )
        if settings.engine == "kernel"
        else PlainEngine,
    )
    files = _open_files(settings, deployment)
    sequencer = recovered_sequencer(
        settings.log_folders,
        machine,
        clock,
        keys.receipt,
        on_failure=_ask_to_stop,
        files=files,
    )
    machine.require_signatures()
    if isinstance(files, ArchivedFiles):
        files.spare_event_loops()
    return sequencer


def _open_files(settings: Settings, deployment: Deployment) -> OsFiles:
    """The log's disk; with an archive, what is not on it any more is read from there."""
    if settings.archive_url is None:
        return OsFiles()
    archive = Archive.open(settings.archive_url)
    return ArchivedFiles(
        settings.log_dir, archive, deployment.log_origin, settings.archive_cache_dir
    )


def _archive_job(
    settings: Settings, deployment: Deployment, sequencer: Sequencer
) -> ArchiveJob | None:
    if settings.archive_url is None:
        return None
    return ArchiveJob(
        sequencer,
        settings.archive_url,
        deployment.log_origin,
        keep_local=settings.keep_local_segments,
    )


def _check_receipt_key(deployment: Deployment, keys: OperatorKeys) -> None:
    """A receipt signed by another key would be worth nothing to anybody."""
    signer = address_of(keys.receipt)
    if signer != deployment.receipt_signer:
        raise InvalidInput(
            "the receipt key is not the one of the deployment",
            field="receipt.key",
            expected=f"the key of 0x{deployment.receipt_signer.hex()}",
            found=f"the key of 0x{signer.hex()}",
            action="restore the key directory that belongs to this deployment file",
        )


def _ask_to_stop() -> None:
    """Shut down in order; whoever supervises the process starts it anew, and it replays."""
    os.kill(os.getpid(), signal.SIGTERM)


async def _check_against_checkpoints(database: Database, sequencer: Sequencer) -> None:
    """Every checkpoint that attestors were asked to sign must still be a prefix of the log."""
    async with database.session() as session:
        requests = await checkpoint_requests_above(session, 0)
    for request in requests:
        asked = request.checkpoint
        if asked.tree_size > sequencer.tree.size:
            raise InvariantBroken(
                f"the log has {sequencer.tree.size} entries, but a checkpoint of "
                f"{asked.tree_size} was given out: segments are missing, restore them"
            )
        if sequencer.tree.root(asked.tree_size) != asked.root_hash:
            raise InvariantBroken(
                f"the log's root at size {asked.tree_size} is not the one that was given out: "
                "the segments have been changed, restore them"
            )


async def _enter_rules(settings: Settings, sequencer: Sequencer) -> None:
    """The configured rules are the ones in force, and the log's first entry."""
    rules_json = settings.rule_set().to_json()
    in_force = sequencer.machine.rules
    if in_force is None or in_force.to_json() != rules_json:
        await sequencer.enter_facts(lambda at_ms: [RulesFacts(at_ms, rules_json)])


def _job_context(
    deployment: Deployment,
    keys: OperatorKeys,
    database: Database,
    sequencer: Sequencer,
    clock: Clock,
    chain: Chain,
) -> JobContext:
    escrow = CampaignEscrow(chain, deployment.campaign_escrow.address)
    event_log = EventLog(chain, deployment.event_log.address)
    addresses = [contract.address for contract in deployment.contracts.values()]
    return JobContext(
        database=database,
        sequencer=sequencer,
        clock=clock,
        chain=chain,
        watcher=Watcher(
            chain,
            deployment.identity,
            SqlWatcherStore(database),
            addresses,
            first_block=deployment.block_number,
        ),
        outbox=Outbox(
            chain,
            deployment.identity,
            SqlOutboxStore(database),
            keys.transaction,
            standard_effects(event_log, escrow),
        ),
        membership=Membership(chain, deployment.membership.address),
        event_log=event_log,
        escrow=escrow,
        requests=RequestBook(
            deployment.log_identity, deployment.escrow_domain, deployment.attestor_set
        ),
        first_block=deployment.block_number,
        tokens=frozenset(token.address for token in deployment.tokens.values()),
    )


@asynccontextmanager
async def running_service(settings: Settings) -> AsyncIterator[Service]:
    """A service with its jobs running; everything is closed on leaving.

    Raises:
        ForeignChain: the chain is not the one of the deployment file.
        StorageCorrupt, InvariantBroken: the data directory must not be served.
    """
    deployment = Deployment.load(settings.deployment_path)
    keys = OperatorKeys.load(settings.keys_dir)
    _check_receipt_key(deployment, keys)
    async with AsyncExitStack() as stack:
        chain = Chain(settings.rpc_url, deployment.finality)
        stack.push_async_callback(chain.close)
        try:
            await deployment.check(chain)
            if await chain.final() is None:
                logger.warning("no block is final yet (%s)", deployment.finality)
        except ChainUnavailable as error:
            # Events are taken all the same; the watcher and the outbox check the chain's
            # identity themselves before they read or write.
            logger.warning("starting without the chain: %s", error)
        database = Database(settings.sqlalchemy_url)
        stack.push_async_callback(database.close)
        await upgrade(database)
        clock = _open_clock(settings)
        sequencer = _open_sequencer(settings, deployment, clock, keys)
        sequencer.start()
        stack.push_async_callback(sequencer.stop)
        await _check_against_checkpoints(database, sequencer)
        await _enter_rules(settings, sequencer)
        context = _job_context(deployment, keys, database, sequencer, clock, chain)
        policy = AnchorPolicy(settings.anchor_every_entries, settings.anchor_every_seconds)
        jobs = standard_jobs(
            context,
            policy,
            deployment.escrow_domain,
            push_minimum_base_units=settings.push_minimum_base_units,
        )
        hits = _hit_desk(settings, deployment, keys, sequencer, clock)
        stack.push_async_callback(hits.collector.stop)
        archive = _archive_job(settings, deployment, sequencer)
        deriver = _deriver(settings, deployment, sequencer)
        ids = EventIds(settings.event_ids_dir, sequencer.store)
        prover = LogProver(chain)
        proofs = ProofDesk(deployment, sequencer, database, ids, prover, deriver)
        background: dict[str, Round] = {} if archive is None else {"archive": archive.run}
        if settings.derive_every_entries:
            derive = DeriveJob(deriver, sequencer.store, settings.derive_every_entries)
            background["derive"] = derive.run
            index = EventIdsJob(proofs.ids, sequencer.store)
            background["event_ids"] = index.run
        runner = JobRunner(jobs, tick_seconds=settings.job_tick_seconds, background=background)
        await runner.start()
        stack.push_async_callback(runner.stop)
        yield Service(
            settings=settings,
            deployment=deployment,
            clock=clock,
            sequencer=sequencer,
            database=database,
            desk=AttestationDesk(database, clock, deployment.log_identity),
            note_signer=NoteSigner(deployment.log_origin, keys.checkpoint),
            deriver=deriver,
            hits=hits,
            proofs=proofs,
            archive=archive,
        )


def _hit_desk(
    settings: Settings,
    deployment: Deployment,
    keys: OperatorKeys,
    sequencer: Sequencer,
    clock: Clock,
) -> HitDesk:
    """The operator is the collector, if the chain gives its member that role."""
    collector = Collector(sequencer, deployment.operator_member, keys.receipt)
    if not collector.can_collect():
        logger.warning("member %d is no collector: single hits are refused", collector.member)
    return HitDesk(
        collector,
        CollectorKeys.load_or_create(settings.keys_dir / "collector.key"),
        DailySalts(settings.salts_dir, settings.salt_retention_days),
        clock,
        sequencer.machine,
        settings.token_lifetime_seconds * 1000,
    )


def _deriver(settings: Settings, deployment: Deployment, sequencer: Sequencer) -> Deriver:
    campaigns = sequencer.machine.facts.campaigns

    def rates(campaign: int, publisher: int) -> Rates:
        return campaigns[campaign].orders[publisher].rates

    dataset = Dataset(settings.parquet_dir, deployment.log_origin)
    return Deriver(sequencer.store, dataset, rates)


class _Server(uvicorn.Server):
    """Leaves signals to ``_serve``: what comes after it must run, too."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings) -> None:
    config = uvicorn.Config(
        FastAPI(),
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        lifespan="off",
        http=HitProtocol,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    # Bound before anything else happens: a second service on this port must not act at all.
    listening = config.bind_socket()
    try:
        async with running_service(settings) as service:
            config.app = create_application(service, with_virtual_clock=settings.clock == "virtual")
            server = _Server(config)
            spare_long_lived_objects()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, setattr, server, "should_exit", True)
            await server.serve(sockets=[listening])
            failure = service.sequencer.failure
    finally:
        listening.close()
    if failure is not None:
        raise StorageFailed(
            "the service stopped because its log could not be written",
            found=str(failure),
            action="mend the disk and start it again: recovery decides what was written",
        )


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        AdtallyError, InvariantBroken: the service can't start, or its disk failed.
    """
    share_one_heap()
    uvloop.run(_serve(settings))
