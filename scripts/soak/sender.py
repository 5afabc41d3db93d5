"""Sends the traffic on time: each member has a connection, and one open batch at a time.

Batches have fixed times, so that a slow service makes a queue here, not less traffic: what was late
is measured apart from how long an answer took. A batch that is pushed back (503) is sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import NamedTuple

import msgspec

from adtally.events.verdict import VERDICT_BY_LABEL, Verdict

from .traffic import CONVERSION_DELAY, Kind, Parcel, Traffic, World

_RETRY_SECONDS = 0.2
_SHOWN_SURPRISES = 20
_MOST_LOST_CONNECTIONS = 100
_HOST = "127.0.0.1"


class Receipt(msgspec.Struct):
    """The part of a receipt that is looked at."""

    first_index: int
    count: int
    tree_size: int
    signature: str


class Answer(msgspec.Struct):
    """The part of an answer that is looked at."""

    receipt: Receipt
    verdicts: list[str]
    replayed: bool


_ANSWER = msgspec.json.Decoder(Answer)


class Ack(NamedTuple):
    """An answered batch: when (seconds of the run), how many new events, how long it took.

    ``late_ms`` is how long after its time it could be sent.
    """

    at: float
    events: int
    latency_ms: float
    late_ms: float


@dataclass(slots=True)
class Log:
    """What the senders saw.

    Attributes:
        pushed_back: seconds of the run at which the service answered 503.
        verdicts: how many events got which.
        surprises: what was not answered as it must be.
    """

    acks: list[Ack] = field(default_factory=list)
    pushed_back: list[float] = field(default_factory=list)
    verdicts: Counter[str] = field(default_factory=Counter)
    batches: Counter[Kind] = field(default_factory=Counter)
    lost_connections: int = 0
    surprises: list[str] = field(default_factory=list)
    tree_size: int = 0

    @property
    def events(self) -> int:
        return sum(ack.events for ack in self.acks)

    def surprise(self, text: str) -> None:
        """Note what should not be; the first few are enough to look for the cause."""
        if len(self.surprises) < _SHOWN_SURPRISES:
            self.surprises.append(text)


class _Connection:
    """One kept connection to the service."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, parcel: Parcel) -> tuple[int, bytes]:
        """Status and body of the answer."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(_HOST, self._port)
        head = (
            f"POST /v1/batches HTTP/1.1\r\nhost: soak\r\ncontent-type: {parcel.content_type}\r\n"
            f"content-length: {len(parcel.body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + parcel.body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
        body = await self._reader.readexactly(length)
        if b"\r\nconnection: close" in answer:
            self.close()
        return int(answer.split(b" ", 2)[1]), body

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass(slots=True)
class _Second:
    """A second's batches; ``answered`` is set when all of them are."""

    starts: float
    left: int
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def one_answered(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.answered.set()


_Due = tuple[Parcel, _Second, _Second | None]


class Sender:
    """Sends one second after the other.

    Args:
        port: of the service.
        members: who sends.
        advertiser: one of them, whose batches wait for those that they refer to.
        clock: seconds of the run.
    """

    def __init__(
        self, port: int, members: Iterable[int], advertiser: int, clock: Callable[[], float]
    ) -> None:
        self.log = Log()
        self._clock = clock
        self._advertiser = advertiser
        self._queues: dict[int, asyncio.Queue[_Due]] = {m: asyncio.Queue() for m in members}
        self._seconds: list[_Second] = []
        self._last: dict[int, Receipt] = {}
        self._tasks = [
            asyncio.create_task(self._work(_Connection(port), queue))
            for queue in self._queues.values()
        ]

    def put(self, starts: float, parcels: Sequence[Parcel]) -> None:
        """Send these batches in the second that begins at ``starts`` of the run."""
        second = _Second(starts, len(parcels))
        self._seconds = [*self._seconds[-CONVERSION_DELAY:], second]
        earlier = self._seconds[0] if len(self._seconds) > CONVERSION_DELAY else None
        for parcel in parcels:
            after = earlier if parcel.member == self._advertiser else None
            self._queues[parcel.member].put_nowait((parcel, second, after))

    def check(self) -> None:
        """Raises what a sender failed with."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def finish(self) -> None:
        """Until everything is answered."""
        waiting = [asyncio.create_task(second.answered.wait()) for second in self._seconds]
        while not all(task.done() for task in waiting):
            self.check()
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, connection: _Connection, queue: asyncio.Queue[_Due]) -> None:
        try:
            while True:
                parcel, second, after = await queue.get()
                if after is not None:
                    await after.answered.wait()
                due = second.starts + parcel.due
                await asyncio.sleep(max(due - self._clock(), 0))
                await self._send(connection, parcel, due)
                second.one_answered()
        finally:
            connection.close()

    async def _send(self, connection: _Connection, parcel: Parcel, due: float) -> None:
        late_ms = max(self._clock() - due, 0) * 1000
        was_lost = False
        while True:
            started = time.perf_counter()
            try:
                status, body = await connection.post(parcel)
            except (ConnectionError, asyncio.IncompleteReadError):
                # The server closes what it takes for idle. Perhaps the batch was logged.
                connection.close()
                was_lost = True
                self.log.lost_connections += 1
                if self.log.lost_connections > _MOST_LOST_CONNECTIONS:
                    raise
                continue
            latency_ms = (time.perf_counter() - started) * 1000
            if status != 503:
                break
            self.log.pushed_back.append(self._clock())
            await asyncio.sleep(_RETRY_SECONDS)
        self.log.batches[parcel.kind] += 1
        if parcel.kind is Kind.FORGED:
            if not 400 <= status < 500:
                self.log.surprise(f"a forged batch got {status} {body[:200]!r}")
        elif status != 200:
            self.log.surprise(f"a batch got {status} {body[:300]!r}")
        else:
            answer = _ANSWER.decode(body)
            self._check(parcel, answer, was_lost)
            self._note(parcel, answer, latency_ms, late_ms)

    def _check(self, parcel: Parcel, answer: Answer, was_lost: bool) -> None:
        """Whether it is the answer that the batch must get."""
        codes = bytes(VERDICT_BY_LABEL[label] for label in answer.verdicts)
        if codes != parcel.expected:
            wrong = Counter(
                f"{Verdict(found).label} instead of {Verdict(expected).label}"
                for found, expected in zip(codes, parcel.expected, strict=False)
                if found != expected
            )
            self.log.surprise(f"member {parcel.member}: {dict(wrong)}")
        is_again = parcel.kind is Kind.RESENT
        is_wrong = answer.replayed is not is_again and not was_lost
        if is_wrong or (is_again and answer.receipt != self._last.get(parcel.member)):
            self.log.surprise(f"member {parcel.member}: {parcel.kind.value} batch, wrong receipt")
        self._last[parcel.member] = answer.receipt

    def _note(self, parcel: Parcel, answer: Answer, latency_ms: float, late_ms: float) -> None:
        is_again = parcel.kind is Kind.RESENT
        if not is_again:
            self.log.verdicts.update(answer.verdicts)
            self.log.tree_size = max(self.log.tree_size, answer.receipt.tree_size)
        events = 0 if is_again else parcel.events
        self.log.acks.append(Ack(self._clock(), events, latency_ms, late_ms))


# The traffic is made in a process of its own: it would hold up the clocks here.

_traffic: Traffic | None = None


def _begin(world: World, events_per_second: int) -> None:
    global _traffic  # noqa: PLW0603 - the state of a worker process
    _traffic = Traffic(world, events_per_second)


def _second(start_ms: int) -> list[Parcel]:
    assert _traffic is not None, "the worker was not begun"
    return _traffic.second(start_ms)


class Maker:
    """Makes the traffic in a worker process; a context manager."""

    def __init__(self, world: World, events_per_second: int) -> None:
        self._pool = ProcessPoolExecutor(
            1, get_context("spawn"), initializer=_begin, initargs=(world, events_per_second)
        )

    def __enter__(self) -> Maker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    async def second(self, start_ms: int) -> list[Parcel]:
        """All batches of one second."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, _second, start_ms)
