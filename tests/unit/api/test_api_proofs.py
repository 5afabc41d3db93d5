"""``/v1/events/{member}/{id}``: where an event stands, and clear answers without a proof."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from adtally.events.batch import batch_to_wire
from adtally.events.record import EventType, event_id_text
from support.world import ALICE, BOB, World

BINARY = {"content-type": "application/vnd.adtally.batch"}


async def send(api: httpx.AsyncClient, world: World, *events: Any) -> int:
    """Leaf index of the first record."""
    body = batch_to_wire(world.batch(list(events)))
    answer = await api.post("/v1/batches", content=body, headers=BINARY)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["receipt"]["first_index"]) + 1


@pytest.mark.asyncio
async def test_event__logged_three_times__all_places_with_their_reasons(
    api: httpx.AsyncClient,
) -> None:
    world = World()
    event = world.event()
    first = await send(api, world, event, event)
    third = await send(api, world, replace(event, country="FR"))
    for name in (event_id_text(event.id), event.id.hex(), event_id_text(event.id).upper()):
        answer = await api.get(f"/v1/events/{ALICE}/{name}")
        assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["publisher"], found["type"]) == (ALICE, "impression")
    assert [(each["leaf_index"], each["verdict"]) for each in found["occurrences"]] == [
        (first, "accepted"),
        (first + 1, "duplicate"),
        (third, "conflict"),
    ]
    assert "already" in found["occurrences"][1]["rule"]


@pytest.mark.asyncio
async def test_event__id_of_two_types__needs_the_type(api: httpx.AsyncClient) -> None:
    world = World()
    parent, other = world.event(), world.event()
    click = world.event(EventType.CLICK, id=parent.id, parent_id=other.id)
    await send(api, world, parent, other, click)
    path = f"/v1/events/{ALICE}/{event_id_text(parent.id)}"
    answer = await api.get(path)
    assert answer.status_code == 404
    assert "impression, click" in answer.json()["expected"]
    answer = await api.get(path, params={"type": "click"})
    assert answer.json()["type"] == "click"


@pytest.mark.asyncio
async def test_event__of_another_publisher_or_never_logged__not_found(
    api: httpx.AsyncClient,
) -> None:
    world = World()
    event = world.event()
    await send(api, world, event)
    for member, name in ((BOB, event.id), (ALICE, world.event().id)):
        for tail in ("", "/proof", "/explanation"):
            answer = await api.get(f"/v1/events/{member}/{event_id_text(name)}{tail}")
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/v1/events/{ALICE}/nothing", "event_id"),
        (f"/v1/events/{ALICE}/" + "00" * 17, "event_id"),
        (f"/v1/events/{ALICE}/" + "00" * 16 + "?type=video", "type"),
        (f"/v1/events/{ALICE}/" + "00" * 16 + "/proof?occurrence=-1", "occurrence"),
        (f"/v1/events/{ALICE}/" + "00" * 16 + "/proof?statement=0", "statement"),
        ("/v1/events/0/" + "00" * 16, "member_id"),
    ],
)
async def test_event__malformed_question__names_the_field(
    api: httpx.AsyncClient, path: str, field: str
) -> None:
    answer = await api.get(path)
    assert answer.status_code == 400
    assert answer.json()["field"] == field


@pytest.mark.asyncio
async def test_proof__no_anchor_yet__conflict_that_says_when(api: httpx.AsyncClient) -> None:
    world = World()
    event = world.event()
    await send(api, world, event)
    answer = await api.get(f"/v1/events/{ALICE}/{event_id_text(event.id)}/proof")
    assert answer.status_code == 409
    assert "deadline" in answer.json()["action"]
