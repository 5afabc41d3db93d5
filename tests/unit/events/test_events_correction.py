"""Corrections: what the parser and the writer refuse, and the vector's log with corrections."""

from __future__ import annotations

from dataclasses import replace

import pytest
from events_spec import unhex, vectors

from adtally.errors import InvalidInput, TooLarge, VerificationFailed
from adtally.events.correction import Correction, CorrectionOrder, CorrectionReason
from adtally.events.eip712 import log_domain, statement_digest
from adtally.events.signature import address_of, sign
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine
from adtally.types import LogIdentity

DOMAIN = log_domain(LogIdentity(31_337, b"\x11" * 20))
KEY = b"\x01" * 32
VECTORS = vectors("corrections.json")
GOOD = Correction.from_entry(unhex(VECTORS["cases"][0]["entry"]))
REPLAY = vectors("replay.json")
CORRECTED = VECTORS["replay"]
BEFORE = [unhex(entry) for entry in REPLAY["entries"][: CORRECTED["entries_of_replay"]]]
AFTER = [unhex(entry) for entry in CORRECTED["entries"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"recorded_at_ms": -1},
        {"recorded_at_ms": 2**48},
        {"index": -1},
        {"index": 2**64},
        {"change": 0},
        {"change": 2},
        {"change": -128},
        {"record": b""},
        {"record": GOOD.record + b"\0"},
        {"record": GOOD.record[:3] + b"\0" + GOOD.record[4:]},
        {"detail": "\ud800"},
        {"detail": "\u00e4" * 257},
    ],
)
def test_correction__field_out_of_range__is_not_written(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        replace(GOOD, **changes).to_entry()  # type: ignore[arg-type]
    assert caught.value.field


def test_correction_order__signed__by_nobody_else_and_for_nothing_else() -> None:
    unsigned = CorrectionOrder(7, -1, CorrectionReason.OTHER, "why", address_of(KEY), bytes(65))
    order = replace(unsigned, signature=sign(unsigned.digest(DOMAIN), KEY))
    order.verify_signature(DOMAIN)
    for changes in (
        {"index": 8},
        {"change": 1},
        {"reason": CorrectionReason.LATE_GIVT},
        {"detail": "because"},
        {"signer": bytes(20)},
    ):
        with pytest.raises(VerificationFailed):
            replace(order, **changes).verify_signature(DOMAIN)  # type: ignore[arg-type]
    with pytest.raises(VerificationFailed):
        order.verify_signature(log_domain(LogIdentity(1, b"\x11" * 20)))
    with pytest.raises(TooLarge):
        replace(order, detail="a" * 513).verify_signature(DOMAIN)
    correction = Correction(0, 7, -1, CorrectionReason.OTHER, GOOD.record, "why")
    assert order.says(correction)
    assert not order.says(replace(correction, detail="Why"))


def replayed(entries: list[bytes]) -> tuple[LogMachine, MerkleTree]:
    identity, tree = REPLAY["identity"], MerkleTree()
    machine = LogMachine(
        LogIdentity(identity["chain_id"], unhex(identity["event_log"])),
        unhex(REPLAY["escrow_domain"]),
        leaves=tree,
    )
    for entry in entries:
        machine.apply(entry)
        tree.append([leaf_hash(entry)])
    return machine, tree


def test_corrected_replay__lines__are_those_priced_by_hand() -> None:
    # docs/spec/vectors/replay.json, less a click, plus the crawler's impression; one made good and
    # taken back again.
    changes = [
        (entry[15], BEFORE[int.from_bytes(entry[7:15], "big")][1:4:2]) for entry in AFTER[:4]
    ]
    assert changes == [(0xFF, b"\x03\x01"), (1, b"\x01\x0c"), (0xFF, b"\x01\x0c"), (1, b"\x01\x0e")]
    first, second = CORRECTED["lines"]
    assert list(first["counts"].values()) == [4, 1, 0, 1]
    assert int(first["amount_base_units"]) == (4 * 2_500 + 4_000) // 1_000 + 5_000
    assert list(second["counts"].values()) == [2, 0, 0, 0]
    # A tenth is held back of what was 5,261 at its highest.
    assert int(first["amount_base_units"]) * 10 >= 5_261 * 9


def test_corrected_replay__by_the_reference_machine__gives_the_statement() -> None:
    machine, tree = replayed(BEFORE + AFTER)
    assert tree.root() == unhex(CORRECTED["root_hash"])
    assert machine.may_be_final(1)
    statement, _ = machine.statement(1, 1, is_final=True)
    assert statement.corrections == CORRECTED["statement"]["corrections"] == 4
    assert statement.lines_root == unhex(CORRECTED["statement"]["lines_root"])
    digest = statement_digest(unhex(REPLAY["escrow_domain"]), statement)
    assert digest == unhex(CORRECTED["statement"]["digest"])


REASONS = {
    "more than the holdback": "would fall below",
    "counts already": "stands already",
    "a duplicate": "repeated event",
    "a conflict": "repeated event",
    "no such campaign": "no price",
    "over the cap": "can't be paid",
    "over the funding": "can't be paid",
    "another record": "not the entry",
    "an entry to come": "no such entry",
    "taken back already": "stands already",
    "after the correction window": "window is over",
}


@pytest.mark.parametrize("case", CORRECTED["refused"], ids=lambda case: case["name"])
def test_corrected_replay__refused_at_its_place__for_its_reason(case: dict[str, object]) -> None:
    at = int(str(case["at"]))
    machine, _ = replayed((BEFORE + AFTER)[:at])
    with pytest.raises(VerificationFailed, match=REASONS[str(case["name"])]):
        machine.apply(unhex(str(case["entry"])))
    assert machine.size == at
