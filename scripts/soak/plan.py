"""What the soak deploys: who takes part, what is agreed, and rules with short memories.

Ids and parents are remembered for less than a minute, so that within the run as many are forgotten
as come: what grows after that would grow for ever.
"""

from __future__ import annotations

from dataclasses import replace

from adtally.demo.plan import USDX, CampaignPlan, CutPlan, DemoPlan, Deposit, OrderPlan, Party
from adtally.types import GoalType, Rates, Role
from adtally.verification.rule_set import RuleSet

SEED = 11
ADVERTISER = "Advertiser"
WEIGHTS = {"Large": 40, "Middle": 25, "Second": 15, "Third": 10, "Small": 7, "Tiny": 3}
"""Publishers, and how many of a hundred events are theirs."""
PLACEMENTS = (1, 2)
CREATIVES = (1,)
_FIRST = ("Large", "Middle", "Second", "Third", "Small")
_OTHER = ("Middle", "Second", "Third", "Small", "Tiny")
"""Who has an order in the first campaign, and in the second: one of the six is missing in each."""

MAX_EVENT_AGE_MS = 20_000
"""Also how long after its impression or click an event may occur."""
STATEMENT_SECONDS = 20
"""How much traffic a statement of each campaign is about."""
_BASE_UNITS_PER_EVENT = 2_500
"""What a mean event costs, roughly, by the rates below."""

ORDERS = {0: _FIRST, 1: _OTHER}
_RATES = Rates(
    per_mille_impressions=2_000_001,
    per_mille_viewables=500_003,
    per_click=9_000,
    per_conversion=25_000,
)


def soak_rules() -> RuleSet:
    """The default rules with windows of seconds."""
    return replace(
        RuleSet(),
        max_event_age_ms=MAX_EVENT_AGE_MS,
        max_clock_skew_ms=5_000,
        viewable_window_ms=MAX_EVENT_AGE_MS,
        click_window_ms=MAX_EVENT_AGE_MS,
        conversion_window_ms=MAX_EVENT_AGE_MS,
    )


def soak_plan(events_per_second: int, seconds: int) -> DemoPlan:
    """Two campaigns that no traffic of the run exhausts: one settles by money, one by count."""
    worth = events_per_second * _BASE_UNITS_PER_EVENT
    plenty = max(100 * worth * seconds, 1_000 * USDX)

    def campaign(name: str, publishers: tuple[str, ...]) -> CampaignPlan:
        return CampaignPlan(
            name=name,
            token="USDX",
            orders=tuple(OrderPlan(each, _RATES, plenty // 10, 1.0) for each in publishers),
            deposits=(Deposit(0, plenty),),
            cuts=(CutPlan("Agency", 500),),
            creatives=("only one",),
            impressions=0,
        )

    by_money = replace(
        campaign("Settled by money", _FIRST),
        settle_threshold_base_units=max(worth * STATEMENT_SECONDS // 2, 1),
    )
    by_count = replace(
        campaign("Settled by impressions", _OTHER),
        goal_type=GoalType.IMPRESSIONS,
        goal_count=max(events_per_second * STATEMENT_SECONDS // 3, 1),
    )
    publishers = (
        Party(name, Role.PUBLISHER, SEED, tuple(f"place {each}" for each in PLACEMENTS))
        for name in WEIGHTS
    )
    return DemoPlan(
        seed=SEED,
        parties=(
            Party(ADVERTISER, Role.ADVERTISER, SEED),
            *publishers,
            Party("Agency", Role.INTERMEDIARY, SEED),
        ),
        advertiser=ADVERTISER,
        campaigns=(by_money, by_count),
        flight_seconds=seconds + 3_600,
    )
