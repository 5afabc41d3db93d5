"""Replay finds every way in which a logged batch could be other than what was judged."""

from __future__ import annotations

import pytest

from adtally.errors import Conflict, InvalidInput, NotAllowed, VerificationFailed
from adtally.events.facts import ChainFacts, DeclarationKind, TimeFacts
from adtally.events.record import EventType, set_verdict
from adtally.events.verdict import Verdict
from adtally.settlement.claim_tree import ClaimTree, line_leaf, verify_line
from adtally.settlement.machine import LogMachine, batch_entries, parse_facts
from adtally.settlement.rates import counts_amount_milli, line_amount_base_units
from adtally.types import Counts, Line, Rates
from support.world import (
    ADVERTISER,
    ALICE,
    BOB,
    CAMPAIGN,
    CHAIN_ID,
    ESCROW_DOMAIN,
    FINAL_FROM,
    IDENTITY,
    KYC_EXPIRES,
    NOON_MS,
    World,
    key_of,
)


def logged_entries(world: World) -> list[bytes]:
    """The world's facts, then two judged batches."""
    machine = world.machine()
    entries = [facts.to_entry() for facts in world.facts()]
    impression = world.event()
    events = [impression, world.event(EventType.CLICK, parent_id=impression.id), impression]
    for member, batch_events in ((ALICE, events), (BOB, [world.event(publisher=BOB)])):
        batch = world.batch(batch_events, member=member)
        verdicts = machine.judge_batch(batch, NOON_MS)
        entries += batch_entries(batch, NOON_MS, verdicts)
    return entries


def replayed(entries: list[bytes]) -> LogMachine:
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN)
    for entry in entries:
        machine.apply(entry)
    machine.require_complete()
    return machine


def test_machine__replay__reaches_the_same_state() -> None:
    world = World()
    entries = logged_entries(world)
    machine = replayed(entries)
    assert machine.size == len(entries)
    assert machine.next_sequence(ALICE) == 2
    statement, lines = machine.statement(CAMPAIGN, 1, is_final=False)
    assert statement.counts == Counts(impressions=2, clicks=1)
    assert [line.publisher for line in lines] == [ALICE, BOB]
    assert statement.lines_total_base_units == 2_000 + 250_000 + 2_000


@pytest.mark.parametrize("position", range(5))
def test_machine__any_changed_byte_of_a_batch__found(position: int) -> None:
    entries = logged_entries(World())
    first = len(entries) - 6
    target = first + position
    for offset in range(len(entries[target])):
        changed = bytearray(entries[target])
        changed[offset] ^= 1
        lie = [*entries[:target], bytes(changed), *entries[target + 1 :]]
        # Time of arrival and the operator's verdict are not under the sender's signature, but
        # a verdict must be the one that the rules give, and received-at is bound by the receipt.
        if position in (0, 4) and 18 <= offset < 24:
            continue
        with pytest.raises((VerificationFailed, InvalidInput, NotAllowed, Conflict)):
            replayed(lie)


def test_machine__changed_verdict__named() -> None:
    entries = logged_entries(World())
    entries[-1] = set_verdict(entries[-1], Verdict.KNOWN_BOT)
    with pytest.raises(VerificationFailed, match="verdict of the record at index") as error:
        replayed(entries)
    assert (error.value.expected, error.value.found) == ("accepted", "known_bot")


def test_machine__dropped_entry__found() -> None:
    entries = logged_entries(World())
    for dropped in range(1, len(entries) - 2):
        with pytest.raises((VerificationFailed, InvalidInput, NotAllowed, Conflict)):
            replayed(entries[:dropped] + entries[dropped + 1 :])


def test_machine__refused_batches__change_nothing() -> None:
    world = World()
    machine = world.machine()
    before = (machine.size, machine.next_sequence(ALICE), machine.last_received_at_ms)
    event = world.event()
    refusals = [
        (world.batch([event], sequence=1, chain_id=1), NotAllowed, "chain_id"),
        (world.batch([event], sequence=1, member=99), NotAllowed, "member"),
        (world.batch([event], sequence=1, key=key_of(BOB)), NotAllowed, "signer"),
        (world.batch([event], sequence=2), Conflict, "sequence"),
    ]
    for batch, kind, field in refusals:
        with pytest.raises(kind) as error:
            machine.judge_batch(batch, NOON_MS)
        assert error.value.field == field
    with pytest.raises(NotAllowed, match="KYC"):
        machine.judge_batch(world.batch([event], sequence=1), KYC_EXPIRES * 1000)
    with pytest.raises(VerificationFailed, match="received-at"):
        machine.judge_batch(world.batch([event], sequence=1), 1)
    assert before == (machine.size, machine.next_sequence(ALICE), machine.last_received_at_ms)
    assert machine.judge_batch(world.batch([event], sequence=1), NOON_MS) == [Verdict.ACCEPTED]


def test_machine__forged_signature__refused() -> None:
    world = World()
    machine = world.machine()
    good = world.batch([world.event()], sequence=1)
    other = world.batch([world.event()], sequence=1)
    forged = type(good)(
        CHAIN_ID, ALICE, 1, good.signer, other.signature, good.records
    )  # fmt: skip
    with pytest.raises(VerificationFailed):
        machine.judge_batch(forged, NOON_MS)


def test_machine__declarations__only_by_the_right_member_and_newer() -> None:
    world = World()
    machine = world.machine()
    for declaration in (
        world.declaration(DeclarationKind.PLACEMENT, ALICE, publisher=BOB, at_ms=NOON_MS),
        world.declaration(DeclarationKind.CREATIVE, ALICE, campaign=CAMPAIGN, at_ms=NOON_MS),
        world.declaration(
            DeclarationKind.PLACEMENT, ALICE, publisher=ALICE, at_ms=NOON_MS, key=key_of(BOB)
        ),
        world.declaration(DeclarationKind.PLACEMENT, ALICE, publisher=ALICE),
    ):
        with pytest.raises(NotAllowed):
            machine.apply_facts(declaration)
    withdrawn = world.declaration(
        DeclarationKind.PLACEMENT, ALICE, publisher=ALICE, at_ms=NOON_MS, active=False
    )
    machine.apply_facts(withdrawn)
    assert (ALICE, 7) not in machine.facts.placements


def test_machine__chain_facts__ranges_must_follow() -> None:
    world = World()
    machine = world.machine()
    for first, last in ((40, 41), (42, 43), (41, 40)):
        with pytest.raises(VerificationFailed, match="follow"):
            machine.apply_facts(ChainFacts(NOON_MS, first, last, bytes(32), 0, ()))
    machine.apply_facts(ChainFacts(NOON_MS, 41, 43, bytes(32), 0, ()))
    assert machine.facts.last_block == 43


def test_machine__batch_between_parts_of_facts__refused() -> None:
    world = World()
    machine = world.machine()
    machine.apply_facts(ChainFacts(NOON_MS, 41, 43, bytes(32), 0, (), part=0, parts=2))
    with pytest.raises(VerificationFailed, match="incomplete"):
        machine.judge_batch(world.batch([world.event()], sequence=1), NOON_MS)


def test_machine__final__only_past_the_correction_window() -> None:
    machine = World().machine()
    earliest = FINAL_FROM * 1000
    machine.apply_facts(TimeFacts(earliest - 1))
    assert not machine.may_be_final(CAMPAIGN)
    machine.apply_facts(TimeFacts(earliest))
    assert machine.may_be_final(CAMPAIGN)


@pytest.mark.parametrize("entry", [b"", b"\x00", b"\x07abc", b"\x01" * 112, b"\x03", b"\x05{}"])
def test_machine__garbage_entry__typed_error(entry: bytes) -> None:
    machine = World().machine()
    with pytest.raises((VerificationFailed, InvalidInput)):
        machine.apply(entry)
    if entry[:1] != b"\x01":
        with pytest.raises((VerificationFailed, InvalidInput)):
            machine.apply_facts(parse_facts(entry))


def test_rates__line__floors_once_and_respects_the_cap() -> None:
    rates = Rates(1_999, 1, 5, 7)
    counts = Counts(1, 1, 1, 1)
    assert counts_amount_milli(rates, counts) == 1_999 + 1 + 12_000
    assert line_amount_base_units(rates, counts, 100) == 14
    assert line_amount_base_units(rates, counts, 13) == 13


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 13, 33])
def test_claim_tree__every_line_proves_and_no_other(size: int) -> None:
    lines = [Line(publisher, Counts(publisher, 2, 3, 4), 5) for publisher in range(1, size + 1)]
    tree = ClaimTree(ESCROW_DOMAIN, CAMPAIGN, lines)
    for line in lines:
        leaf = line_leaf(ESCROW_DOMAIN, CAMPAIGN, line.publisher, line.counts)
        assert verify_line(tree.root, leaf, tree.proof(line.publisher))
        for domain, campaign, publisher in (
            (bytes(32), CAMPAIGN, line.publisher),
            (ESCROW_DOMAIN, CAMPAIGN + 1, line.publisher),
            (ESCROW_DOMAIN, CAMPAIGN, line.publisher + 1),
        ):
            wrong = line_leaf(domain, campaign, publisher, line.counts)
            assert not verify_line(tree.root, wrong, tree.proof(line.publisher))


def test_claim_tree__no_lines__proves_nothing() -> None:
    root = ClaimTree(ESCROW_DOMAIN, CAMPAIGN, []).root
    assert root == bytes(32)
    assert not verify_line(root, bytes(32), [])
    assert ADVERTISER
