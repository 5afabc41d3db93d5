"""Postbacks: signed, of now, once; and what a conversion then is."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from adtally.client.hits import SignedPostback, sign_postback
from adtally.events.record import EventType
from support.hits import Scene, hit_of
from support.world import CAMPAIGN, NOON_MS

pytestmark = pytest.mark.asyncio


async def clicked(scene: Scene) -> str:
    """A person clicks: what the landing page gets."""
    text = scene.token()
    await scene.hit("imp", text)
    location = (await scene.get("click", text)).headers["location"]
    (click,) = parse_qs(urlsplit(location).query)["adtally_click"]
    return click


def signed(scene: Scene, click: str, order: str = "A-1001", **changes: Any) -> SignedPostback:
    secret = changes.pop("secret", scene.service.hits.keys.postback_secret(CAMPAIGN))
    fields = {
        "occurred_at_ms": NOON_MS,
        "now_ms": NOON_MS,
        "value_minor_units": 4_999,
        "currency": "EUR",
    }
    return sign_postback(secret, click, order, **(fields | changes))


async def post(scene: Scene, postback: SignedPostback) -> httpx.Response:
    return await scene.api.post("/v1/conversion", content=postback.body, headers=postback.headers)


async def test_conversion__signed__is_accepted_as_the_click_s_child(scene: Scene) -> None:
    click = await clicked(scene)
    answer = await post(scene, signed(scene, click))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["verdict"], hit_of(answer).index) == ("accepted", said["index"])
    event = scene.event(said["index"])
    assert event.type is EventType.CONVERSION
    assert (event.value_minor_units, event.currency) == (4_999, 978)
    assert event.country == "DE"
    assert event.id == hit_of(answer).event_id
    line = scene.service.sequencer.machine.accruals.lines(CAMPAIGN)[0]
    assert line.counts.conversions == 1


async def test_conversion__sent_again__same_id_and_counts_once(scene: Scene) -> None:
    click = await clicked(scene)
    first = await post(scene, signed(scene, click))
    replayed = await post(scene, signed(scene, click))
    later = await post(scene, signed(scene, click, now_ms=NOON_MS + 299_000))
    other_value = await post(scene, signed(scene, click, value_minor_units=1))
    other_order = await post(scene, signed(scene, click, "A-1002"))
    answers = [answer.json() for answer in (first, replayed, later, other_value, other_order)]
    assert [answer["verdict"] for answer in answers] == [
        *("accepted", "duplicate", "duplicate", "conflict", "parent_already_used"),
    ]
    assert len({answer["event_id"] for answer in answers[:4]}) == 1
    line = scene.service.sequencer.machine.accruals.lines(CAMPAIGN)[0]
    assert line.counts.conversions == 1


@pytest.mark.parametrize(
    ("ahead_ms", "status"),
    [(0, 200), (-300_000, 200), (300_000, 200), (-301_000, 403), (301_000, 403)],
)
async def test_conversion__time_of_the_signature__window_is_exact(
    scene: Scene, ahead_ms: int, status: int
) -> None:
    click = await clicked(scene)
    before = scene.size
    answer = await post(scene, signed(scene, click, now_ms=NOON_MS + ahead_ms))
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.json()["field"] == "Adtally-Signature"
        assert scene.size == before


async def test_conversion__forged__is_refused_and_not_logged(scene: Scene) -> None:
    click = await clicked(scene)
    good = signed(scene, click)
    keys = scene.service.hits.keys
    name = "adtally-signature"
    header = good.headers[name]
    own = signed(scene, scene.token(), secret=bytes(32))
    cases = [
        (SignedPostback(good.body.replace(b"4999", b"9999"), good.headers), 401),
        (SignedPostback(good.body + b" ", good.headers), 401),
        (signed(scene, click, secret=keys.postback_secret(CAMPAIGN + 1)), 401),
        (signed(scene, click, secret=bytes(32)), 401),
        (SignedPostback(good.body, {}), 400),
        (SignedPostback(good.body, {name: header.upper()}), 400),
        (SignedPostback(good.body, {name: header + ","}), 400),
        (SignedPostback(good.body, {name: header.replace("t=1", "t=0")}), 403),
        # A hit token is no click token, and nobody but the collector makes those.
        (own, 400),
        (signed(scene, click[:-1] + ("A" if click[-1] != "A" else "B")), 401),
    ]
    before = scene.size
    for postback, status in cases:
        answer = await post(scene, postback)
        assert answer.status_code == status, (postback, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert scene.size == before


async def test_conversion__signed_nonsense__is_a_problem_document(scene: Scene) -> None:
    click = await clicked(scene)
    before = scene.size
    cases: list[tuple[dict[str, Any], int]] = [
        ({"currency": "eur"}, 400),
        ({"currency": None}, 400),
        ({"value_minor_units": -1}, 400),
        ({"value_minor_units": 2**64}, 400),
        ({"occurred_at_ms": -1}, 400),
        ({"occurred_at_ms": 2**48}, 400),
        ({"order": ""}, 400),
        ({"order": "x" * 129}, 400),
        ({"order": "x" * 5_000}, 413),
        ({"order": "\u00e4" * 128}, 200),
    ]
    for changes, status in cases:
        answer = await post(scene, signed(scene, click, **changes))
        assert answer.status_code == status, (changes, answer.text)
    for body in (b"", b"[]", b"{", b"\xff", b"[" * 4_000, b'{"click": 1}'):
        answer = await post(scene, SignedPostback(body, signed(scene, click).headers))
        assert answer.status_code == 400, body
    assert scene.size == before + 2
