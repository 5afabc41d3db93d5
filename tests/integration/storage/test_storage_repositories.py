"""Statements, attestations and books, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from adtally.errors import AdtallyError, Conflict, NotFound
from adtally.storage.database import Database
from adtally.storage.repositories import attestations, ledger, outbox, statements
from adtally.storage.rows import (
    AnchorRow,
    AttestationRow,
    DraftReason,
    NewRequest,
    RequestKind,
    Settlement,
    TransferKind,
    TransferRow,
)
from adtally.types import Checkpoint, Counts, Line, NewTransaction, OutboxState, Statement

MAX = 2**128 - 1
LINES = [Line(2, Counts(10, 4, 2, 1), MAX - 5), Line(9, Counts(1, 0, 0, 0), 5)]
A, B = b"\x0a" * 20, b"\x0b" * 20
SIGNATURE, OTHER = b"\x51" * 65, b"\x52" * 65


def _statement(campaign: int = 1, sequence: int = 1, tree_size: int = 50) -> Statement:
    counts = Counts(11, 4, 2, 1)
    return Statement(campaign, sequence, tree_size, MAX, counts, 3, b"\x77" * 32, False)


def _checkpoint(size: int, digest: bytes = b"\x01" * 32, attestors: int = 1) -> NewRequest:
    root = Checkpoint(size, bytes([size % 256]) * 32)
    return NewRequest(RequestKind.CHECKPOINT, attestors, root, digest, 5)


def _asks_statement(size: int) -> NewRequest:
    root = Checkpoint(size, bytes([size % 256]) * 32)
    return NewRequest(RequestKind.STATEMENT, 2, root, b"\x02" * 32, 5, campaign=1, sequence=1)


def _transfer(kind: TransferKind, campaign: int, block: int, amount: int) -> TransferRow:
    party, token, tx = b"\x0c" * 20, b"\x0d" * 20, b"\x0e" * 32
    block_hash = bytes([block]) * 32
    return TransferRow(
        kind, campaign, 4, party, token, amount, MAX, tx, block, block_hash, campaign
    )


@pytest.mark.asyncio
async def test_statements__drafted__come_back_to_the_unit(database: Database) -> None:
    async with database.transaction() as session:
        await statements.add_statement(session, _statement(), LINES, DraftReason.GOAL, 9)
    async with database.session() as session:
        row = await statements.get_statement(session, 1, 1)
        assert row.statement == _statement()
        assert (row.reason, row.created_at_ms, row.settlement) == (DraftReason.GOAL, 9, None)
        assert await statements.list_lines(session, 1, 1) == LINES
        assert await statements.list_lines(session, 1, 2) == []
        with pytest.raises(NotFound):
            await statements.get_statement(session, 1, 2)


@pytest.mark.asyncio
async def test_statements__drafted_again__is_refused_and_changes_nothing(
    database: Database,
) -> None:
    async def draft(tree_size: int, reason: DraftReason) -> None:
        async with database.transaction() as session:
            drafted = _statement(tree_size=tree_size)
            await statements.add_statement(session, drafted, LINES, reason, 9)

    await draft(50, DraftReason.GOAL)
    with pytest.raises(Conflict):
        await draft(60, DraftReason.FINAL)
    async with database.session() as session:
        assert (await statements.get_statement(session, 1, 1)).statement == _statement()


@pytest.mark.asyncio
async def test_statements__several__latest_and_unsettled_are_found(database: Database) -> None:
    settlement = Settlement(b"\x01" * 32, 7, b"\x02" * 32, 1_700_000_000)
    async with database.transaction() as session:
        for campaign, sequence, size in ((1, 1, 50), (2, 1, 40), (1, 2, 70)):
            drafted = _statement(campaign, sequence, size)
            await statements.add_statement(session, drafted, LINES, DraftReason.THRESHOLD, 9)
        await statements.set_settlement(session, 1, 1, settlement)
        await statements.set_settlement(session, 1, 1, settlement)
    async with database.session() as session:
        latest = await statements.latest_statements(session)
        unsettled = await statements.unsettled_statements(session)
        listed = await statements.list_statements(session, 1)
        everything = await statements.list_statements(session)
        moved = replace(settlement, block_number=8)
        with pytest.raises(Conflict):
            await statements.set_settlement(session, 1, 1, moved)
    assert {key: row.statement.sequence for key, row in latest.items()} == {1: 2, 2: 1}
    assert [(r.statement.campaign, r.statement.sequence) for r in unsettled] == [(2, 1), (1, 2)]
    assert [row.settlement for row in listed] == [settlement, None]
    assert len(everything) == 3


@pytest.mark.asyncio
async def test_statements__objected_to__activates_later_and_is_not_the_last(
    database: Database,
) -> None:
    settlement = Settlement(b"\x01" * 32, 7, b"\x02" * 32, 1_700_000_000)
    final = replace(_statement(), is_final=True)
    async with database.transaction() as session:
        await statements.add_statement(session, final, LINES, DraftReason.FINAL, 9)
        with pytest.raises(NotFound):
            await statements.set_objection(session, 1, 1, 1_700_000_600)
        await statements.set_settlement(session, 1, 1, settlement)
    async with database.transaction() as session:
        assert (await statements.get_statement(session, 1, 1)).is_last
        await statements.set_objection(session, 1, 1, 1_700_000_600)
    async with database.session() as session:
        row = await statements.get_statement(session, 1, 1)
    assert row.statement == final
    assert not row.is_last
    assert row.settlement == replace(
        settlement, activates_at_seconds=1_700_000_600, is_objected=True
    )


@pytest.mark.asyncio
async def test_highest_amounts__a_line_fell__what_it_was_before_is_found(
    database: Database,
) -> None:
    async with database.transaction() as session:
        for sequence, amounts in enumerate(((MAX - 5, 5), (MAX - 9, 7), (1, 1)), start=1):
            lines = [Line(2, Counts(), amounts[0]), Line(10, Counts(), amounts[1])]
            statement = replace(_statement(sequence=sequence), lines_total_base_units=sum(amounts))
            await statements.add_statement(session, statement, lines, DraftReason.GOAL, 9)
        await statements.add_statement(session, _statement(2), LINES, DraftReason.CORRECTION, 9)
    async with database.session() as session:
        assert await statements.highest_amounts(session, 1, 3) == (MAX, {2: MAX - 5, 10: 7})
        assert await statements.highest_amounts(session, 1, 1) == (MAX, {2: MAX - 5, 10: 5})
        assert await statements.highest_amounts(session, 1, 0) == (0, {})
        assert (await statements.get_statement(session, 2, 1)).reason is DraftReason.CORRECTION


@pytest.mark.asyncio
async def test_requests__asked_twice__is_one_request(database: Database) -> None:
    async with database.transaction() as session:
        first = await attestations.add_request(session, _checkpoint(5))
        again = await attestations.add_request(session, _checkpoint(5))
        with pytest.raises(Conflict, match="another digest"):
            await attestations.add_request(session, _checkpoint(5, b"\x09" * 32))
    assert first == again
    async with database.session() as session:
        assert await attestations.find_request(session, "checkpoint:5") == first
        assert await attestations.get_request(session, first.id) == first
        assert await attestations.find_request(session, "checkpoint:6") is None
        with pytest.raises(NotFound):
            await attestations.get_request(session, first.id + 1)


@pytest.mark.asyncio
async def test_requests__smaller_tree__is_refused(database: Database) -> None:
    async with database.transaction() as session:
        assert await attestations.largest_requested_size(session) == 0
        await attestations.add_request(session, _checkpoint(5))
        await attestations.add_request(session, _asks_statement(5))
        assert await attestations.largest_requested_size(session) == 5
        with pytest.raises(Conflict, match="order of their tree sizes"):
            await attestations.add_request(session, _checkpoint(4))


@pytest.mark.asyncio
async def test_open_requests__answered_anchored_or_of_other_sets__are_left_out(
    database: Database,
) -> None:
    async with database.transaction() as session:
        three = await attestations.add_request(session, _checkpoint(3))
        asked = await attestations.add_request(session, _asks_statement(4))
        nine = await attestations.add_request(session, _checkpoint(9))
        assert await attestations.open_requests(session, A, [1, 2]) == [
            three,
            asked,
            nine,
        ]
        assert await attestations.open_requests(session, A, [1, 2], limit=1) == [three]
        assert await attestations.open_requests(session, A, [2]) == [asked]
        assert await attestations.open_requests(session, A, []) == []
        refusal = AttestationRow(asked.id, A, None, "another total", 6)
        await attestations.record_attestation(session, refusal)
        anchor = AnchorRow(Checkpoint(5, b"\x05" * 32), 1, b"\x01" * 32, 8, b"\x08" * 32)
        await ledger.add_anchor(session, anchor)
    async with database.session() as session:
        assert await attestations.open_requests(session, A, [1, 2]) == [asked, nine]
        assert await attestations.open_requests(session, A, [1, 2], limit=1) == [nine]
        assert await attestations.open_requests(session, B, [1, 2]) == [
            asked,
            nine,
        ]
        assert await attestations.checkpoint_requests_above(session, 3) == [nine]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("first", "second", "stands"),
    [
        ((SIGNATURE, None), (SIGNATURE, None), (SIGNATURE, None)),
        ((SIGNATURE, None), (OTHER, None), None),
        ((SIGNATURE, None), (None, "no"), None),
        ((None, "no"), (None, "no"), (None, "no")),
        ((None, "no"), (None, "still no"), (None, "still no")),
        ((None, "no"), (SIGNATURE, None), (SIGNATURE, None)),
    ],
)
async def test_attestations__answered_twice__a_signature_stands(
    database: Database,
    first: tuple[bytes | None, str | None],
    second: tuple[bytes | None, str | None],
    stands: tuple[bytes | None, str | None] | None,
) -> None:
    async with database.transaction() as session:
        request = await attestations.add_request(session, _checkpoint(3))
        await attestations.record_attestation(
            session, AttestationRow(request.id, A, *first, answered_at_ms=1)
        )
    again = AttestationRow(request.id, A, *second, answered_at_ms=2)
    if stands is None:
        with pytest.raises(Conflict, match="signed this request already"):
            async with database.transaction() as session:
                await attestations.record_attestation(session, again)
    else:
        async with database.transaction() as session:
            await attestations.record_attestation(session, again)
    async with database.session() as session:
        (kept,) = await attestations.list_attestations(session, request.id)
    assert (kept.signature, kept.refusal) == (stands or first)
    assert kept.answered_at_ms == (2 if stands not in (None, first) else 1)


@pytest.mark.asyncio
async def test_attestations__two_different_at_once__one_stands_the_other_is_a_conflict(
    database: Database,
) -> None:
    async with database.transaction() as session:
        request = await attestations.add_request(session, _checkpoint(3))

    async def answer(signature: bytes) -> bool:
        try:
            async with database.transaction() as session:
                new = AttestationRow(request.id, A, signature, None, 1)
                await attestations.record_attestation(session, new)
        except AdtallyError:
            return False
        return True

    taken = await asyncio.gather(answer(SIGNATURE), answer(OTHER))
    assert sorted(taken) == [False, True]


@pytest.mark.asyncio
async def test_ledger__anchors__carry_the_gas_of_our_own_transactions(database: Database) -> None:
    ours, theirs = b"\x01" * 32, b"\x02" * 32
    async with database.transaction() as session:
        new = NewTransaction("anchor:0:5", "anchor", A, B, b"", None, 1)
        row = await outbox.add_transaction(session, new)
        final = replace(row, state=OutboxState.FINAL, transaction_hash=ours, gas_used=53_627)
        await outbox.save_transaction(session, final)
        for number, (size, tx) in enumerate(((5, ours), (9, theirs)), 1):
            anchor = AnchorRow(Checkpoint(size, bytes([size]) * 32), number, tx, size, b"\x03" * 32)
            await ledger.add_anchor(session, anchor)
    async with database.session() as session:
        anchors = await ledger.list_anchors(session)
        latest = await ledger.latest_anchor(session)
    assert [(anchor.checkpoint.tree_size, anchor.gas_used) for anchor in anchors] == [
        (5, 53_627),
        (9, None),
    ]
    assert latest is not None
    assert latest.checkpoint.tree_size == 9


@pytest.mark.asyncio
async def test_ledger__transfers__are_kept_to_the_unit_in_chain_order(database: Database) -> None:
    kinds = [TransferKind.REFUND, TransferKind.CUT, TransferKind.CLAIM, TransferKind.DEPOSIT]
    rows = [_transfer(kind, 1, 9 - at, MAX - at) for at, kind in enumerate(kinds)]
    async with database.transaction() as session:
        for row in [*rows, _transfer(TransferKind.DEPOSIT, 2, 3, 0)]:
            await ledger.add_transfer(session, row)
    async with database.session() as session:
        assert await ledger.list_transfers(session, 1) == rows[::-1]
        assert await ledger.list_payments(session) == rows[2::-1]
        assert len(await ledger.list_transfers(session)) == 5
        assert await ledger.list_transfers(session, 1, first_block=9) == rows[:1]


@pytest.mark.asyncio
async def test_ledger__cursor__moves(database: Database) -> None:
    for number in (3, 4):
        async with database.transaction() as session:
            await ledger.set_cursor(session, "books", number, bytes([number]) * 32)
    async with database.session() as session:
        assert await ledger.get_cursor(session, "books") == (4, b"\x04" * 32)
        assert await ledger.get_cursor(session, "other") is None
