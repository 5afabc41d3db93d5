"""What a simulation is told: who, when, how much, and how much of it is dishonest."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from adtally.errors import InvalidInput
from adtally.events.record import DeviceClass
from adtally.types import UINT32_MAX, UINT48_MAX

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class PublisherTraffic:
    """A publisher that sends events; ``has_order`` False sends only what has no order."""

    member: int
    placements: tuple[int, ...]
    weight: float = 1.0
    has_order: bool = True


@dataclass(frozen=True, slots=True)
class Market:
    """Where people are: ISO 3166-1 country, IANA zone, share of traffic, devices."""

    country: str
    zone: str
    weight: float
    devices: tuple[tuple[DeviceClass, float], ...] = (
        (DeviceClass.MOBILE, 0.58),
        (DeviceClass.DESKTOP, 0.31),
        (DeviceClass.TABLET, 0.06),
        (DeviceClass.CONNECTED_TV, 0.05),
    )


MARKETS = (
    Market("DE", "Europe/Berlin", 0.34),
    Market("FR", "Europe/Paris", 0.22),
    Market("GB", "Europe/London", 0.18),
    Market("PL", "Europe/Warsaw", 0.10),
    Market("US", "America/New_York", 0.11),
    Market("JP", "Asia/Tokyo", 0.05),
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How honest people behave.

    ``ctr`` and ``viewability`` are per impression, ``cvr`` per click. Values of conversions are
    log-normal in EUR with the given median; ``value_sigma`` is of the natural logarithm.
    """

    ctr: float = 0.007
    viewability: float = 0.65
    cvr: float = 0.035
    median_value_eur: float = 42.0
    value_sigma: float = 0.7


@dataclass(frozen=True, slots=True)
class DishonestShares:
    """Events of each dishonest kind, as shares of the honest impressions.

    The names are the labels of the verdicts that the events deserve.
    """

    known_bot: float = 0.04
    data_center: float = 0.02
    duplicate: float = 0.01
    conflict: float = 0.002
    too_old: float = 0.004
    in_the_future: float = 0.002
    unknown_parent: float = 0.003
    parent_already_used: float = 0.001
    unknown_campaign: float = 0.001
    placement_not_allowed: float = 0.003
    flight_not_started: float = 0.002
    flight_over: float = 0.002
    no_order: float = 0.01

    @staticmethod
    def none() -> DishonestShares:
        """Honest traffic only."""
        return DishonestShares(*(0.0 for _ in fields(DishonestShares)))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One campaign's traffic. Equal scenarios give equal bytes (with the same numpy).

    Attributes:
        seed: any non-negative integer; ids also depend on ``campaign``.
        creatives: creative ids, used evenly.
        flight_start_ms, flight_end_ms: UTC; the end is exclusive.
        steps: the flight is cut into this many steps of equal length.
        impressions: honest impressions over the whole flight, exactly.
        tail_ms: a last step of this length after the flight; shorter than the late window.
        unknown_campaign: a campaign id that does not exist.
        unregistered_placement: a placement id that no publisher has registered.
        max_event_age_ms, max_clock_skew_ms: as in the rule set in force; the longest step must
            not exceed the age, since a step's events arrive at its end.
    """

    seed: int
    campaign: int
    publishers: tuple[PublisherTraffic, ...]
    creatives: tuple[int, ...]
    flight_start_ms: int
    flight_end_ms: int
    steps: int
    impressions: int
    markets: tuple[Market, ...] = MARKETS
    behaviour: Behaviour = field(default_factory=Behaviour)
    dishonest: DishonestShares = field(default_factory=DishonestShares)
    tail_ms: int = 900_000
    unknown_campaign: int = UINT32_MAX
    unregistered_placement: int = UINT32_MAX
    max_event_age_ms: int = DAY_MS
    max_clock_skew_ms: int = 60_000

    def __post_init__(self) -> None:
        honest = [publisher for publisher in self.publishers if publisher.has_order]
        _require(bool(honest), "publishers", "at least one publisher with an order")
        _require(
            all(p.placements and p.weight > 0 for p in self.publishers),
            "publishers",
            "placements and a positive weight for each",
        )
        _require(bool(self.creatives), "creatives", "at least one creative")
        _require(bool(self.markets), "markets", "at least one market")
        _require(self.seed >= 0, "seed", "a non-negative integer")
        _require(self.impressions >= 0 and self.steps >= 1, "steps", "steps and a volume")
        _require(
            2 * self.max_event_age_ms <= self.flight_start_ms,
            "flight_start_ms",
            "two maximum event ages after 1970, so that old events have a time",
        )
        _require(
            self.flight_start_ms + self.steps <= self.flight_end_ms < UINT48_MAX - 2 * DAY_MS,
            "flight_end_ms",
            "a flight of at least one millisecond a step",
        )
        longest = -(-(self.flight_end_ms - self.flight_start_ms) // self.steps)
        _require(
            max(longest, self.tail_ms) <= self.max_event_age_ms and self.tail_ms >= 0,
            "steps",
            "steps and tail no longer than max_event_age_ms",
        )
        shares = (getattr(self.dishonest, spec.name) for spec in fields(DishonestShares))
        _require(all(0 <= share <= 1 for share in shares), "dishonest", "shares from 0 to 1")

    def step_end_ms(self, number: int) -> int:
        """Exclusive end of step ``number`` (from 0) of the flight, UTC milliseconds."""
        span = self.flight_end_ms - self.flight_start_ms
        return self.flight_start_ms + span * (number + 1) // self.steps


def _require(holds: bool, name: str, expected: str) -> None:
    if not holds:
        raise InvalidInput("the scenario does not make sense", field=name, expected=expected)
