"""Replays a real log through the whole path, and again: the second time it pays nothing more.

The folder keeps chain, service and one small state file. The log's times are shifted by one
stored offset of whole days, and event ids are derived from the file, so a replay of the same file
into the same folder sends the very same events, under new batch sequences.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from rich.console import Console

from adtally.chain.files import write_atomically
from adtally.client.fields import Fields
from adtally.demo.cast import Cast, OpenCampaign
from adtally.demo.closing import Closing
from adtally.demo.declaring import declare_inventory
from adtally.demo.local_time import LocalTime
from adtally.demo.narration import Narrator
from adtally.demo.outcome import Outcome
from adtally.demo.pace import AnchorPace
from adtally.demo.plan import (
    DAY_SECONDS,
    USDX,
    CampaignPlan,
    CutPlan,
    DemoPlan,
    Deposit,
    OrderPlan,
    Party,
)
from adtally.demo.play import demo_rules, next_midnight_seconds
from adtally.demo.receipts_check import check_receipts
from adtally.demo.sender import TrafficSender
from adtally.demo.stage import Stage, StageSettings
from adtally.demo.waiting import wait_for
from adtally.demo.watch import Watch
from adtally.errors import Conflict, InvalidInput
from adtally.events.record import AdEvent
from adtally.settlement.rates import line_amount_base_units
from adtally.simulation.obd import ObdMapping, ObdSummary, read_obd, summarize_obd
from adtally.types import Counts, Rates, Role

RATES = Rates(per_mille_impressions=2_500_000, per_click=350_000)
CUT_BASIS_POINTS = 200
_DAY_MS = DAY_SECONDS * 1000
_HOURS_BEFORE_LEAP = 2
_HOUR_MS = 3_600_000
_PREPARATION_SECONDS = 3_600
_ADVERTISER, _PUBLISHER, _PLATFORM = "Fashion house", "Fashion site", "Platform"


@dataclass(frozen=True, slots=True)
class ReplayState:
    """What a later replay must know; ``campaign`` 0 while none is opened."""

    file_sha256: str
    offset_ms: int
    campaign: int = 0

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps(asdict(self)).encode())

    @staticmethod
    def load(path: Path) -> ReplayState | None:
        """The stored state, None if there is none; raises InvalidInput if it is damaged."""
        if not path.exists():
            return None
        try:
            state = Fields(json.loads(path.read_text()), "replay state")
        except ValueError as error:
            raise InvalidInput(
                "the replay's state file is damaged", field=str(path), found=str(error)
            ) from None
        return ReplayState(
            state.text("file_sha256"), state.integer("offset_ms"), state.integer("campaign")
        )


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """What a replay came to, and what the publisher had been paid before it."""

    outcome: Outcome
    summary: ObdSummary
    paid_before_base_units: int
    expected_base_units: int


def replay_plan(summary: ObdSummary) -> DemoPlan:
    """One campaign over the days of the file, funded a little above what it will cost."""
    owed = expected_amount(summary)
    cost = owed + owed * CUT_BASIS_POINTS // 10_000
    order = OrderPlan(_PUBLISHER, RATES, 10 * owed + USDX, 1.0)
    campaign = CampaignPlan(
        name="Open Bandit replay",
        token="USDX",
        orders=(order,),
        deposits=(Deposit(0, (cost // (10 * USDX) + 1) * 10 * USDX),),
        cuts=(CutPlan(_PLATFORM, CUT_BASIS_POINTS),),
        creatives=tuple(f"item {item}" for item in summary.items),
        impressions=summary.rows,
        settle_threshold_base_units=max(owed // 5, 1),
    )
    days = (summary.last_event_ms // _DAY_MS) - (summary.first_ms // _DAY_MS) + 1
    placements = tuple(f"position {position}" for position in summary.positions)
    return DemoPlan(
        seed=0,
        parties=(
            Party(_ADVERTISER, Role.ADVERTISER, 0),
            Party(_PUBLISHER, Role.PUBLISHER, 0, placements),
            Party(_PLATFORM, Role.INTERMEDIARY, 0),
        ),
        advertiser=_ADVERTISER,
        campaigns=(campaign,),
        steps=days * 24,
        flight_seconds=days * DAY_SECONDS,
    )


def expected_amount(summary: ObdSummary) -> int:
    """What the file's rows cost in base units, from nothing but the file and the rates."""
    counts = Counts(impressions=summary.rows, clicks=summary.clicks)
    return line_amount_base_units(RATES, counts, 2**128 - 1)


async def replay(path: Path, directory: Path, console: Console) -> ReplayOutcome:
    """Replay a file into a folder; goes on where an earlier run broke off.

    Raises:
        InvalidInput: the file is no log of the dataset.
        Conflict: the folder belongs to the replay of another file.
    """
    summary = summarize_obd(path)
    plan = replay_plan(summary)
    state_path = directory / "replay.json"
    state = _state(state_path, summary)
    settings = StageSettings(rules_json=demo_rules().to_json(), keep=True)
    with Narrator(console, plan.steps) as narrator:
        async with Stage(directory, settings) as stage:
            run = _Replay(path, summary, plan, state, state_path, stage, narrator)
            result = await run.play()
    result.outcome.check()
    return result


def _state(path: Path, summary: ObdSummary) -> ReplayState:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = ReplayState.load(path)
    if state is None:
        first_day = summary.first_ms // _DAY_MS * _DAY_MS
        state = ReplayState(summary.sha256.hex(), next_midnight_seconds() * 1000 - first_day)
        state.save(path)
    if state.file_sha256 != summary.sha256.hex():
        raise Conflict(
            "this folder holds the replay of another file",
            field=str(path),
            expected=f"SHA-256 {state.file_sha256}",
            found=summary.sha256.hex(),
            action="name another --data-dir",
        )
    return state


@dataclass(slots=True)
class _Replay:
    """One run."""

    path: Path
    summary: ObdSummary
    plan: DemoPlan
    state: ReplayState
    state_path: Path
    stage: Stage
    narrator: Narrator

    @property
    def _flight_start_seconds(self) -> int:
        first_day = self.summary.first_ms // _DAY_MS * _DAY_MS
        return (first_day + self.state.offset_ms) // 1000

    async def play(self) -> ReplayOutcome:
        stage, narrator = self.stage, self.narrator
        narrator.phase("starting the chain, with contracts")
        await stage.start_chain()
        await stage.deploy(self._flight_start_seconds - _PREPARATION_SECONDS)
        cast = Cast(self.plan, stage.chain, stage.deployment, stage.registrar_key)
        await cast.register()
        campaign = await self._campaign(cast)
        await cast.agree(campaign)
        await cast.deposit(0)
        paid_before = (await cast.advertiser.escrow.campaign(campaign.id)).claimed_base_units
        narrator.phase("starting the service and three attestors")
        now_ms = (await stage.chain.latest()).timestamp_seconds * 1000
        time = await stage.start_service(now_ms)
        await time.set(now_ms)
        watch = Watch(
            stage.log, {campaign.id: (campaign.plan.name, campaign.unit)}, cast.names, _unsaid
        )
        # What an earlier run has told already is not told again.
        await watch.look()
        watch.say = lambda line: narrator.say(line, time.now_ms)
        await self._await_facts(campaign)
        async with TrafficSender(
            stage.service_url, cast.event_keys(), cast.ids[_ADVERTISER], stage.retry
        ) as sender:
            await declare_inventory(self.plan, cast, sender.client, time.now_ms)
            await self._send(sender, cast, campaign, time, watch)
        closing = Closing(stage, cast, time, watch, narrator)
        await closing.close()
        outcome = Outcome(sender.tally, cast.names, {campaign.id: campaign.plan.name})
        await closing.read(outcome)
        narrator.phase("checking every receipt")
        outcome.receipts = await check_receipts(
            outcome.tally.answers, stage.log, outcome.tree_size, outcome.anchors, stage.chain
        )
        return ReplayOutcome(outcome, self.summary, paid_before, expected_amount(self.summary))

    async def _campaign(self, cast: Cast) -> OpenCampaign:
        plan = self.plan.campaigns[0]
        if self.state.campaign:
            return await cast.adopt_campaign(plan, self.state.campaign)
        campaign = await cast.open_campaign(plan, self._flight_start_seconds)
        self.state = ReplayState(self.state.file_sha256, self.state.offset_ms, campaign.id)
        self.state.save(self.state_path)
        return campaign

    async def _await_facts(self, campaign: OpenCampaign) -> None:
        async def look() -> bool | None:
            known = Fields(await self.stage.log.campaign(campaign.id), "campaign")
            is_known = known.integer("funded_base_units") > 0 and known.items("orders")
            return True if is_known else None

        await wait_for(
            "the campaign in the log",
            look,
            alive=self.stage.require_alive,
            patience_seconds=self.stage.settings.patience_seconds,
        )

    async def _send(
        self,
        sender: TrafficSender,
        cast: Cast,
        campaign: OpenCampaign,
        time: LocalTime,
        watch: Watch,
    ) -> None:
        """Hour by hour; an hour's events arrive at its end."""
        publisher = cast.ids[_PUBLISHER]
        start_ms = self._flight_start_seconds * 1000
        pace = AnchorPace(self.stage, watch)
        for hour, events in self._hours(campaign.id, publisher):
            await _move_to(start_ms + (hour + 1) * _HOUR_MS, time, pace)
            await sender.send_events(publisher, events)
            pace.note(time.now_ms, sender.tally.answers[-1].receipt.tree_size)
            await watch.look()
            await pace.catch_up(time.now_ms)
            sent = sender.tally.events_sent
            self.narrator.step(hour, time.now_ms, f"{sent:,} events, {len(watch.anchors)} anchors")
        await _move_to(time.now_ms + _HOURS_BEFORE_LEAP * _HOUR_MS, time, pace)

    def _hours(self, campaign: int, publisher: int) -> Iterator[tuple[int, list[AdEvent]]]:
        positions, items = self.summary.positions, self.summary.items
        mapping = ObdMapping(
            campaign,
            publisher,
            {position: place for place, position in enumerate(positions, start=1)},
            {item: place for place, item in enumerate(items, start=1)},
        )
        events = sorted(
            read_obd(self.path, mapping, offset_ms=self.state.offset_ms),
            key=lambda event: event.occurred_at_ms,
        )
        start_ms = self._flight_start_seconds * 1000
        for hour, group in groupby(
            events, key=lambda event: (event.occurred_at_ms - start_ms) // _HOUR_MS
        ):
            yield hour, list(group)


def _unsaid(_line: str) -> None:
    """Says nothing."""


async def _move_to(target_ms: int, time: LocalTime, pace: AnchorPace) -> None:
    """Move hour by hour with the anchors following: a leap over a quiet night, or to the flight's
    end, may be longer than what receipts promise.
    """
    while time.now_ms + _HOUR_MS < target_ms:
        await time.set(time.now_ms + _HOUR_MS)
        await pace.catch_up(time.now_ms)
    await time.set(target_ms)
    await pace.catch_up(target_ms)
