"""A load of small requests: each connection sends the next when the answer to the last is there.

A bare protocol on uvloop costs some microseconds a request, so that one core of load fills one core
of server; whether it did is part of what a run returns.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import uvloop


@dataclass(slots=True)
class Rate:
    """What a run saw.

    Args:
        load_share: CPU time of this process over elapsed time; near 1.0 the load was the limit.
    """

    requests: int
    seconds: float
    load_share: float
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


class _Connection(asyncio.Protocol):
    def __init__(self, requests: Iterator[bytes], latencies_ms: list[float]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._latencies_ms = latencies_ms
        self._left = -1
        self._head = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._send()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        if self._left < 0:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            if not self._head.startswith((b"HTTP/1.1 2", b"HTTP/1.1 3")):
                self.done.set_exception(RuntimeError(f"expected 2xx or 3xx, found {self._head!r}"))
                self._transport.abort()
                return
            self._left = _length(self._head[:end]) - (len(self._head) - end - 4)
        else:
            self._left -= len(data)
        if self._left == 0:
            self._latencies_ms.append((time.perf_counter() - self._sent) * 1000)
            self._send()

    def _send(self) -> None:
        self._left, self._head = -1, b""
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


def closed_loop(port: int, connections: list[Iterator[bytes]]) -> Rate:
    """Send each iterator's whole requests over a connection of its own.

    Raises:
        RuntimeError: an answer is neither 2xx nor 3xx, or a connection was closed.
    """
    return uvloop.run(_run(port, connections))


async def _run(port: int, connections: list[Iterator[bytes]]) -> Rate:
    loop = asyncio.get_running_loop()
    latencies_ms: list[float] = []
    started, used = time.perf_counter(), time.process_time()
    made = [
        await loop.create_connection(
            lambda requests=requests: _Connection(requests, latencies_ms),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
        for requests in connections
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    seconds = time.perf_counter() - started
    share = (time.process_time() - used) / seconds
    return Rate(len(latencies_ms), seconds, share, latencies_ms)
