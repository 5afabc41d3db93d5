"""What waits for the one writer: bounded, and fair between those who send.

Members take turns by deficit round robin (Shreedhar and Varghese, 1996): in each turn a member's
jobs of some ``TURN_EVENTS`` events are served, so who sends ten times as much gets no more than
its turn while others wait. When much waits, a member may add only up to its share; so the waiting
of one never makes another be refused.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from adtally.errors import Overloaded

T = TypeVar("T")

MAX_WAITING_EVENTS = 200_000
"""For all members together, while none of them needs more than its share."""
MOST_EVENTS = 4 * MAX_WAITING_EVENTS
"""With as many members as there may be, each with less than its share."""
MAX_WAITING_JOBS = 4_096
TURN_EVENTS = 10_000
_MIN_COST = 16
"""Of a job, in events: a batch of one event costs a signature and an answer, too."""


@dataclass(slots=True)
class _Line(Generic[T]):
    """The jobs of one member."""

    jobs: deque[tuple[T, int]] = field(default_factory=deque)
    waiting: int = 0
    credit: int = 0


class FairQueue(Generic[T]):
    """Jobs of members, and jobs of the service itself, which go first."""

    def __init__(self) -> None:
        self._own: deque[T] = deque()
        self._lines: OrderedDict[int, _Line[T]] = OrderedDict()
        self._waiting_events = 0
        self._waiting_jobs = 0
        self._filled = asyncio.Event()

    def put_own(self, job: T) -> None:
        """A job of the service; never refused."""
        self._own.append(job)
        self._filled.set()

    def put(self, member: int, events: int, job: T) -> None:
        """A member's job.

        Raises:
            Overloaded: too much is waiting; the job was not taken.
        """
        cost = max(events, _MIN_COST)
        line = self._lines.get(member)
        waiting = 0 if line is None else line.waiting
        members = len(self._lines) + (line is None)
        if (
            (waiting and waiting + cost > MAX_WAITING_EVENTS // members)
            or self._waiting_events + cost > MOST_EVENTS
            or self._waiting_jobs >= MAX_WAITING_JOBS
        ):
            raise Overloaded("too many batches are waiting")
        if line is None:
            line = self._lines[member] = _Line()
        line.jobs.append((job, cost))
        line.waiting += cost
        self._waiting_events += cost
        self._waiting_jobs += 1
        self._filled.set()

    async def wait(self) -> None:
        """Until there is a job."""
        await self._filled.wait()

    @property
    def is_empty(self) -> bool:
        """Whether no job waits."""
        return not self._own and not self._lines

    def get(self) -> T | None:
        """The job whose turn it is, or None when nothing waits."""
        job = self._own.popleft() if self._own else self._next_of_members()
        if self.is_empty:
            self._filled.clear()
        return job

    def _next_of_members(self) -> T | None:
        while self._lines:
            member, line = next(iter(self._lines.items()))
            job, cost = line.jobs[0]
            if cost > line.credit:
                line.credit += TURN_EVENTS
                self._lines.move_to_end(member)
                continue
            line.jobs.popleft()
            line.credit -= cost
            line.waiting -= cost
            self._waiting_events -= cost
            self._waiting_jobs -= 1
            if not line.jobs:
                del self._lines[member]
            return job
        return None
