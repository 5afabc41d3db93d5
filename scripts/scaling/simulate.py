"""One scenario from traffic to money: the simulation, and what it adds up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adtally.errors import InvariantBroken
from adtally.events.batch import ENVELOPE_SIZE
from adtally.events.record import RECORD_SIZE
from adtally.log.segment import OVERHEAD

from .chain import OnChain, on_chain
from .day import Day, run_day
from .inputs import UnitCosts
from .money import Money, settle_day
from .placement import Placement, id_bytes_of_an_event, log_events, place, work_seconds
from .scenario import Scenario
from .traffic import DAY_SECONDS, Orders, day_curve, draw_orders

LENGTH_BYTES = 2
NODE_BYTES = 32


@dataclass(frozen=True, slots=True)
class Resources:
    """What all logs together need for the day.

    Attributes:
        batches, entries: entries are events and one envelope a batch.
        log_bytes: segment files: entries with their lengths, and a frame for each commit.
        tree_bytes: all nodes of the trees, of which tiles are served.
        id_bytes, id_bytes_most: memory for ids: of all logs, of the largest.
        sequencer_cores: of all logs, mean of the day.
        audit_core_hours, attestor_core_hours: of one who checks everything.
        publishers_on_several: those who send to more than one log.
        logs_a_publisher: mean, and most.
    """

    batches: int
    entries: int
    log_bytes: int
    tree_bytes: int
    id_bytes: int
    id_bytes_most: int
    sequencer_cores: float
    audit_core_hours: float
    attestor_core_hours: float
    publishers_on_several: int
    logs_a_publisher: float
    logs_a_publisher_most: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """A simulated day."""

    scenario: Scenario
    orders: Orders
    placement: Placement
    day: Day
    money: Money
    chain: OnChain
    resources: Resources


def simulate(scenario: Scenario, costs: UnitCosts) -> Outcome:
    """Play one day.

    Raises:
        DoesNotFit: a campaign is too large for any log.
    """
    rng = np.random.default_rng(scenario.seed)
    orders = draw_orders(scenario, rng)
    curve = day_curve(scenario)
    placement = place(scenario, costs, orders, curve)
    day = run_day(scenario, costs, placement, curve, rng)
    money = settle_day(scenario, orders)
    log_of_order = placement.of_campaign[orders.campaign]
    chain = on_chain(
        scenario,
        costs,
        day.taken,
        np.bincount(placement.of_campaign, minlength=placement.logs),
        np.bincount(log_of_order[money.line > 0], minlength=placement.logs),
    )
    outcome = Outcome(
        scenario, orders, placement, day, money, chain, resources(scenario, costs, placement)
    )
    _require_balance(outcome)
    return outcome


def simulate_placement(scenario: Scenario, costs: UnitCosts) -> tuple[Placement, Resources]:
    """The part of a day that says how many logs it takes.

    Raises:
        DoesNotFit: as ``simulate``.
    """
    orders = draw_orders(scenario, np.random.default_rng(scenario.seed))
    placement = place(scenario, costs, orders, day_curve(scenario))
    return placement, resources(scenario, costs, placement)


def _require_balance(outcome: Outcome) -> None:
    """Every event is in one log once, and every unit somewhere."""
    day, money, events = outcome.day, outcome.money, outcome.scenario.events
    counts = {
        "ordered": int(outcome.orders.events.sum()),
        "sent": int(day.arrived.sum()),
        "logged": int(day.taken.sum()),
    }
    if set(counts.values()) != {events} or (day.arrived.sum(1) != day.taken.sum(1)).any():
        raise InvariantBroken(f"of {events} events {counts}")
    spent = money.lines + money.cuts
    if money.funded != spent + money.left:
        raise InvariantBroken(f"funded {money.funded}, spent {spent}, left {money.left}")


def resources(scenario: Scenario, costs: UnitCosts, placement: Placement) -> Resources:
    """What the placed traffic needs."""
    streams, logs = placement.streams, placement.logs
    events, batches = log_events(streams, logs), int(streams.batches.sum())
    entries = scenario.events + batches
    # A commit takes what came while the one before was written; it is never empty.
    commits = min(batches, int(logs * DAY_SECONDS / costs.commit_seconds))
    log_bytes = scenario.events * (RECORD_SIZE + LENGTH_BYTES)
    log_bytes += batches * (ENVELOPE_SIZE + LENGTH_BYTES) + commits * OVERHEAD
    per_event = id_bytes_of_an_event(scenario, costs)
    reached = np.bincount(streams.publisher[streams.events > 0], minlength=scenario.publishers)
    return Resources(
        batches=batches,
        entries=entries,
        log_bytes=log_bytes,
        tree_bytes=2 * NODE_BYTES * entries,
        id_bytes=round(scenario.events * per_event),
        id_bytes_most=round(int(events.max()) * per_event),
        sequencer_cores=float(work_seconds(streams, costs, logs).sum()) / DAY_SECONDS,
        audit_core_hours=scenario.events * costs.audit_seconds / 3_600,
        attestor_core_hours=scenario.events * costs.attestor_seconds / 3_600,
        publishers_on_several=int((reached > 1).sum()),
        logs_a_publisher=float(reached[reached > 0].mean()),
        logs_a_publisher_most=int(reached.max()),
    )
