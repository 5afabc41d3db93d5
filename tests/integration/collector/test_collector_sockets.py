"""Hits over real connections: the short way and uvicorn's give the same answers, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adtally.api.application import create_application
from adtally.api.hit_protocol import HitProtocol
from adtally.api.hits import GIF
from adtally.collector import collector as collecting
from adtally.events.verdict import Verdict
from support import sockets
from support.hits import BROWSER, Scene, running_scene
from support.sockets import Server, ask, read_answer
from support.world import CAMPAIGN, NOON_MS, OPERATOR

pytestmark = pytest.mark.asyncio

HEAD = f"host: service\r\nuser-agent: {BROWSER['user-agent']}\r\n"


@asynccontextmanager
async def serving(scene: Scene, http: Any = HitProtocol) -> AsyncIterator[tuple[int, Server]]:
    app = create_application(scene.service, with_virtual_clock=True)
    async with sockets.serving(app, http) as served:
        yield served


def pixel(token: str, version: str = "1.1", method: str = "GET", more: str = "") -> bytes:
    return f"{method} /v1/imp?t={token} HTTP/{version}\r\n{HEAD}{more}\r\n".encode()


async def test_impression__short_way_and_uvicorn_s__answer_the_same(tmp_path: Path) -> None:
    async with running_scene(tmp_path) as scene:
        texts = [scene.token(), scene.token(NOON_MS - 10**8), "x" * 68]
        seen = []
        for http in (HitProtocol, "httptools"):
            async with serving(scene, http) as (port, _):
                answers = [(await ask(port, pixel(text)))[0] for text in texts]
                seen.append(
                    [
                        (status, sorted(set(headers) - {"date"}), body)
                        for status, headers, body in answers
                    ]
                )
                verdict = answers[0][1]["adtally-hit"].partition(";")[0]
                assert verdict == ("accepted" if http is HitProtocol else "duplicate")
        assert seen[0] == seen[1]
        assert [status for status, _, _ in seen[0]] == [200, 403, 400]


async def test_impressions__pipelined_with_other_requests__are_answered_in_order(
    tmp_path: Path,
) -> None:
    async with running_scene(tmp_path) as scene, serving(scene) as (port, _):
        texts = [scene.token() for _ in range(4)]
        health = f"GET /v1/health HTTP/1.1\r\n{HEAD}\r\n".encode()
        requests = [
            pixel(texts[0]), pixel(texts[1]), health, pixel(texts[1]), pixel("bad"),
            pixel(texts[2]), health, pixel(texts[3]),
        ]  # fmt: skip
        answers = await ask(port, *requests)
        kinds = [headers["content-type"] for _, headers, _ in answers]
        assert [status for status, _, _ in answers] == [200] * 4 + [400] + [200] * 3
        assert [kind == "image/gif" for kind in kinds] == [
            *(True, True, False, True, False, True, False, True)
        ]
        verdicts = [headers.get("adtally-hit", "").partition(";")[0] for _, headers, _ in answers]
        assert verdicts.count("accepted") == 4
        assert verdicts[3] == "duplicate"


@pytest.mark.parametrize(
    ("request_", "status", "closes"),
    [
        ({"version": "1.0"}, 200, True),
        ({"more": "connection: close\r\n"}, 200, True),
        ({"more": "content-length: 0\r\n"}, 200, False),
        ({"method": "HEAD"}, 405, False),
        ({"method": "POST", "more": "content-length: 0\r\n"}, 405, False),
        ({"more": "purpose: prefetch\r\n"}, 403, False),
    ],
)
async def test_impression__unusual_requests__go_the_general_way(
    tmp_path: Path, request_: dict[str, str], status: int, closes: bool
) -> None:
    async with running_scene(tmp_path) as scene, serving(scene) as (port, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(pixel(scene.token(), **request_))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(f"HTTP/1.1 {status}".encode())
        if closes:
            assert (await asyncio.wait_for(reader.read(), 10)).endswith(GIF)
        writer.close()
        await writer.wait_closed()


async def test_impression__refused_after_it_was_taken__is_a_problem_and_the_connection_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_scene(tmp_path) as scene, serving(scene) as (port, _):
        member = scene.service.sequencer.machine.facts.members[OPERATOR]
        text = scene.token()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        roles, member.roles = member.roles, 16
        writer.write(pixel(text))
        status, headers, body = await asyncio.wait_for(read_answer(reader), 10)
        assert (status, headers["content-type"]) == (403, "application/problem+json")
        assert b"COLLECTOR" in body
        member.roles = roles
        monkeypatch.setattr(collecting, "MAX_WAITING_HITS", 0)
        writer.write(pixel(text))
        status, headers, _ = await asyncio.wait_for(read_answer(reader), 10)
        assert (status, headers["retry-after"]) == (503, "1")
        monkeypatch.undo()
        writer.write(pixel(text))
        status, headers, _ = await asyncio.wait_for(read_answer(reader), 10)
        assert (status, headers["adtally-hit"].partition(";")[0]) == (200, "accepted")
        writer.close()
        await writer.wait_closed()


async def test_impression__client_gone_before_the_answer__is_logged(tmp_path: Path) -> None:
    async with running_scene(tmp_path) as scene, serving(scene) as (port, _):
        before = scene.size
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(pixel(scene.token()))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        while scene.service.sequencer.machine.accruals.lines(CAMPAIGN) == [] or (
            scene.service.sequencer.machine.accruals.lines(CAMPAIGN)[0].counts.impressions < 20
        ):
            await asyncio.sleep(0.01)
        assert scene.event(before + 1).verdict is Verdict.ACCEPTED
        # The service is well: somebody else is answered.
        assert (await ask(port, pixel(scene.token())))[0][0] == 200


async def test_server__told_to_stop__answers_what_it_has_taken(tmp_path: Path) -> None:
    async with running_scene(tmp_path) as scene, serving(scene) as (port, server):
        connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(30)]
        for _, writer in connections:
            writer.write(pixel(scene.token()))
        await asyncio.gather(*(writer.drain() for _, writer in connections))
        answers = [asyncio.create_task(read_answer(reader)) for reader, _ in connections]
        await asyncio.sleep(0)
        server.should_exit = True
        done = await asyncio.wait_for(asyncio.gather(*answers, return_exceptions=True), 10)
        answered = [each for each in done if not isinstance(each, BaseException)]
        assert all(each[0] == 200 for each in answered)
        line = scene.service.sequencer.machine.accruals.lines(CAMPAIGN)
        counted = line[0].counts.impressions if line else 0
        assert counted == len(answered)
        for _, writer in connections:
            writer.close()
