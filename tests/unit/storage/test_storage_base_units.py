"""Amounts keep every digit on SQLite, and nothing but whole numbers get in."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import StatementError

from adtally.errors import InvalidInput
from adtally.storage.column_types import DIGITS, BaseUnits

AMOUNTS = [0, 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 2**96 - 1, 2**127, 2**128 - 1, 2**256 - 1]


@pytest.fixture
def table() -> Table:
    return Table(
        "amounts", MetaData(), Column("id", Integer, primary_key=True), Column("amount", BaseUnits)
    )


def test_base_units__sqlite_round_trip__keeps_every_digit_and_the_order(
    table: Table, tmp_path: Path
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/amounts.db")
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        for amount in reversed(AMOUNTS):
            connection.execute(table.insert().values(amount=amount))
        ordered = connection.scalars(select(table.c.amount).order_by(table.c.amount)).all()
        above = connection.scalars(
            select(table.c.amount).where(table.c.amount > 2**64).order_by(table.c.amount)
        ).all()
    engine.dispose()
    assert ordered == AMOUNTS
    assert all(type(amount) is int for amount in ordered)
    assert above == [amount for amount in AMOUNTS if amount > 2**64]


def test_base_units__null__stays_null(table: Table, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/amounts.db")
    table.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert().values(amount=None))
        assert connection.scalar(select(table.c.amount)) is None
    engine.dispose()


@pytest.mark.parametrize("value", [-1, 10**DIGITS, 1.0, True, "1", 1.5])
def test_base_units__not_a_whole_amount__is_refused(value: object) -> None:
    for dialect in (sqlite.dialect(), postgresql.dialect()):
        with pytest.raises(InvalidInput, match="whole, non-negative"):
            BaseUnits().process_bind_param(value, dialect)  # type: ignore[arg-type]


def test_base_units__refused_value__never_reaches_the_database(
    table: Table, tmp_path: Path
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/amounts.db")
    table.metadata.create_all(engine)
    with (
        engine.begin() as connection,
        pytest.raises((InvalidInput, StatementError), match="whole, non-negative"),
    ):
        connection.execute(table.insert().values(amount=0.1))
    engine.dispose()


def test_base_units__on_postgresql__is_numeric_78() -> None:
    compiled = BaseUnits().dialect_impl(postgresql.dialect()).compile(postgresql.dialect())
    assert compiled == "NUMERIC(78, 0)"
