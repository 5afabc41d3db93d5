"""What facts refuse to write, and how chain facts are split."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adtally.errors import AdtallyError, InvalidInput, TooLarge, VerificationFailed
from adtally.events.eip712 import log_domain
from adtally.events.facts import (
    MAX_DETAIL_BYTES,
    MAX_ENTRY_SIZE,
    ChainFacts,
    ContractCode,
    Declaration,
    DeclarationKind,
    FactLog,
    RulesFacts,
    TimeFacts,
    split_chain_facts,
)
from adtally.events.signature import address_of, sign
from adtally.types import LogIdentity

DOMAIN = log_domain(LogIdentity(31_337, b"\x11" * 20))
KEY = b"\x01" * 32
HEADER_SIZE = 69
LOG_HEADER_SIZE = 18
FACTS = ChainFacts(0, 1, 2, bytes(32), 0, ())


def log(index: int, data_size: int, topics: int = 0) -> FactLog:
    return FactLog(1, index, ContractCode.MEMBERSHIP, (bytes(32),) * topics, bytes(data_size))


def declaration(detail: str = "") -> Declaration:
    unsigned = Declaration(
        5, DeclarationKind.PLACEMENT, True, 3, 0, 3, 17, 4, address_of(KEY), bytes(65), detail
    )
    return replace(unsigned, signature=sign(unsigned.digest(DOMAIN), KEY))


@pytest.mark.parametrize(
    "change",
    [
        {"recorded_at_ms": -1},
        {"recorded_at_ms": 2**48},
        {"first_block": 3},
        {"last_block": 2**64},
        {"last_block_hash": bytes(31)},
        {"last_block_timestamp_seconds": 2**64},
        {"parts": 0},
        {"part": 1},
        {"part": -1},
        {"parts": 2**16},
        {"logs": (FactLog(1, 0, ContractCode.MEMBERSHIP, (bytes(31),), b""),)},
        {"logs": (FactLog(1, 0, ContractCode.MEMBERSHIP, (bytes(32),) * 5, b""),)},
        {"logs": (FactLog(1, 2**32, ContractCode.MEMBERSHIP, (), b""),)},
        {"logs": (FactLog(-1, 0, ContractCode.MEMBERSHIP, (), b""),)},
        {"logs": (log(0, MAX_ENTRY_SIZE),)},
    ],
)
def test_chain_facts_to_entry__field_out_of_range__is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        replace(FACTS, **change).to_entry()


def test_chain_facts_from_entry__longer_than_any_entry__is_refused() -> None:
    with pytest.raises(TooLarge):
        ChainFacts.from_entry(b"\x03" + bytes(MAX_ENTRY_SIZE))


def test_split__no_logs__is_one_empty_part() -> None:
    assert split_chain_facts(FACTS) == [FACTS]


def test_split__exactly_one_entry__is_one_part() -> None:
    facts = replace(FACTS, logs=(log(0, MAX_ENTRY_SIZE - HEADER_SIZE - LOG_HEADER_SIZE),))
    (part,) = split_chain_facts(facts)
    assert part == facts
    assert len(part.to_entry()) == MAX_ENTRY_SIZE


def test_split__one_byte_over_an_entry__is_two_parts() -> None:
    half = (MAX_ENTRY_SIZE - HEADER_SIZE) // 2 - LOG_HEADER_SIZE
    facts = replace(FACTS, logs=(log(0, half), log(1, half + 1)))
    parts = split_chain_facts(facts)
    assert [(part.part, part.parts, len(part.logs)) for part in parts] == [(0, 2, 1), (1, 2, 1)]


@pytest.mark.parametrize("before", [0, 1])
def test_split__log_that_fits_no_entry__is_refused(before: int) -> None:
    too_long = log(7, MAX_ENTRY_SIZE - HEADER_SIZE - LOG_HEADER_SIZE + 1)
    with pytest.raises(TooLarge) as caught:
        split_chain_facts(replace(FACTS, logs=(log(0, 0),) * before + (too_long,)))
    assert "block 1, index 7" in str(caught.value.found)


def test_declaration__as_signed__verifies_and_comes_back() -> None:
    value = declaration("Ünïcode 🗞")
    value.verify_signature(DOMAIN)
    assert Declaration.from_entry(value.to_entry()) == value


def test_declaration__recorded_later__still_verifies() -> None:
    replace(declaration(), recorded_at_ms=99).verify_signature(DOMAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": DeclarationKind.CREATIVE},
        {"active": False},
        {"member": 4},
        {"campaign": 1},
        {"publisher": 4},
        {"item": 18},
        {"declared_at_ms": 5},
        {"detail": "x"},
        {"signer": bytes(20)},
    ],
)
def test_declaration__signed_field_changed__does_not_verify(change: dict[str, object]) -> None:
    with pytest.raises(VerificationFailed):
        replace(declaration(), **change).verify_signature(DOMAIN)


def test_declaration__detail_as_long_as_allowed__is_written() -> None:
    assert len(declaration("a" * MAX_DETAIL_BYTES).to_entry()) == 116 + MAX_DETAIL_BYTES


@pytest.mark.parametrize(
    "change",
    [
        {"detail": "a" * (MAX_DETAIL_BYTES + 1)},
        {"detail": "ä" * (MAX_DETAIL_BYTES // 2 + 1)},
        {"detail": "\ud800"},
        {"item": 2**32},
        {"item": -1},
        {"declared_at_ms": 2**48},
        {"signer": bytes(21)},
        {"signature": b""},
    ],
)
def test_declaration__that_has_no_entry__neither_writes_nor_verifies(
    change: dict[str, object],
) -> None:
    value = replace(declaration(), **change)
    with pytest.raises(InvalidInput):
        value.to_entry()
    with pytest.raises(InvalidInput):
        value.verify_signature(DOMAIN)


def test_rules_facts__over_one_entry__are_refused() -> None:
    RulesFacts(0, bytes(MAX_ENTRY_SIZE - 7)).to_entry()
    with pytest.raises(TooLarge):
        RulesFacts(0, bytes(MAX_ENTRY_SIZE - 6)).to_entry()
    with pytest.raises(TooLarge):
        RulesFacts.from_entry(b"\x05" + bytes(MAX_ENTRY_SIZE))


@pytest.mark.parametrize("time_ms", [-1, 2**48])
def test_time_facts__outside_48_bits__are_refused(time_ms: int) -> None:
    with pytest.raises(AdtallyError):
        TimeFacts(time_ms).to_entry()
