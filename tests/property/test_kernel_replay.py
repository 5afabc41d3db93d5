"""A changed log is refused in a replay by compiled code as it is by the reference."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from adtally.errors import AdtallyError, InvalidInput
from adtally.events.record import RECORD_SIZE, VERDICT_OFFSET, EventType
from adtally.intake.group import LoggedBatch, split_bundle
from adtally.kernel.engine import KernelEngine
from adtally.log.bundle import encode_bundle
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine, batch_entries
from support.world import ESCROW_DOMAIN, IDENTITY, NOON_MS, World

KERNEL = partial(KernelEngine, memory_bytes=2**20)


def machine_with(engine: Any) -> LogMachine:
    """As the service replays with: its own log's signatures were verified before it was logged."""
    return LogMachine(IDENTITY, ESCROW_DOMAIN, verify_signatures=False, engine=engine)


def log_of_one_batch() -> tuple[list[bytes], list[bytes]]:
    """The world's facts; an envelope and its records, of which one is a duplicate."""
    world = World()
    impression = world.event()
    events = [impression, world.event(EventType.CLICK, parent_id=impression.id), impression]
    batch = world.batch(events)
    verdicts = world.machine().judge_batch(batch, NOON_MS)
    facts = [facts.to_entry() for facts in world.facts()]
    return facts, batch_entries(batch, NOON_MS, verdicts)


def replayed(facts: list[bytes], batch: list[bytes]) -> None:
    """As a start replays a commit."""
    machine = machine_with(KERNEL)
    for part in split_bundle(encode_bundle(facts + batch)):
        if isinstance(part, LoggedBatch):
            machine.apply_batch(part.envelope, part.records)
        else:
            for entry in part.entries:
                machine.apply(entry)
    machine.require_complete()


def applied(facts: list[bytes], batch: list[bytes]) -> None:
    machine = machine_with(PlainEngine)
    for entry in facts + batch:
        machine.apply(entry)
    machine.require_complete()


def test_replay__any_byte_of_a_batch_changed__is_refused_like_by_the_reference() -> None:
    facts, batch = log_of_one_batch()
    replayed(facts, batch)
    refused = 0
    for place, entry in enumerate(batch):
        for offset in range(len(entry)):
            changed = bytearray(entry)
            changed[offset] ^= 1 << (offset + place) % 8
            lie = [*batch[:place], bytes(changed), *batch[place + 1 :]]
            assert outcome(replayed, facts, lie) == outcome(applied, facts, lie), (place, offset)
            refused += outcome(applied, facts, lie) is not None
    assert refused > 300


def outcome(replay: object, facts: list[bytes], batch: list[bytes]) -> object:
    """What kind of refusal, of which field; None for none."""
    try:
        replay(facts, batch)  # type: ignore[operator]
    except AdtallyError as error:
        return type(error), error.field
    return None


@pytest.mark.parametrize("code", [20, 255])
def test_replay__a_verdict_that_is_none__is_refused_with_its_field(code: int) -> None:
    facts, batch = log_of_one_batch()
    record = bytearray(batch[-1])
    record[VERDICT_OFFSET] = code
    for replay in (replayed, applied):
        with pytest.raises(InvalidInput, match="verdict") as error:
            replay(facts, [*batch[:-1], bytes(record)])
        assert error.value.field == "verdict"


@pytest.mark.parametrize("size", [RECORD_SIZE - 1, RECORD_SIZE + 1])
def test_apply_batch__what_is_no_record__is_refused_with_the_reference_s_words(size: int) -> None:
    facts, (envelope, *records) = log_of_one_batch()
    records[-1] = (records[-1] + b"\0")[:size]
    for engine in (KERNEL, PlainEngine):
        machine = machine_with(engine)
        for entry in facts:
            machine.apply(entry)
        with pytest.raises(InvalidInput, match="record"):
            machine.apply_batch(envelope, records)
