"""Records as columns hold exactly what the record parser reads."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adtally.analytics.columns import SCHEMA, records_table, split_batches
from adtally.errors import StorageCorrupt
from adtally.events.record import AdEvent, DeviceClass, EventType, NetworkClass, UserAgentClass
from adtally.events.verdict import Verdict
from adtally.settlement.rates import event_amount_milli
from adtally.types import UINT32_MAX, UINT48_MAX, UINT64_MAX, UINT80_MAX, Rates

RATES = Rates(2_500, 700, 11, 30)
FIELDS = (
    "campaign publisher placement creative occurred_at_ms country device user_agent_class "
    "network_class subject context value_minor_units currency type verdict parent_id"
)


def table_of(log, rates=lambda campaign, publisher: RATES):  # type: ignore[no-untyped-def]
    batches, count = split_batches(0, log.log)
    assert count == len(log.log)
    return records_table(batches, rates)


def test_records_table__every_field__as_the_record_parser_reads_it(log, make_event) -> None:  # type: ignore[no-untyped-def]
    log.add_time(1)
    log.add([make_event(), make_event(EventType.CLICK, verdict=Verdict.KNOWN_BOT)], 77, member=5)
    log.add_time(2)
    extreme = make_event(
        EventType.CONVERSION,
        UINT48_MAX,
        campaign=UINT32_MAX,
        country="QZ",
        device=DeviceClass.OTHER,
        user_agent_class=UserAgentClass.KNOWN_BOT,
        network_class=NetworkClass.PROXY,
        subject=b"s" * 16,
        context=b"c" * 20,
        value_minor_units=UINT64_MAX,
        currency=999,
    )
    log.add([extreme], 78, member=UINT32_MAX)
    table = table_of(log)
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert [row["leaf_index"] for row in rows] == [2, 3, 6]
    assert [row["member"] for row in rows] == [5, 5, UINT32_MAX]
    assert [row["received_at_ms"] for row in rows] == [77, 77, 78]
    for row in rows:
        event = AdEvent.from_record(log.log[row["leaf_index"]])
        assert row["event_id"] == event.id
        assert all(row[name] == getattr(event, name) for name in FIELDS.split())


@pytest.mark.parametrize("kind", list(EventType))
def test_records_table__amount__the_rate_if_accepted_else_zero(log, make_event, kind) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event(kind), make_event(kind, verdict=Verdict.NO_ORDER)], 1)
    amounts = table_of(log)["amount_milli"].to_pylist()
    assert amounts == [Decimal(event_amount_milli(RATES, kind)), Decimal(0)]


def test_records_table__largest_rate__exact(log, make_event) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event(EventType.CONVERSION)], 1)
    table = table_of(log, lambda campaign, publisher: Rates(per_conversion=UINT80_MAX))
    assert table["amount_milli"].to_pylist() == [Decimal(UINT80_MAX * 1000)]


def test_records_table__orders__asked_by_campaign_and_publisher(log, make_event) -> None:  # type: ignore[no-untyped-def]
    log.add(
        [
            make_event(campaign=1, publisher=2),
            make_event(campaign=2, publisher=1),
            make_event(campaign=3, publisher=1, verdict=Verdict.NO_ORDER),
        ],
        1,
    )
    asked = []

    def rates(campaign: int, publisher: int) -> Rates:
        asked.append((campaign, publisher))
        return Rates(per_mille_impressions=campaign * 10)

    assert table_of(log, rates)["amount_milli"].to_pylist() == [10, 20, 0]
    assert asked == [(1, 2), (2, 1)]


def test_split_batches__batch_still_coming__left_for_later(log, make_event) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event()], 1)
    log.add([make_event(), make_event()], 2)
    batches, count = split_batches(0, log.log[:-1])
    assert (len(batches), count) == (1, 2)
    assert split_batches(0, []) == ([], 0)


def test_records_table__no_batches__empty_with_the_schema() -> None:
    table = records_table([], lambda campaign, publisher: RATES)
    assert table.num_rows == 0
    assert table.schema.equals(SCHEMA)


def test_split_batches__record_without_envelope__storage_corrupt(make_event) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StorageCorrupt, match="index 40"):
        split_batches(40, [make_event().to_record()])


def test_split_batches__broken_envelope__storage_corrupt() -> None:
    with pytest.raises(StorageCorrupt):
        split_batches(0, [b"\x02\x00short"])


@pytest.mark.parametrize(("offset", "value"), [(0, 2), (1, 0), (1, 5), (3, 0), (3, 99), (60, 9)])
def test_records_table__unknown_code__storage_corrupt(log, make_event, offset, value) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event(), make_event()], 1)
    record = bytearray(log.log[2])
    record[offset] = value
    log.log[2] = bytes(record)
    with pytest.raises(StorageCorrupt, match="index 2"):
        table_of(log)


def test_records_table__short_record__storage_corrupt(log, make_event) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event()], 1)
    log.log[1] = log.log[1][:-1]
    with pytest.raises(StorageCorrupt):
        table_of(log)
