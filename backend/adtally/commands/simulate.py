"""``adtally simulate``: traffic for a local service, or for a file."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
from rich.console import Console

from adtally.client.batch_body import event_to_json
from adtally.demo.live import play_live
from adtally.demo.plan import live_plan
from adtally.demo.tables import verdict_table
from adtally.errors import InvalidInput
from adtally.simulation.scenario import PublisherTraffic, Scenario
from adtally.simulation.traffic import simulate

STEP_SECONDS = 5


async def simulate_live(
    service: str,
    rpc_url: str,
    deployment: Path,
    seed: int,
    minutes: int,
    impressions: int,
    console: Console,
) -> None:
    """A campaign of some minutes against a running service on a local chain."""
    plan = live_plan(seed, minutes, impressions, STEP_SECONDS)
    outcome = await play_live(plan, service, rpc_url, deployment, console)
    console.print(verdict_table(outcome))
    (number,) = outcome.campaign_names
    console.print(
        "the final statement follows after late and correction window: "
        f"{service}/v1/campaigns/{number}",
        highlight=False,
    )


def simulate_file(path: Path, seed: int, minutes: int, impressions: int, console: Console) -> None:
    """The same kind of traffic as events in JSON, a line each, with what each deserves.

    Raises:
        InvalidInput: there is a file already.
    """
    start = int(time.time()) * 1000
    scenario = Scenario(
        seed=seed,
        campaign=1,
        publishers=(PublisherTraffic(2, (1, 2)), PublisherTraffic(3, (1,))),
        creatives=(1, 2),
        flight_start_ms=start,
        flight_end_ms=start + minutes * 60_000,
        steps=max(minutes * 60 // STEP_SECONDS, 1),
        impressions=impressions,
        tail_ms=0,
    )
    count = 0
    try:
        with path.open("xb") as file:
            for step in simulate(scenario):
                pairs = [pair for pairs in step.publishers.values() for pair in pairs]
                for event, expected in pairs + step.conversions:
                    deserves = "accepted" if expected is None else expected.label
                    line = {"deserves": deserves, "event": event_to_json(event)}
                    file.write(msgspec.json.encode(line) + b"\n")
                    count += 1
    except OSError as error:
        raise InvalidInput(
            "the file can't be written", field=str(path), expected="a new file", found=str(error)
        ) from None
    console.print(f"{count:,} events written to {path}", highlight=False)
