"""A JSON-RPC proxy in front of a real node that misbehaves on request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

Fault = Callable[[str, Any], bytes | None]
"""Given a method and its true answer: None to pass it on, b"" to hang up, bytes to send instead."""


class FaultyRpc:
    """Forwards every request first, so a lost answer is an answer to something that happened."""

    def __init__(self, upstream: str) -> None:
        self.fault: Fault = lambda method, answer: None
        self.after_answer: Callable[[], Awaitable[object]] | None = None
        self.methods: list[str] = []
        self.url = ""
        self._upstream = upstream
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._answer_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._open.discard(writer)

    async def hang_up(self) -> None:
        """Close every connection."""
        for writer in list(self._open):
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        body = await reader.readexactly(length)
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = (
                await client.post(
                    self._upstream, content=body, headers={"Content-Type": "application/json"}
                )
            ).content
        request = json.loads(body)
        for call in request if isinstance(request, list) else [request]:
            self.methods.append(call["method"])
            verdict = self.fault(call["method"], json.loads(answer))
            if verdict == b"":
                return False
            answer = answer if verdict is None else verdict
        if self.after_answer is not None:
            work, self.after_answer = self.after_answer, None
            await work()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        await writer.drain()
        return True


@asynccontextmanager
async def faulty_rpc(upstream: str) -> AsyncIterator[FaultyRpc]:
    """A proxy for ``upstream`` while the block runs."""
    proxy = FaultyRpc(upstream)
    server = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.hang_up()
        await server.wait_closed()
