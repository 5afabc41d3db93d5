"""What a hostile server answers is a typed error in good time, whatever the bytes."""

from __future__ import annotations

import asyncio
import gzip
import sys
import time

import pytest

from adtally.attestor import sources
from adtally.attestor.sources import LogSource, SourceFailed
from adtally.client import transport as transport_module
from adtally.client.fields import Fields
from adtally.client.transport import RetryPolicy, Transport
from adtally.errors import AdtallyError, InvalidInput
from adtally.verification.rule_set import RuleSet

ONCE = RetryPolicy(deadline_seconds=0.0)


async def asked(answer: bytes, policy: RetryPolicy = ONCE) -> object:
    """What the client makes of these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Transport(f"http://127.0.0.1:{port}", policy) as transport:
        return await transport.get_json("/x")


def http(status: int, headers: bytes, body: bytes) -> bytes:
    length = str(len(body)).encode()
    return b"HTTP/1.1 %d X\r\n%scontent-length: %s\r\n\r\n%s" % (status, headers, length, body)


@pytest.mark.parametrize(
    "answer",
    [
        http(200, b"", b"[" * 200_000),
        http(400, b"", b"[" * 200_000),
        http(200, b"content-encoding: gzip\r\n", b"no gzip"),
        http(400, b"content-type: text/plain; charset=idna\r\n", b"a\xff"),
        http(503, b"retry-after: \xb2\r\n", b"{}"),
        http(503, b"retry-after: " + b"9" * 5000 + b"\r\n", b"{}"),
        http(503, b"retry-after: " + b"9" * 400 + b"\r\n", b"{}"),
    ],
    ids=["deep", "deep-error", "gzip", "charset", "digit", "digits", "float"],
)
@pytest.mark.asyncio
async def test_hostile_answers_are_typed_errors(answer: bytes) -> None:
    # As py_ecc leaves it, which the chain's libraries bring along.
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        with pytest.raises(AdtallyError):
            await asked(answer)
    finally:
        sys.setrecursionlimit(before)


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n")
    for _ in range(30):
        writer.write(b"[")
        await asyncio.sleep(0.05)
    writer.close()


async def dripped(server: asyncio.Server) -> None:
    """Let the server end what it was at."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


@pytest.mark.asyncio
async def test_an_answer_drop_by_drop_ends() -> None:
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    policy = RetryPolicy(deadline_seconds=0.0, answer_timeout_seconds=0.3)
    begun = time.monotonic()
    async with Transport(url, policy) as transport:
        with pytest.raises(AdtallyError, match="does not answer"):
            await asyncio.wait_for(transport.get("/x"), 5.0)
    assert time.monotonic() - begun < 4.0
    await dripped(server)


@pytest.mark.asyncio
async def test_a_source_that_gives_little_at_a_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_WHOLE_SECONDS", 0.3)
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    source = LogSource(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    with pytest.raises(SourceFailed):
        await asyncio.wait_for(source.entries(0, 1_000), 5.0)
    await source.close()
    await dripped(server)


def test_numbers_too_long_to_read_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Fields({"size": "9" * 5000}, "status").integer("size")


@pytest.mark.parametrize("text", [b"[" * 60_000, b'{"a":' * 12_000])
def test_rules_nested_too_deep_are_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        RuleSet.from_json(text)
    with pytest.raises(InvalidInput):
        RuleSet.with_overrides(text)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.asyncio
async def test_answer_without_end_is_refused(
    monkeypatch: pytest.MonkeyPatch, compressed: bool
) -> None:
    monkeypatch.setattr(transport_module, "MAX_ANSWER_BYTES", 100_000)
    body = b"1" * 100_001
    if compressed:
        answer = http(200, b"content-encoding: gzip\r\n", gzip.compress(body))
    else:
        answer = http(200, b"", body)
    with pytest.raises(AdtallyError, match="too large"):
        await asked(answer)
    assert await asked(http(200, b"", b"1" * 1_000)) == int("1" * 1_000)
