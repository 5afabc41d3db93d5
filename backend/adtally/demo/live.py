"""Plays a short campaign against a service that runs on real time, on a local chain."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from rich.console import Console

from adtally.chain.accounts import local_account, require_local_chain
from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.client.fields import Fields
from adtally.client.log_client import LogClient
from adtally.client.transport import RetryPolicy
from adtally.demo.cast import Cast, OpenCampaign
from adtally.demo.declaring import declare_inventory
from adtally.demo.narration import Narrator
from adtally.demo.outcome import Outcome
from adtally.demo.plan import DemoPlan
from adtally.demo.sender import TrafficSender
from adtally.demo.waiting import wait_for
from adtally.demo.watch import Watch
from adtally.simulation.traffic import simulate

_LEAD_SECONDS = 20
_PATIENCE_SECONDS = 60.0


async def play_live(
    plan: DemoPlan, service: str, rpc_url: str, deployment_path: Path, console: Console
) -> Outcome:
    """Open the plan's campaign and send its traffic as time passes.

    Raises:
        NotAllowed: the chain is not a local one, where anybody may register members.
    """
    deployment = Deployment.load(deployment_path)
    chain = Chain(rpc_url, deployment.finality)
    log = LogClient(service)
    try:
        await deployment.check(chain)
        require_local_chain(deployment.chain_id)
        cast = Cast(plan, chain, deployment, local_account(0).private_key)
        with Narrator(console, plan.steps + 1) as narrator:
            narrator.phase("registering members, opening a campaign")
            await cast.register()
            campaign = await cast.open_campaign(plan.campaigns[0], int(time.time()) + _LEAD_SECONDS)
            await cast.agree(campaign)
            await cast.deposit(0)
            await _await_facts(log, campaign)
            return await _send(plan, service, log, cast, campaign, narrator)
    finally:
        await log.close()
        await chain.close()


async def _await_facts(log: LogClient, campaign: OpenCampaign) -> None:
    async def look() -> bool | None:
        known = Fields(await log.campaign(campaign.id), "campaign")
        orders = len(known.items("orders"))
        is_known = known.integer("funded_base_units") > 0 and orders == len(campaign.plan.orders)
        return True if is_known else None

    await wait_for(
        "the campaign in the log",
        look,
        alive=lambda: None,
        patience_seconds=_PATIENCE_SECONDS,
    )


async def _send(
    plan: DemoPlan,
    service: str,
    log: LogClient,
    cast: Cast,
    campaign: OpenCampaign,
    narrator: Narrator,
) -> Outcome:
    def say(line: str) -> None:
        narrator.say(line, int(time.time() * 1000))

    watch = Watch(log, {campaign.id: (campaign.plan.name, campaign.unit)}, cast.names, say)
    advertiser = cast.ids[plan.advertiser]
    async with TrafficSender(service, cast.event_keys(), advertiser, RetryPolicy()) as sender:
        # Real time can be late, so an event's verdict is not known for certain.
        sender.tally.is_simulated = False
        await declare_inventory(plan, cast, sender.client, int(time.time() * 1000))
        for step in simulate(cast.scenario(campaign)):
            await asyncio.sleep(max(step.end_ms / 1000 - time.time(), 0.0))
            await sender.send_step([step])
            await watch.look()
            sent = f"{sender.tally.events_sent:,} events, {len(watch.statements)} statements"
            narrator.step(step.number, step.end_ms, sent)
    return Outcome(sender.tally, cast.names, {campaign.id: campaign.plan.name})
