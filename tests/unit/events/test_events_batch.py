"""What a batch refuses before it is signed, sent or logged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adtally.errors import AdtallyError, InvalidInput, VerificationFailed
from adtally.events.batch import (
    MAX_BATCH_EVENTS,
    Envelope,
    SignedBatch,
    batch_from_wire,
    batch_to_wire,
    sign_batch,
)
from adtally.events.eip712 import domain_separator, log_domain
from adtally.events.record import AdEvent, EventType, new_event_id, set_verdict
from adtally.events.verdict import Verdict
from adtally.types import UINT48_MAX, LogIdentity

KEY = b"\x01" * 32
DOMAIN = log_domain(LogIdentity(31_337, b"\x11" * 20))
RECORD = AdEvent(
    EventType.IMPRESSION, 1, 3, 17, 5, new_event_id(1_000_000, bytes(10)), 1_000_000
).to_record()


def signed(*records: bytes) -> SignedBatch:
    return sign_batch(DOMAIN, 31_337, KEY, 3, 1, records)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"member": 0}, "member"),
        ({"member": 2**32}, "member"),
        ({"sequence": 0}, "sequence"),
        ({"sequence": 2**64}, "sequence"),
        ({"count": 0}, "events"),
        ({"count": MAX_BATCH_EVENTS + 1}, "events"),
        ({"received_at_ms": -1}, "received_at_ms"),
        ({"received_at_ms": UINT48_MAX + 1}, "received_at_ms"),
        ({"signer": bytes(19)}, "signer"),
        ({"signature": bytes(64)}, "signature"),
    ],
)
def test_envelope_to_entry__field_out_of_range__is_refused(
    change: dict[str, int | bytes], field: str
) -> None:
    envelope = replace(Envelope(1, 1, 1, 0, bytes(20), bytes(65)), **change)
    with pytest.raises(InvalidInput) as caught:
        envelope.to_entry()
    assert caught.value.field == field


@pytest.mark.parametrize(("member", "sequence"), [(0, 1), (1, 0), (2**32, 1), (1, 2**64)])
def test_sign_batch__header_out_of_range__is_refused(member: int, sequence: int) -> None:
    with pytest.raises(InvalidInput):
        sign_batch(DOMAIN, 31_337, KEY, member, sequence, [RECORD])


@pytest.mark.parametrize("count", [0, MAX_BATCH_EVENTS + 1])
def test_sign_batch__number_of_events_out_of_range__is_refused(count: int) -> None:
    with pytest.raises(InvalidInput) as caught:
        sign_batch(DOMAIN, 31_337, KEY, 3, 1, [RECORD] * count)
    assert caught.value.field == "events"


def test_batch_to_wire__record_of_wrong_length__is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        batch_to_wire(signed(RECORD, RECORD[:-1]))
    assert caught.value.field == "events.1"


def test_batch_to_wire__chain_id_over_64_bits__is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        batch_to_wire(replace(signed(RECORD), chain_id=2**64))
    assert caught.value.field == "chain_id"


def test_batch_from_wire__record_already_judged__is_refused() -> None:
    judged = set_verdict(RECORD, Verdict.ACCEPTED)
    with pytest.raises(InvalidInput) as caught:
        batch_from_wire(batch_to_wire(signed(RECORD, RECORD, judged, judged)))
    assert caught.value.field == "events.2.verdict"


def test_batch_from_wire__as_many_events_as_allowed__are_taken() -> None:
    batch = signed(*[RECORD] * MAX_BATCH_EVENTS)
    assert batch_from_wire(batch_to_wire(batch)) == batch


def test_verify_signature__as_signed__passes() -> None:
    signed(RECORD).verify_signature(DOMAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"member": 4},
        {"sequence": 2},
        {"signer": bytes(20)},
        {"records": (RECORD, RECORD)},
        {"records": (RECORD[:-13] + b"\x01" + RECORD[-12:],)},
        {"signature": bytes(65)},
    ],
)
def test_verify_signature__anything_changed__fails(change: dict[str, object]) -> None:
    with pytest.raises(VerificationFailed):
        replace(signed(RECORD), **change).verify_signature(DOMAIN)


@pytest.mark.parametrize(
    "other",
    [
        log_domain(LogIdentity(1, b"\x11" * 20)),
        log_domain(LogIdentity(31_337, b"\x12" * 20)),
        domain_separator("adtally CampaignEscrow", 31_337, b"\x11" * 20),
    ],
)
def test_verify_signature__other_chain_log_or_contract__fails(other: bytes) -> None:
    with pytest.raises(VerificationFailed):
        signed(RECORD).verify_signature(other)


def test_new_event_id__tail_too_short__is_refused() -> None:
    with pytest.raises(AdtallyError) as caught:
        new_event_id(0, bytes(9))
    assert caught.value.field == "tail"


def test_new_event_id__is_a_uuid_version_7() -> None:
    event_id = new_event_id(1_793_620_800_000, b"\xff" * 10)
    assert event_id.hex() == "01a19c2172007fffbfffffffffffffff"
