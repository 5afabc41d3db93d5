"""The queue of the writer: order, turns, shares, bounds."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtally.errors import Overloaded
from adtally.intake.fair_queue import (
    MAX_WAITING_EVENTS,
    MAX_WAITING_JOBS,
    MOST_EVENTS,
    TURN_EVENTS,
    FairQueue,
)

Job = tuple[int, int, int]
"""Member, events, number."""


def fill(queue: FairQueue[Job], member: int, events: int) -> int:
    """Put jobs until one is refused; returns how many were taken."""
    number = 0
    while True:
        try:
            queue.put(member, events, (member, events, number))
        except Overloaded:
            return number
        number += 1


def drain(queue: FairQueue[Job]) -> list[Job]:
    jobs = []
    while (job := queue.get()) is not None:
        jobs.append(job)
    return jobs


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 10_000)), max_size=40))
def test_queue__jobs_of_members__each_once_and_in_order_of_its_member(
    wanted: list[tuple[int, int]],
) -> None:
    queue: FairQueue[Job] = FairQueue()
    taken = []
    for number, (member, events) in enumerate(wanted):
        try:
            queue.put(member, events, (member, events, number))
        except Overloaded:
            continue
        taken.append((member, events, number))
    jobs = drain(queue)
    assert sorted(jobs, key=lambda job: job[2]) == taken
    for member in range(1, 6):
        numbers = [job[2] for job in jobs if job[0] == member]
        assert numbers == sorted(numbers)
    assert queue.is_empty


def test_queue__one_sends_ten_times_as_much__others_have_their_turns() -> None:
    queue: FairQueue[Job] = FairQueue()
    for number in range(20):
        queue.put(1, 5_000, (1, 5_000, number))
    for member in (2, 3):
        for number in range(10):
            queue.put(member, 1_000, (member, 1_000, number))
    served = Counter[int]()
    while min(served[2], served[3]) < 10_000:
        job = queue.get()
        assert job is not None
        served[job[0]] += job[1]
    assert served[1] <= 10_000 + 2 * TURN_EVENTS


def test_queue__filled_by_one__takes_from_others() -> None:
    queue: FairQueue[Job] = FairQueue()
    assert fill(queue, 1, 1_000) == MAX_WAITING_EVENTS // 1_000
    assert fill(queue, 2, 1_000) == MAX_WAITING_EVENTS // 2_000
    # The first has more than its share now; it waits until others are served.
    with pytest.raises(Overloaded):
        queue.put(1, 1, (1, 1, 0))


def test_queue__any_number_of_members__is_bounded() -> None:
    queue: FairQueue[Job] = FairQueue()
    events = sum(10_000 * fill(queue, member, 10_000) for member in range(200))
    assert MAX_WAITING_EVENTS <= events <= MOST_EVENTS
    with pytest.raises(Overloaded):
        queue.put(1_000, 10_000, (1_000, 10_000, 0))
    small: FairQueue[Job] = FairQueue()
    assert sum(fill(small, member, 1) for member in range(2_000)) == MAX_WAITING_JOBS


def test_queue__jobs_of_the_service__go_first_and_are_never_refused() -> None:
    queue: FairQueue[Job] = FairQueue()
    fill(queue, 1, 10_000)
    for number in range(3):
        queue.put_own((0, 0, number))
    assert [queue.get() for _ in range(3)] == [(0, 0, 0), (0, 0, 1), (0, 0, 2)]
    assert queue.get() == (1, 10_000, 0)


@pytest.mark.asyncio
async def test_wait__returns_when_there_is_a_job__and_only_then() -> None:
    queue: FairQueue[Job] = FairQueue()
    waiting = asyncio.create_task(queue.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.put(1, 1, (1, 1, 1))
    await waiting
    await queue.wait()
    assert queue.get() == (1, 1, 1)
    waiting = asyncio.create_task(queue.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
