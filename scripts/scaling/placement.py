"""Which log a campaign is on, and how many logs that takes."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from .inputs import UnitCosts
from .scenario import Scenario
from .traffic import DAY_SECONDS, STEP_SECONDS, STEPS, Floats, Ints, Orders, day_curve

BATCH_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Streams:
    """One row for each publisher on each log it sends to, since batches are of one log."""

    log: Ints
    publisher: Ints
    events: Ints
    batches: Ints


@dataclass(frozen=True, slots=True)
class Placement:
    """A log for each campaign, and what follows from it."""

    logs: int
    of_campaign: Ints
    streams: Streams


class DoesNotFit(Exception):
    """One campaign alone is more than a log can take."""


def place(scenario: Scenario, costs: UnitCosts, orders: Orders, curve: Floats) -> Placement:
    """As many logs as it takes until no core and no memory is overcommitted at the peak.

    Raises:
        DoesNotFit: the largest campaign needs more than one log. Its advertiser has to open
            several campaigns instead, each with its own money.
    """
    expected = np.bincount(orders.campaign, orders.expected, scenario.campaigns)
    id_bytes = id_bytes_of_an_event(scenario, costs)
    largest = expected.max() * id_bytes
    if largest > scenario.memory_bytes:
        raise DoesNotFit(f"ids of one campaign take {largest / 2**30:.0f} GiB")
    logs = max(1, math.ceil(scenario.events * id_bytes / scenario.memory_bytes))
    while True:
        found = _placed(scenario, orders, expected, logs)
        seconds = work_seconds(found.streams, costs, logs) * curve.max() / STEP_SECONDS
        ids = log_events(found.streams, logs) * id_bytes
        over = max(seconds.max() / scenario.peak_load, ids.max() / scenario.memory_bytes)
        if over <= 1:
            return found
        if logs >= scenario.campaigns:
            raise DoesNotFit("every campaign has a log of its own, and one is too small")
        logs = min(scenario.campaigns, max(logs + 1, int(logs * over)))


def id_bytes_of_an_event(scenario: Scenario, costs: UnitCosts) -> float:
    """Memory for ids, at its most, over the events of a day.

    What is remembered is the busiest stretch as long as the window and a partition of time.
    """
    window_ms = scenario.id_window_ms + scenario.id_partition_ms
    days, rest = divmod(window_ms // (STEP_SECONDS * 1_000), STEPS)
    run = np.concatenate([[0.0], np.cumsum(np.tile(day_curve(scenario), 2))])
    busiest = float((run[rest:] - run[: len(run) - rest]).max())
    return costs.id_bytes * (days + busiest)


def log_events(streams: Streams, logs: int) -> Ints:
    """Events of each log."""
    total = np.zeros(logs, np.int64)
    np.add.at(total, streams.log, streams.events)
    return total


def work_seconds(streams: Streams, costs: UnitCosts, logs: int) -> Floats:
    """CPU seconds of each log's sequencer for the day."""
    seconds = streams.batches * costs.batch_seconds + streams.events * costs.event_seconds
    return np.bincount(streams.log, seconds, logs)


def _placed(scenario: Scenario, orders: Orders, expected: Floats, logs: int) -> Placement:
    """Largest first onto the emptiest log: within 4/3 of the best (Graham, 1969)."""
    heap = [(0.0, log) for log in range(logs)]
    of_campaign = np.zeros(scenario.campaigns, np.int64)
    for campaign in np.argsort(-expected, kind="stable"):
        load, log = heap[0]
        of_campaign[campaign] = log
        heapq.heapreplace(heap, (load + expected[campaign], log))
    return Placement(logs, of_campaign, _streams(scenario, orders, of_campaign))


def _streams(scenario: Scenario, orders: Orders, of_campaign: Ints) -> Streams:
    key = of_campaign[orders.campaign] * scenario.publishers + orders.publisher
    keys, row = np.unique(key, return_inverse=True)
    events = np.zeros(len(keys), np.int64)
    np.add.at(events, row, orders.events)
    log, publisher = np.divmod(keys, scenario.publishers)
    # A batch goes when it is full, or when its first event has waited long enough.
    waits = DAY_SECONDS / scenario.batch_wait_seconds
    batches = np.ceil(np.maximum(events / BATCH_EVENTS, np.minimum(events, waits)))
    return Streams(log, publisher, events, batches.astype(np.int64))
