"""The columnar replay and the plain reference agree, bit for bit, on honest logs and others."""

from __future__ import annotations

from io import BytesIO
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adtally.columns.engine import ColumnEngine
from adtally.columns.entries import EntryColumns
from adtally.columns.machine import ColumnMachine
from adtally.columns.resuming import machine_from, state_of
from adtally.columns.state_file import State, read_state, write_state
from adtally.errors import AdtallyError, InvalidInput
from adtally.events.record import RECORD_SIZE, VERDICT_OFFSET
from adtally.events.verdict import Verdict
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine
from adtally.types import Cut, LogIdentity
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

CHECK = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


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
            machine = _put_aside_and_back(machine, leaves)
    machine.take(columns[machine.size :])
    assert_equal(whole, machine)
    assert whole.facts_entries == machine.facts_entries
    assert state_bytes(whole) == state_bytes(machine)


def _put_aside_and_back(machine: ColumnMachine, leaves: MerkleTree) -> ColumnMachine:
    state = read_state(BytesIO(state_bytes(machine)))
    return machine_from(state, IDENTITY, ESCROW_DOMAIN, leaves=leaves)


def state_bytes(machine: ColumnMachine) -> bytes:
    file = BytesIO()
    write_state(file, state_of(machine, ESCROW_DOMAIN))
    return file.getvalue()


def test_read_state__any_bit_flipped_or_bytes_missing__is_refused() -> None:
    twins = Twins(World(), Random(3), PlainEngine)
    for _ in range(6):
        step(twins)
    machine = ColumnMachine(IDENTITY, ESCROW_DOMAIN, leaves=twins.tree)
    machine.take(EntryColumns.of(twins.entries))
    good = state_bytes(machine)
    for at in range(len(good)):
        broken = bytearray(good)
        broken[at] ^= 1 << at % 8
        for state in (bytes(broken), good[:at]):
            with pytest.raises(InvalidInput):
                read_state(BytesIO(state))


def test_machine_from__state_of_another_log_or_format__is_refused() -> None:
    machine = ColumnMachine(IDENTITY, ESCROW_DOMAIN)
    state = state_of(machine, ESCROW_DOMAIN)
    other = LogIdentity(IDENTITY.chain_id + 1, IDENTITY.event_log)
    with pytest.raises(InvalidInput, match="chain_id"):
        machine_from(state, other, ESCROW_DOMAIN)
    with pytest.raises(InvalidInput, match="escrow_domain"):
        machine_from(state, IDENTITY, bytes(32))
    with pytest.raises(InvalidInput, match="format"):
        machine_from(state.with_more({"format": 0}, {}), IDENTITY, ESCROW_DOMAIN)
    with pytest.raises(InvalidInput, match="arrays"):
        machine_from(State(state.fields, {}), IDENTITY, ESCROW_DOMAIN)
