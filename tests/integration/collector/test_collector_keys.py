"""Keys for members, names for pages, tags: who gets them and that they work."""

from __future__ import annotations

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import httpx
import pytest

from adtally.client.hits import (
    SlotMint,
    fetch_postback_secret,
    fetch_slot_key,
    key_request_json,
)
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import Transport
from adtally.collector.user_agents import published_list_hash
from adtally.errors import NotAllowed
from adtally.events.facts import DeclarationKind
from adtally.events.hit_tokens import HIT_KIND, Slot, Token
from adtally.events.key_request import KeyKind, KeyRequest
from adtally.events.signature import address_of, sign
from support.hits import BROWSER, LANDING, SLOT, Scene
from support.world import (
    ADVERTISER,
    ALICE,
    BOB,
    CAMPAIGN,
    CREATIVE,
    LOG_DOMAIN,
    NOON_MS,
    PLACEMENT,
    key_of,
)

pytestmark = pytest.mark.asyncio

SLOT_REQUEST = KeyRequest(
    KeyKind.SLOT, ALICE, CAMPAIGN, PLACEMENT, CREATIVE, NOON_MS, bytes(20), bytes(65)
)
POSTBACK_REQUEST = KeyRequest(
    KeyKind.POSTBACK, ADVERTISER, CAMPAIGN, 0, 0, NOON_MS, bytes(20), bytes(65)
)

# The sequences of vast_4.2.xsd, as far as they are used.
VAST_ORDER = {
    "vast_inline": [
        *("AdSystem", "Impression", "ViewableImpression", "AdServingId", "AdTitle", "Creatives")
    ],
    "vast_wrapper": [
        *("AdSystem", "Impression", "ViewableImpression", "Creatives", "VASTAdTagURI")
    ],
}


async def ask(scene: Scene, request: KeyRequest, key: bytes | None = None) -> httpx.Response:
    key = key or key_of(request.member)
    request = replace(request, signer=address_of(key))
    request = replace(request, signature=sign(request.digest(LOG_DOMAIN), key))
    return await scene.api.post("/v1/collector/keys", json=key_request_json(request))


async def test_keys__of_the_publisher_and_the_advertiser__work(scene: Scene) -> None:
    answer = await ask(scene, SLOT_REQUEST)
    assert answer.status_code == 200, answer.text
    key = bytes.fromhex(answer.json()["key"][2:])
    hit = await scene.hit("imp", SlotMint(SLOT, key).token(NOON_MS, "FR"))
    assert hit.verdict == "accepted"
    assert scene.event(hit.index).country == "FR"
    assert (await ask(scene, SLOT_REQUEST)).json() == answer.json()
    answer = await ask(scene, POSTBACK_REQUEST)
    secret = scene.service.hits.keys.postback_secret(CAMPAIGN)
    assert answer.json() == {"key": "0x" + secret.hex()}


@pytest.mark.parametrize(
    ("request_", "changes", "signer", "status", "field"),
    [
        (SLOT_REQUEST, {"member": BOB, "placement": PLACEMENT + 1}, None, 403, "placement"),
        (SLOT_REQUEST, {"placement": PLACEMENT + 1}, None, 403, "placement"),
        (SLOT_REQUEST, {"creative": CREATIVE + 1}, None, 403, "creative"),
        (SLOT_REQUEST, {"campaign": CAMPAIGN + 1}, None, 404, "campaign"),
        (SLOT_REQUEST, {"member": ADVERTISER}, None, 403, "member"),
        (SLOT_REQUEST, {"member": 99}, None, 403, "signer"),
        (SLOT_REQUEST, {}, BOB, 403, "signer"),
        (SLOT_REQUEST, {"requested_at_ms": NOON_MS - 300_001}, None, 403, "requested_at_ms"),
        (SLOT_REQUEST, {"requested_at_ms": NOON_MS + 300_001}, None, 403, "requested_at_ms"),
        (POSTBACK_REQUEST, {"member": ALICE}, None, 403, "member"),
        (POSTBACK_REQUEST, {}, ALICE, 403, "signer"),
    ],
)
async def test_keys__asked_by_somebody_else__are_not_given(
    scene: Scene,
    request_: KeyRequest,
    changes: dict[str, Any],
    signer: int | None,
    status: int,
    field: str,
) -> None:
    key = None if signer is None else key_of(signer)
    answer = await ask(scene, replace(request_, **changes), key)
    assert (answer.status_code, answer.json()["field"]) == (status, field), answer.text
    assert "key" not in answer.json()


async def test_keys__request_changed_after_signing__is_refused(scene: Scene) -> None:
    request = replace(SLOT_REQUEST, signer=address_of(key_of(ALICE)))
    request = replace(request, signature=sign(request.digest(LOG_DOMAIN), key_of(ALICE)))
    for changes in ({"creative": 0}, {"requested_at_ms": NOON_MS + 1}, {"kind": KeyKind.POSTBACK}):
        document = key_request_json(replace(request, **changes))
        answer = await scene.api.post("/v1/collector/keys", json=document)
        assert (answer.status_code, answer.json()["field"]) == (401, "signature"), changes


async def test_keys__placement_off_the_allowlist__is_not_given(scene: Scene) -> None:
    await scene.declare(DeclarationKind.ALLOWED_PLACEMENT, "", publisher=ALICE, item=PLACEMENT + 5)
    assert (await ask(scene, SLOT_REQUEST)).json()["field"] == "placement"
    assert (await ask(scene, replace(SLOT_REQUEST, member=BOB))).status_code == 200


async def test_token__by_a_slot_s_name__counts_once_and_any_page_may_read_it(
    scene: Scene,
) -> None:
    name = scene.mint().name()
    answer = await scene.api.get("/v1/token", params={"s": name})
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"
    text = answer.json()["token"]
    assert Token.parse(text.encode(), HIT_KIND).at_ms == NOON_MS
    assert (await scene.hit("imp", text)).verdict == "accepted"
    assert (await scene.api.get("/v1/token", params={"s": name})).json()["token"] != text


async def test_token__name_of_another_key__is_refused(scene: Scene) -> None:
    bobs = Slot(CAMPAIGN, BOB, PLACEMENT, CREATIVE)
    forged = SlotMint(bobs, scene.mint().key).name()
    assert (await scene.api.get("/v1/token", params={"s": forged})).status_code == 401
    for text in ("", "x", forged[:-1], forged + "A"):
        assert (await scene.api.get("/v1/token", params={"s": text})).status_code == 400


async def test_tags__of_a_slot__are_well_formed_and_count(scene: Scene) -> None:
    answer = await scene.api.get(f"/v1/campaigns/{CAMPAIGN}/tags/{ALICE}/{PLACEMENT}/{CREATIVE}")
    assert answer.status_code == 200, answer.text
    tags = answer.json()
    assert LANDING in tags["click_html"]
    assert "{SLOT}" in tags["script_html"]
    text = scene.token()
    urls = []
    for name in ("vast_inline", "vast_wrapper"):
        root = ET.fromstring(tags[name].replace("{TOKEN}", text))
        assert root.attrib["version"] == "4.2"
        inner = [element.tag.rpartition("}")[2] for element in root[0][0]]
        assert inner == VAST_ORDER[name]
        found = {element.tag.rpartition("}")[2]: element for element in root.iter()}
        for tag in ("Impression", "Viewable", "ClickThrough", "ClickTracking"):
            if tag in found:
                urls.append((found[tag].text or "").strip())
    (pixel,) = re.findall(r'src="([^"]+)"', tags["pixel_html"])
    urls += [pixel.replace("{TOKEN}", text), tags["bid"]["burl"].replace("{TOKEN}", text)]
    assert tags["bid"]["burl"].count("${AUCTION_") == 6
    verdicts = set()
    for url in urls:
        assert url.startswith("http://service/v1/"), url
        got = await scene.api.get(url, headers=BROWSER)
        assert got.status_code in (200, 302), got.text
        verdicts.add(got.headers["adtally-hit"].partition(";")[0])
    assert verdicts <= {"accepted", "duplicate", "conflict", "parent_already_used"}
    line = scene.service.sequencer.machine.accruals.lines(CAMPAIGN)[0].counts
    assert (line.impressions, line.viewables, line.clicks) == (1, 1, 1)


async def test_tags__of_what_could_not_count__are_refused(scene: Scene) -> None:
    for slot in (f"99/{PLACEMENT}/{CREATIVE}", f"{ALICE}/99/{CREATIVE}", f"{ALICE}/{PLACEMENT}/99"):
        answer = await scene.api.get(f"/v1/campaigns/{CAMPAIGN}/tags/{slot}")
        assert answer.status_code == 403, answer.text
    answer = await scene.api.get(f"/v1/campaigns/99/tags/{ALICE}/{PLACEMENT}/{CREATIVE}")
    assert answer.status_code == 404
    await scene.declare(DeclarationKind.CREATIVE, "no page")
    answer = await scene.api.get(f"/v1/campaigns/{CAMPAIGN}/tags/{ALICE}/{PLACEMENT}/{CREATIVE}")
    assert answer.status_code == 404


async def test_collector__list_of_user_agents__is_published_under_its_hash(scene: Scene) -> None:
    about = (await scene.api.get("/v1/collector")).json()
    published = await scene.api.get("/v1/collector/user-agents")
    assert hashlib.sha256(published.content).hexdigest() == about["user_agents_sha256"]
    assert about["user_agents_sha256"] == published_list_hash()
    assert about["can_collect"] is True
    assert json.loads(published.content)["version"] == 1


async def test_client__asks_for_both_keys__as_it_stands_in_the_quickstart(scene: Scene) -> None:
    facts = ServiceFacts.from_json((await scene.api.get("/v1/deployment")).json())
    async with Transport("http://service") as transport:
        # The real client, on the application instead of a socket.
        await transport._http.aclose()
        app = scene.api._transport
        transport._http = httpx.AsyncClient(transport=app, base_url="http://service/v1")
        mint = await fetch_slot_key(transport, facts, key_of(ALICE), SLOT, NOON_MS)
        secret = await fetch_postback_secret(
            transport, facts, ADVERTISER, key_of(ADVERTISER), CAMPAIGN, NOON_MS
        )
        with pytest.raises(NotAllowed):
            await fetch_slot_key(transport, facts, key_of(BOB), SLOT, NOON_MS)
    assert mint == scene.mint()
    assert secret == scene.service.hits.keys.postback_secret(CAMPAIGN)
