"""The replay vector: a whole log, read by hand and by the reference machine."""

from __future__ import annotations

import hashlib

import pytest
from events_spec import unhex, vectors

from adtally.errors import AdtallyError
from adtally.events.eip712 import statement_digest
from adtally.events.verdict import VERDICT_BY_LABEL, Verdict
from adtally.settlement.machine import LogMachine
from adtally.types import LogIdentity

REPLAY = vectors("replay.json")
ENTRIES = [unhex(entry) for entry in REPLAY["entries"]]
RECORDS = [entry for entry in ENTRIES if entry[0] == 0x01]

# Worked out from docs/spec/verdicts.md, event by event as scripts/vectors/replay.py sends them.
EXPECTED = [
    "accepted",
    "accepted",
    "accepted",
    "accepted",
    "parent_already_used",
    "duplicate",
    "conflict",
    "unknown_parent",
    "unknown_campaign",
    "placement_not_allowed",
    "creative_not_allowed",
    "known_bot",
    "data_center",
    "in_the_future",
    "sender_not_allowed",
    "flight_not_started",
    "too_old",
    "no_order",
    "accepted",
    "accepted",
    "duplicate",
    "accepted",
    "order_cap_reached",
    "accepted",
    "parent_already_used",
    "budget_exhausted",
    "order_ended",
    "flight_over",
    "flight_over",
]


def replayed(entries: list[bytes]) -> LogMachine:
    identity = REPLAY["identity"]
    machine = LogMachine(
        LogIdentity(identity["chain_id"], unhex(identity["event_log"])),
        unhex(REPLAY["escrow_domain"]),
    )
    for entry in entries:
        machine.apply(entry)
    return machine


def test_replay__verdicts__are_those_worked_out_by_hand() -> None:
    assert REPLAY["verdicts"] == EXPECTED
    assert [record[3] for record in RECORDS] == [VERDICT_BY_LABEL[label] for label in EXPECTED]


def test_replay__verdicts__cover_every_code() -> None:
    assert set(EXPECTED) == {verdict.label for verdict in Verdict} - {"unset"}


def test_replay__lines__are_the_accepted_records_priced_by_hand() -> None:
    counts: dict[int, list[int]] = {}
    for record in RECORDS:
        if record[3] == Verdict.ACCEPTED:
            publisher = int.from_bytes(record[8:12], "big")
            counts.setdefault(publisher, [0, 0, 0, 0])[record[1] - 1] += 1
    assert counts == {3: [3, 1, 1, 1], 7: [2, 0, 0, 0]}
    amounts = {3: (3 * 2_500 + 4_000) // 1_000 + 250 + 5_000, 7: 2 * 1_000 // 1_000}
    for line in REPLAY["lines"]:
        assert list(line["counts"].values()) == counts[line["publisher"]]
        assert int(line["amount_base_units"]) == amounts[line["publisher"]]
    total = sum(amounts.values())
    assert int(REPLAY["statement"]["lines_total_base_units"]) == total
    assert total + total // 10 <= 5_800 < total + 250 + (total + 250) // 10


def test_replay__root__is_that_of_the_entries() -> None:
    def root(leaves: list[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        k = 1 << (len(leaves) - 1).bit_length() - 1
        return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()

    leaves = [hashlib.sha256(b"\x00" + entry).digest() for entry in ENTRIES]
    assert root(leaves) == unhex(REPLAY["root_hash"])


def test_replay__by_the_reference_machine__gives_the_statement() -> None:
    machine = replayed(ENTRIES)
    assert machine.may_be_final(1)
    statement, _ = machine.statement(1, 1, is_final=True)
    expected = REPLAY["statement"]
    assert statement.tree_size == expected["tree_size"] == len(ENTRIES)
    assert statement.lines_root == unhex(expected["lines_root"])
    digest = statement_digest(unhex(REPLAY["escrow_domain"]), statement)
    assert digest == unhex(expected["digest"])


# Chain and time facts carry no signature: an altered one shows in the root, and to attestors, who
# compare it with chain and clock.
@pytest.mark.parametrize(
    "at", [at for at, entry in enumerate(ENTRIES) if entry[0] not in (0x03, 0x06)]
)
def test_replay__any_entry_altered_in_its_last_bit__is_found(at: int) -> None:
    altered = ENTRIES.copy()
    altered[at] = altered[at][:-1] + bytes((altered[at][-1] ^ 1,))
    with pytest.raises(AdtallyError):
        replayed(altered)


@pytest.mark.parametrize("number", range(len(RECORDS)))
def test_replay__any_verdict_changed__is_found(number: int) -> None:
    at = [index for index, entry in enumerate(ENTRIES) if entry[0] == 0x01][number]
    for verdict in Verdict:
        if verdict == ENTRIES[at][3]:
            continue
        altered = ENTRIES.copy()
        altered[at] = altered[at][:3] + bytes((verdict,)) + altered[at][4:]
        with pytest.raises(AdtallyError):
            replayed(altered)
