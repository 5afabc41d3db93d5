"""Many publishers at once, and a death at any moment: by a signal from outside, at a write step
that is met by chance, or by a disk that fails."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

from adtally.events.batch import SignedBatch

from .book import Book
from .disk import ERRORS, NO_ROOM, Fault
from .lives import Launcher, Life
from .oracle import examine
from .runs import honest_life
from .traffic import Publisher
from .wire import batch_request
from .workers import Outcome
from .world import publishers

_SENDERS = 16
_LONGEST_SECONDS = 0.25
_STEPS = 150
_LARGEST_BATCH = 20
_SNAPSHOT_EVERY = 300
"""Entries: a life makes several snapshots, and is killed while it does."""
_PAUSE_SECONDS = 0.005


@dataclass
class _Sender:
    """A publisher over many lives; ``open`` is the batch that has no receipt yet."""

    publisher: Publisher
    chance: random.Random
    open: SignedBatch | None = None

    async def send(self, life: Life, book: Book) -> None:
        """Until there is no answer any more: the open batch first, then new ones."""
        client = life.client()
        while True:
            if self.open is None:
                self.open = self.publisher.batch(self.chance.randint(1, _LARGEST_BATCH))
            book.sending(self.open)
            answer = await client.request(batch_request(self.open))
            if book.answered(self.open, answer):
                self.open = None
            elif answer is None or answer.status != 503:
                break
            else:
                await asyncio.sleep(_PAUSE_SECONDS)
        client.close()


@dataclass(frozen=True)
class _ManyPublishers:
    """A launcher whose logs know all senders and have snapshots."""

    launcher: Launcher

    async def start(
        self, directory: Path, *, fault: Fault | None = None, trace: bool = False
    ) -> Life:
        return await self.launcher.start(
            directory, fault=fault, trace=trace, publishers=_SENDERS, snapshot_every=_SNAPSHOT_EVERY
        )


async def one_log(launcher: Launcher, directory: Path, seed: int, deaths: int) -> Outcome:
    """One log through so many deaths under load, examined after each, and mended at the end."""
    chance = random.Random(seed)
    senders = [
        _Sender(Publisher(member, seed), random.Random(f"{member} {seed}"))
        for member in publishers(_SENDERS)
    ]
    starter, book, outcome = _ManyPublishers(launcher), Book(), Outcome()
    for _ in range(deaths):
        fault = _fault(chance)
        life = await starter.start(directory, fault=fault)
        await _load(life, senders, book, None if fault else chance.uniform(0, _LONGEST_SECONDS))
        outcome.problems += await _end_problems(life, fault)
        outcome.problems += examine(directory / "log", book).problems
        outcome.counts[_group(fault)] += 1
    still_open = [sender.open for sender in senders if sender.open is not None]
    outcome.problems += await honest_life(starter, directory, still_open, book)
    outcome.problems += await honest_life(starter, directory, [], book)
    outcome.counts["acknowledged_batches"] += len(book.promised)
    outcome.counts["acknowledged_events"] += book.promised_events
    outcome.counts["resent_batches"] += len(still_open)
    outcome.problems = sorted(set(outcome.problems))
    return outcome


def _fault(chance: random.Random) -> Fault | None:
    """None for a kill from outside."""
    if chance.random() < 0.5:
        return None
    kind = chance.choice(["power_loss_before", "power_loss_after", *ERRORS])
    return Fault(chance.randrange(_STEPS), kind, chance.randrange(2**32))


def _group(fault: Fault | None) -> str:
    if fault is None:
        return "random_kill_runs"
    return "random_disk_error_runs" if fault.kind in ERRORS else "random_power_loss_runs"


async def _load(life: Life, senders: list[_Sender], book: Book, seconds: float | None) -> None:
    """Load until the life dies by itself, or is killed after ``seconds``."""
    sending = [asyncio.create_task(sender.send(life, book)) for sender in senders]
    if seconds is not None:
        await asyncio.sleep(seconds)
        await life.kill()
    await asyncio.wait(sending, timeout=30)
    for task in sending:
        task.cancel()
    await asyncio.gather(*sending, return_exceptions=False)


async def _end_problems(life: Life, fault: Fault | None) -> list[str]:
    if fault is None:
        return [] if await life.was_killed() else ["the service ended before it was killed"]
    if fault.kind in NO_ROOM and life.is_alive:
        # It refused for want of room, and went on when there was some.
        return []
    if fault.kind in ERRORS:
        return [] if await life.has_failed_by_itself() else [f"{fault}: the service went on"]
    return [] if await life.was_killed() else [f"{fault}: it never happened"]
