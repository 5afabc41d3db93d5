"""One run: build the site, send the traffic, watch, let the anchors come in, audit."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from adtally.chain.accounts import local_account
from adtally.client.fields import Fields
from adtally.client.publisher import PublisherClient
from adtally.client.service_facts import ServiceFacts
from adtally.demo.cast import Cast
from adtally.demo.declaring import declare_inventory
from adtally.demo.play import audit_outcome
from adtally.demo.waiting import wait_for

from .plan import ADVERTISER, ORDERS, WEIGHTS, soak_plan, soak_rules
from .report import Result, show
from .sender import Maker, Sender
from .site import Site
from .traffic import Parcel, World
from .watch import Watcher
from .windows import JUDGED_FROM_SECONDS, Bounds, Tally, broken, spans, standstills, verdict, window

_FACTS_SECONDS = 120.0
_LEAD_SECONDS = 1.0
_AHEAD_SECONDS = 0.1
_ANCHOR_SECONDS = 15
_DRAIN_SECONDS = 180.0
_AUDIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to run; ``directory`` is removed and made anew."""

    seconds: float
    rate: int
    has_attestors: bool
    directory: Path


def service_settings(options: Options) -> dict[str, str]:
    """Everything that the service does now and then happens several times in a run."""
    entries = int(options.rate * options.seconds)
    return {
        "ADTALLY_ANCHOR_EVERY_SECONDS": str(_ANCHOR_SECONDS),
        "ADTALLY_ANCHOR_EVERY_ENTRIES": str(options.rate * _ANCHOR_SECONDS),
        "ADTALLY_DERIVE_EVERY_ENTRIES": str(max(entries // 20, 10_000)),
        "ADTALLY_SNAPSHOT_EVERY_ENTRIES": str(max(entries // 10, 10_000)),
        "ADTALLY_ARCHIVE_URL": f"file://{options.directory / 'service' / 'archive'}",
    }


async def run(options: Options, console: Console) -> Result:
    """Run, and say what came of it; every process is stopped on return.

    Raises:
        AdtallyError: the deployment did not come up, or a process ended.
    """
    console.print("starting chain, contracts, service, attestors; agreeing orders, funding")
    settings = service_settings(options)
    rules = soak_rules().to_json()
    async with Site(options.directory, rules, settings, options.has_attestors) as site:
        cast, world = await _people(site, options)
        with Maker(world, options.rate) as maker:
            return await _soak(site, cast, world, maker, options, console)


async def _people(site: Site, options: Options) -> tuple[Cast, World]:
    """Members, campaigns, orders, money and inventory, all of it in the log."""
    plan = soak_plan(options.rate, int(options.seconds))
    cast = Cast(plan, site.chain, site.deployment, local_account(0).private_key)
    await cast.register()
    for campaign in plan.campaigns:
        opened = await cast.open_campaign(campaign, int(time.time()))
        await cast.agree(opened)
    await cast.deposit(0)
    keys = cast.event_keys()
    await _await_facts(site, cast)
    clients = {
        member: await PublisherClient.connect(site.url, member, keys[member]) for member in keys
    }
    try:
        await declare_inventory(plan, cast, clients.__getitem__, int(time.time() * 1000))
    finally:
        for client in clients.values():
            await client.__aexit__(None, None, None)
    facts = ServiceFacts.from_json(await site.log.deployment())
    world = World(
        advertiser=cast.ids[ADVERTISER],
        weights={cast.ids[name]: weight for name, weight in WEIGHTS.items()},
        orders={
            cast.campaigns[at].id: tuple(cast.ids[name] for name in names)
            for at, names in ORDERS.items()
        },
        keys=keys,
        domain=facts.domain,
        chain_id=facts.identity.chain_id,
    )
    return cast, world


async def _await_facts(site: Site, cast: Cast) -> None:
    async def known() -> bool | None:
        for campaign in cast.campaigns:
            about = Fields(await site.log.campaign(campaign.id), "campaign")
            if len(about.items("orders")) < len(campaign.plan.orders):
                return None
            if about.integer("funded_base_units") == 0:
                return None
        return True

    await wait_for(
        "the campaigns in the log",
        known,
        alive=site.require_alive,
        patience_seconds=_FACTS_SECONDS,
    )


async def _soak(
    site: Site, cast: Cast, world: World, maker: Maker, options: Options, console: Console
) -> Result:
    first = await maker.second(int(time.time() * 1000))
    begun = time.monotonic() + _LEAD_SECONDS

    def clock() -> float:
        return time.monotonic() - begun

    def told(end: float, tally: Tally) -> None:
        console.print(
            f"{end:5.0f} s: {sender.log.events:,} events, {tally.anchors} anchors, "
            f"{tally.tree_size - tally.anchored_size:,} entries behind, "
            f"{tally.statements} statements, {tally.payments} payments, "
            f"{watcher.probes[-1].anonymous_bytes / 2**20:.0f} MiB",
            highlight=False,
        )

    warm_up, parts = spans(options.seconds)
    watcher = Watcher(site, [campaign.id for campaign in cast.campaigns], clock)
    sender = Sender(site.port, world.keys, world.advertiser, clock)
    watcher.start([end for _, end in parts], told)
    try:
        await _send(sender, watcher, maker, first, int(options.seconds))
        await asyncio.gather(watcher.finish(), sender.finish())
    finally:
        watcher.stop()
        await sender.close()
    log = sender.log
    windows = [
        window(span, log.acks, log.pushed_back, watcher.probes, watcher.tallies.get(span[1]))
        for span in parts
    ]
    result = Result(
        seconds=options.seconds,
        rate=options.rate,
        warm_up=warm_up,
        windows=windows,
        verdict=verdict(windows, log.acks),
        bounds=Bounds(),
        log=log,
        attestors=watcher.attestors,
    )
    _judge(result, watcher)
    show(windows, console)
    await _close(site, watcher, result, options, console)
    return result


async def _send(
    sender: Sender, watcher: Watcher, maker: Maker, first: list[Parcel], seconds: int
) -> None:
    """Hand over second after second on time; the next is made while one is sent.

    Raises what a sender or the watcher failed with.
    """
    clock = watcher.clock
    begun_ms = int((time.time() - clock()) * 1000)
    parcels = first
    for second in range(seconds):
        await asyncio.sleep(max(second - _AHEAD_SECONDS - clock(), 0))
        sender.put(second, parcels)
        sender.check()
        watcher.check()
        if second + 1 < seconds:
            parcels = await maker.second(begun_ms + 1_000 * (second + 1))


def _judge(result: Result, watcher: Watcher) -> None:
    """What is a problem, and what one must know besides."""
    judges_growth = result.seconds >= JUDGED_FROM_SECONDS
    result.problems += result.log.surprises
    result.problems += broken(result.verdict, result.bounds, judges_growth)
    result.notes += [
        f"the machine stood still from {start:.0f} to {end:.0f} s: nobody could look"
        for start, end in standstills(watcher.probes)
    ]
    if result.log.lost_connections:
        result.notes.append(f"{result.log.lost_connections} connections were lost and made anew")
    if not judges_growth:
        result.notes.append("too short a run to judge the growth of memory and latency")


async def _close(
    site: Site, watcher: Watcher, result: Result, options: Options, console: Console
) -> None:
    """Wait until all is anchored, then audit it."""
    if options.has_attestors:
        await _drain(site, watcher, result, console)
    console.print("auditing the whole log")
    path = await site.audit(_AUDIT_SECONDS)
    if path is None:
        result.problems.append(f"the audit did not end within {_AUDIT_SECONDS:.0f} s")
        result.audit = "not finished"
        return
    outcome = audit_outcome(path)
    result.problems += [f"audit: {finding}" for finding in outcome.findings[:5]]
    checked = ", ".join(f"{how_many:,} {name}" for name, how_many in outcome.checked.items())
    result.audit = f"{'everything agrees' if outcome.ok else 'it does not agree'}: {checked}"
    if not outcome.ok and not outcome.findings:
        result.problems.append("the audit does not agree")


async def _drain(site: Site, watcher: Watcher, result: Result, console: Console) -> None:
    console.print("waiting for the last anchor")
    started = time.monotonic()

    async def anchored() -> bool | None:
        tally = await watcher.tally()
        return True if tally.anchored_size >= result.log.tree_size else None

    await wait_for(
        "an anchor of everything",
        anchored,
        alive=site.require_alive,
        patience_seconds=_DRAIN_SECONDS,
    )
    result.drain_seconds = time.monotonic() - started
