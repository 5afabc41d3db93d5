"""A whole deployment as processes, with traffic whose earnings are added up by the test itself."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eth_utils import keccak

from adtally.client.batch_body import Encoding
from adtally.client.publisher import PublisherClient
from adtally.demo.cast import Cast, OpenCampaign
from adtally.demo.declaring import declare_inventory
from adtally.demo.local_time import LocalTime, give_ether, set_chain_time
from adtally.demo.plan import default_plan
from adtally.demo.play import demo_rules, next_midnight_seconds
from adtally.demo.processes import ChildProcess, adtally_command
from adtally.demo.stage import Stage, StageSettings
from adtally.demo.waiting import wait_for
from adtally.errors import AdtallyError
from adtally.events.record import AdEvent, EventType
from adtally.events.signature import address_of
from adtally.simulation.traffic import Step, simulate

PATIENCE = 40.0
THRESHOLD = 300_000
GAS_KEY = keccak(b"an ordinary account with some coins")
_QUIET = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class LiveDeployment:
    """What a test needs of it.

    Attributes:
        accepted: events that count, by (campaign, publisher) and type.
    """

    stage: Stage
    cast: Cast
    time: LocalTime
    clients: dict[int, PublisherClient]
    steps: list[list[Step]]
    accepted: dict[tuple[int, int], Counter[EventType]] = field(default_factory=dict)
    sent: int = 0

    async def send_steps(self, count: int) -> None:
        """Send the next steps of every campaign."""
        for steps in self.steps[self.sent : self.sent + count]:
            await self.time.set(max(step.end_ms for step in steps))
            for member in sorted({member for step in steps for member in step.publishers}):
                pairs = [pair for step in steps for pair in step.publishers.get(member, ())]
                await self._send(member, [pair.event for pair in pairs])
            conversions = [pair.event for step in steps for pair in step.conversions]
            await self._send(self.cast.ids[self.cast.plan.advertiser], conversions)
        self.sent += count

    async def _send(self, member: int, events: Sequence[AdEvent]) -> None:
        if not events:
            return
        answer = await self.clients[member].send(list(events), Encoding.BINARY)
        for event, verdict in zip(events, answer.verdicts, strict=True):
            if verdict.label == "accepted":
                key = (event.campaign, event.publisher)
                self.accepted.setdefault(key, Counter())[event.type] += 1

    def earned(self, campaign: OpenCampaign) -> dict[int, int]:
        """Base units by publisher: sums of prices in thousandths, rounded down once a line."""
        owed = {}
        for order in campaign.plan.orders:
            publisher = self.cast.ids[order.publisher]
            counts = self.accepted.get((campaign.id, publisher), Counter())
            milli = (
                counts[EventType.IMPRESSION] * order.rates.per_mille_impressions
                + counts[EventType.VIEWABLE] * order.rates.per_mille_viewables
                + counts[EventType.CLICK] * order.rates.per_click * 1000
                + counts[EventType.CONVERSION] * order.rates.per_conversion * 1000
            )
            owed[publisher] = milli // 1000
        return owed

    # Asking ------------------------------------------------------------------------------------

    def attestor(self, name: str, path: str) -> Any:
        """A JSON document of an attestor's own site, None while it does not answer."""
        return get_json(f"{self.stage.attestor_urls[name]}/v1{path}")

    def operator(self, path: str) -> Any:
        """A JSON document of the service."""
        return get_json(f"{self.stage.service_url}/v1{path}")

    async def until(self, what: str, look: Any, patience: float = PATIENCE) -> Any:
        """Wait for a look that gives something."""

        async def ask() -> Any:
            return await asyncio.to_thread(look)

        return await wait_for(what, ask, alive=lambda: None, patience_seconds=patience)

    async def until_stored(self, names: Sequence[str]) -> int:
        """Until these attestors have stored what the service has; returns the size."""
        size = self.operator("/status")["tree_size"]

        def look() -> bool | None:
            sizes = [self.attestor(name, "/status") for name in names]
            return all(each is not None and each["tree_size"] >= size for each in sizes) or None

        await self.until(f"{size} entries at the attestors", look)
        return int(size)

    def settled(self) -> int:
        """How many statements are settled, of all campaigns."""
        return sum(
            each["state"] == "settled"
            for campaign in self.cast.campaigns
            for each in self.operator(f"/campaigns/{campaign.id}/statements")
        )

    def control(self, script: str, *values: object) -> list[Any]:
        """Change the operator's own database, as a lying operator would."""
        path = self.stage.directory / "service" / "control.sqlite3"
        with sqlite3.connect(path, timeout=10) as database:
            return database.execute(script, values).fetchall()

    # Finishing ---------------------------------------------------------------------------------

    async def finish(self, names: Sequence[str], own: str | None = None) -> tuple[int, str]:
        """Run ``adtally finish`` against these attestors; exit code and output.

        Args:
            own: an attestor that does not run, whose folder is opened by the command itself.
        """
        key_file = self.stage.directory / "gas.key"
        if not key_file.exists():
            key_file.touch(mode=0o600)
            key_file.write_text(GAS_KEY.hex())
            await give_ether(self.stage.chain, address_of(GAS_KEY))
        arguments = ["--account-key-file", str(key_file)]
        for name in names:
            arguments += ["--peer", self.stage.attestor_urls[name]]
        if own is not None:
            folder = self.stage.directory / f"attestor-{own}"
            arguments += ["--data-dir", str(folder), "--key-file", str(folder / "attestor.key")]
        return await self.command("finish", *arguments)

    async def command(self, name: str, *arguments: str) -> tuple[int, str]:
        """Run a command that knows chain and deployment; exit code and output."""
        log_path = self.stage.directory / f"{name}.log"
        log_path.unlink(missing_ok=True)
        command = adtally_command(
            name,
            *("--rpc-url", self.stage.chain.rpc.url),
            *("--deployment", str(self.stage.deployment_path)),
            *arguments,
        )
        process = ChildProcess(name, command, log_path)
        process.start()
        while process.is_running:
            await asyncio.sleep(0.1)
        code = process._process.returncode if process._process else -1
        return code, log_path.read_text()

    async def move_chain(self, seconds: int) -> None:
        """The chain's own time; no service listens any more."""
        await set_chain_time(self.stage.chain, seconds)


def get_json(url: str) -> Any:
    """None while nobody answers."""
    try:
        with _QUIET.open(url, timeout=10) as response:
            return json.loads(response.read())
    except (OSError, ValueError):
        return None


@asynccontextmanager
async def live_deployment(
    directory: Path, *, seed: int = 5, gone_after_seconds: float = 86_400.0
) -> AsyncIterator[LiveDeployment]:
    """Chain, contracts, service, three attestors, members, a funded campaign or two."""
    plan = default_plan(seed=seed, steps=24, scale_percent=10)
    # Small enough for several statements in a few steps.
    plan = replace(
        plan,
        campaigns=tuple(
            replace(each, settle_threshold_base_units=THRESHOLD)
            if each.settle_threshold_base_units
            else each
            for each in plan.campaigns
        ),
    )
    flight_start = next_midnight_seconds()
    settings = StageSettings(
        rules_json=demo_rules().to_json(),
        anchor_every_seconds=600,
        gone_after_seconds=gone_after_seconds,
        patience_seconds=PATIENCE,
    )
    async with Stage(directory, settings) as stage:
        await stage.start_chain()
        await stage.deploy(flight_start - 3_600)
        cast = Cast(plan, stage.chain, stage.deployment, stage.registrar_key)
        await cast.register()
        for campaign_plan in plan.campaigns:
            await cast.agree(await cast.open_campaign(campaign_plan, flight_start))
        await cast.deposit(plan.steps)
        now_ms = (await stage.chain.latest()).timestamp_seconds * 1000
        time = await stage.start_service(now_ms)
        last = cast.campaigns[-1]

        async def known() -> bool | None:
            found = await stage.log.campaign(last.id)
            return True if len(found["orders"]) == len(last.plan.orders) else None  # type: ignore[index]

        await wait_for("the facts", known, alive=stage.require_alive, patience_seconds=PATIENCE)
        clients: dict[int, PublisherClient] = {}
        async with AsyncExitStack() as stack:
            for member, key in cast.event_keys().items():
                client = await PublisherClient.connect(stage.service_url, member, key, stage.retry)
                clients[member] = await stack.enter_async_context(client)
            await declare_inventory(plan, cast, clients.__getitem__, time.now_ms)
            scenarios = [list(simulate(cast.scenario(each))) for each in cast.campaigns]
            steps = [list(each) for each in zip(*scenarios, strict=True)]
            yield LiveDeployment(stage, cast, time, clients, steps)


def require_code(found: tuple[int, str], code: int) -> str:
    """The output of a command that must have ended with ``code``."""
    if found[0] != code:
        raise AdtallyError(f"exit code {found[0]}, not {code}:\n{found[1]}")
    return found[1]
