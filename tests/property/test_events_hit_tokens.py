"""Tokens: one spelling each, nothing but the whole genuine one is taken; records of hits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtally.errors import AdtallyError, InvalidInput, VerificationFailed
from adtally.events.hit_tokens import (
    CLICK_KIND,
    HIT_KIND,
    Slot,
    Token,
    mint_token,
    parse_slot_name,
    postback_mac,
    require_slot_mac,
    slot_name,
)
from adtally.events.record import AdEvent, EventType, event_id_text, pack_hit

keys = st.binary(min_size=32, max_size=32)
uint32s = st.integers(0, 2**32 - 1)
slots = st.builds(Slot, uint32s, uint32s, uint32s, uint32s)
ids = st.binary(min_size=16, max_size=16)
countries = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2)
kinds = st.sampled_from((HIT_KIND, CLICK_KIND))


@given(keys, kinds, slots, ids, countries)
def test_token__minted__parses_back_and_its_mac_is_hmac(
    key: bytes, kind: int, slot: Slot, event_id: bytes, country: str
) -> None:
    token = mint_token(key, kind, slot.packed(), event_id, country)
    assert len(token.text) == 68
    read = Token.parse(token.text.encode(), kind)
    assert read == token
    assert (read.kind, Slot.unpacked(read.slot), read.event_id) == (kind, slot, event_id)
    assert read.country == country.encode()
    assert read.at_ms == int.from_bytes(event_id[:6], "big")
    read.require_mac(key)
    raw = base64.urlsafe_b64decode(token.text)
    assert raw[35:] == hmac.new(key, raw[:35], hashlib.sha256).digest()[:16]


@given(keys, slots, ids, st.integers(0, 51 * 8 - 1))
def test_token__any_bit_flipped__is_refused(
    key: bytes, slot: Slot, event_id: bytes, bit: int
) -> None:
    raw = bytearray(mint_token(key, HIT_KIND, slot.packed(), event_id).raw)
    raw[bit // 8] ^= 1 << bit % 8
    text = base64.urlsafe_b64encode(raw)
    with pytest.raises((InvalidInput, VerificationFailed)):
        Token.parse(text, HIT_KIND).require_mac(key)


@given(keys, slots, ids, st.integers(0, 67), st.integers(0, 255))
def test_token__any_other_spelling__is_refused(
    key: bytes, slot: Slot, event_id: bytes, place: int, character: int
) -> None:
    text = mint_token(key, HIT_KIND, slot.packed(), event_id).text.encode()
    changed = text[:place] + bytes((character,)) + text[place + 1 :]
    if changed != text:
        with pytest.raises((InvalidInput, VerificationFailed)):
            Token.parse(changed, HIT_KIND).require_mac(key)


@given(st.binary(max_size=100) | st.binary(min_size=68, max_size=68), kinds)
def test_token__garbage__raises_only_typed_errors(text: bytes, kind: int) -> None:
    try:
        token = Token.parse(text, kind)
    except AdtallyError:
        return
    assert token.text.encode() == text


@given(keys, keys, slots, ids)
def test_token__under_another_key__is_refused(
    key: bytes, other: bytes, slot: Slot, event_id: bytes
) -> None:
    token = mint_token(key, HIT_KIND, slot.packed(), event_id)
    if other != key:
        with pytest.raises(VerificationFailed):
            token.require_mac(other)


@given(st.binary(min_size=51, max_size=51))
def test_token__any_bytes__parse_only_with_a_country(raw: bytes) -> None:
    """Whoever holds a slot key may MAC what it likes: it must not break the batch."""
    raw = bytes((HIT_KIND,)) + raw[1:]
    text = base64.urlsafe_b64encode(raw)
    is_country = raw[1:3].isalpha() and raw[1:3].isupper()
    if is_country:
        assert Token.parse(text, HIT_KIND).raw == raw
    else:
        with pytest.raises(InvalidInput):
            Token.parse(text, HIT_KIND)


@given(keys, slots, st.integers(0, 33 * 8 - 1))
def test_slot_name__any_bit_flipped__is_refused(key: bytes, slot: Slot, bit: int) -> None:
    name = slot_name(key, slot.packed())
    assert len(name) == 44
    found, mac = parse_slot_name(name.encode())
    assert Slot.unpacked(found) == slot
    require_slot_mac(key, found, mac)
    raw = bytearray(base64.urlsafe_b64decode(name))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((InvalidInput, VerificationFailed)):
        require_slot_mac(key, *parse_slot_name(base64.urlsafe_b64encode(raw)))


@given(keys, slots, ids)
def test_slot_name_and_token__of_one_key__are_not_one_for_the_other(
    key: bytes, slot: Slot, event_id: bytes
) -> None:
    token = mint_token(key, HIT_KIND, slot.packed(), event_id)
    with pytest.raises(InvalidInput):
        parse_slot_name(token.text.encode())
    with pytest.raises(InvalidInput):
        Token.parse(slot_name(key, slot.packed()).encode(), HIT_KIND)


@given(
    st.sampled_from((EventType.IMPRESSION, EventType.VIEWABLE, EventType.CLICK)),
    slots,
    ids,
    ids.filter(any),
    countries,
    st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 4)),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=20, max_size=20),
)
def test_pack_hit__any_parts__is_the_canonical_record(
    kind: EventType,
    slot: Slot,
    event_id: bytes,
    parent_id: bytes,
    country: str,
    classes: tuple[int, int, int],
    subject: bytes,
    context: bytes,
) -> None:
    parent_id = bytes(16) if kind is EventType.IMPRESSION else parent_id
    record = pack_hit(
        kind, slot.packed(), event_id, parent_id, country.encode(), bytes(classes), subject, context
    )
    event = AdEvent.from_record(record)
    assert event.to_record() == record
    assert (event.campaign, event.publisher) == (slot.campaign, slot.publisher)
    assert (event.placement, event.creative) == (slot.placement, slot.creative)
    assert (event.type, event.id, event.parent_id) == (kind, event_id, parent_id)
    assert (event.device, event.user_agent_class, event.network_class) == classes
    assert (event.country, event.subject, event.context) == (country, subject, context)


@given(keys, st.integers(0, 10**12), st.binary(max_size=200))
def test_postback_mac__any__is_hmac_over_time_dot_body(key: bytes, at: int, body: bytes) -> None:
    expected = hmac.new(key, str(at).encode() + b"." + body, hashlib.sha256).digest()
    assert postback_mac(key, at, body) == expected


@given(ids)
def test_event_id_text__any_id__is_the_uuid_s(event_id: bytes) -> None:
    assert event_id_text(event_id) == str(uuid.UUID(bytes=event_id))
