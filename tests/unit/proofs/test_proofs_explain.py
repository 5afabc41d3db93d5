"""Every verdict of the vectors' log, told from nothing but what is cited for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adtally.events.batch import ENVELOPE_KIND
from adtally.events.record import RECORD_KIND, AdEvent
from adtally.events.verdict import Verdict
from adtally.evidence.event_ids import EventIds
from adtally.evidence.records import Found, Records
from adtally.proofs.bundle import Accrued, LoggedEntry
from adtally.proofs.explain import Explanation, explain
from adtally.proofs.words import rule_in_words
from adtally.settlement.machine import LogMachine
from adtally.settlement.rates import MILLI, event_amount_milli
from adtally.types import LogIdentity

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "docs" / "spec" / "vectors" / "replay.json").read_text()
)
ENTRIES = [bytes.fromhex(entry[2:]) for entry in VECTORS["entries"]]
IDENTITY = LogIdentity(
    VECTORS["identity"]["chain_id"], bytes.fromhex(VECTORS["identity"]["event_log"][2:])
)
JUDGED = [
    (index, AdEvent.from_record(entry))
    for index, entry in enumerate(ENTRIES)
    if entry[0] == RECORD_KIND
]
FACTS = [
    LoggedEntry(index, entry)
    for index, entry in enumerate(ENTRIES)
    if entry[0] not in (RECORD_KIND, ENVELOPE_KIND)
]
MONEY = (Verdict.ORDER_CAP_REACHED, Verdict.BUDGET_EXHAUSTED)


class MemoryLog:
    """The vectors' log as the evidence room reads one."""

    size = len(ENTRIES)

    def entries(self, start: int, end: int) -> list[bytes]:
        return ENTRIES[start:end]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Records:
    ids = EventIds(tmp_path_factory.mktemp("ids"), MemoryLog())
    ids.catch_up()
    return Records(MemoryLog(), ids)


@dataclass(frozen=True, slots=True)
class Case:
    """A record with everything that its explanation is made of."""

    found: Found
    envelope: Any
    cited: list[LoggedEntry]
    accrued: Accrued | None

    def told(self, without: Callable[[LoggedEntry], bool] = lambda _: False) -> Explanation:
        cited = [each for each in self.cited if not without(each)]
        return explain(IDENTITY, self.found.record, self.envelope, cited, self.accrued)


def case_of(records: Records, index: int) -> Case:
    event = AdEvent.from_record(ENTRIES[index])
    found = Found(index, ENTRIES[index], event)
    envelope = records.batch_of(index).parsed
    cited = records.behind(found, envelope, FACTS)
    accrued = books_before(index, event) if event.verdict in MONEY else None
    return Case(found, envelope, cited, accrued)


def books_before(index: int, event: AdEvent) -> Accrued:
    """Counted one by one; the rates are those of the facts."""
    machine = LogMachine(IDENTITY, bytes.fromhex(VECTORS["escrow_domain"][2:]))
    for entry in ENTRIES:
        machine.apply(entry)
    orders = machine.facts.campaigns[event.campaign].orders
    lines: dict[int, int] = {}
    for at, earlier in JUDGED:
        if at < index and earlier.verdict is Verdict.ACCEPTED:
            amount = event_amount_milli(orders[earlier.publisher].rates, earlier.type)
            lines[earlier.publisher] = lines.get(earlier.publisher, 0) + amount
    total = sum(milli // MILLI for milli in lines.values())
    return Accrued(lines.get(event.publisher, 0), total)


def test_explain__the_vectors__have_every_verdict() -> None:
    assert {event.verdict for _, event in JUDGED} == set(Verdict) - {Verdict.UNSET}


@pytest.mark.parametrize("index", [index for index, _ in JUDGED])
def test_explain__what_is_cited__gives_the_logged_verdict(records: Records, index: int) -> None:
    told = case_of(records, index).told()
    assert told.problem is None
    assert told.judged is told.verdict
    assert told.is_shown
    assert told.rule == rule_in_words(told.verdict)


@pytest.mark.parametrize(
    ("verdict", "names"),
    [
        (Verdict.TOO_OLD, {"max_event_age_ms", "occurred_at_ms", "received_at_ms"}),
        (Verdict.KNOWN_BOT, {"user_agent_class", "refused_user_agent_classes"}),
        (Verdict.FLIGHT_NOT_STARTED, {"flight_start_seconds"}),
        (Verdict.ORDER_ENDED, {"order_ends_at_seconds"}),
        (Verdict.BUDGET_EXHAUSTED, {"funded_base_units", "lines_total_base_units_before"}),
        (Verdict.ORDER_CAP_REACHED, {"cap_base_units", "line_base_units_before"}),
    ],
)
def test_explain__rule_with_numbers__names_them(
    records: Records, verdict: Verdict, names: set[str]
) -> None:
    index = next(at for at, event in JUDGED if event.verdict is verdict)
    told = case_of(records, index).told()
    assert names <= set(told.parameters)
    assert told.rules_hash is not None


@pytest.mark.parametrize("verdict", [Verdict.DUPLICATE, Verdict.CONFLICT])
def test_explain__first_occurrence_not_cited__not_shown(records: Records, verdict: Verdict) -> None:
    index = next(at for at, event in JUDGED if event.verdict is verdict)
    case = case_of(records, index)
    told = case.told(lambda each: each.entry[0] == RECORD_KIND)
    assert not told.is_shown
    assert told.verdict is verdict


def test_explain__rules_not_cited__not_shown(records: Records) -> None:
    told = case_of(records, JUDGED[0][0]).told(lambda each: each.entry[0] == 0x05)
    assert told.judged is None
    assert told.problem == "no rule set is cited"


def test_explain__signed_by_a_key_or_at_a_time_that_the_facts_refuse__not_shown(
    records: Records,
) -> None:
    case = case_of(records, JUDGED[0][0])
    for changed, said in (
        ({"signer": b"\x01" * 20}, "is no key of member"),
        ({"received_at_ms": 2**47}, "had expired"),
    ):
        envelope = replace(case.envelope, **changed)
        told = explain(IDENTITY, case.found.record, envelope, case.cited, None)
        assert told.problem is not None
        assert said in told.problem
        assert not told.is_shown


def test_explain__verdict_changed__what_is_cited_gives_the_true_one(records: Records) -> None:
    index, event = next(pair for pair in JUDGED if pair[1].verdict is Verdict.KNOWN_BOT)
    case = case_of(records, index)
    lie = event.with_verdict(Verdict.DATA_CENTER).to_record()
    told = explain(IDENTITY, lie, case.envelope, case.cited, None)
    assert told.judged is Verdict.KNOWN_BOT
    assert not told.is_shown


def test_explain__cited_entry_that_is_none__problem_said(records: Records) -> None:
    case = case_of(records, JUDGED[0][0])
    told = explain(
        IDENTITY, case.found.record, case.envelope, [LoggedEntry(0, b"\x09nothing")], None
    )
    assert told.judged is None
    assert told.problem is not None
    assert "unknown kind" in told.problem


def test_explain__cited_occurrence_that_took_no_id__shows_no_repetition(records: Records) -> None:
    for verdict in (Verdict.DUPLICATE, Verdict.CONFLICT):
        index = next(at for at, event in JUDGED if event.verdict is verdict)
        case = case_of(records, index)
        for free in (Verdict.SENDER_NOT_ALLOWED, Verdict.TOO_OLD, Verdict.IN_THE_FUTURE):
            cited = [
                LoggedEntry(
                    each.index, AdEvent.from_record(each.entry).with_verdict(free).to_record()
                )
                if each.entry[0] == RECORD_KIND
                else each
                for each in case.cited
            ]
            told = explain(IDENTITY, case.found.record, case.envelope, cited, None)
            assert not told.is_shown


def test_explain__sibling_of_another_publisher__does_not_use_up_the_parent(
    records: Records,
) -> None:
    index, event = next(pair for pair in JUDGED if pair[1].verdict is Verdict.PARENT_ALREADY_USED)
    case = case_of(records, index)
    cited = []
    for each in case.cited:
        entry = each.entry
        if entry[0] == RECORD_KIND:
            earlier = AdEvent.from_record(entry)
            if earlier.parent_id == event.parent_id:
                entry = replace(earlier, publisher=earlier.publisher + 1).to_record()
        cited.append(LoggedEntry(each.index, entry))
    assert cited != case.cited
    told = explain(IDENTITY, case.found.record, case.envelope, cited, None)
    assert not told.is_shown
