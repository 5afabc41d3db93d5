"""More connections and batches than the service can take, for a minute.

The disk takes so many bytes a second and no more. Each publisher of a crowd sends its batch on a
hundred connections at once, and again without waiting as long as it is told to; one polite
publisher sends a small batch now and then on one connection, and does. What has a receipt must be
there; the rest was told so.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.figures import Figure, Figures

from adtally.events.batch import SignedBatch, sign_batch

from .book import Book
from .lives import Launcher, Life
from .runs import honest_life
from .traffic import Publisher
from .wire import Answer, batch_request
from .world import CHAIN_ID, LOG_DOMAIN, key_of, publishers

CROWD = 16
CONNECTIONS_EACH = 100
DISK_BYTES_PER_SECOND = 2 * 2**20
_CROWD_EVENTS = 300
_POLITE_EVENTS = 5
_SEGMENT_BYTES = 8 * 2**20
_CALM_SECONDS = 5.0
_POLITE_PAUSE_SECONDS = 0.1
_CROWD_PAUSE_SECONDS = (0.01, 0.1)
_MAX_GROWTH_BYTES = 512 * 2**20
_RECOVERED_FACTOR, _RECOVERED_MS = 10, 250
"""After the overload the median may be so many times that before it, or so long."""


@dataclass
class _Tally:
    """What senders saw: answers by status, seconds until a receipt was there."""

    answers: list[tuple[SignedBatch, Answer]] = field(default_factory=list)
    receipts: int = 0
    refused: int = 0
    refused_without_retry_after: int = 0
    unanswered: int = 0
    seconds: list[float] = field(default_factory=list)

    def note(self, batch: SignedBatch, answer: Answer | None, seconds: float) -> bool:
        """Whether the batch is done with; receipts are looked into when the load is over."""
        if answer is None:
            self.unanswered += 1
            return False
        if answer.status == 503:
            self.refused += 1
            self.refused_without_retry_after += answer.retry_after is None
            return False
        self.receipts += 1
        self.seconds.append(seconds)
        self.answers.append((batch, answer))
        return True

    def percentile_ms(self, share: float) -> float:
        """Time to a receipt that ``share`` of the batches stayed under; NaN of none."""
        if not self.seconds:
            return float("nan")
        ordered = sorted(self.seconds)
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000, 1)


class _Fast:
    """A publisher of the crowd: batches made without a Python object an event.

    ``open`` is the batch that it sends until it has a receipt.
    """

    def __init__(self, member: int) -> None:
        self.member = member
        self._sequence = 0
        self._ids = itertools.count(1)
        self._template = Publisher(member).impression().to_record()
        self.open = self.batch()

    def batch(self) -> SignedBatch:
        """The next batch: impressions with ids that rise."""
        self._sequence += 1
        record = self._template
        records = [
            record[:28] + next(self._ids).to_bytes(8, "big") + record[36:]
            for _ in range(_CROWD_EVENTS)
        ]
        key = key_of(self.member)
        return sign_batch(LOG_DOMAIN, CHAIN_ID, key, self.member, self._sequence, records)


@dataclass
class _Run:
    """One overload: where it is sent to, until when, and all that was sent."""

    life: Life
    ends: float = 0.0
    sent: list[SignedBatch] = field(default_factory=list)

    async def crowd(self, publisher: _Fast, number: int, tally: _Tally) -> None:
        """One of a publisher's connections: whatever batch is its open one, again and again."""
        client, chance = self.life.client(), random.Random(f"{publisher.member} {number}")
        while time.monotonic() < self.ends:
            batch, started = publisher.open, time.monotonic()
            answer = await client.request(batch_request(batch))
            if tally.note(batch, answer, time.monotonic() - started):
                if publisher.open is batch:
                    publisher.open = publisher.batch()
                    self.sent.append(publisher.open)
            else:
                await asyncio.sleep(chance.uniform(*_CROWD_PAUSE_SECONDS))
        client.close()

    async def polite(self, publisher: Publisher, tally: _Tally, ends: float) -> None:
        """A small batch ten times a second; what is refused is sent again when told to."""
        client = self.life.client()
        while time.monotonic() < ends:
            batch, started = publisher.batch(_POLITE_EVENTS), time.monotonic()
            self.sent.append(batch)
            while True:
                answer = await client.request(batch_request(batch))
                if tally.note(batch, answer, time.monotonic() - started) or answer is None:
                    break
                await asyncio.sleep(int(answer.retry_after or "1"))
            await asyncio.sleep(_POLITE_PAUSE_SECONDS)
        client.close()


async def measure_overload(
    launcher: Launcher, directory: Path, seconds: float
) -> tuple[Figures, list[str]]:
    """Calm, overload, calm again; figures and problems."""
    members = publishers(CROWD + 1)
    life = await launcher.start(
        directory,
        publishers=len(members),
        segment_bytes=_SEGMENT_BYTES,
        disk_bytes_per_second=DISK_BYTES_PER_SECOND,
    )
    publisher, run = Publisher(members[-1]), _Run(life)
    warm, before, during, crowd, after = _Tally(), _Tally(), _Tally(), _Tally(), _Tally()
    await run.polite(publisher, warm, time.monotonic() + 1)
    await run.polite(publisher, before, time.monotonic() + _CALM_SECONDS)
    memory = _Memory(life.pid)
    watching = asyncio.create_task(memory.watch())
    run.ends = time.monotonic() + seconds
    await asyncio.gather(run.polite(publisher, during, run.ends), *_crowd(run, members[:-1], crowd))
    await run.polite(publisher, after, time.monotonic() + _CALM_SECONDS)
    watching.cancel()
    problems = [] if life.is_alive else ["the service died of the overload"]
    await life.kill()
    problems += _problems(before, crowd, after, memory)
    book = _book(run.sent, (warm, before, during, crowd, after))
    problems += await honest_life(launcher, directory, [], book)
    return _figures(seconds, before, during, crowd, after, memory, book), problems


def _crowd(
    run: _Run, members: Sequence[int], tally: _Tally
) -> Iterator[Coroutine[None, None, None]]:
    for member in members:
        publisher = _Fast(member)
        run.sent.append(publisher.open)
        for number in range(CONNECTIONS_EACH):
            yield run.crowd(publisher, number, tally)


def _book(sent: Sequence[SignedBatch], tallies: Sequence[_Tally]) -> Book:
    book = Book()
    for batch in sent:
        book.sending(batch)
    for tally in tallies:
        for batch, answer in tally.answers:
            book.answered(batch, answer)
    return book


class _Memory:
    """Resident bytes of a process, twice a second."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self.first = self.most = self.now()

    def now(self) -> int:
        """Bytes now; 0 when it is gone."""
        try:
            lines = self._status.read_text().splitlines()
        except OSError:
            return 0
        found = [line.split()[1] for line in lines if line.startswith("VmRSS")]
        return int(found[0]) * 1024 if found else 0

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            self.most = max(self.most, self.now())
            await asyncio.sleep(0.5)


def _problems(before: _Tally, crowd: _Tally, after: _Tally, memory: _Memory) -> list[str]:
    problems = []
    if not crowd.refused:
        problems.append("nothing was refused: the load was no overload")
    if crowd.refused_without_retry_after:
        problems.append(f"{crowd.refused_without_retry_after} refusals without Retry-After")
    if crowd.unanswered:
        problems.append(f"{crowd.unanswered} requests of the crowd got no answer")
    if memory.most - memory.first > _MAX_GROWTH_BYTES:
        problems.append(f"memory grew by {(memory.most - memory.first) >> 20} MiB")
    limit = max(_RECOVERED_FACTOR * before.percentile_ms(0.5), _RECOVERED_MS)
    if not after.seconds or after.percentile_ms(0.5) > limit or after.refused or after.unanswered:
        problems.append(f"not recovered: median {after.percentile_ms(0.5)} ms, {after.refused} 503")
    return problems


def _figures(
    seconds: float,
    before: _Tally,
    during: _Tally,
    crowd: _Tally,
    after: _Tally,
    memory: _Memory,
    book: Book,
) -> Figures:
    disk = f"a disk of {DISK_BYTES_PER_SECOND >> 10} KiB/s"
    load = f"{CROWD} publishers with {CONNECTIONS_EACH} connections each, {seconds:g} s, {disk}"
    polite = "one polite publisher, ten small batches a second, to its receipt, "
    offered = crowd.receipts + crowd.refused + crowd.unanswered
    return {
        f"faults.overload.{name}": Figure(value, unit, how)
        for name, value, unit, how in (
            ("seconds", seconds, "s", "how long the crowd sent"),
            ("publishers", CROWD, "", load),
            ("connections", CROWD * CONNECTIONS_EACH, "", load),
            ("offered_per_second", round(offered / seconds), "1/s", f"requests; {load}"),
            ("receipts_per_second", round(crowd.receipts / seconds), "1/s", load),
            ("refused_per_second", round(crowd.refused / seconds), "1/s", "503 with Retry-After"),
            ("acknowledged_batches", len(book.promised), "", "all of them checked on disk"),
            ("acknowledged_events", book.promised_events, "", "all of them checked on disk"),
            ("polite_receipts", during.receipts, "", f"{polite}during the overload"),
            ("polite_refused", during.refused, "", f"{polite}during the overload"),
            ("polite_p99_ms", during.percentile_ms(0.99), "ms", f"{polite}during the overload"),
            ("before_p50_ms", before.percentile_ms(0.5), "ms", f"{polite}before"),
            ("after_p50_ms", after.percentile_ms(0.5), "ms", f"{polite}right after"),
            ("before_p99_ms", before.percentile_ms(0.99), "ms", f"{polite}before"),
            ("after_p99_ms", after.percentile_ms(0.99), "ms", f"{polite}right after"),
            ("memory_before_mib", memory.first >> 20, "MiB", "resident, before the overload"),
            ("memory_most_mib", memory.most >> 20, "MiB", "resident, the most that was seen"),
        )
    }
