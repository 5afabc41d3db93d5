"""``hits.json``: keys of the collector, tokens and slot names, a postback, commitments."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from adtally.client.hits import sign_postback
from adtally.collector.keys import CollectorKeys
from adtally.collector.postbacks import conversion_record, parse_postback
from adtally.collector.visitors import DAY_MS, DailySalts, Visitor, describe
from adtally.events.hit_tokens import CLICK_KIND, HIT_KIND, Slot, Token, mint_token, slot_name
from adtally.events.record import AdEvent, new_event_id
from vectors.common import NOON_MS, hexed, patched, seed

SECRET = seed("collector secret")
DAY_SECRET = seed("secret of a day")
SLOT = Slot(campaign=1, publisher=3, placement=17, creative=5)
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0"


def hit_vectors() -> dict[str, Any]:
    keys, slot = CollectorKeys(SECRET), SLOT.packed()
    key = keys.slot_key(slot)
    hit = mint_token(key, HIT_KIND, slot, _event_id("impression", NOON_MS), "DE")
    unknown = mint_token(key, HIT_KIND, slot, _event_id("elsewhere", NOON_MS))
    click = mint_token(keys.click_key, CLICK_KIND, slot, _event_id("click", NOON_MS + 9_000), "DE")
    return {
        "secret": hexed(SECRET),
        "slot": {**_slot_fields(SLOT), "packed": hexed(slot)},
        "keys": {
            "slot_key": hexed(key),
            "click_key": hexed(keys.click_key),
            "postback_secret": hexed(keys.postback_secret(SLOT.campaign)),
        },
        "tokens": [
            _token("hit", hit, key),
            _token("hit of an unknown country", unknown, key),
            _token("click", click, keys.click_key),
        ],
        "slot_name": {"text": slot_name(key, slot), "key": hexed(key)},
        "rejected": _rejected(hit),
        "postback": _postback(keys, click),
        "commitments": _commitments(),
    }


def _event_id(name: str, at_ms: int) -> bytes:
    return new_event_id(at_ms, seed(f"hit {name}", 10))


def _slot_fields(slot: Slot) -> dict[str, int]:
    return {
        "campaign": slot.campaign,
        "publisher": slot.publisher,
        "placement": slot.placement,
        "creative": slot.creative,
    }


def _token(name: str, token: Token, key: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "text": token.text,
        "entry": hexed(token.raw),
        "key": hexed(key),
        "fields": {
            "kind": token.kind,
            "country": token.country.decode(),
            **_slot_fields(Slot.unpacked(token.slot)),
            "event_id": hexed(token.event_id),
            "mac": hexed(token.raw[35:]),
        },
    }


def _rejected(token: Token) -> list[dict[str, str]]:
    def spelled(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode()

    text = token.text
    cases = {
        "empty": "",
        "one character short": text[:-1],
        "one character long": text + "A",
        "padded": text + "====",
        "standard base64": base64.b64encode(bytes(range(200, 251))).decode(),
        "blank inside": text[:30] + " " + text[31:],
        "kind of a click token": spelled(patched(token.raw, 0, CLICK_KIND)),
        "unknown kind": spelled(patched(token.raw, 0, 9)),
        "small letters for a country": spelled(patched(token.raw, 1, ord("d"))),
        "digit in the country": spelled(patched(token.raw, 2, ord("1"))),
    }
    return [{"name": name, "text": each} for name, each in cases.items()]


def _postback(keys: CollectorKeys, click: Token) -> dict[str, Any]:
    secret = keys.postback_secret(SLOT.campaign)
    signed = sign_postback(
        secret,
        click.text,
        "order 1001, \u00e4",
        NOON_MS + 600_000,
        NOON_MS + 601_500,
        value_minor_units=4_999,
        currency="EUR",
    )
    record = conversion_record(parse_postback(signed.body), click)
    return {
        "secret": hexed(secret),
        "body": hexed(signed.body),
        "signature": signed.headers["adtally-signature"],
        "order": "order 1001, \u00e4",
        "event_id": hexed(AdEvent.from_record(record).id),
        "record": hexed(record),
    }


class _OneDay(DailySalts):
    """A fixed secret instead of a random one from a file."""

    def _secret(self, day: int) -> bytes:
        return DAY_SECRET


def _commitments() -> list[dict[str, Any]]:
    made = []
    for address in ("198.18.0.7", "2001:db8::7"):
        salts = _OneDay(Path("nowhere"), 1)
        campaign = SLOT.campaign.to_bytes(4, "big")
        visitor = Visitor(address, USER_AGENT.encode())
        found = describe(visitor, salts, campaign, NOON_MS, NOON_MS)
        made.append(
            {
                "day": NOON_MS // DAY_MS,
                "day_secret": hexed(DAY_SECRET),
                "campaign": SLOT.campaign,
                "address": address,
                "user_agent": USER_AGENT,
                "subject": hexed(found.subject),
                "context": hexed(found.context),
            }
        )
    return made
