"""The columnar replay and the plain reference agree, bit for bit, on honest logs and others."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adtally.columns import key_table
from adtally.columns.engine import ColumnEngine
from adtally.columns.entries import EntryColumns
from adtally.columns.machine import ColumnMachine
from adtally.errors import AdtallyError
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.record import RECORD_KIND, RECORD_SIZE, VERDICT_OFFSET, EventType
from adtally.events.verdict import Verdict
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine
from adtally.types import Cut
from adtally.verification.rule_set import RuleSet
from support.random_traffic import (
    MINUTE_MS,
    OTHER_CAMPAIGN,
    Twins,
    outcome,
    random_event,
    step,
    worlds,
)
from support.world import (
    ADVERTISER,
    ALICE,
    BOB,
    CAMPAIGN,
    ESCROW_DOMAIN,
    FLIGHT_END,
    IDENTITY,
    LATE_WINDOW,
    OPERATOR,
    World,
)

_OF_BATCHES = (ENVELOPE_KIND, RECORD_KIND)
CHECK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(autouse=True)
def small_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that tables of short logs grow, and forget what may be forgotten, again and again."""
    monkeypatch.setattr(key_table, "_FIRST_ROWS", 8)


def random_log(world: World, seed: int) -> list[bytes]:
    """Entries with the reference's verdicts."""
    twins = Twins(world, Random(seed), PlainEngine)
    for _ in range(twins.random.randrange(5, 40)):
        step(twins)
    return twins.entries


def replay(entries: list[bytes], random: Random) -> tuple[LogMachine, ColumnMachine, list[Any]]:
    """Both machines behind the log, or the first entry at fault, and what each said of it."""
    leaves = MerkleTree()
    leaves.append([leaf_hash(entry) for entry in entries])
    run_records = random.choice((1, 50, 1 << 15))
    plain = LogMachine(IDENTITY, ESCROW_DOMAIN, leaves=leaves)
    fast = ColumnMachine(IDENTITY, ESCROW_DOMAIN, leaves=leaves, run_records=run_records)
    said = [_failure(_apply_each, plain, entries), _failure(_take_pieces, fast, entries, random)]
    return plain, fast, said


def _apply_each(machine: LogMachine, entries: list[bytes]) -> None:
    for entry in entries:
        machine.apply(entry)


def _take_pieces(machine: ColumnMachine, entries: list[bytes], random: Random) -> None:
    columns = EntryColumns.of(entries)
    at = 0
    while at < len(entries):
        size = random.choice((1, 2, 30, 500, len(entries)))
        machine.take(columns[at : at + size])
        at += size


def _failure(call: Any, *arguments: Any) -> tuple[Any, ...] | None:
    try:
        call(*arguments)
    except AdtallyError as error:
        return (
            type(error), arguments[0].size, error.message, error.field, error.expected, error.found
        )  # fmt: skip
    return None


def assert_equal(plain: LogMachine, fast: LogMachine) -> None:
    assert plain.size == fast.size
    assert plain.last_received_at_ms == fast.last_received_at_ms
    assert outcome(plain.require_complete) == outcome(fast.require_complete)
    for member in (ALICE, BOB, ADVERTISER):
        assert plain.next_sequence(member) == fast.next_sequence(member)
    for campaign in (CAMPAIGN, OTHER_CAMPAIGN):
        assert plain.statement(campaign, 1, is_final=False) == fast.statement(
            campaign, 1, is_final=False
        )
        totals = [each.accruals.lines_total_base_units(campaign) for each in (plain, fast)]
        assert totals[0] == totals[1]
        assert plain.may_be_final(campaign) == fast.may_be_final(campaign)


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_engine__any_traffic__agrees_with_the_reference(world: World, seed: int) -> None:
    twins = Twins(world, Random(seed), ColumnEngine)
    for _ in range(twins.random.randrange(5, 40)):
        step(twins)


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_replay__honest_log_cut_anywhere__agrees_with_the_reference(
    world: World, seed: int
) -> None:
    entries = random_log(world, seed)
    plain, fast, said = replay(entries, Random(seed))
    assert said == [None, None]
    assert_equal(plain, fast)


def test_replay__a_day_with_little_money__meets_every_verdict() -> None:
    """So that the property above is about something."""
    world = World(cap=5_000_000, funding=10_000_000, cuts=(Cut(5, 333), Cut(1, 1)))
    twins = Twins(world, Random(5), PlainEngine)
    twins.send([world.event(occurred_at_ms=twins.now_ms - 1)], ALICE)
    while twins.now_ms < (FLIGHT_END + LATE_WINDOW) * 1000 + MINUTE_MS:
        twins.now_ms += 2_000_000
        for member in (ALICE, BOB, ADVERTISER, OPERATOR):
            twins.send([random_event(twins) for _ in range(100)], member)
        if len(twins.sent) == 8_001:
            twins.chain(("OrderEnded", [CAMPAIGN, BOB], [twins.now_ms // 1000]))
    seen = {record[VERDICT_OFFSET] for record in twins.records.values()}
    assert seen == set(Verdict) - {Verdict.UNSET}
    plain, fast, said = replay(twins.entries, Random(1))
    assert said == [None, None]
    assert_equal(plain, fast)


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_replay__one_verdict_changed__names_the_same_entry(world: World, seed: int) -> None:
    random = Random(seed)
    entries = random_log(world, seed)
    records = [at for at, entry in enumerate(entries) if len(entry) == RECORD_SIZE]
    if not records:
        return
    for _ in range(5):
        at = random.choice(records)
        verdict = random.choice([each for each in Verdict if each != entries[at][VERDICT_OFFSET]])
        changed = bytearray(entries[at])
        changed[VERDICT_OFFSET] = verdict
        lie = [*entries[:at], bytes(changed), *entries[at + 1 :]]
        *_, said = replay(lie, random)
        assert said[0] == said[1] != None  # noqa: E711


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_replay__one_byte_changed__says_what_the_reference_says(world: World, seed: int) -> None:
    random = Random(seed)
    entries = random_log(world, seed)
    for _ in range(10):
        at = random.randrange(len(entries))
        changed = bytearray(entries[at])
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
        *_, said = replay([*entries[:at], bytes(changed), *entries[at + 1 :]], random)
        assert said[0] == said[1]
        # Nobody signs when something was received, or in which block facts were seen.
        assert said[1] is not None or len(entries[at]) != RECORD_SIZE


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_replay__entries_dropped_moved_or_doubled__says_what_the_reference_says(
    world: World, seed: int
) -> None:
    random = Random(seed)
    entries = random_log(world, seed)
    for _ in range(6):
        other = list(entries)
        at, to = random.randrange(len(entries)), random.randrange(len(entries))
        match random.randrange(4):
            case 0:
                del other[at]
            case 1:
                other.insert(to, other.pop(at))
            case 2:
                other.insert(to, other[at])
            case 3:
                other[at] = other[at][: random.randrange(len(other[at]))]
        plain, fast, said = replay(other, random)
        assert said[0] == said[1]
        if said[0] is None:
            assert plain.size == fast.size
            assert outcome(plain.require_complete) == outcome(fast.require_complete)


@CHECK
@given(world=worlds, seed=st.integers(0, 2**32))
def test_resuming__put_aside_at_any_batch__goes_on_as_if_never_stopped(
    world: World, seed: int
) -> None:
    entries = random_log(world, seed)
    leaves = MerkleTree()
    leaves.append([leaf_hash(entry) for entry in entries])
    columns, random = EntryColumns.of(entries), Random(seed)
    whole = ColumnMachine(IDENTITY, ESCROW_DOMAIN, leaves=leaves)
    machine = ColumnMachine(IDENTITY, ESCROW_DOMAIN, leaves=leaves)
    whole.take(columns)
    for end in sorted(random.sample(range(len(entries) + 1), min(len(entries), 4))):
        machine.take(columns[machine.size : end])
        if outcome(machine.require_complete) is None:
            other = ColumnMachine(IDENTITY, ESCROW_DOMAIN, leaves=leaves)
            facts = [each for each in enumerate(entries[:end]) if each[1][0] not in _OF_BATCHES]
            other.load(machine.dump(), facts)
            machine = other
    machine.take(columns[machine.size :])
    assert_equal(whole, machine)
    assert_same_dump(whole, machine)


def assert_same_dump(left: ColumnMachine, right: ColumnMachine) -> None:
    expected, found = left.dump(), right.dump()
    assert (expected.size, expected.next_sequence) == (found.size, found.next_sequence)
    assert expected.engine.keys() == found.engine.keys()
    for name, array in expected.engine.items():
        assert np.array_equal(array, found.engine[name]), name


def test_replay__weeks_of_traffic__takes_the_memory_of_what_may_be_named() -> None:
    """Windows shrink to minutes: most is forgotten, and verdicts stay the reference's."""
    rules = RuleSet(
        max_event_age_ms=5 * MINUTE_MS, viewable_window_ms=MINUTE_MS, click_window_ms=MINUTE_MS,
        conversion_window_ms=MINUTE_MS,
    )  # fmt: skip
    twins = Twins(World(rules=rules), Random(2), ColumnEngine)
    engine = twins.fast._engine
    assert isinstance(engine, ColumnEngine)
    for _ in range(60):
        twins.now_ms += 2 * MINUTE_MS
        ages = [twins.random.randrange(7 * MINUTE_MS) for _ in range(100)]
        shown = [twins.world.event(occurred_at_ms=twins.now_ms - age) for age in ages]
        clicks = [
            twins.world.event(
                EventType.CLICK,
                occurred_at_ms=twins.now_ms - twins.random.randrange(7 * MINUTE_MS),
                parent_id=twins.random.choice(twins.sent[-400:] or shown).id,
            )
            for _ in range(60)
        ]
        twins.send([*shown, *clicks, *twins.random.sample(twins.sent[-600:] or shown, 40)], ALICE)
    assert {record[VERDICT_OFFSET] for record in twins.records.values()} >= {
        Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.TOO_OLD, Verdict.UNKNOWN_PARENT,
    }  # fmt: skip
    # Some 12 minutes of 80 ids a minute are alive at once, of 9,000 in all.
    assert engine.ids.capacity <= 4_096


def test_machine__entries_and_batches_one_by_one__is_the_same() -> None:
    twins = Twins(World(), Random(4), PlainEngine)
    for _ in range(30):
        step(twins)
    whole, single, batches = (
        ColumnMachine(IDENTITY, ESCROW_DOMAIN, leaves=twins.tree) for _ in range(3)
    )
    whole.take(EntryColumns.of(twins.entries))
    for entry in twins.entries:
        single.apply(entry)
    at = 0
    while at < len(twins.entries):
        entry, at = twins.entries[at], at + 1
        if entry[0] == ENVELOPE_KIND:
            count = Envelope.from_entry(entry).count
            batches.apply_batch(entry, twins.entries[at : at + count])
            at += count
        else:
            batches.apply(entry)
    assert_same_dump(whole, single)
    assert_same_dump(whole, batches)
    envelope = next(entry for entry in twins.entries if entry[0] == ENVELOPE_KIND)
    with pytest.raises(AdtallyError):
        batches.apply_batch(envelope, [])


def test_replay__two_faults_in_one_batch__names_the_first() -> None:
    twins = Twins(World(), Random(7), PlainEngine)
    twins.send([twins.world.event(occurred_at_ms=twins.now_ms) for _ in range(3)], ALICE)
    *before, first, _, _ = twins.entries
    broken = first[:1] + b"\x09" + first[2:]
    *_, said = replay([*before, broken, twins.entries[0]], Random(1))
    assert said[0] == said[1]
    assert said[1] is not None
    assert said[1][1] == len(before)
