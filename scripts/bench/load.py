"""Load: signed batches made beforehand, sent over kept connections, one open batch a publisher."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, field

import msgspec
from scripts.chainless.facts import CHAIN_ID, LOG_DOMAIN, NOON_MS, key_of

from adtally.client.batch_body import Encoding, encode_batch, event_to_json
from adtally.events.batch import SignedBatch, sign_batch
from adtally.events.record import AdEvent, EventType, new_event_id

from .world import CAMPAIGN, CREATIVE, PLACEMENT, PUBLISHERS


@dataclass(slots=True)
class Outcome:
    """What a run saw. Latencies are from the first byte sent to the last received."""

    events: int = 0
    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def events_per_second(self) -> float:
        return self.events / self.seconds

    def percentile_ms(self, share: float) -> float:
        """The latency that ``share`` of the requests stayed under."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class Traffic:
    """Fresh impressions of every publisher, in batches signed one after the other."""

    def __init__(self) -> None:
        self._sequences = dict.fromkeys(PUBLISHERS, 0)

    def batches(self, publisher: int, number: int, events: int) -> list[SignedBatch]:
        """The publisher's next batches."""
        made = []
        for _ in range(number):
            self._sequences[publisher] += 1
            sequence = self._sequences[publisher]
            records = [impression(publisher) for _ in range(events)]
            key = key_of(publisher)
            made.append(sign_batch(LOG_DOMAIN, CHAIN_ID, key, publisher, sequence, records))
        return made

    def requests(
        self, encoding: Encoding, number: int, events: int, publishers: int = 16
    ) -> list[list[bytes]]:
        """Whole HTTP requests for each of some publishers: ``number`` batches in all."""
        each = max(number // publishers, 1)
        return [
            [
                _request(encoding.value, encode_batch(batch, encoding))
                for batch in self.batches(publisher, each, events)
            ]
            for publisher in PUBLISHERS[:publishers]
        ]


def impression(publisher: int) -> bytes:
    at_ms = NOON_MS - secrets.randbelow(60_000)
    return AdEvent(
        type=EventType.IMPRESSION,
        campaign=CAMPAIGN,
        publisher=publisher,
        placement=PLACEMENT,
        creative=CREATIVE,
        id=new_event_id(at_ms, secrets.token_bytes(10)),
        occurred_at_ms=at_ms,
        subject=secrets.token_bytes(16),
        context=secrets.token_bytes(20),
    ).to_record()


def naive_requests(number: int, events: int) -> list[list[bytes]]:
    """The same events for the naive server, unsigned."""
    publishers = PUBLISHERS[:16]
    each = max(number // len(publishers), 1)
    return [
        [_request("application/json", _naive_body(publisher, events)) for _ in range(each)]
        for publisher in publishers
    ]


def _naive_body(publisher: int, events: int) -> bytes:
    made = [AdEvent.from_record(impression(publisher)) for _ in range(events)]
    return msgspec.json.encode({"events": [event_to_json(event) for event in made]})


def _request(content_type: str, body: bytes) -> bytes:
    head = (
        f"POST /v1/batches HTTP/1.1\r\nhost: bench\r\ncontent-type: {content_type}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def send(
    port: int, requests: list[list[bytes]], events: int, pause_seconds: float = 0.0
) -> Outcome:
    """Send each list over a connection of its own, all at once.

    Args:
        pause_seconds: from the start of one request of a connection to the start of the next.

    Raises:
        RuntimeError: an answer is not 200.
    """
    outcome = Outcome()
    started = time.perf_counter()
    await asyncio.gather(*(_one(port, each, events, outcome, pause_seconds) for each in requests))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def _one(
    port: int, requests: list[bytes], events: int, outcome: Outcome, pause_seconds: float
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        started = time.perf_counter()
        writer.write(request)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head!r} {body[:300]!r}")
        outcome.latencies_ms.append((time.perf_counter() - started) * 1000)
        outcome.events += events
        if pause_seconds:
            await asyncio.sleep(max(pause_seconds - (time.perf_counter() - started), 0))
    writer.close()
