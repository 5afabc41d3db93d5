"""What is assumed: how much traffic, of whom, on which machines. Nothing here was measured."""

from __future__ import annotations

from dataclasses import dataclass

from adtally.kernel.event_table import PARTITION_BITS
from adtally.types import Cut
from adtally.verification.rule_set import RuleSet

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Scenario:
    """One day.

    Attributes:
        seed: of everything that is drawn.
        events: on this day, all of them honest.
        publishers, campaigns, orders_per_campaign: how many there are.
        publisher_skew, campaign_skew: exponents of Zipf's law for their sizes.
        batch_wait_seconds: a publisher sends when it has 1,000 events for a log, or after this.
        memory_bytes: of a log's machine that ids may take.
        peak_load: of a log's core in the busiest ten seconds, at most.
        log_age_days: days like this one that are in the logs already.
        takeover_seconds: from the death of a sequencer to the first batch that its standby takes.
        attestors: each checks everything.
        anchor_latency_seconds: from asking the attestors to a mined anchor.
        anchor_every_entries, anchor_every_seconds: as ``AnchorPolicy``.
        block_seconds: one transaction of a log is in flight at a time, so one fits in a block.
        price_per_mille_base_units: of impressions; every event is one.
        cuts: on top of the lines.
        id_window_ms: how long ids are remembered at least; they go by whole partitions of time.
        market_zones: where the publishers' visitors live, and their share.
    """

    name: str
    seed: int
    events: int
    publishers: int
    campaigns: int
    orders_per_campaign: int = 20
    publisher_skew: float = 1.0
    campaign_skew: float = 0.7
    batch_wait_seconds: float = 10.0
    memory_bytes: int = 96 * GIB
    peak_load: float = 0.5
    log_age_days: int = 365
    takeover_seconds: float = 30.0
    attestors: int = 3
    anchor_latency_seconds: int = 30
    anchor_every_entries: int = 10_000
    anchor_every_seconds: int = 600
    block_seconds: int = 12
    price_per_mille_base_units: int = 2_000_000
    cuts: tuple[Cut, ...] = (Cut(4, 500), Cut(5, 250))
    id_window_ms: int = RuleSet().max_event_age_ms
    id_partition_ms: int = 2**PARTITION_BITS
    market_zones: tuple[tuple[str, float], ...] = (
        ("America/New_York", 0.25),
        ("America/Sao_Paulo", 0.10),
        ("Europe/Berlin", 0.25),
        ("Asia/Kolkata", 0.20),
        ("Asia/Tokyo", 0.20),
    )


EUROPE = (("Europe/Berlin", 1.0),)
# The more publishers there are, the longer the small ones gather; where anchors by count would be
# more than one every 10 minutes, they go by time alone.
BY_TIME = 10**12
SCENARIOS = (
    Scenario("1M", 1, 10**6, 50, 20, batch_wait_seconds=1.0, market_zones=EUROPE),
    Scenario("1G", 2, 10**9, 2_000, 2_000, anchor_every_entries=BY_TIME),
    Scenario("100G", 3, 10**11, 20_000, 50_000, anchor_every_entries=BY_TIME),
)
