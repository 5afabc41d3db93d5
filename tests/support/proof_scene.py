"""A small deployment on a real chain with events of many verdicts, settled and paid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.chain.log_proofs import LogProver
from adtally.events.batch import sign_batch
from adtally.events.eip712 import log_domain
from adtally.events.record import AdEvent, EventType, UserAgentClass, new_event_id
from adtally.evidence.desk import ProofDesk, Wish
from adtally.evidence.event_ids import EventIds
from adtally.intake.receipts import BatchResult
from adtally.proofs.bundle import Bundle
from adtally.proofs.findings import Trust
from adtally.proofs.verify import blocks_of
from support.jobs_world import ALICE, CAMPAIGN, CREATIVE, PLACEMENT, JobsWorld, event_key

BUDGET = 1_000_000
"""Base units that the campaign holds: 476 impressions with its cut."""


@dataclass(slots=True)
class ProofScene:
    """``desk`` answers for ``world``'s service."""

    world: JobsWorld
    desk: ProofDesk
    number: int = 1_000_000

    @classmethod
    async def start(cls, url: str, folder: Path) -> ProofScene:
        """Two publishers' first batches, settled and paid."""
        world = await JobsWorld.start(url, folder, threshold=10_000, funding=BUDGET)
        await world.settle_down()
        await world.declare()
        await world.send_accepted(ALICE, 30)
        await world.send_accepted(4, 12)
        await world.settle_down()
        context = world.context
        campaigns = context.sequencer.machine.facts.campaigns
        deriver = Deriver(
            context.sequencer.store,
            Dataset(folder / "parquet", "scene"),
            lambda campaign, publisher: campaigns[campaign].orders[publisher].rates,
        )
        desk = ProofDesk(
            world.deployment,
            context.sequencer,
            context.database,
            EventIds(folder / "event-ids", context.sequencer.store),
            LogProver(context.chain),
            deriver,
        )
        return cls(world, desk)

    async def stop(self) -> None:
        await self.world.stop()

    def event(self, kind: EventType = EventType.IMPRESSION, **changes: Any) -> AdEvent:
        """A fresh event of Alice's, now."""
        self.number += 1
        at_ms = self.world.clock.at_ms
        event = AdEvent(
            kind,
            CAMPAIGN,
            ALICE,
            PLACEMENT,
            CREATIVE,
            new_event_id(at_ms, self.number.to_bytes(10, "big")),
            at_ms,
        )
        return replace(event, **changes)

    def bot(self) -> AdEvent:
        """An impression that the rules refuse by its user agent."""
        return self.event(user_agent_class=UserAgentClass.KNOWN_BOT)

    async def send(self, events: list[AdEvent]) -> BatchResult:
        """Send Alice's next batch."""
        world = self.world
        sequencer, identity = world.context.sequencer, world.deployment.log_identity
        batch = sign_batch(
            log_domain(identity),
            identity.chain_id,
            event_key(ALICE),
            ALICE,
            sequencer.machine.next_sequence(ALICE),
            [event.to_record() for event in events],
        )
        return await sequencer.submit(batch)

    def logged_id(self, index: int) -> bytes:
        """The id of the record at a leaf index."""
        return AdEvent.from_record(self.world.context.sequencer.store.entry(index)).id

    async def bundle(self, event_id: bytes, **wish: Any) -> Bundle:
        """The proof of one of Alice's events."""
        return Bundle.from_bytes(await self.desk.bundle(Wish(ALICE, event_id, **wish)))

    def trust(self, bundle: Bundle) -> Trust:
        """The deployment, and the bundle's own blocks: what a chain would say of a true one."""
        deployment = self.world.deployment
        return Trust(
            deployment.chain_id,
            deployment.event_log.address,
            deployment.campaign_escrow.address,
            deployment.attestors,
            [header.hash for header in blocks_of(bundle)],
            "the scene",
        )
