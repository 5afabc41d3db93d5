"""Enumerations against the tables of the specification."""

from __future__ import annotations

from enum import IntEnum

import pytest
from events_spec import tables, vectors

from adtally.events.correction import REASON_BY_LABEL, CorrectionReason
from adtally.events.record import DeviceClass, NetworkClass, UserAgentClass
from adtally.events.verdict import VERDICT_BY_LABEL, Verdict


def test_verdicts__table_and_vectors__are_the_enum() -> None:
    (table,) = tables("verdicts.md")
    expected = [(str(int(verdict)), verdict.label) for verdict in Verdict]
    assert [(code, label) for code, label, _ in table[1:]] == expected
    assert vectors("verdicts.json")["verdicts"] == [
        {"code": int(verdict), "label": verdict.label} for verdict in Verdict
    ]


def test_verdicts__by_label__finds_each() -> None:
    assert {VERDICT_BY_LABEL[verdict.label] for verdict in Verdict} == set(Verdict)


def test_verdicts__codes__have_no_gap() -> None:
    assert [int(verdict) for verdict in Verdict] == list(range(len(Verdict)))


@pytest.mark.parametrize(
    ("column", "codes"), [(1, DeviceClass), (2, UserAgentClass), (3, NetworkClass)]
)
def test_codes__table__is_the_enum(column: int, codes: type[IntEnum]) -> None:
    (table,) = [table for table in tables("record.md") if table[0][0] == "code"]
    found = [(row[0], row[column]) for row in table[1:] if row[column]]
    assert found == [(str(int(code)), code.name.lower()) for code in codes]


def test_correction_reasons__table__is_the_enum() -> None:
    (table,) = [table for table in tables("correction.md") if table[0][0] == "code"]
    expected = [(str(int(reason)), reason.label) for reason in CorrectionReason]
    assert [(row[0], row[1]) for row in table[1:]] == expected
    assert set(REASON_BY_LABEL.values()) == set(CorrectionReason)
