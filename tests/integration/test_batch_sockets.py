"""Batches over real connections: however their bytes arrive, the answer is the same."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from adtally.api import body as body_module
from adtally.api.application import create_application
from adtally.api.hit_protocol import HitProtocol
from adtally.api.service import Service
from adtally.api.transport import BINARY_TYPE
from adtally.events.batch import batch_to_wire
from support.application import running_service
from support.sockets import ask, connection, read_answer, serving
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


@pytest.mark.parametrize(
    ("announced", "content_type", "status"),
    [(LIMIT_BYTES + 1, BINARY_TYPE, 413), (2**40, BINARY_TYPE, 413), (150_000, "text/plain", 415)],
)
async def test_batch__refused_by_its_head__its_body_is_not_kept(
    tmp_path: Path, announced: int, content_type: str, status: int
) -> None:
    async with running(tmp_path) as (service, port), connection(port) as (reader, writer):
        size = service.sequencer.store.size
        head = f"POST /v1/batches HTTP/1.1\r\nhost: service\r\ncontent-type: {content_type}\r\n"
        writer.write(f"{head}content-length: {announced}\r\n\r\n".encode())
        answer = await asyncio.wait_for(read_answer(reader), 10)
        assert answer[0] == status, answer
        sent = min(announced, 40 * 2**20)
        for at in range(0, sent, 2**16):
            writer.write(bytes(min(2**16, sent - at)))
            await writer.drain()
        assert kept_bytes() < 2**20
        if sent == announced:
            # What was left unread did not become the next request.
            writer.write(HEALTH)
            assert (await asyncio.wait_for(read_answer(reader), 10))[0] == 200
        assert service.sequencer.store.size == size


def kept_bytes() -> int:
    """Of bodies, by the connections that are open."""
    connections = [each for each in gc.get_objects() if isinstance(each, HitProtocol)]
    assert connections, "one is open"
    return sum(len(piece) for each in connections for piece in each._pieces or ())


async def test_batch__sender_gone_or_too_slow__leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = large_body(World())
    async with running(tmp_path) as (service, port):
        size = service.sequencer.store.size
        for _ in range(5):
            async with connection(port) as (_, writer):
                writer.write(request(body)[:-1])
                await writer.drain()
        monkeypatch.setattr(body_module, "READ_SECONDS", 0.1)
        async with connection(port) as (reader, writer):
            writer.write(request(body)[:-1])
            status, _, answer = await asyncio.wait_for(read_answer(reader), 10)
            assert (status, b"too slowly" in answer) == (400, True), answer
        monkeypatch.undo()
        # The batch was never logged.
        assert first_index((await ask(port, request(body)))[0]) == size
