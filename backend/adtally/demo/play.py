"""Plays a plan from the empty chain to the audited end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from adtally.client.fields import Fields
from adtally.demo.cast import Cast
from adtally.demo.closing import Closing
from adtally.demo.day import Day
from adtally.demo.declaring import declare_inventory
from adtally.demo.narration import Narrator
from adtally.demo.outcome import AuditOutcome, Outcome, ReportOutcome, StatementOutcome
from adtally.demo.pace import AnchorPace
from adtally.demo.plan import DAY_SECONDS, DemoPlan
from adtally.demo.processes import ChildProcess, adtally_command
from adtally.demo.receipts_check import check_receipts
from adtally.demo.sender import TrafficSender
from adtally.demo.stage import Stage, StageSettings
from adtally.demo.waiting import wait_for
from adtally.demo.watch import Watch
from adtally.errors import AdtallyError, InvalidInput
from adtally.verification.rule_set import RuleSet

_PREPARATION_SECONDS = 3_600
_SETUP_SLACK_SECONDS = 2 * 3_600
_AUDIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """How to play.

    Attributes:
        flight_start_seconds: midnight UTC of the virtual day, later than now; None takes the
            next one.
        with_audit: whether to run ``adtally audit`` at the end.
        on_stage: called once the service runs, e.g. to make its life hard.
    """

    directory: Path
    flight_start_seconds: int | None = None
    with_audit: bool = True
    on_stage: Callable[[Stage], None] | None = None
    job_tick_seconds: float = 0.1
    patience_seconds: float = 90.0


async def play(plan: DemoPlan, options: PlayOptions, console: Console) -> Outcome:
    """Play the plan; every process is stopped on return, also on failure.

    Raises:
        AdtallyError: something did not work; the message names the log to read.
        InvariantBroken: it worked, and money or verdicts came out wrong.
    """
    started = time.monotonic()
    flight_start = options.flight_start_seconds or next_midnight_seconds()
    with Narrator(console, plan.steps + 1) as narrator:
        settings = StageSettings(
            rules_json=demo_rules().to_json(),
            fx_json=_fx_json(flight_start),
            job_tick_seconds=options.job_tick_seconds,
            patience_seconds=options.patience_seconds,
        )
        async with Stage(options.directory, settings) as stage:
            outcome = await _play_on(stage, plan, options, flight_start, narrator)
    outcome.seconds = time.monotonic() - started
    outcome.check()
    return outcome


def demo_rules() -> RuleSet:
    """The demo's rules: only the advertiser reports conversions, and delays that fit a day that
    passes in a minute.
    """
    return replace(
        RuleSet(),
        publisher_conversions=False,
        max_facts_lag_seconds=6 * 3_600,
        anchor_promise_seconds=6 * 3_600,
        max_event_age_ms=DAY_SECONDS * 1000,
    )


def _fx_json(flight_start_seconds: int) -> bytes:
    """One rate for the day, so that sales in euros can stand against spend in dollars."""
    day = datetime.fromtimestamp(flight_start_seconds, UTC).date().isoformat()
    rate = {"base": "EUR", "quote": "USD", "rate": "1.08", "day": day, "source": "demo"}
    return json.dumps([rate]).encode()


def next_midnight_seconds() -> int:
    """The first midnight UTC that leaves time to prepare."""
    now = int(time.time()) + _PREPARATION_SECONDS + _SETUP_SLACK_SECONDS
    return -(-now // DAY_SECONDS) * DAY_SECONDS


async def _play_on(
    stage: Stage, plan: DemoPlan, options: PlayOptions, flight_start: int, narrator: Narrator
) -> Outcome:
    ready_at = flight_start - _PREPARATION_SECONDS
    narrator.phase("starting a local chain")
    await stage.start_chain()
    narrator.phase("compiling and deploying the contracts")
    await stage.deploy(ready_at)
    cast = Cast(plan, stage.chain, stage.deployment, stage.registrar_key)
    narrator.phase("registering members, agreeing orders, funding")
    await cast.register()
    for campaign_plan in plan.campaigns:
        opened = await cast.open_campaign(campaign_plan, flight_start)
        await cast.agree(opened)
    for campaign, amount in await cast.deposit(0):
        narrator.say(
            f"[yellow]{plan.advertiser}[/yellow] opens [cyan]{campaign.plan.name}[/cyan] with "
            f"{len(campaign.plan.orders)} orders and locks {campaign.unit.named(amount, 2)}",
            ready_at * 1000,
        )
    narrator.phase("starting the service and three attestors")
    now_ms = (await stage.chain.latest()).timestamp_seconds * 1000
    local_time = await stage.start_service(now_ms)
    await local_time.set(now_ms)
    campaigns = {each.id: (each.plan.name, each.unit) for each in cast.campaigns}
    watch = Watch(
        stage.log, campaigns, cast.names, lambda line: narrator.say(line, local_time.now_ms)
    )
    await _await_members(stage, cast)
    async with TrafficSender(
        stage.service_url, cast.event_keys(), cast.ids[plan.advertiser], stage.retry
    ) as sender:
        pace = AnchorPace(stage, watch)
        day = Day(plan, stage, cast, local_time, sender, watch, narrator, pace)
        await day.await_facts(0)
        await declare_inventory(plan, cast, sender.client, local_time.now_ms)
        if options.on_stage is not None:
            options.on_stage(stage)
        await day.play()
    closing = Closing(stage, cast, local_time, watch, narrator)
    await closing.close()
    outcome = Outcome(
        sender.tally, cast.names, {each.id: each.plan.name for each in cast.campaigns}
    )
    await closing.read(outcome)
    await _check(stage, options, outcome, narrator)
    return outcome


async def _await_members(stage: Stage, cast: Cast) -> None:
    """Until the log knows the member registered last."""
    last = max(cast.ids.values())
    await wait_for(
        "the members in the log",
        lambda: stage.log.member(last),
        alive=stage.require_alive,
        patience_seconds=stage.settings.patience_seconds,
    )


async def _check(stage: Stage, options: PlayOptions, outcome: Outcome, narrator: Narrator) -> None:
    narrator.phase("checking every receipt")
    outcome.receipts = await check_receipts(
        outcome.tally.answers, stage.log, outcome.tree_size, outcome.anchors, stage.chain
    )
    for statement in outcome.statements:
        if statement.is_final:
            outcome.reports[statement.campaign] = await _report(stage, statement)
    if options.with_audit:
        narrator.phase("auditing from public data alone")
        outcome.audit = await _audit(stage)


async def _report(stage: Stage, statement: StatementOutcome) -> ReportOutcome:
    """The report over exactly what a statement covers."""
    documents = [
        Fields(
            await stage.log.report(
                statement.campaign, statement=statement.sequence, granularity=granularity
            ),
            "report",
        )
        for granularity in ("", "hour")
    ]
    total, by_hour = documents
    return ReportOutcome.from_fields(statement.campaign, total.inner("total"), by_hour)


async def _audit(stage: Stage) -> AuditOutcome:
    """Run the real command, in a process that knows nothing but addresses."""
    json_path = stage.directory / "audit.json"
    command = adtally_command(
        "audit",
        *("--service", stage.service_url),
        *("--rpc-url", stage.chain.rpc.url),
        *("--deployment", str(stage.deployment_path)),
        *("--json", str(json_path)),
        *("--cache", str(stage.directory / "audit-cache")),
        "--from-scratch",
    )
    process = ChildProcess("audit", command, stage.directory / "audit.log")
    process.start()
    try:
        deadline = time.monotonic() + _AUDIT_SECONDS
        while process.is_running:
            if time.monotonic() > deadline:
                raise AdtallyError("the audit takes too long", action=f"read {process.log_path}")
            await asyncio.sleep(0.05)
    finally:
        await process.stop()
    if not json_path.exists():
        raise AdtallyError(
            "the audit did not come to an end",
            found=process.log_tail(),
            action=f"read {process.log_path}",
        )
    return audit_outcome(json_path)


def audit_outcome(path: Path) -> AuditOutcome:
    """Read what ``adtally audit --json`` wrote; raises InvalidInput where it is none."""
    try:
        report = Fields(json.loads(path.read_text()), "audit report")
    except ValueError as error:
        raise InvalidInput("no audit report", field=str(path), found=str(error)) from None
    return AuditOutcome(
        ok=report.boolean("ok"),
        checked={each.text("name"): each.integer("how_many") for each in report.inners("checks")},
        findings=tuple(
            f"{each.text('check')}, {each.text('where')}: {each.text('what')}"
            for each in report.inners("discrepancies")
        ),
    )
