"""Records as columns hold exactly what the record parser reads."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adtally.analytics.columns import SCHEMA, Run, entries_table, records_table, split_entries
from adtally.errors import StorageCorrupt
from adtally.events.correction import Correction, CorrectionReason
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
    run = split_entries(0, log.log)
    assert run.count == len(log.log)
    return entries_table(run, rates)


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


def test_split_entries__batch_still_coming__left_for_later(log, make_event) -> None:  # type: ignore[no-untyped-def]
    log.add([make_event()], 1)
    log.add([make_event(), make_event()], 2)
    run = split_entries(0, log.log[:-1])
    assert (len(run.batches), run.count) == (1, 2)
    assert split_entries(0, []) == Run([], [], 0)


def test_records_table__no_batches__empty_with_the_schema() -> None:
    table = records_table([], lambda campaign, publisher: RATES)
    assert table.num_rows == 0
    assert table.schema.equals(SCHEMA)


def test_split_entries__record_without_envelope__storage_corrupt(make_event) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(StorageCorrupt, match="index 40"):
        split_entries(40, [make_event().to_record()])


@pytest.mark.parametrize("entry", [b"\x02\x00short", b"\x07\x00short"])
def test_split_entries__broken_envelope_or_correction__storage_corrupt(entry: bytes) -> None:
    with pytest.raises(StorageCorrupt):
        split_entries(0, [entry])


@pytest.mark.parametrize("kind", list(EventType))
@pytest.mark.parametrize("change", [-1, 1])
def test_entries_table__correction__the_records_columns_and_a_signed_amount(  # type: ignore[no-untyped-def]
    log, make_event, kind, change
) -> None:
    counted, refused = make_event(kind), make_event(kind, verdict=Verdict.TOO_OLD)
    log.add([counted, refused], 5)
    log.add_time(6)
    record = counted if change < 0 else refused
    reason = CorrectionReason.LATE_SIVT
    log.log.append(Correction(9, 1, change, reason, record.to_record(), "why").to_entry())
    rows = table_of(log).to_pylist()
    assert [row["leaf_index"] for row in rows] == [1, 2, 4]
    assert [row["correction"] for row in rows] == [0, 0, reason]
    assert [row["change"] for row in rows] == [1, 0, change]
    price = event_amount_milli(RATES, kind)
    assert [row["amount_milli"] for row in rows] == [price, 0, change * price]
    assert (rows[2]["member"], rows[2]["received_at_ms"]) == (0, 9)
    assert all(rows[2][name] == getattr(record, name) for name in FIELDS.split())


def test_entries_table__price_of_29_digits_taken_back__exact(log, make_event) -> None:  # type: ignore[no-untyped-def]
    event = make_event()
    log.add([event], 5)
    log.log.append(
        Correction(9, 1, -1, CorrectionReason.LATE_SIVT, event.to_record(), "").to_entry()
    )
    price = 19_807_040_628_566_078_900_827_848_703
    rates = Rates(per_mille_impressions=price)
    amounts = table_of(log, lambda campaign, publisher: rates)["amount_milli"].to_pylist()
    assert [int(amount) for amount in amounts] == [price, -price]


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
