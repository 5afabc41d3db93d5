"""``/v1/corrections``: who may, once, what it answers; and the report shows it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from adtally.events.batch import batch_to_wire
from adtally.events.correction import REASON_BY_LABEL
from adtally.events.eip712 import correction_digest
from adtally.events.record import EventType, event_id_text
from adtally.events.signature import address_of, sign
from support.world import ALICE, CAMPAIGN, LOG_DOMAIN, PLACEMENT, RECEIPT_KEY, World, key_of

BINARY = {"content-type": "application/vnd.adtally.batch"}


def order(
    index: int,
    change: int,
    reason: str = "late_sivt",
    detail: str = "report 7",
    key: bytes = RECEIPT_KEY,
) -> dict[str, Any]:
    signer = address_of(key)
    digest = correction_digest(LOG_DOMAIN, signer, index, change, REASON_BY_LABEL[reason], detail)
    return {
        "index": index,
        "change": change,
        "reason": reason,
        "detail": detail,
        "signer": "0x" + signer.hex(),
        "signature": "0x" + sign(digest, key).hex(),
    }


async def send(api: httpx.AsyncClient, world: World, *events: Any) -> int:
    """Leaf index of the first record."""
    body = batch_to_wire(world.batch(list(events)))
    answer = await api.post("/v1/batches", content=body, headers=BINARY)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["receipt"]["first_index"]) + 1


async def refused(api: httpx.AsyncClient, body: dict[str, Any], status: int) -> dict[str, Any]:
    """The problem; nothing was logged."""
    before = (await api.get("/v1/status")).json()["tree_size"]
    answer = await api.post("/v1/corrections", json=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.get("/v1/status")).json()["tree_size"] == before
    problem: dict[str, Any] = answer.json()
    assert problem["expected"]
    assert problem["found"]
    return problem


@pytest.mark.asyncio
async def test_post__make_good_and_back__entered_listed_and_reported(
    api: httpx.AsyncClient,
) -> None:
    world = World()
    good = world.event()
    bad = world.event(placement=PLACEMENT + 1)
    first = await send(api, world, good, bad)
    answer = await api.post("/v1/corrections", json=order(first + 1, 1, "make_good"))
    assert answer.status_code == 200, answer.text
    entered = answer.json()
    assert entered == {"index": first + 2, "tree_size": first + 3}
    listed = (await api.get("/v1/corrections", params={"campaign": CAMPAIGN})).json()
    assert (listed["campaign"], listed["total"]) == (CAMPAIGN, 1)
    (row,) = listed["corrections"]
    assert row.pop("recorded_at_ms") > 0
    assert row == {
        "index": first + 2,
        "record_index": first + 1,
        "campaign": CAMPAIGN,
        "publisher": ALICE,
        "type": "impression",
        "event_id": event_id_text(bad.id),
        "verdict": "placement_not_allowed",
        "change": 1,
        "reason": "make_good",
        "detail": "report 7",
    }
    report = (await api.get(f"/v1/campaigns/{CAMPAIGN}/report")).json()["total"]
    campaign = (await api.get(f"/v1/campaigns/{CAMPAIGN}")).json()
    assert report["counts"] == campaign["accrued_counts"]
    assert report["spend_base_units"] == campaign["accrued_lines_total_base_units"] == "4000"
    net = report["gross_to_net"]
    assert net["net"]["impressions"] == 2
    assert net["corrections"]["make_good"]["impressions"] == 1
    assert net["by_verdict"]["accepted"]["impressions"] == 1


@pytest.mark.asyncio
async def test_post__the_same_again__conflict_that_says_where_it_stands(
    api: httpx.AsyncClient,
) -> None:
    world = World()
    first = await send(api, world, world.event(placement=PLACEMENT + 1))
    body = order(first, 1)
    entered = (await api.post("/v1/corrections", json=body)).json()["index"]
    for again in (body, order(first, 1, "other", "another word")):
        problem = await refused(api, again, 409)
        assert problem["detail"] == f"the correction stands already at index {entered}"


@pytest.mark.asyncio
async def test_post__more_than_the_holdback__conflict_with_the_reason(
    api: httpx.AsyncClient,
) -> None:
    world = World()
    event = world.event(EventType.CLICK, parent_id=bytes(15) + b"\x01")
    first = await send(api, world, event)
    body = order(first, 1, "make_good", "outage")
    assert (await api.post("/v1/corrections", json=body)).status_code == 200
    # The world's campaign has no holdback: what has a price stays.
    problem = await refused(api, order(first, -1), 409)
    assert "fall below" in problem["detail"]


@pytest.mark.asyncio
async def test_post__not_the_operator__refused(api: httpx.AsyncClient) -> None:
    world = World()
    first = await send(api, world, world.event(placement=PLACEMENT + 1))
    good = order(first, 1)
    assert (await refused(api, order(first, 1, key=key_of(ALICE)), 403))["field"] == "signer"
    for changes in ({"index": first + 1}, {"detail": "x"}, {"reason": "other"}, {"change": -1}):
        await refused(api, good | changes, 401)


@pytest.mark.asyncio
async def test_post__no_such_record__not_found(api: httpx.AsyncClient) -> None:
    for index in (0, 10**6, 2**64 - 1):
        problem = await refused(api, order(index, 1), 404)
        assert problem["field"] == "index"


@pytest.mark.asyncio
async def test_post__fields_out_of_range__invalid(api: httpx.AsyncClient) -> None:
    good = order(3, 1)
    for changes in (
        {"index": -1},
        {"index": 2**64},
        {"change": 0},
        {"change": 2},
        {"change": True},
        {"reason": "late"},
        {"more": 1},
        {"signer": "0x"},
    ):
        await refused(api, good | changes, 400)
    await refused(api, order(3, 1, detail="\u00e4" * 257), 413)


@pytest.mark.asyncio
async def test_get__pages_and_unknown_campaign(api: httpx.AsyncClient) -> None:
    world = World()
    first = await send(api, world, *(world.event(placement=99) for _ in range(5)))
    for index in range(first, first + 5):
        answer = await api.post("/v1/corrections", json=order(index, 1, "make_good"))
        assert answer.status_code == 200
    query: dict[str, Any] = {"campaign": CAMPAIGN, "limit": 2}
    found: list[int] = []
    while rows := (await api.get("/v1/corrections", params=query)).json()["corrections"]:
        found += [row["record_index"] for row in rows]
        query["after"] = rows[-1]["index"]
    assert found == list(range(first, first + 5))
    assert (await api.get("/v1/corrections", params={"campaign": 99})).status_code == 404
    assert (await api.get("/v1/corrections")).status_code == 400
