"""What the demo plays: who takes part, what is agreed, and how much traffic there is.

Everything is made from one seed, so equal plans give equal totals to the base unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from eth_utils import keccak

from adtally.events.signature import address_of
from adtally.simulation.scenario import Behaviour, DishonestShares
from adtally.types import Address, GoalType, Rates, Role

DAY_SECONDS = 86_400
USDX = 10**6
DAIX = 10**18


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who takes part, with keys derived from seed and name (for local chains only)."""

    name: str
    role: Role
    seed: int
    placements: tuple[str, ...] = ()

    @property
    def account_key(self) -> bytes:
        """Private key of its account on the chain."""
        return self._key("account")

    @property
    def event_key(self) -> bytes:
        """Private key that signs its batches and declarations."""
        return self._key("events")

    @property
    def payout(self) -> Address:
        """Where its money goes: an address of its own, empty before the demo."""
        return address_of(self._key("payout"))

    def _key(self, purpose: str) -> bytes:
        return keccak(f"adtally demo {self.seed} {self.name} {purpose}".encode())


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """A publisher's order: rates in base units, and the most its line can reach."""

    publisher: str
    rates: Rates
    cap_base_units: int
    weight: float


@dataclass(frozen=True, slots=True)
class Deposit:
    """Money paid in at the start of a step of the flight; step 0 is before the flight."""

    step: int
    amount_base_units: int


@dataclass(frozen=True, slots=True)
class CutPlan:
    """An intermediary's share in basis points."""

    party: str
    basis_points: int


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """One campaign: terms, orders, money and traffic."""

    name: str
    token: str
    orders: tuple[OrderPlan, ...]
    deposits: tuple[Deposit, ...]
    cuts: tuple[CutPlan, ...]
    creatives: tuple[str, ...]
    impressions: int
    settle_threshold_base_units: int = 0
    goal_type: GoalType = GoalType.NONE
    goal_count: int = 0
    dispute_window_seconds: int = 0
    objection_bond_base_units: int = 0
    holdback_basis_points: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)
    dishonest: DishonestShares = field(default_factory=DishonestShares)


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The whole demo.

    Attributes:
        steps: the flight is cut into this many steps.
        late_window_seconds: events of the flight may arrive this long after it.
        correction_window_seconds: corrections may be entered this long after that.
        forged_every_steps: how often every kind of forged batch is tried.
        attestor_pause: steps from which to which one of the three attestors is switched off.
    """

    seed: int
    parties: tuple[Party, ...]
    advertiser: str
    campaigns: tuple[CampaignPlan, ...]
    steps: int = 96
    flight_seconds: int = DAY_SECONDS
    late_window_seconds: int = 3_600
    correction_window_seconds: int = 3_600
    forged_every_steps: int = 12
    attestor_pause: tuple[int, int] | None = None

    def party(self, name: str) -> Party:
        return next(party for party in self.parties if party.name == name)


def _rates(unit: int, **micros: int) -> Rates:
    """Rates given in millionths of the token; odd ones, so that lines have something to floor."""
    return Rates(**{name: value * unit // 10**6 for name, value in micros.items()})


def default_plan(
    seed: int = 7, steps: int = 96, scale_percent: int = 100, second_token: str = "USDX"
) -> DemoPlan:
    """The demo's plan; ``scale_percent`` of its full traffic and money.

    The second campaign may be in the dollar with 18 decimals, ``DAIX``.
    """

    def scaled(amount: int) -> int:
        return amount * scale_percent // 100

    def party(name: str, role: Role, *placements: str) -> Party:
        return Party(name, role, seed, placements)

    return DemoPlan(
        seed=seed,
        parties=(
            party("Northwind Outdoor", Role.ADVERTISER),
            party("Daily Ledger", Role.PUBLISHER, "front page", "article"),
            party("Trailhead", Role.PUBLISHER, "magazine", "newsletter", "map"),
            party("Streamwise", Role.PUBLISHER, "pre-roll"),
            party("Ghost Media", Role.PUBLISHER, "nowhere"),
            party("Harbour Media", Role.INTERMEDIARY),
            party("Commons Exchange", Role.INTERMEDIARY),
        ),
        advertiser="Northwind Outdoor",
        campaigns=(_boots(scaled, steps), _tents(scaled, steps, second_token)),
        steps=steps,
        attestor_pause=(steps // 3, steps * 5 // 12),
    )


def _boots(scaled: Callable[[int], int], steps: int) -> CampaignPlan:
    """Paid for reach and for results; the money runs out and is topped up at noon."""
    return CampaignPlan(
        name="Boots, brand and performance",
        token="USDX",
        orders=(
            OrderPlan(
                "Daily Ledger",
                _rates(USDX, per_mille_impressions=8_402_713, per_click=350_000),
                scaled(400 * USDX),
                0.45,
            ),
            OrderPlan(
                "Trailhead",
                _rates(USDX, per_mille_viewables=11_899_387, per_conversion=6_500_000),
                scaled(300 * USDX),
                0.35,
            ),
            OrderPlan(
                "Streamwise",
                _rates(USDX, per_mille_impressions=21_750_001, per_mille_viewables=1_499_999),
                scaled(48 * USDX),
                0.20,
            ),
        ),
        deposits=(Deposit(0, scaled(54 * USDX)), Deposit(steps // 2, scaled(140 * USDX))),
        cuts=(CutPlan("Harbour Media", 500), CutPlan("Commons Exchange", 200)),
        creatives=("Boots, forest", "Boots, city", "Boots, video"),
        impressions=scaled(13_000),
        settle_threshold_base_units=scaled(22 * USDX),
    )


def _tents(scaled: Callable[[int], int], steps: int, token: str) -> CampaignPlan:
    """Paid per click and sale in ``token``; settles by sales, with dispute window and holdback."""
    unit = {"USDX": USDX, "DAIX": DAIX}[token]
    return CampaignPlan(
        name="Tents, paid per sale",
        token=token,
        orders=(
            OrderPlan(
                "Trailhead",
                _rates(unit, per_click=120_000, per_conversion=9_250_000),
                scaled(500 * unit),
                0.7,
            ),
            OrderPlan(
                "Daily Ledger", _rates(unit, per_conversion=10_750_000), scaled(500 * unit), 0.3
            ),
        ),
        deposits=(Deposit(0, scaled(250 * unit)),),
        cuts=(CutPlan("Harbour Media", 300),),
        creatives=("Tents, lake",),
        impressions=scaled(3_000),
        goal_type=GoalType.CONVERSIONS,
        goal_count=max(1, scaled(4)),
        dispute_window_seconds=DAY_SECONDS // steps,
        objection_bond_base_units=5 * unit,
        holdback_basis_points=1_000,
        behaviour=replace(Behaviour(), ctr=0.03, cvr=0.12),
    )


def live_plan(seed: int, minutes: int, impressions: int, step_seconds: int) -> DemoPlan:
    """A short campaign for a service on real time: the demo's first one, made small."""
    whole = default_plan(seed=seed)
    boots = whole.campaigns[0]
    share = impressions * 100 // boots.impressions + 1
    small = replace(
        boots,
        orders=tuple(
            replace(order, cap_base_units=max(order.cap_base_units * share // 100, USDX))
            for order in boots.orders
        ),
        deposits=(Deposit(0, max(200 * USDX * share // 100, USDX)),),
        impressions=impressions,
        settle_threshold_base_units=max(boots.settle_threshold_base_units * share // 100, 1),
        behaviour=replace(Behaviour(), cvr=0.5),
    )
    return replace(
        whole,
        campaigns=(small,),
        steps=minutes * 60 // step_seconds,
        flight_seconds=minutes * 60,
        late_window_seconds=60,
        correction_window_seconds=60,
        attestor_pause=None,
    )
