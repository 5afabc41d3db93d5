"""Applications on a real port, and plain requests to them, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvicorn

from adtally.api.hit_protocol import HitProtocol

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""


class Server(uvicorn.Server):
    """Leaves signals to the test runner."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Any, http: Any = HitProtocol) -> AsyncIterator[tuple[int, Server]]:
    """Port and server of an application, by default under the service's own protocol."""
    config = uvicorn.Config(
        app, port=0, access_log=False, log_level="error", lifespan="off", http=http
    )
    config.proxy_headers = False
    # A test that fails may leave a connection that waits for ever.
    config.timeout_graceful_shutdown = 5
    listening = config.bind_socket()
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield listening.getsockname()[1], server
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next answer on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(status.split()[1]), headers, body


async def ask(port: int, *requests: bytes) -> list[Answer]:
    """All requests in one write on one connection; their answers in order."""
    async with connection(port) as (reader, writer):
        writer.write(b"".join(requests))
        return [await asyncio.wait_for(read_answer(reader), 10) for _ in requests]
