"""Whatever a server says, an audit ends in a report, and damage is never overlooked."""

from __future__ import annotations

import asyncio
import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.audit.report import AuditReport
from adtally.events.record import RECORD_KIND
from support.audit_scene import Scene, honest_scene

HONEST = honest_scene()
ENTRIES = list(HONEST.log.served)
BITS = sum(len(entry) for entry in ENTRIES) * 8

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["lines", "publisher", "counts", "proof", "amount_base_units", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def scene() -> Scene:
    return copy.deepcopy(HONEST)


def audit(scene: Scene) -> AuditReport:
    return asyncio.run(scene.audit())


def flip(scene: Scene, bit: int) -> int:
    """Flip one bit of the served entries; returns the entry it is in."""
    for index, entry in enumerate(scene.log.served):
        if bit < len(entry) * 8:
            changed = bytearray(entry)
            changed[bit // 8] ^= 1 << bit % 8
            scene.log.served[index] = bytes(changed)
            return index
        bit -= len(entry) * 8
    raise AssertionError(bit)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, BITS - 1))
def test_audit__any_flipped_bit_of_the_log__contradicts_the_checkpoint(bit: int) -> None:
    tampered = scene()
    flip(tampered, bit)
    report = audit(tampered)
    assert not report.ok
    assert "checkpoint" in {each.check for each in report.discrepancies}


@settings(max_examples=120, deadline=None)
@given(st.integers(0, BITS - 1))
def test_audit__flipped_bit_signed_and_anchored_again__ends_in_a_report(bit: int) -> None:
    tampered = scene()
    index = flip(tampered, bit)
    tampered.sign()
    tampered.anchor_again()
    report = audit(tampered)
    if ENTRIES[index][0] == RECORD_KIND:
        # Every byte of a record is under the sender's signature or a recomputed verdict.
        assert not report.ok
        assert {each.check for each in report.discrepancies} & {"replay", "entries"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(ENTRIES) - 1), st.binary(min_size=1, max_size=200)),
        max_size=4,
    )
)
def test_audit__any_bytes_as_entries__ends_in_a_report(changes: list[tuple[int, bytes]]) -> None:
    tampered = scene()
    for index, entry in changes:
        tampered.log.served[index] = entry
    tampered.sign()
    tampered.anchor_again()
    assert audit(tampered).ok is not bool(changes)


@settings(max_examples=60, deadline=None)
@given(json_values)
def test_audit__any_json_as_a_statement__is_a_discrepancy(document: object) -> None:
    tampered = scene()
    tampered.log.statements[1, 1] = document  # type: ignore[assignment]
    assert "lines" in {each.check for each in audit(tampered).discrepancies}


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_audit__any_bytes_as_checkpoint__is_a_discrepancy(note: bytes) -> None:
    tampered = scene()
    tampered.log.note = note
    assert "checkpoint" in {each.check for each in audit(tampered).discrepancies}
