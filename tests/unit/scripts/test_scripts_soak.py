"""The soak's arithmetic and its traffic; what it deploys is tried by ``make soak`` itself."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scripts.chainless.facts import (
    CHAIN_ID,
    ESCROW_DOMAIN,
    FLIGHT_START,
    IDENTITY,
    LOG_DOMAIN,
    NOON_MS,
    TOKEN,
    encoded_log,
    key_of,
    signed_declaration,
)
from scripts.soak.plan import CREATIVES, PLACEMENTS, soak_plan, soak_rules
from scripts.soak.probe import Probe, bytes_under, look
from scripts.soak.report import Result, attestor_bytes_per_entry, part
from scripts.soak.sender import Ack, Log
from scripts.soak.traffic import SIZES, Kind, Parcel, Traffic, World
from scripts.soak.windows import (
    Bounds,
    Tally,
    Verdict,
    Window,
    broken,
    percentile,
    slope,
    spans,
    standstills,
    verdict,
    window,
)

from adtally.api.transport import parse_batch
from adtally.errors import AdtallyError
from adtally.events import verdict as events_verdict
from adtally.events.facts import ChainFacts, DeclarationKind, RulesFacts
from adtally.events.signature import address_of
from adtally.settlement.engine import PlainEngine
from adtally.settlement.machine import LogMachine
from adtally.types import Role

MIB = 2**20
STEADY = Verdict(
    rate_median=2_000,
    rate_spread=0.02,
    memory_bytes_per_minute=0,
    first_p99_ms=40,
    last_p99_ms=41,
    open_files_growth=0,
)


def ack(at: float, events: int = 100, latency_ms: float = 5.0) -> Ack:
    return Ack(at, events, latency_ms, 0.0)


def probe(at: float, anonymous: int = 100 * MIB) -> Probe:
    return Probe(at, anonymous, 2 * anonymous, 30)


# ---------------------------------------------------------------- windows and slopes


@pytest.mark.parametrize("seconds", [18, 60, 240, 600, 3_600])
def test_spans__any_length__cover_all_after_the_warm_up(seconds: float) -> None:
    warm_up, parts = spans(seconds)
    assert warm_up <= seconds / 5
    assert len(parts) >= 6
    assert parts[0][0] == warm_up
    assert parts[-1][1] == pytest.approx(seconds)
    assert all(before[1] == pytest.approx(after[0]) for before, after in pairwise(parts))
    assert max(end - start for start, end in parts) <= 30


def test_spans__ten_minutes__two_of_warm_up_and_half_minutes() -> None:
    assert spans(600) == (120, [(120 + 30 * at, 150 + 30 * at) for at in range(16)])


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1), (0.0, 1)]
)
def test_percentile__one_to_a_hundred__nearest_rank(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_percentile__nothing__zero() -> None:
    assert percentile([], 0.99) == 0.0


def test_window__start_belongs_to_it_and_end_does_not() -> None:
    acks = [ack(9.99), ack(10.0), ack(19.99, latency_ms=80), ack(20.0)]
    probes = [probe(9), probe(12, 3 * MIB), probe(13, 5 * MIB), probe(14, 90 * MIB), probe(20)]
    found = window((10, 20), acks, [5.0, 15.0], probes)
    assert (found.events, found.batches, found.pushed_back) == (200, 2, 1)
    assert found.events_per_second == 20
    assert (found.p50_ms, found.p99_ms) == (5, 80)
    assert found.anonymous_bytes == 5 * MIB


def test_slope__line_with_an_outlier__that_of_the_line() -> None:
    points = [(float(x), 3.0 * x + 7) for x in range(12)]
    points[5] = (5.0, 10_000.0)
    assert slope(points) == pytest.approx(3)


def test_slope__too_little__none() -> None:
    assert slope([(1.0, 2.0)]) == 0.0


def test_standstills__a_gap_between_looks__is_told() -> None:
    assert standstills([probe(1), probe(2), probe(152), probe(153)]) == [(2, 152)]


def _windows(rates: list[int], memory: list[int]) -> tuple[list[Window], list[Ack]]:
    acks, probes = [], []
    for number, (rate, held) in enumerate(zip(rates, memory, strict=True)):
        acks += [ack(30 * number + at, rate, 10.0 + 5 * number) for at in range(30)]
        probes.append(probe(30 * number + 1, held))
    parts = [(30.0 * number, 30.0 * number + 30) for number in range(len(rates))]
    return [window(span, acks, [], probes) for span in parts], acks


def test_verdict__a_slow_window_growing_memory_and_latency__in_numbers() -> None:
    rates = [1_000, 1_000, 1_000, 800, 1_000, 1_000]
    found = verdict(*_windows(rates, [MIB * number for number in range(6)]))
    assert found.rate_median == 1_000
    assert found.rate_spread == pytest.approx(0.2)
    assert found.memory_bytes_per_minute == pytest.approx(2 * MIB)
    assert (found.first_p99_ms, found.last_p99_ms) == (15, 35)
    assert found.p99_ratio == pytest.approx(35 / 15)


# ---------------------------------------------------------------- bounds


def test_broken__steady__nothing() -> None:
    assert broken(STEADY, Bounds(), judges_growth=True) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"rate_spread": 0.151}, "rate"),
        ({"memory_bytes_per_minute": Bounds().memory_bytes_per_minute + 1}, "memory"),
        ({"last_p99_ms": 40 * Bounds().p99_ratio + 1}, "99th"),
        ({"open_files_growth": 21}, "files"),
    ],
)
def test_broken__a_bound_is_passed__is_a_problem(changes: dict[str, Any], word: str) -> None:
    (problem,) = broken(replace(STEADY, **changes), Bounds(), judges_growth=True)
    assert word in problem


def test_broken__short_run__growth_is_no_problem_but_the_rate_is() -> None:
    grown = replace(STEADY, memory_bytes_per_minute=10**9, last_p99_ms=900, rate_spread=0.5)
    (problem,) = broken(grown, Bounds(), judges_growth=False)
    assert "rate" in problem


def test_broken__latencies_of_a_few_ms__their_ratio_is_noise() -> None:
    assert (
        broken(replace(STEADY, first_p99_ms=2, last_p99_ms=8), Bounds(), judges_growth=True) == []
    )


# ---------------------------------------------------------------- probes and report


def test_look__at_itself__own_memory_is_part_of_the_resident() -> None:
    seen = look(os.getpid(), 1.5)
    assert seen.at == 1.5
    assert MIB < seen.anonymous_bytes <= seen.resident_bytes
    assert seen.open_files >= 3


def test_look__nobody_there__is_an_error() -> None:
    with pytest.raises(OSError, match="No such file"):
        look(2**22 + 1, 0.0)


def test_bytes_under__blocks_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"x" * 100_000)
    assert 100_000 <= bytes_under(tmp_path) < 200_000


def test_part__problems_and_figures__are_handed_on() -> None:
    windows, acks = _windows([1_000] * 6, [MIB] * 6)
    windows = [
        replace(each, tally=Tally(1_000 * at + 1_000, 900 * at + 100, at, 2 * at, 3 * at, 4_000))
        for at, each in enumerate(windows)
    ]
    attestors = [[probe(30.0 * at, 1_000 * MIB + 9_000 * at)] for at in range(6)]
    found = verdict(windows, acks)
    result = Result(
        180, 1_000, 0, windows, found, Bounds(), Log(acks=acks), attestors, problems=["a problem"]
    )
    made = part(result)
    assert made.problems == ["a problem"]
    assert made.figures["soak.events"].value == 180_000
    assert made.figures["soak.anchors"].value == 5
    assert made.figures["soak.statements"].value == 10
    assert attestor_bytes_per_entry(result) == 10


# ---------------------------------------------------------------- traffic

ADVERTISER, PUBLISHERS = 2, range(10, 16)
CAMPAIGNS = {1: tuple(PUBLISHERS)[:5], 2: tuple(PUBLISHERS)[1:]}
RATE, SECONDS = 700, 9


def world() -> World:
    return World(
        advertiser=ADVERTISER,
        weights=dict(zip(PUBLISHERS, (40, 25, 15, 10, 7, 3), strict=True)),
        orders=CAMPAIGNS,
        keys={member: key_of(member) for member in (ADVERTISER, *PUBLISHERS)},
        domain=LOG_DOMAIN,
        chain_id=CHAIN_ID,
    )


def machine() -> LogMachine:
    """The reference, told what a deployment of the soak's plan would have said."""
    made = LogMachine(IDENTITY, ESCROW_DOMAIN, engine=PlainEngine)
    long = 10 * 86_400
    logs = []
    for member in (ADVERTISER, *PUBLISHERS):
        role = Role.ADVERTISER if member == ADVERTISER else Role.PUBLISHER
        account = bytes([member]) * 20
        data = [role, bytes(32), FLIGHT_START + long, address_of(key_of(member)), account]
        logs.append(encoded_log("MemberRegistered", [member, account], data, 2, member))
    for number, (campaign, publishers) in enumerate(CAMPAIGNS.items()):
        end = FLIGHT_START + 86_400
        terms = (TOKEN, FLIGHT_START, end, 3_600, 0, 0, long, 3_600, 1, 0, 0, 0, 0, 0, [(5, 500)])
        block = 30 + 3 * number
        logs.append(encoded_log("CampaignOpened", [campaign, ADVERTISER], [terms], block, 0))
        logs.append(encoded_log("Funded", [campaign, bytes(20)], [10**26, 10**26], block + 1, 0))
        for each in publishers:
            order = [(2_000_000, 500_000, 250_000, 5_000_000), 10**25]
            logs.append(encoded_log("OrderAccepted", [campaign, each], order, block + 2, each))
    at_ms = FLIGHT_START * 1000
    placement, creative = DeclarationKind.PLACEMENT, DeclarationKind.CREATIVE
    declared = [
        signed_declaration(placement, member, key_of(member), item, publisher=member)
        for member in PUBLISHERS
        for item in PLACEMENTS
    ] + [
        signed_declaration(creative, ADVERTISER, key_of(ADVERTISER), item, campaign=campaign)
        for campaign in CAMPAIGNS
        for item in CREATIVES
    ]
    chain = ChainFacts(at_ms, 1, 40, b"\x01" * 32, FLIGHT_START, tuple(logs))
    for facts in (RulesFacts(at_ms, soak_rules().to_json()), chain, *declared):
        made.apply_facts(facts)
    return made


@pytest.fixture(scope="module")
def seconds() -> list[list[Parcel]]:
    traffic = Traffic(world(), RATE)
    return [traffic.second(NOON_MS + 1_000 * second) for second in range(SECONDS)]


def test_traffic__every_second__exactly_the_rate(seconds: list[list[Parcel]]) -> None:
    for parcels in seconds:
        assert sum(parcel.events for parcel in parcels if parcel.kind is Kind.NEW) == RATE
        assert [parcel.due for parcel in parcels] == sorted(parcel.due for parcel in parcels)
        assert all(0 <= parcel.due < 1 for parcel in parcels)


def test_traffic__some_seconds__of_every_kind(seconds: list[list[Parcel]]) -> None:
    parcels = [parcel for each in seconds for parcel in each]
    assert {parcel.kind for parcel in parcels} == set(Kind)
    assert len({parcel.content_type for parcel in parcels}) == 3
    assert {parcel.member for parcel in parcels} == {ADVERTISER, *PUBLISHERS}
    assert max(parcel.events for parcel in parcels) > 100
    assert max(parcel.events for parcel in parcels) <= max(SIZES)


def test_traffic__judged_by_the_reference__gets_the_verdicts_that_are_expected(
    seconds: list[list[Parcel]],
) -> None:
    judge, found = machine(), Counter[str]()
    for second, parcels in enumerate(seconds):
        now_ms = NOON_MS + 1_000 * second
        for parcel in parcels:
            if parcel.kind is Kind.FORGED:
                with pytest.raises(AdtallyError):
                    judge.judge_batch(parse_batch(parcel.content_type, parcel.body), now_ms)
            elif parcel.kind is Kind.NEW:
                batch = parse_batch(parcel.content_type, parcel.body)
                got = bytes(judge.judge_batch(batch, now_ms))
                assert got == parcel.expected, (second, parcel.member)
                found.update(events_verdict.Verdict(code).label for code in got)
    assert set(found) == {
        *("accepted", "duplicate", "conflict", "known_bot", "unknown_parent"),
        *("parent_already_used", "no_order", "too_old"),
    }
    assert 0.9 < found["accepted"] / found.total() < 0.97


def test_plan__money__is_never_exhausted_by_the_traffic() -> None:
    plan = soak_plan(2_000, 600)
    for campaign in plan.campaigns:
        funded = sum(deposit.amount_base_units for deposit in campaign.deposits)
        dearest = max(order.rates.per_conversion for order in campaign.orders)
        assert funded > 2 * 2_000 * 600 * dearest // 4
        assert all(order.cap_base_units <= funded for order in campaign.orders)
