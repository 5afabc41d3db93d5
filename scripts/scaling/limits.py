"""Where each part of one log stops, computed from what one of something costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adtally.events.record import RECORD_SIZE

from .chain import LINES_A_TRANSACTION
from .inputs import Measured, UnitCosts
from .placement import BATCH_EVENTS, id_bytes_of_an_event
from .scenario import GIB, Scenario
from .simulate import LENGTH_BYTES, NODE_BYTES
from .traffic import DAY_SECONDS, day_curve

SMALL_MEMORY_BYTES = 16 * GIB
"""What ids may take of a machine with 24 GiB."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A part, what it can take, and what takes over there."""

    part: str
    stops_at: str
    why: str
    then: str


def stops(scenario: Scenario, costs: UnitCosts, table: Mapping[str, Measured]) -> list[Stop]:
    """Of one log under the scenario's day curve and assumptions."""
    curve = day_curve(scenario)
    peak = curve.max() * len(curve)
    busy = DAY_SECONDS * scenario.peak_load / peak
    full = costs.batch_seconds / BATCH_EVENTS + costs.event_seconds
    syncs = table["limit.fdatasync_per_second"].value
    room = DAY_SECONDS // scenario.block_seconds
    per_event = id_bytes_of_an_event(scenario, costs)
    stored = RECORD_SIZE + LENGTH_BYTES + 2 * NODE_BYTES
    return [
        Stop(
            "sequencer's core, full batches",
            f"{_big(busy / full)} events a day",
            f"{1 / full:,.0f} a second (measured), at most {scenario.peak_load:.0%} busy at a "
            f"peak {peak:.2f} times the mean",
            "more logs: campaigns are placed on them",
        ),
        Stop(
            "sequencer's core, batches of one",
            f"{_big(busy / (costs.batch_seconds + costs.event_seconds))} events a day",
            f"{costs.batch_seconds * 1e6:,.0f} us a batch (measured)",
            "collectors, or NATS JetStream or Kafka in front of one, that gather batches",
        ),
        Stop(
            "memory for ids",
            f"{_big(SMALL_MEMORY_BYTES / per_event)} events a day in 16 GiB",
            f"{per_event:.1f} bytes an event of the day (computed), kept a day and 70 minutes",
            "more logs, more memory, or a shorter `max_event_age_ms`",
        ),
        Stop(
            "disk",
            f"{_big(10**12 / stored)} events a terabyte",
            f"{stored} bytes an event with its tree (computed)",
            "sealed segments and tiles in object storage",
        ),
        Stop(
            "commits",
            f"{syncs:,.0f} a second",
            "fdatasync of 114,000 bytes (measured); waiting batches share one",
            "not reached: a busier log has larger commits",
        ),
        Stop(
            "the log's account on the chain",
            f"{room:,} transactions a day, {room * LINES_A_TRANSACTION:,} lines",
            f"one in flight, a block of {scenario.block_seconds} s (assumed)",
            "more logs, or paying less often: lines are cumulative",
        ),
        Stop(
            "an attestor",
            f"{_big(DAY_SECONDS / costs.attestor_seconds)} events a day and core",
            f"{1 / costs.attestor_seconds:,.0f} events a second by the reference rules (measured)",
            "one process a log; logs share nothing",
        ),
        Stop(
            "an auditor",
            f"{_big(DAY_SECONDS / costs.audit_seconds)} events a day and core",
            f"{1 / costs.audit_seconds:,.0f} events a second, downloaded and by columns (measured)",
            "one process a log; logs share nothing",
        ),
    ]


def _big(number: float) -> str:
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{name}"
    return f"{number:.3g}"
