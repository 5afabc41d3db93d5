"""Contract events: decoded as they were encoded, refused otherwise."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import pytest
from eth_abi import encode

from adtally.audit.chain_events import (
    AUDITED_EVENTS,
    Anchored,
    AuditedEvent,
    Claimed,
    CutPaid,
    EventFormat,
    Funded,
    ObjectionBondReleased,
    ObjectionDecided,
    ObjectionRaised,
    PayoutChangeCancelled,
    PayoutChangeRequested,
    PayoutRegistered,
    Refunded,
    StatementSubmitted,
    decode_event,
)
from adtally.errors import InvalidInput
from adtally.types import ChainLog, Counts, Statement

TO = b"\x12" * 20
SENDER = b"\x13" * 20
ROOT = b"\x14" * 32

CASES: list[tuple[str, list[Any], list[Any], AuditedEvent]] = [
    ("Anchored", [9], [ROOT, 2], Anchored(9, ROOT, 2)),
    (
        "StatementSubmitted",
        [1, 2],
        [(1, 2, 3, 4, (5, 6, 7, 8), 9, ROOT, True), 99],
        StatementSubmitted(Statement(1, 2, 3, 4, Counts(5, 6, 7, 8), 9, ROOT, True), 99),
    ),
    (
        "Claimed",
        [1, 2],
        [TO, 3, 2**128 - 1],
        Claimed(1, 2, TO, 3, 2**128 - 1),
    ),
    ("CutPaid", [1, 2], [TO, 3, 4], CutPaid(1, 2, TO, 3, 4)),
    ("Refunded", [1], [TO, 3, 4], Refunded(1, TO, 3, 4)),
    ("ObjectionRaised", [1, 2], [3, 4, "too many"], ObjectionRaised(1, 2, 3, 4)),
    ("ObjectionDecided", [1, 2], [True], ObjectionDecided(1, 2, True)),
    ("ObjectionBondReleased", [1], [TO, 3], ObjectionBondReleased(1, TO, 3)),
    ("Funded", [1, SENDER], [3, 4], Funded(1, SENDER, 3, 4)),
    ("MemberRegistered", [1, SENDER], [2, ROOT, 5, SENDER, TO], PayoutRegistered(1, TO)),
    ("PayoutChangeRequested", [1], [TO, 5], PayoutChangeRequested(1, TO, 5)),
    ("PayoutChangeCancelled", [1], [TO], PayoutChangeCancelled(1)),
]


def form(name: str) -> EventFormat:
    return next(each for each in AUDITED_EVENTS if each.name == name)


def encoded(name: str, indexed: list[Any], data: list[Any]) -> ChainLog:
    event = form(name)
    topics = [encode([kind], [value]) for kind, value in zip(event.indexed, indexed, strict=True)]
    body = encode(list(event.data), data)
    return ChainLog(1, ROOT, ROOT, 0, TO, (event.topic, *topics), body)


def test_cases__cover_every_audited_event() -> None:
    assert [case[0] for case in CASES] == [each.name for each in AUDITED_EVENTS]


@pytest.mark.parametrize(("name", "indexed", "data", "expected"), CASES)
def test_decode_event__round_trip__same_values(
    name: str, indexed: list[Any], data: list[Any], expected: AuditedEvent
) -> None:
    assert decode_event(form(name).contract, encoded(name, indexed, data)) == expected


@pytest.mark.parametrize(("name", "indexed", "data", "expected"), CASES)
def test_decode_event__cut_or_damaged__refused_or_another_value(
    name: str, indexed: list[Any], data: list[Any], expected: AuditedEvent
) -> None:
    log = encoded(name, indexed, data)
    contract = form(name).contract

    def decoded(topics: tuple[bytes, ...], body: bytes) -> AuditedEvent | None:
        return decode_event(contract, ChainLog(1, ROOT, ROOT, 0, TO, topics, body))

    for length in range(0, len(log.data), 7):
        with pytest.raises(InvalidInput):
            decoded(log.topics, log.data[:length])
    for topics in (log.topics[:-1], (*log.topics, ROOT), (log.topics[0], *[b"\xff" * 32] * 2)):
        with pytest.raises(InvalidInput):
            decoded(topics, log.data)
    noise = random.Random(4)
    for _ in range(100):
        with contextlib.suppress(InvalidInput):
            decoded(log.topics, noise.randbytes(len(log.data)))


def test_decode_event__other_events__pass_by() -> None:
    contract = AUDITED_EVENTS[0].contract
    assert decode_event(contract, ChainLog(1, ROOT, ROOT, 0, TO, (), b"")) is None
    assert decode_event(contract, ChainLog(1, ROOT, ROOT, 0, TO, (ROOT,), b"")) is None
    claimed = encoded("Claimed", [1, 2], [TO, 3, 4])
    assert decode_event(contract, claimed) is None


def test_decode_event__topics_that_contradict_the_statement__refused() -> None:
    log = encoded("StatementSubmitted", [1, 3], [(1, 2, 3, 4, (5, 6, 7, 8), 9, ROOT, True), 99])
    with pytest.raises(InvalidInput):
        decode_event(form("StatementSubmitted").contract, log)
