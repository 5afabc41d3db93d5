"""A day of every log's queue: what arrives, what its one sequencer takes, how long events wait.

Each log's sequencer dies once, at the worst moment: the peak of the day. Until its standby takes
over nothing is taken; publishers keep what they have no receipt for, and send it again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .inputs import UnitCosts
from .placement import Placement, log_events, work_seconds
from .scenario import Scenario
from .traffic import STEP_SECONDS, Floats, Ints


@dataclass(frozen=True, slots=True)
class Day:
    """What happened, by log and step of ten seconds; steps go on until all queues are empty.

    Attributes:
        arrived: first sent, by (log, step).
        taken: logged and answered, by (log, step).
        load: share of its core that each log needed in its busiest step.
        waits_seconds, waits_events: how long an event of each step waited at most before it was
            taken, and how many events that stands for.
        unanswered: most events of one log that had arrived and were not taken yet.
        sent_twice: events of batches that a dying sequencer had not answered.
    """

    arrived: Ints
    taken: Ints
    load: Floats
    waits_seconds: Floats
    waits_events: Ints
    unanswered: int
    sent_twice: int

    def wait_seconds(self, share: float) -> float:
        """What this share of the events waited at most."""
        order = np.argsort(self.waits_seconds)
        counted = np.cumsum(self.waits_events[order])
        at = np.searchsorted(counted, math.ceil(share * counted[-1]))
        return float(self.waits_seconds[order][at])


def run_day(
    scenario: Scenario,
    costs: UnitCosts,
    placement: Placement,
    curve: Floats,
    rng: np.random.Generator,
) -> Day:
    """Play the day through."""
    logs = placement.logs
    events = log_events(placement.streams, logs)
    seconds = work_seconds(placement.streams, costs, logs)
    arrived = np.stack([rng.multinomial(each, curve) for each in events])
    peak = int(np.argmax(curve))
    taken, waiting = _play(arrived, seconds / np.maximum(events, 1), peak, scenario)
    arrived = np.pad(arrived, ((0, 0), (0, taken.shape[1] - arrived.shape[1])))
    waits = np.stack([_waits(*pair) for pair in zip(arrived, taken, strict=True)])
    at_death = arrived[:, peak] / STEP_SECONDS * costs.commit_seconds
    return Day(
        arrived=arrived,
        taken=taken,
        load=arrived.max(axis=1) * seconds / np.maximum(events, 1) / STEP_SECONDS,
        waits_seconds=waits.ravel(),
        waits_events=arrived.ravel(),
        unanswered=int(waiting.max()),
        sent_twice=int(np.ceil(at_death).sum()),
    )


def _play(
    arrived: Ints, seconds_an_event: Floats, death: int, scenario: Scenario
) -> tuple[Ints, Ints]:
    """What was taken and what was waiting, by (log, step)."""
    taken, waiting = [], []
    left = np.zeros(len(arrived), np.int64)
    step = 0
    while step < arrived.shape[1] or left.any():
        if step < arrived.shape[1]:
            left = left + arrived[:, step]
        down = min(max(scenario.takeover_seconds - (step - death) * STEP_SECONDS, 0), STEP_SECONDS)
        up_seconds = STEP_SECONDS - (down if step >= death else 0)
        room = np.floor(up_seconds / np.maximum(seconds_an_event, 1e-12)).astype(np.int64)
        now = np.minimum(left, room)
        left = left - now
        taken.append(now)
        waiting.append(left)
        step += 1
    return np.stack(taken, axis=1), np.stack(waiting, axis=1)


def _waits(arrived: Ints, taken: Ints) -> Floats:
    """Seconds that the first or the last event of each step waits, whichever is longer.

    Events come, and are taken, evenly within a step.
    """
    sent, done = np.cumsum(arrived), np.cumsum(taken)
    steps = np.arange(len(taken))

    def waited(number: Ints, came: Ints) -> Floats:
        """``number`` events were taken before; ``came`` is the step's edge at which it came."""
        at = np.minimum(np.searchsorted(done, number, side="right"), len(taken) - 1)
        part = np.minimum((number - done[at] + taken[at]) / np.maximum(taken[at], 1), 1)
        left: Floats = np.maximum(at + part - came, 0) * STEP_SECONDS
        return left

    waits: Floats = np.maximum(waited(sent - arrived, steps), waited(sent - 1, steps + 1))
    return waits
