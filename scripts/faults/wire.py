"""HTTP as the harness speaks it: kept connections, no retries, no answer is an answer."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from adtally.client.batch_body import Encoding, encode_batch
from adtally.events.batch import SignedBatch

MAX_HEAD = 2**16


class Answer(NamedTuple):
    """A whole answer; ``retry_after`` is that header."""

    status: int
    body: bytes
    retry_after: str | None


class Connection:
    """One connection to a life, opened at the first request and again after it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, request: bytes) -> Answer | None:
        """The answer, or None when the connection was refused or ended before a whole one."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(
                    "127.0.0.1", self._port, limit=MAX_HEAD
                )
            reader, writer = self._streams
            writer.write(request)
            await writer.drain()
            return await _read_answer(reader)
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return None

    async def get(self, path: str) -> Answer | None:
        return await self.request(f"GET {path} HTTP/1.1\r\nhost: faults\r\n\r\n".encode())

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.split("\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Answer(int(status_line.split()[1]), body, headers.get("retry-after"))


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    """A body in chunks (RFC 9112, 7.1); no server of ours sends trailers."""
    pieces = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(pieces)


def batch_request(batch: SignedBatch) -> bytes:
    """A whole request that sends a batch."""
    body = encode_batch(batch, Encoding.BINARY)
    head = (
        f"POST /v1/batches HTTP/1.1\r\nhost: faults\r\ncontent-type: {Encoding.BINARY.value}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
