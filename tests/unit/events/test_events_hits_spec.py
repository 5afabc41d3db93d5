"""The vectors of single hits against the page's table, hmac and hashlib."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
from typing import Any

import pytest
from events_spec import byte_table, slice_entry, unhex, vectors

from adtally.errors import InvalidInput
from adtally.events.hit_tokens import HIT_KIND, Token

HITS = vectors("hits.json")
TOKEN = byte_table("hits.md")
SECRET = unhex(HITS["secret"])


def mac(key: bytes, message: bytes) -> bytes:
    return hmac.new(key, message, hashlib.sha256).digest()


def test_byte_table__rows__are_contiguous_and_51_bytes() -> None:
    at = 0
    for field in TOKEN:
        assert field.offset == at
        at += field.size or 0
    assert at == 51


def test_keys__follow_from_the_secret() -> None:
    keys, slot = HITS["keys"], unhex(HITS["slot"]["packed"])
    assert unhex(keys["slot_key"]) == mac(SECRET, b"adtally slot key v1" + slot)
    assert unhex(keys["click_key"]) == mac(SECRET, b"adtally click key v1")
    campaign = HITS["slot"]["campaign"].to_bytes(4, "big")
    assert unhex(keys["postback_secret"]) == mac(SECRET, b"adtally postback secret v1" + campaign)


@pytest.mark.parametrize("case", HITS["tokens"], ids=lambda case: case["name"])
def test_token__sliced_by_the_table__has_the_vector_fields(case: dict[str, Any]) -> None:
    raw = base64.urlsafe_b64decode(case["text"])
    assert raw == unhex(case["entry"])
    assert slice_entry(raw, TOKEN) == case["fields"]
    assert raw[35:] == mac(unhex(case["key"]), raw[:35])[:16]
    token = Token.parse(case["text"].encode(), case["fields"]["kind"])
    token.require_mac(unhex(case["key"]))
    assert token.text == case["text"]


def test_slot_name__is_kind_slot_and_mac() -> None:
    raw = base64.urlsafe_b64decode(HITS["slot_name"]["text"])
    signed = b"\x03" + unhex(HITS["slot"]["packed"])
    assert raw == signed + mac(unhex(HITS["slot_name"]["key"]), signed)[:16]


@pytest.mark.parametrize("case", HITS["rejected"], ids=lambda case: case["name"])
def test_token__rejected__says_what_was_expected(case: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        Token.parse(case["text"].encode(), HIT_KIND)
    assert caught.value.field == "token"
    assert caught.value.expected
    assert caught.value.found is not None


def test_postback__signature_and_id__as_the_page_says() -> None:
    case = HITS["postback"]
    time, _, signature = case["signature"].partition(",")
    at, body = time.removeprefix("t=").encode(), unhex(case["body"])
    expected = mac(unhex(case["secret"]), at + b"." + body).hex()
    assert signature == f"v1={expected}"
    document = json.loads(body)
    click = base64.urlsafe_b64decode(document["click"])[19:35]
    tail = hashlib.sha256(b"adtally conversion id v1" + click + document["order"].encode())
    record = unhex(case["record"])
    event_id = record[20:36]
    assert event_id == unhex(case["event_id"])
    assert event_id[:6] == document["occurred_at_ms"].to_bytes(6, "big")
    mask = bytes.fromhex("0fff3fffffffffffffff")
    masked = [bytes(a & b for a, b in zip(each, mask, strict=True)) for each in (
        event_id[6:], tail.digest()[:10])]  # fmt: skip
    assert masked[0] == masked[1]
    assert record[36:52] == click


@pytest.mark.parametrize("case", HITS["commitments"], ids=lambda case: case["address"])
def test_commitment__opened__as_the_page_says(case: dict[str, Any]) -> None:
    address = ipaddress.ip_address(case["address"])
    packed = address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
    opened = packed + case["user_agent"].encode()
    campaign = case["campaign"].to_bytes(4, "big")
    for name, size in (("subject", 16), ("context", 20)):
        salt = mac(unhex(case["day_secret"]), f"adtally {name} v1".encode() + campaign)
        assert unhex(case[name]) == hashlib.sha256(salt + opened).digest()[:size]
