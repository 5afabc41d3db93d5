"""The simulation behind docs/SCALING.md: nothing lost, nothing twice, every unit accounted for."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripts.scaling import inputs
from scripts.scaling.__main__ import PAGE
from scripts.scaling.chain import anchor_sizes
from scripts.scaling.day import _play, _waits
from scripts.scaling.inputs import Measured, UnitCosts, newest, recorded, unit_costs
from scripts.scaling.limits import stops
from scripts.scaling.money import settle_day
from scripts.scaling.page import BEGIN, END, gas_tokens, render, splice
from scripts.scaling.placement import DoesNotFit, id_bytes_of_an_event, log_events, place
from scripts.scaling.scenario import SCENARIOS, Scenario
from scripts.scaling.simulate import Outcome, simulate
from scripts.scaling.traffic import STEPS, Orders, day_curve, draw_orders, zipf

from adtally.settlement.rates import line_amount_base_units, reserve_base_units
from adtally.types import Counts, Rates

COSTS = unit_costs(recorded())
# Four logs' worth of ids, so that campaigns are spread.
SMALL = Scenario("small", 7, 2_000_003, 40, 60, memory_bytes=int(2_000_000 * COSTS.id_bytes / 4))


@pytest.fixture(scope="module")
def day() -> Outcome:
    return simulate(SMALL, COSTS)


# ---------------------------------------------------------------- events


def test_simulate__many_logs__every_event_in_one_log_once(day: Outcome) -> None:
    assert day.placement.logs >= 4
    assert day.orders.events.sum() == SMALL.events
    by_log = np.zeros(day.placement.logs, np.int64)
    np.add.at(by_log, day.placement.of_campaign[day.orders.campaign], day.orders.events)
    assert by_log.sum() == SMALL.events
    assert (by_log == log_events(day.placement.streams, day.placement.logs)).all()
    assert (day.day.arrived.sum(axis=1) == by_log).all()
    assert (day.day.taken.sum(axis=1) == by_log).all()


def test_simulate__at_any_time__nothing_is_taken_before_it_arrived(day: Outcome) -> None:
    ahead = np.cumsum(day.day.taken, axis=1) - np.cumsum(day.day.arrived, axis=1)
    assert ahead.max() == 0


def test_simulate__same_seed__same_day_and_another_seed_another(day: Outcome) -> None:
    again = simulate(SMALL, COSTS)
    assert (again.day.taken == day.day.taken).all()
    assert again.chain == day.chain
    other = simulate(replace(SMALL, seed=8), COSTS)
    assert (other.orders.events.size, other.chain) != (day.orders.events.size, day.chain)


def test_simulate__twice_the_events__twice_the_records_and_ids(day: Outcome) -> None:
    twice = replace(SMALL, events=2 * SMALL.events, memory_bytes=2 * SMALL.memory_bytes)
    doubled = simulate(twice, COSTS)
    assert doubled.resources.id_bytes == pytest.approx(2 * day.resources.id_bytes)
    # Envelopes are shared by more events, frames by more batches.
    assert 1.5 < doubled.resources.log_bytes / day.resources.log_bytes <= 2
    assert doubled.resources.audit_core_hours == 2 * day.resources.audit_core_hours
    assert doubled.resources.attestor_core_hours == 2 * day.resources.attestor_core_hours
    full = [
        replace(SMALL, events=events, batch_wait_seconds=86_400.0)
        for events in (200_000_000, 400_000_000)
    ]
    one, two = (simulate(replace(each, memory_bytes=2**40), COSTS).resources for each in full)
    assert two.log_bytes / one.log_bytes == pytest.approx(2, rel=0.001)


def test_simulate__one_batch__bytes_are_those_of_the_formats() -> None:
    lone = Scenario("lone", 1, 1_000, 1, 1, orders_per_campaign=1, batch_wait_seconds=86_400.0)
    needs = simulate(lone, COSTS).resources
    assert (needs.batches, needs.entries) == (1, 1_001)
    records, envelope, frame = 1_000 * (112 + 2), 109 + 2, 48
    assert needs.log_bytes == records + envelope + frame
    assert needs.tree_bytes == 64 * 1_001


def test_draw_orders__campaigns_and_publishers__skewed_as_zipf_says() -> None:
    orders = draw_orders(SMALL, np.random.default_rng(1))
    by_campaign = np.bincount(orders.campaign, orders.expected, SMALL.campaigns)
    assert by_campaign / SMALL.events == pytest.approx(zipf(SMALL.campaigns, 0.7))
    by_publisher = np.bincount(orders.publisher, orders.events, SMALL.publishers)
    assert by_publisher[:5].sum() > 3 * by_publisher[-5:].sum()


def test_day_curve__sums_to_one_and_evening_is_the_peak() -> None:
    curve = day_curve(SCENARIOS[0])
    assert curve.sum() == pytest.approx(1)
    assert 17 <= int(np.argmax(curve)) * 24 / STEPS <= 21


# ---------------------------------------------------------------- placement and queues


def test_place__memory_of_logs__never_overcommitted(day: Outcome) -> None:
    ids = log_events(day.placement.streams, day.placement.logs) * id_bytes_of_an_event(SMALL, COSTS)
    assert ids.max() <= SMALL.memory_bytes
    assert day.day.load.max() <= SMALL.peak_load * 1.2


def test_place__campaign_larger_than_a_log__says_so() -> None:
    with pytest.raises(DoesNotFit, match="one campaign"):
        simulate(replace(SMALL, memory_bytes=1_000_000), COSTS)


def test_place__slow_sequencers__more_logs_until_the_peak_fits() -> None:
    slow = replace_costs(event_seconds=1e-3, batch_seconds=1e-6)
    scenario = replace(SMALL, memory_bytes=2**40)
    rng = np.random.default_rng(1)
    curve = day_curve(scenario)
    orders = draw_orders(scenario, rng)
    assert place(scenario, COSTS, orders, curve).logs == 1
    needed = 2_000_003 * curve.max() / 10 * 1e-3 / scenario.peak_load
    assert place(scenario, slow, orders, curve).logs >= needed > 0.05


@pytest.mark.parametrize(
    ("window_ms", "days"), [(86_400_000, 1.0), (7 * 86_400_000, 7.0), (0, 0.0)]
)
def test_id_bytes__whole_days__rows_of_those_days(window_ms: int, days: float) -> None:
    scenario = replace(SMALL, id_window_ms=window_ms, id_partition_ms=0)
    per_event = id_bytes_of_an_event(scenario, COSTS)
    assert per_event == pytest.approx(days * COSTS.id_bytes)


def test_id_bytes__an_hour__more_than_a_24th_because_of_the_peak() -> None:
    scenario = replace(SMALL, id_window_ms=3_600_000, id_partition_ms=0)
    hour = id_bytes_of_an_event(scenario, COSTS)
    assert 1.1 < hour * 24 / COSTS.id_bytes < 1.6
    with_partition = id_bytes_of_an_event(replace(scenario, id_partition_ms=2**22), COSTS)
    assert 2.0 < with_partition / hour < 2.2


def test_unit_costs__memory_of_ids__measured_if_it_was_else_from_the_row() -> None:
    table = {name: each for name, each in recorded().items() if name != inputs.IDS}
    assert unit_costs(table).id_bytes == pytest.approx(32 / 0.6)
    measured = {**table, inputs.IDS: Measured(41.5, "bytes", "made up")}
    assert unit_costs(measured).id_bytes == 41.5


def test_play__sequencer_down_for_25_s__nothing_is_taken_then_all_is() -> None:
    arrived = np.full((1, 20), 100, np.int64)
    scenario = replace(SMALL, takeover_seconds=25.0)
    taken, waiting = _play(arrived, np.array([0.05]), 5, scenario)
    assert taken[0, :9].tolist() == [100, 100, 100, 100, 100, 0, 0, 100, 200]
    assert taken.sum() == arrived.sum()
    assert waiting.max() == 200


def test_waits__two_steps_without_a_sequencer__20_s_then_less_as_it_catches_up() -> None:
    arrived = np.full((1, 20), 100, np.int64)
    taken, _ = _play(arrived, np.array([0.05]), 5, replace(SMALL, takeover_seconds=20.0))
    waits = _waits(np.pad(arrived[0], (0, taken.shape[1] - 20)), taken[0])
    assert waits[:11].tolist() == [0, 0, 0, 0, 0, 20, 15, 10, 5, 0, 0]


def test_play__no_death_and_enough_room__nobody_waits() -> None:
    arrived = np.full((2, 30), 70, np.int64)
    taken, waiting = _play(arrived, np.array([0.01, 0.1]), 10, replace(SMALL, takeover_seconds=0))
    assert (taken == arrived).all()
    assert waiting.max() == 0
    assert _waits(arrived[0], taken[0]).max() == 0


def test_simulate__longer_takeover__longer_waits_and_no_loss(day: Outcome) -> None:
    slow = simulate(replace(SMALL, takeover_seconds=300.0), COSTS)
    assert slow.day.waits_seconds.max() > day.day.waits_seconds.max() + 200
    assert slow.day.taken.sum() == SMALL.events


# ---------------------------------------------------------------- chain and money


def test_anchor_sizes__by_time_and_by_count__as_the_service_decides() -> None:
    steady = np.full(STEPS, 100, np.int64)
    by_time = anchor_sizes(replace(SMALL, anchor_every_entries=10**12), steady)
    assert len(by_time) in range(140, 146)
    by_count = anchor_sizes(replace(SMALL, anchor_every_entries=1_000), steady)
    assert len(by_count) in range(780, 865)
    assert by_time == sorted(set(by_time))
    assert anchor_sizes(SMALL, np.zeros(STEPS, np.int64)) == []


def test_simulate__gas__is_the_sum_of_its_transactions(day: Outcome) -> None:
    chain = day.chain
    assert chain.statements == SMALL.campaigns
    assert chain.lines == int((day.money.line > 0).sum())
    assert chain.statement_gas == SMALL.campaigns * COSTS.settle_gas
    assert chain.claim_gas == chain.lines * COSTS.claim_gas
    assert chain.gas == chain.anchor_gas + chain.statement_gas + chain.claim_gas
    assert 70_000 < chain.anchor_gas / chain.anchors < 95_000


def test_unit_costs__anchor_gas__meets_both_measured_sizes() -> None:
    table = recorded()
    for leaves, name in ((10**6, "gas.anchor_1m_3sig"), (10**9, "gas.anchor_1g_3sig")):
        gas = COSTS.anchor_gas + COSTS.anchor_gas_a_level * float(np.log2(leaves))
        assert gas == pytest.approx(table[name].value)


def test_settle_day__every_escrow__sums_to_the_unit(day: Outcome) -> None:
    """By the arithmetic of settlement itself, campaign by campaign."""
    money, orders, price = day.money, day.orders, SMALL.price_per_mille_base_units
    spent = 0
    for campaign in range(SMALL.campaigns):
        rows = orders.campaign == campaign
        lines = [
            line_amount_base_units(Rates(price, 0, 0, 0), Counts(int(count), 0, 0, 0), 10**30)
            for count in money.billed[rows]
        ]
        assert lines == money.line[rows].tolist()
        spent += reserve_base_units(sum(lines), SMALL.cuts)
    assert money.lines + money.cuts == spent
    assert money.funded == spent + money.left


def test_settle_day__more_delivered_than_funded__the_rest_is_not_billed() -> None:
    orders = Orders(
        campaign=np.array([0, 0, 1]),
        publisher=np.array([0, 1, 0]),
        expected=np.array([500.0, 500.0, 1_000.0]),
        events=np.array([1_000, 1_000, 1_000]),
    )
    money = settle_day(replace(SMALL, campaigns=2, price_per_mille_base_units=2_001), orders)
    assert money.billed.tolist() == [1_000, 251, 1_000]
    assert money.line.tolist() == [2_001, 502, 2_001]
    assert money.funded == money.lines + money.cuts + money.left


def test_gas_tokens__exact() -> None:
    assert gas_tokens(10**9) == 3_000
    assert gas_tokens(1) == Fraction(3_000, 10**9)


# ---------------------------------------------------------------- inputs and page


def replace_costs(**changes: float) -> UnitCosts:
    return replace(COSTS, **changes)  # type: ignore[arg-type]


def rates(small: float, large: float) -> dict[str, Measured]:
    table = dict(recorded())
    for size, rate in ((10, small), (1_000, large)):
        table[f"ingest.binary_{size}.events_per_second"] = Measured(rate, "1/s", "made up")
    return table


def test_unit_costs__two_sizes__a_line_through_both() -> None:
    costs = unit_costs(rates(10_000, 400_000))
    for events, rate in ((10, 10_000), (1_000, 400_000)):
        seconds = costs.batch_seconds + events * costs.event_seconds
        assert events / seconds == pytest.approx(rate)


def test_unit_costs__larger_batches_slower__refused() -> None:
    with pytest.raises(ValueError, match="positive costs"):
        unit_costs(rates(10_000, 9_000))


def test_newest__a_report__its_figures_and_hardware_before_the_recorded(tmp_path: Path) -> None:
    name = "ingest.binary_10.events_per_second"
    report: dict[str, Any] = {
        "machine": {"cpus": 2, "cpu": "Some CPU", "memory_bytes": 24 * 2**30, "disk": "NVMe",
                    "filesystem": "xfs", "architecture": "x"},
        "commit": "c0ffee",
        "notes": ["the machine was not quiet: load average 3.5 when the bench began"],
        "figures": {name: {"value": 5, "unit": "1/s", "how": ""}},
    }  # fmt: skip
    path = tmp_path / "build" / "bench" / "report.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(report))
    table = newest(tmp_path)
    assert table[name].value == 5
    assert "2 cores of Some CPU, 24 GiB, NVMe disk, xfs, not quiet" in table[name].source
    assert table["gas.settle"] == recorded()["gas.settle"]


def test_newest__neither_report_nor_record__says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gas\.settle"):
        newest(tmp_path, {})


def test_recorded__every_figure__has_a_source() -> None:
    table = recorded()
    assert set(table) >= set(inputs.WANTED)
    assert all(each.source for each in table.values())


def test_splice__page_without_markers__refused() -> None:
    with pytest.raises(ValueError, match="expected"):
        splice("no markers", "text")


def test_page__its_tables__are_those_of_the_recorded_figures() -> None:
    """The first days, the limits and the inputs, which take no time; `make scaling` writes all."""
    page = PAGE.read_text()
    assert page.count(BEGIN) == page.count(END) == 1
    table = recorded()
    days = [simulate(scenario, COSTS) for scenario in SCENARIOS]
    text = render(table, days, [("x", DoesNotFit("y"))], stops(SCENARIOS[1], COSTS, table))
    for part in text.split("\n\n"):
        if "| x | none: y" not in part:
            assert part in page
