"""Batches over real connections: however their bytes arrive, the answer is the same."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from adtally.api import batches
from adtally.api import body as body_module
from adtally.api.application import create_application
from adtally.api.hit_protocol import HitProtocol
from adtally.api.service import Service
from adtally.api.transport import BINARY_TYPE, parse_batch
from adtally.events.batch import batch_to_wire
from support.application import running_service
from support.sockets import Server, ask, connection, read_answer, serving
from support.world import World

pytestmark = pytest.mark.asyncio

LIMIT_BYTES = 200_000
HEAD = f"POST /v1/batches HTTP/1.1\r\nhost: service\r\ncontent-type: {BINARY_TYPE}\r\n"
HEALTH = b"GET /v1/health HTTP/1.1\r\nhost: service\r\n\r\n"


@asynccontextmanager
async def running(directory: Path, http: Any = HitProtocol) -> AsyncIterator[tuple[Service, int]]:
    async with running_service(directory, max_body_bytes=LIMIT_BYTES) as service:
        app = create_application(service, with_virtual_clock=True)
        async with serving(app, http) as (port, _):
            yield service, port


def large_body(world: World, events: int = 1_500) -> bytes:
    """Longer than what uvicorn takes before it stops reading (64 kB)."""
    return batch_to_wire(world.batch([world.event() for _ in range(events)]))


def request(body: bytes, more: str = "") -> bytes:
    return f"{HEAD}{more}content-length: {len(body)}\r\n\r\n".encode() + body


def chunked(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return f"{HEAD}transfer-encoding: chunked\r\n\r\n".encode() + framed


def first_index(answer: tuple[int, dict[str, str], bytes]) -> int:
    status, _, body = answer
    assert status == 200, body
    found: int = json.loads(body)["receipt"]["first_index"]
    return found


@pytest.mark.parametrize("http", [HitProtocol, "httptools"])
async def test_batch__body_cut_anywhere__is_the_same_batch(tmp_path: Path, http: Any) -> None:
    world, random = World(), Random(1)
    async with running(tmp_path, http) as (service, port), connection(port) as (reader, writer):
        for most in (7, 300, 70_000, 10**6):
            data = request(large_body(world, 4 if most == 7 else 1_500))
            size = service.sequencer.store.size
            while data:
                at = random.randint(1, most)
                writer.write(data[:at])
                await writer.drain()
                await asyncio.sleep(0)
                data = data[at:]
            answer = await asyncio.wait_for(read_answer(reader), 20)
            assert first_index(answer) == size


async def test_batches__pipelined_with_other_requests__are_answered_in_order(
    tmp_path: Path,
) -> None:
    world = World()
    async with running(tmp_path) as (service, port):
        size = service.sequencer.store.size
        bodies = [large_body(world) for _ in range(4)]
        answers = await ask(
            port, request(bodies[0]), request(bodies[1]), HEALTH, chunked(bodies[2], 5_000),
            request(b"no batch"), request(bodies[3]), HEALTH,
        )  # fmt: skip
        assert [status for status, _, _ in answers] == [200, 200, 200, 200, 400, 200, 200]
        firsts = [first_index(answers[at]) for at in (0, 1, 3, 5)]
        assert firsts == [size + at * 1_501 for at in range(4)]


async def test_batch__expects_100_continue__is_told_so_first(tmp_path: Path) -> None:
    body = large_body(World())
    async with running(tmp_path) as (_, port), connection(port) as (reader, writer):
        head, _ = request(body, "expect: 100-continue\r\n").split(b"\r\n\r\n", 1)
        writer.write(head + b"\r\n\r\n")
        told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        first_index(await asyncio.wait_for(read_answer(reader), 10))


async def test_batch__with_room_for_all_of_it__comes_in_one_piece(tmp_path: Path) -> None:
    world = World()
    messages: dict[Any, int] = {}
    async with running_service(tmp_path, max_body_bytes=LIMIT_BYTES) as service:
        app = create_application(service, with_virtual_clock=True)
        for http in (HitProtocol, "httptools"):

            async def counting(scope: Any, receive: Any, send: Any, http: Any = http) -> None:
                async def counted() -> Any:
                    messages[http] = messages.get(http, 0) + 1
                    return await receive()

                await app(scope, counted, send)

            async with serving(counting, http) as (port, _), connection(port) as (reader, writer):
                data = request(large_body(world))
                for at in range(0, len(data), 40_000):
                    writer.write(data[at : at + 40_000])
                    await writer.drain()
                    await asyncio.sleep(0.02)
                first_index(await asyncio.wait_for(read_answer(reader), 10))
    assert messages[HitProtocol] == 1
    assert messages["httptools"] > 2


def kept_bytes(server: Server) -> int:
    """Of bodies, by the connections that are open."""
    cycles: list[Any] = [each.cycle for each in server.server_state.connections]  # type: ignore[union-attr]
    assert cycles, "one is open"
    return sum(len(cycle.body) for cycle in cycles)


async def send_without_reading(port: int, requests: list[bytes], most: int) -> socket.socket:
    """Send requests, then zeros until nobody takes them, on a connection that reads no answer."""
    loop = asyncio.get_running_loop()
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connected.setblocking(False)
    await loop.sock_connect(connected, ("127.0.0.1", port))
    with contextlib.suppress(TimeoutError, ConnectionError):
        for each in requests:
            await asyncio.wait_for(loop.sock_sendall(connected, each), 0.3)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        for _ in range(most // 2**18):
            await asyncio.wait_for(loop.sock_sendall(connected, bytes(2**18)), 0.3)
    return connected


@pytest.mark.parametrize(
    ("before", "content_type", "length"),
    [
        # Taken in, but its turn comes only when earlier answers have been read.
        (40, BINARY_TYPE, f"{LIMIT_BYTES}"),
        (40, BINARY_TYPE, f"{2**40}"),
        # Refused, one of them with an answer that nobody reads either.
        (40, "text/plain", f"{2**40}"),
        (0, "text/plain", f"{2**40}"),
        (0, BINARY_TYPE, f"{2**40}"),
        # The parser takes these, with what is behind the number.
        (0, BINARY_TYPE, f"{2**40} "),
        (0, BINARY_TYPE, f"{2**40}\t"),
    ],
)
async def test_batch__without_room_for_it__its_body_is_not_kept(
    tmp_path: Path, before: int, content_type: str, length: str
) -> None:
    head = f"POST /v1/batches HTTP/1.1\r\nhost: service\r\ncontent-type: {content_type}\r\n"
    async with running_service(tmp_path, max_body_bytes=LIMIT_BYTES) as service:
        app = create_application(service, with_virtual_clock=True)
        size = service.sequencer.store.size
        async with serving(app) as (port, server):
            large = b"GET /openapi.json HTTP/1.1\r\nhost: service\r\n\r\n"
            batch = f"{head}content-length: {length}\r\n\r\n".encode()
            client = await send_without_reading(port, [large * before, batch], 40 * 2**20)
            kept = kept_bytes(server)
            client.close()
            assert kept <= 2**18
        assert service.sequencer.store.size == size


@pytest.mark.parametrize(
    ("announced", "content_type", "status"),
    [(LIMIT_BYTES + 1, BINARY_TYPE, 413), (150_000, "text/plain", 415)],
)
async def test_batch__refused_by_its_head__the_connection_goes_on_behind_it(
    tmp_path: Path, announced: int, content_type: str, status: int
) -> None:
    head = f"POST /v1/batches HTTP/1.1\r\nhost: service\r\ncontent-type: {content_type}\r\n"
    async with running(tmp_path) as (_, port), connection(port) as (reader, writer):
        writer.write(f"{head}content-length: {announced}\r\n\r\n".encode())
        assert (await asyncio.wait_for(read_answer(reader), 10))[0] == status
        writer.write(bytes(announced) + HEALTH)
        assert (await asyncio.wait_for(read_answer(reader), 10))[0] == 200


async def test_requests__ended__are_gone_without_the_garbage_collector(tmp_path: Path) -> None:
    body = bytes(150_000)
    head = "POST /v1/batches HTTP/1.1\r\nhost: service\r\ncontent-type: text/plain\r\n"
    refused = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    async with running(tmp_path) as (_, port), connection(port) as (reader, writer):
        gc.collect()
        gc.disable()
        try:
            for data in [refused] * 20 + [HEALTH] * 20:
                writer.write(data)
                await asyncio.wait_for(read_answer(reader), 10)
            cycles = [each for each in gc.get_objects() if isinstance(each, RequestResponseCycle)]
            assert len(cycles) <= 2
        finally:
            gc.enable()


async def test_batch__refused_with_an_answer_nobody_reads__is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[weakref.ref[Any]] = []

    def parsed(content_type: str, body: bytes) -> Any:
        batch = parse_batch(content_type, body)
        seen.append(weakref.ref(batch.records))
        return batch

    monkeypatch.setattr(batches, "parse_batch", parsed)
    world = World()
    stranger = batch_to_wire(world.batch([world.event()] * 10, key=bytes(range(1, 33))))
    large = b"GET /openapi.json HTTP/1.1\r\nhost: service\r\n\r\n"
    async with running_service(tmp_path, max_body_bytes=LIMIT_BYTES) as service:
        app = create_application(service, with_virtual_clock=True)
        async with serving(app) as (port, server):
            client = await send_without_reading(port, [large, request(stranger)] * 60, 0)
            (protocol,) = server.server_state.connections
            is_stuck = protocol.flow.write_paused  # type: ignore[union-attr]
            kept = [each() for each in seen if each() is not None]
            client.close()
            assert (is_stuck, len(seen) > 0, len(kept)) == (True, True, 0)


async def test_batch__sender_gone_or_too_slow__leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = large_body(World())
    async with running_service(tmp_path, max_body_bytes=LIMIT_BYTES) as service:
        size = service.sequencer.store.size
        app = create_application(service, with_virtual_clock=True)
        async with serving(app) as (port, server):
            for _ in range(5):
                async with connection(port) as (_, writer):
                    writer.write(request(body)[:-1])
                    await writer.drain()
            monkeypatch.setattr(body_module, "READ_SECONDS", 0.1)
            async with connection(port) as (reader, writer):
                writer.write(request(body)[:-1])
                status, _, answer = await asyncio.wait_for(read_answer(reader), 10)
                assert (status, b"too slowly" in answer) == (400, True), answer
                # Its room was given back, so nothing of it may be there any more.
                assert kept_bytes(server) == 0
            monkeypatch.undo()
            # The batch was never logged.
            assert first_index((await ask(port, request(body)))[0]) == size
