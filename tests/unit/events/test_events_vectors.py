"""The committed vectors against the byte tables of the specification and hashlib."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from events_spec import SPEC, Field, byte_table, slice_entry, unhex, vectors

import make_vectors
from adtally.errors import InvalidInput
from adtally.events.batch import Envelope, batch_from_wire
from adtally.events.correction import Correction
from adtally.events.facts import ChainFacts, Declaration, RulesFacts, TimeFacts
from adtally.events.record import AdEvent

RECORD = byte_table("record.md")
ENVELOPE = byte_table("envelope.md")
CHAIN = byte_table("facts.md", 0)
DECLARATION = byte_table("facts.md", 2)
RULES = byte_table("facts.md", 3)
TIME = byte_table("facts.md", 4)
CORRECTION = byte_table("correction.md")
WIRE = byte_table("batches.md")

Parser = Callable[[bytes], Any]
SECTIONS: list[tuple[str, dict[str, Any], list[Field], Parser]] = [
    ("record", vectors("records.json"), RECORD, AdEvent.from_record),
    ("envelope", vectors("envelope.json"), ENVELOPE, Envelope.from_entry),
    ("chain facts", vectors("facts.json")["chain_facts"], CHAIN, ChainFacts.from_entry),
    ("declaration", vectors("facts.json")["declaration"], DECLARATION, Declaration.from_entry),
    ("rules", vectors("facts.json")["rules"], RULES, RulesFacts.from_entry),
    ("time", vectors("facts.json")["time"], TIME, TimeFacts.from_entry),
    ("correction", vectors("corrections.json"), CORRECTION, Correction.from_entry),
]
CASES = [
    pytest.param(case, fields, parse, id=f"{section}: {case['name']}")
    for section, data, fields, parse in SECTIONS
    for case in data["cases"]
]
REJECTED = [
    pytest.param(case, parse, id=f"{section}: {case['name']}")
    for section, data, _, parse in SECTIONS
    for case in data["rejected"]
] + [
    pytest.param(case, batch_from_wire, id=f"wire: {case['name']}")
    for case in vectors("batches.json")["rejected_wire"]
]


@pytest.mark.parametrize("name", sorted(make_vectors.BUILDERS))
def test_vectors__committed_file__is_what_the_script_makes(name: str) -> None:
    assert (SPEC / "vectors" / name).read_text() == make_vectors.render(name)


def test_vectors__folder__holds_nothing_else() -> None:
    found = {path.name for path in (SPEC / "vectors").iterdir()}
    assert found == set(make_vectors.BUILDERS)


@pytest.mark.parametrize(
    ("fields", "total"),
    [(RECORD, 112), (ENVELOPE, 109), (CHAIN, 69), (DECLARATION, None), (RULES, None), (TIME, 7),
     (CORRECTION, None), (WIRE, None)],
)  # fmt: skip
def test_byte_table__rows__are_contiguous(fields: list[Field], total: int | None) -> None:
    at = 0
    for field in fields:
        assert field.offset == at, field
        if field.size is None:
            assert field is fields[-1]
            assert total is None
            return
        at += field.size
    assert at == total


@pytest.mark.parametrize(("case", "fields", "parse"), CASES)
def test_entry__sliced_by_its_byte_table__has_the_vector_fields(
    case: dict[str, Any], fields: list[Field], parse: Parser
) -> None:
    found = slice_entry(unhex(case["entry"]), fields)
    expected = dict(case["fields"])
    if expected["entry_kind"] == 3:
        expected["logs"] = len(expected["logs"])
    expected.pop("flags", None)
    if expected["entry_kind"] == 4:
        expected["active"] = int(expected["active"])
    if expected["entry_kind"] == 5:
        # Bytes in the table, text for a reader of the vectors.
        assert unhex(expected["rules_json"]).isascii()
    assert found == expected


@pytest.mark.parametrize("case", list(SECTIONS[2][1]["cases"]), ids=lambda c: c["name"])
def test_chain_logs__walked_by_the_second_table__are_the_vector_logs(case: dict[str, Any]) -> None:
    entry, at = unhex(case["entry"]), 69
    for log in case["fields"]["logs"]:
        head = entry[at : at + 14]
        assert int.from_bytes(head[:8], "big") == log["block_number"]
        assert int.from_bytes(head[8:12], "big") == log["log_index"]
        assert head[12] == log["contract"]
        topics = [entry[at + 14 + 32 * n : at + 46 + 32 * n] for n in range(head[13])]
        assert topics == [unhex(topic) for topic in log["topics"]]
        at += 14 + 32 * head[13]
        length = int.from_bytes(entry[at : at + 4], "big")
        assert entry[at + 4 : at + 4 + length] == unhex(log["data"])
        at += 4 + length
    assert at == len(entry)


@pytest.mark.parametrize(("case", "fields", "parse"), CASES)
def test_entry__parsed_and_written__is_the_same_bytes(
    case: dict[str, Any], fields: list[Field], parse: Parser
) -> None:
    entry = unhex(case["entry"])
    value = parse(entry)
    write = value.to_record if isinstance(value, AdEvent) else value.to_entry
    assert write() == entry


@pytest.mark.parametrize(("case", "fields", "parse"), CASES)
def test_entry__hashed_by_hashlib__gives_the_leaf_hash(
    case: dict[str, Any], fields: list[Field], parse: Parser
) -> None:
    entry = unhex(case["entry"])
    assert hashlib.sha256(b"\x00" + entry).digest() == unhex(case["leaf_hash"])


@pytest.mark.parametrize(("case", "parse"), REJECTED)
def test_entry__malformed__is_refused_with_what_was_expected(
    case: dict[str, Any], parse: Parser
) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(unhex(case["entry"]))
    assert caught.value.field
    assert caught.value.expected
    assert caught.value.found is not None


def test_batch__wire_sliced_by_its_byte_table__is_header_and_records() -> None:
    batch = vectors("batches.json")
    found = slice_entry(unhex(batch["wire"]), WIRE)
    header = {key: value for key, value in batch["json"].items() if key != "events"}
    assert found == {
        "magic": "ADT1",
        "count": 3,
        "records": "0x" + "".join(record[2:] for record in batch["records"]),
        **header,
    }


def test_batch__records__have_the_records_root() -> None:
    batch = vectors("batches.json")
    a, b, c = (hashlib.sha256(b"\0" + unhex(record)).digest() for record in batch["records"])
    left = hashlib.sha256(b"\1" + a + b).digest()
    assert hashlib.sha256(b"\1" + left + c).digest() == unhex(batch["records_root"])


def test_record__in_two_sha256_blocks__with_prefix_and_padding() -> None:
    assert 1 + 112 + 1 + 8 <= 128
