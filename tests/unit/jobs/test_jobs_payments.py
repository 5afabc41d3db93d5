"""What is pushed: due lines in fixed groups, due cuts, of active statements only."""

from __future__ import annotations

from adtally.jobs.pay import PUSH_HEIGHT, active_statements, claim_batches, due_cuts, due_lines
from adtally.settlement.claim_tree import ClaimTree, line_leaf, verify_line
from adtally.storage.rows import (
    DraftReason,
    Settlement,
    StatementRow,
    TransferKind,
    TransferRow,
)
from adtally.types import Counts, Cut, Line, Statement


def _paid(kind: TransferKind, member: int, amount: int) -> TransferRow:
    return TransferRow(
        kind, 1, member, bytes(20), bytes(20), amount, amount, bytes(32), 5, bytes(32), member
    )


def _row(campaign: int, sequence: int, activates_at_seconds: int | None) -> StatementRow:
    statement = Statement(campaign, sequence, 10, 5, Counts(), 0, bytes(32), False)
    settlement = (
        None
        if activates_at_seconds is None
        else Settlement(bytes(32), 1, bytes(32), activates_at_seconds)
    )
    return StatementRow(statement, DraftReason.GOAL, 1, settlement)


def test_active_statements__newest_whose_dispute_window_is_over__one_a_campaign() -> None:
    rows = [_row(1, 2, 200), _row(1, 1, 100), _row(2, 1, 150), _row(3, 1, None)]
    assert active_statements(rows, 99) == []
    assert active_statements(rows, 100) == [rows[1]]
    assert active_statements(rows, 199) == [rows[1], rows[2]]
    assert active_statements(rows, 200) == [rows[0], rows[2]]


def test_due_lines__paid_or_under_the_minimum__are_left_out() -> None:
    lines = [Line(publisher, Counts(), amount) for publisher, amount in ((2, 100), (3, 9), (4, 50))]
    paid = [_paid(TransferKind.CLAIM, 2, 60), _paid(TransferKind.CLAIM, 4, 50)]
    paid.append(_paid(TransferKind.CUT, 3, 9))
    assert due_lines(lines, paid, 1) == [lines[0], lines[1]]
    assert due_lines(lines, paid, 10) == [lines[0]]
    assert due_lines(lines, paid, 41) == []


def test_due_lines__held_back__only_what_is_released_is_due() -> None:
    lines = [Line(2, Counts(), 101), Line(3, Counts(), 1)]
    assert due_lines(lines, [], 1, 1_000) == [lines[0]]
    paid = [_paid(TransferKind.CLAIM, 2, 90)]
    assert due_lines(lines, paid, 1, 1_000) == []
    assert due_lines(lines, paid, 1, 0) == lines


def test_claim_batches__many_lines__groups_do_not_depend_on_what_is_due() -> None:
    lines = [Line(publisher, Counts(publisher), 10) for publisher in range(1, 300)]
    tree = ClaimTree(bytes(32), 7, lines)
    whole = dict(claim_batches(tree, 7, lines))
    assert sorted(line.publisher for batch in whole.values() for line in batch.lines) == [
        line.publisher for line in lines
    ]
    assert max(len(batch.lines) for batch in whole.values()) <= 2**PUSH_HEIGHT
    gone = whole[1].lines[0].publisher, *(line.publisher for line in whole[2].lines)
    rest = dict(claim_batches(tree, 7, [line for line in lines if line.publisher not in gone]))
    assert rest.keys() == whole.keys() - {2}
    assert rest[1].lines == whole[1].lines[1:]
    assert all(rest[number] == whole[number] for number in rest if number != 1)


def test_claim_batches__every_line__is_proven_by_both_halves() -> None:
    for count in (1, 2, 3, 64, 65, 127, 300):
        lines = [Line(publisher, Counts(publisher), 10) for publisher in range(1, count + 1)]
        tree = ClaimTree(bytes(32), 7, lines)
        for _, batch in claim_batches(tree, 7, lines):
            assert verify_line(tree.root, batch.node, batch.node_proof)
            for line in batch.lines:
                leaf = line_leaf(bytes(32), 7, line.publisher, line.counts)
                assert verify_line(batch.node, leaf, line.proof)


def test_due_cuts__rounded_down_and_paid_ones__are_left_out() -> None:
    cuts = (Cut(7, 500), Cut(8, 250), Cut(9, 1))
    assert due_cuts(cuts, 1_000, [], 1) == [0, 1]
    assert due_cuts(cuts, 10_000, [], 1) == [0, 1, 2]
    assert due_cuts(cuts, 1_000, [_paid(TransferKind.CUT, 7, 50)], 1) == [1]
    assert due_cuts(cuts, 1_000, [_paid(TransferKind.CUT, 7, 49)], 1) == [0, 1]
    assert due_cuts(cuts, 1_000, [], 26) == [0]
    assert due_cuts((), 1_000, [], 1) == []
