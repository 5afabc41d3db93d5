"""Every format: value to bytes and back, and no bytes but canonical ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtally.errors import AdtallyError
from adtally.events.batch import (
    WIRE_HEADER_SIZE,
    Envelope,
    SignedBatch,
    batch_from_wire,
    batch_to_wire,
)
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.facts import (
    MAX_ENTRY_SIZE,
    ChainFacts,
    ContractCode,
    Declaration,
    DeclarationKind,
    FactLog,
    RulesFacts,
    TimeFacts,
    split_chain_facts,
)
from adtally.events.record import (
    NO_PARENT,
    RECORD_SIZE,
    AdEvent,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
    clear_verdict,
    new_event_id,
    set_verdict,
)
from adtally.events.verdict import Verdict
from adtally.types import UINT32_MAX, UINT48_MAX, UINT64_MAX

uint32s = st.integers(0, UINT32_MAX)
uint48s = st.integers(0, UINT48_MAX)
uint64s = st.integers(0, UINT64_MAX)
addresses = st.binary(min_size=20, max_size=20)
signatures = st.binary(min_size=65, max_size=65)
hashes = st.binary(min_size=32, max_size=32)


@st.composite
def events(
    draw: st.DrawFn, verdicts: st.SearchStrategy[Verdict] = st.sampled_from(Verdict)
) -> AdEvent:
    kind = draw(st.sampled_from(EventType))
    at = draw(uint48s)
    parents = st.binary(min_size=16, max_size=16).filter(lambda raw: raw != NO_PARENT)
    currency = draw(st.integers(0, 999)) if kind is EventType.CONVERSION else 0
    return AdEvent(
        type=kind,
        campaign=draw(uint32s),
        publisher=draw(uint32s),
        placement=draw(uint32s),
        creative=draw(uint32s),
        id=at.to_bytes(6, "big") + draw(st.binary(min_size=10, max_size=10)),
        occurred_at_ms=at,
        parent_id=NO_PARENT if kind is EventType.IMPRESSION else draw(parents),
        country=draw(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2)),
        device=draw(st.sampled_from(DeviceClass)),
        user_agent_class=draw(st.sampled_from(UserAgentClass)),
        network_class=draw(st.sampled_from(NetworkClass)),
        subject=draw(st.binary(min_size=16, max_size=16)),
        context=draw(st.binary(min_size=20, max_size=20)),
        value_minor_units=draw(uint64s) if currency else 0,
        currency=currency,
        verdict=draw(verdicts),
    )


envelopes = st.builds(
    Envelope,
    member=st.integers(1, UINT32_MAX),
    sequence=st.integers(1, UINT64_MAX),
    count=st.integers(1, 10_000),
    received_at_ms=uint48s,
    signer=addresses,
    signature=signatures,
)
unset_records = events(st.just(Verdict.UNSET)).map(AdEvent.to_record)
batches = st.builds(
    SignedBatch,
    chain_id=uint64s,
    member=st.integers(1, UINT32_MAX),
    sequence=st.integers(1, UINT64_MAX),
    signer=addresses,
    signature=signatures,
    records=st.lists(unset_records, min_size=1, max_size=4).map(tuple),
)
fact_logs = st.builds(
    FactLog,
    block_number=uint64s,
    log_index=uint32s,
    contract=st.sampled_from(ContractCode),
    topics=st.lists(hashes, max_size=4).map(tuple),
    data=st.binary(max_size=200),
)


@st.composite
def chain_facts(draw: st.DrawFn) -> ChainFacts:
    parts = draw(st.integers(1, 65_535))
    last = draw(uint64s)
    return ChainFacts(
        recorded_at_ms=draw(uint48s),
        first_block=draw(st.integers(0, last)),
        last_block=last,
        last_block_hash=draw(hashes),
        last_block_timestamp_seconds=draw(uint64s),
        logs=tuple(draw(st.lists(fact_logs, max_size=4))),
        part=draw(st.integers(0, parts - 1)),
        parts=parts,
    )


declarations = st.builds(
    Declaration,
    recorded_at_ms=uint48s,
    kind=st.sampled_from(DeclarationKind),
    active=st.booleans(),
    member=uint32s,
    campaign=uint32s,
    publisher=uint32s,
    item=uint32s,
    declared_at_ms=uint48s,
    signer=addresses,
    signature=signatures,
    detail=st.text(st.characters(codec="utf-8"), max_size=300),
)
rules = st.builds(RulesFacts, recorded_at_ms=uint48s, rules_json=st.binary(max_size=300))
times = st.builds(TimeFacts, recorded_at_ms=uint48s)
judged = events(st.sampled_from(list(Verdict)[1:])).map(AdEvent.to_record)
corrections = st.builds(
    Correction,
    recorded_at_ms=uint48s,
    index=uint64s,
    change=st.sampled_from((-1, 1)),
    reason=st.sampled_from(CorrectionReason),
    record=judged,
    detail=st.text(st.characters(codec="utf-8"), max_size=128),
)

Parse = Callable[[bytes], Any]
Write = Callable[[Any], bytes]
FORMATS: dict[str, tuple[st.SearchStrategy[Any], Write, Parse]] = {
    "record": (events(), AdEvent.to_record, AdEvent.from_record),
    "envelope": (envelopes, Envelope.to_entry, Envelope.from_entry),
    "wire": (batches, batch_to_wire, batch_from_wire),
    "chain facts": (chain_facts(), ChainFacts.to_entry, ChainFacts.from_entry),
    "declaration": (declarations, Declaration.to_entry, Declaration.from_entry),
    "rules": (rules, RulesFacts.to_entry, RulesFacts.from_entry),
    "time": (times, TimeFacts.to_entry, TimeFacts.from_entry),
    "correction": (corrections, Correction.to_entry, Correction.from_entry),
}
formats = pytest.mark.parametrize("name", FORMATS)


def check_canonical(parse: Parse, write: Write, data: bytes) -> None:
    """Either refused with a typed error that says enough, or written back as it was."""
    value, refusal = None, None
    try:
        value = parse(data)
    except AdtallyError as error:
        refusal = error
    if refusal is None:
        assert write(value) == data
    else:
        assert refusal.field
        assert refusal.expected


@formats
@given(data=st.data())
def test_format__value_written_and_parsed__is_equal(name: str, data: st.DataObject) -> None:
    values, write, parse = FORMATS[name]
    value = data.draw(values)
    assert parse(write(value)) == value


@formats
@given(data=st.binary(max_size=400))
def test_format__random_bytes__are_refused_or_canonical(name: str, data: bytes) -> None:
    _, write, parse = FORMATS[name]
    check_canonical(parse, write, data)


@formats
@given(data=st.data())
def test_format__one_byte_changed__is_refused_or_canonical(name: str, data: st.DataObject) -> None:
    values, write, parse = FORMATS[name]
    entry = bytearray(write(data.draw(values)))
    entry[data.draw(st.integers(0, len(entry) - 1))] = data.draw(st.integers(0, 255))
    check_canonical(parse, write, bytes(entry))


@formats
@given(data=st.data())
def test_format__cut_or_lengthened__is_refused_or_canonical(name: str, data: st.DataObject) -> None:
    values, write, parse = FORMATS[name]
    entry = write(data.draw(values))
    cut = data.draw(st.integers(0, len(entry)))
    check_canonical(parse, write, entry[:cut])
    check_canonical(parse, write, entry + data.draw(st.binary(min_size=1, max_size=3)))


@given(event=events())
def test_verdict__set_and_cleared__changes_one_byte(event: AdEvent) -> None:
    record = event.to_record()
    unset = clear_verdict(record)
    assert AdEvent.from_record(unset) == event.with_verdict(Verdict.UNSET)
    assert set_verdict(unset, event.verdict) == record
    assert len(unset) == RECORD_SIZE


@given(batch=batches)
def test_wire__records__stand_where_the_header_ends(batch: SignedBatch) -> None:
    wire = batch_to_wire(batch)
    assert len(wire) == WIRE_HEADER_SIZE + RECORD_SIZE * len(batch.records)
    assert wire[WIRE_HEADER_SIZE:] == b"".join(batch.records)


@given(at=uint48s, tail=st.binary(min_size=10, max_size=10))
def test_new_event_id__any_time_and_tail__is_a_version_7_uuid(at: int, tail: bytes) -> None:
    event_id = new_event_id(at, tail)
    assert int.from_bytes(event_id[:6], "big") == at
    assert (event_id[6] >> 4, event_id[8] >> 6) == (7, 2)


long_logs = st.builds(
    lambda index, topics, size: FactLog(
        1, index, ContractCode.CAMPAIGN_ESCROW, (bytes(32),) * topics, bytes(size)
    ),
    uint32s,
    st.integers(0, 4),
    st.one_of(st.integers(0, 400), st.integers(30_000, 65_000)),
)


@given(logs=st.lists(long_logs, max_size=12))
def test_split_chain_facts__any_logs__fit_their_entries_and_lose_nothing(
    logs: list[FactLog],
) -> None:
    whole = ChainFacts(5, 1, 1, b"\x07" * 32, 9, tuple(logs))
    parts = split_chain_facts(whole)
    assert [part.part for part in parts] == list(range(len(parts)))
    assert {part.parts for part in parts} == {len(parts)}
    assert [log for part in parts for log in part.logs] == logs
    for part in parts:
        entry = part.to_entry()
        assert len(entry) <= MAX_ENTRY_SIZE
        assert ChainFacts.from_entry(entry) == part
        assert part.logs or len(parts) == 1, "no part is empty"
    sizes = [len(part.to_entry()) for part in parts]
    for size, following in zip(sizes, parts[1:], strict=False):
        first = ChainFacts(0, 1, 1, bytes(32), 0, following.logs[:1])
        assert size + len(first.to_entry()) - 69 > MAX_ENTRY_SIZE, "parts are filled"
