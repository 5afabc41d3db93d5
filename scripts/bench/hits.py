"""Load of single hits: pixels with tokens minted beforehand, one open request a connection.

What is sent, what comes back and how long it took is all that is measured here; a hit counts when
its pixel is there, and each must say that it was accepted.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator
from typing import Any

import uvloop
from scripts.chainless.facts import COLLECTOR_SECRET, NOON_MS

from adtally.collector.keys import CollectorKeys
from adtally.events.hit_tokens import HIT_KIND, Slot, mint_token
from adtally.events.record import new_event_id
from adtally.simulation.user_agents import PEOPLE

from .load import Outcome
from .world import CAMPAIGN, CREATIVE, PLACEMENT, PUBLISHERS

CONNECTIONS = 512
_ACCEPTED = b"adtally-hit: accepted;"
_HEADERS = (
    "HTTP/1.1\r\nhost: bench\r\naccept: image/avif,image/webp,*/*;q=0.8\r\n"
    "accept-language: de,en;q=0.5\r\naccept-encoding: gzip, deflate, br\r\n"
    "referer: https://news.example/\r\n"
)


def pixel_requests(number: int) -> list[bytes]:
    """Whole HTTP requests as a proxy passes them on: a fresh token and another person each."""
    keys = CollectorKeys(COLLECTOR_SECRET)
    slots = [Slot(CAMPAIGN, who, PLACEMENT, CREATIVE).packed() for who in PUBLISHERS]
    made = []
    for at in range(number):
        slot = slots[at % len(slots)]
        event_id = new_event_id(NOON_MS - secrets.randbelow(60_000), secrets.token_bytes(10))
        token = mint_token(keys.slot_key(slot), HIT_KIND, slot, event_id, "DE")
        address = ".".join(str(byte) for byte in secrets.token_bytes(4))
        made.append(
            f"GET /v1/imp?t={token.text}&cb={at} {_HEADERS}x-forwarded-for: {address}\r\n"
            f"user-agent: {PEOPLE[at % len(PEOPLE)].text}\r\n\r\n".encode()
        )
    return made


def send_hits(
    port: int,
    requests: list[bytes],
    connections: int = CONNECTIONS,
    rate: float | None = None,
) -> Outcome:
    """Send all, each connection its next one as soon as it is answered.

    Args:
        rate: hits a second over all connections; None for as many as go.

    Raises:
        RuntimeError: an answer is not an accepted hit.
    """
    return uvloop.run(_send(port, requests, connections, rate))


async def _send(port: int, requests: list[bytes], connections: int, rate: float | None) -> Outcome:
    loop = asyncio.get_running_loop()
    load = _Load(iter(requests), len(requests), loop, None if rate is None else connections / rate)
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(load), "127.0.0.1", port)
    outcome = Outcome(events=len(requests))
    started = time.perf_counter()
    for number, connection in enumerate(load.connections):
        delay = 0.0 if load.pause_seconds is None else load.pause_seconds * number / connections
        loop.call_later(delay, connection.send_next)
    await load.done
    outcome.seconds = time.perf_counter() - started
    outcome.latencies_ms = load.latencies_ms
    return outcome


class _Load:
    """What all connections share."""

    def __init__(
        self,
        requests: Iterator[bytes],
        number: int,
        loop: asyncio.AbstractEventLoop,
        pause_seconds: float | None,
    ) -> None:
        self.requests = requests
        self.open = number
        self.loop = loop
        self.pause_seconds = pause_seconds
        self.done: asyncio.Future[None] = loop.create_future()
        self.latencies_ms: list[float] = []
        self.connections: list[_Connection] = []


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._transport: Any = None
        self._started = 0.0
        self._received = b""
        load.connections.append(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send_next(self) -> None:
        request = next(self._load.requests, None)
        if request is None:
            return
        self._started = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        data = self._received + data
        if not data.endswith(b"\x3b") or b"\r\n\r\n" not in data:
            # A GIF ends in this byte.
            self._received = data
            return
        self._received = b""
        load = self._load
        if not data.startswith(b"HTTP/1.1 200") or _ACCEPTED not in data:
            if not load.done.done():
                load.done.set_exception(RuntimeError(repr(data[:600])))
            return
        took = time.perf_counter() - self._started
        load.latencies_ms.append(took * 1000)
        load.open -= 1
        if load.open == 0:
            load.done.set_result(None)
        elif load.pause_seconds is None:
            self.send_next()
        else:
            load.loop.call_later(max(load.pause_seconds - took, 0), self.send_next)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._load.done.done():
            self._load.done.set_exception(error or RuntimeError("the server has hung up"))
