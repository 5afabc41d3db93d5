"""Batches over HTTP: three transports, one signature; bad input changes nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from adtally.api.transport import BINARY_TYPE, JSON_TYPE, NDJSON_TYPE
from adtally.client.batch_body import Encoding, encode_batch
from adtally.events.batch import SignedBatch, batch_to_wire
from adtally.events.record import EventType
from support.world import ALICE, BOB, CAMPAIGN, NOON_MS, World, key_of


def batch_json(batch: SignedBatch) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode_batch(batch, Encoding.JSON))
    return document


async def post(api: httpx.AsyncClient, content_type: str, body: bytes) -> httpx.Response:
    return await api.post("/v1/batches", content=body, headers={"content-type": content_type})


async def tree_size(api: httpx.AsyncClient) -> int:
    size: int = (await api.get("/v1/status")).json()["tree_size"]
    return size


@pytest.mark.asyncio
@pytest.mark.parametrize("content_type", [JSON_TYPE, NDJSON_TYPE, BINARY_TYPE])
async def test_batches__each_transport__same_records_under_one_signature(
    api: httpx.AsyncClient, content_type: str
) -> None:
    world = World()
    impression = world.event(country="DE")
    click = world.event(EventType.CLICK, parent_id=impression.id)
    sale = world.event(
        EventType.CONVERSION, parent_id=click.id, value_minor_units=12_345, currency=978
    )
    batch = world.batch([impression, click, sale])
    response = await post(api, content_type, encode_batch(batch, Encoding(content_type)))
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["verdicts"] == ["accepted"] * 3
    assert answer["receipt"]["records_root"] == "0x" + batch.records_root.hex()
    again = await post(api, BINARY_TYPE, batch_to_wire(batch))
    assert again.json() == answer | {"replayed": True}


@pytest.mark.asyncio
async def test_batches__refusals__name_field_and_reason_and_log_nothing(
    api: httpx.AsyncClient,
) -> None:
    world = World()
    size = await tree_size(api)
    good = batch_json(world.batch([world.event()], sequence=1))
    event = good["events"][0]
    header = json.dumps({key: value for key, value in good.items() if key != "events"}).encode()
    too_many = header + b"\n{}" * 10_001
    cases = [
        (JSON_TYPE, b"{", 400, "body"),
        (JSON_TYPE, b"\xff", 400, "body"),
        (JSON_TYPE, b"[" * 100_000, 400, "body"),
        (JSON_TYPE, good | {"member": "3"}, 400, "member"),
        (JSON_TYPE, good | {"events": []}, 400, "events"),
        (JSON_TYPE, good | {"extra": 1}, 400, "body"),
        (JSON_TYPE, good | {"events": [event | {"country": "de"}]}, 400, "events.0.country"),
        (JSON_TYPE, good | {"events": [event | {"campaign": -1}]}, 400, "events.0.campaign"),
        (JSON_TYPE, good | {"events": [event | {"id": "x"}]}, 400, "events.0.id"),
        (JSON_TYPE, good | {"events": [event | {"occurred_at_ms": 1}]}, 400, "events.0.id"),
        (
            JSON_TYPE,
            good | {"events": [event | {"value_minor_units": "9" * 20}]},
            400,
            "events.0.value_minor_units",
        ),
        (JSON_TYPE, good | {"sequence": 2}, 401, "signature"),
        (JSON_TYPE, good | {"chain_id": 1}, 403, "chain_id"),
        (JSON_TYPE, good | {"member": 99}, 403, "member"),
        (JSON_TYPE, good | {"member": BOB}, 403, "signer"),
        (JSON_TYPE, good | {"signature": "0x" + "00" * 65}, 401, "signature"),
        (JSON_TYPE, good | {"events": [event | {"country": "FR"}]}, 401, "signature"),
        (JSON_TYPE, batch_json(world.batch([world.event()], sequence=5)), 409, "sequence"),
        (JSON_TYPE, b" " * 200_001, 413, "body"),
        (NDJSON_TYPE, b"", 400, "body"),
        (NDJSON_TYPE, too_many, 400, "events"),
        (NDJSON_TYPE, header + b"\n{}", 400, "events.0"),
        (BINARY_TYPE, b"ADT1", 400, "body"),
        (BINARY_TYPE, batch_to_wire(world.batch([world.event()], sequence=1))[:-1], 400, "body"),
        ("text/plain", b"hello", 415, None),
    ]
    for content_type, body, status, field in cases:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = await post(api, content_type, raw)
        assert response.status_code == status, (raw[:300], response.text)
        assert response.headers["content-type"] == "application/problem+json"
        problem = response.json()
        assert problem.get("field") == field, problem
        assert problem["detail"]
    assert await tree_size(api) == size
    response = await post(api, JSON_TYPE, json.dumps(good).encode())
    assert response.status_code == 200, response.text


@pytest.mark.asyncio
async def test_batches__wrong_key__refused(api: httpx.AsyncClient) -> None:
    world = World()
    batch = world.batch([world.event()], key=key_of(BOB))
    response = await post(api, BINARY_TYPE, batch_to_wire(batch))
    assert (response.status_code, response.json()["field"]) == (403, "signer")


@pytest.mark.asyncio
async def test_campaign__after_a_batch__shows_what_accrued_and_reports_it(
    api: httpx.AsyncClient,
) -> None:
    world = World()
    events = [world.event() for _ in range(3)]
    await post(api, BINARY_TYPE, batch_to_wire(world.batch([*events, events[0]])))
    campaign = (await api.get(f"/v1/campaigns/{CAMPAIGN}")).json()
    assert campaign["accrued_counts"]["impressions"] == 3
    assert campaign["accrued_lines_total_base_units"] == "6000"
    report = (
        await api.get(f"/v1/campaigns/{CAMPAIGN}/report?dimensions=publisher&granularity=hour")
    ).json()
    assert report["total"]["spend_base_units"] == "6000"
    assert report["total"]["gross_to_net"]["by_verdict"]["duplicate"]["impressions"] == 1
    assert report["total"]["metrics"]["cvr"] == {"value": None, "reason": "no clicks"}
    member = (await api.get(f"/v1/members/{ALICE}")).json()
    assert member["next_sequence"] == 2


@pytest.mark.asyncio
async def test_clock__never_falls(api: httpx.AsyncClient) -> None:
    assert (await api.post("/dev/clock", json={"now_ms": NOON_MS + 5})).status_code == 200
    response = await api.post("/dev/clock", json={"now_ms": NOON_MS + 4})
    assert (response.status_code, response.json()["field"]) == (400, "now_ms")
