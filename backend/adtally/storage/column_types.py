"""Column types that keep exact integers exact on every database.

Money is uint128 on chain and NUMERIC(78,0) in SQL (78 digits hold a uint256). SQLite has no such
type: its NUMERIC turns what exceeds 64 bits into a float. There the same column is text,
zero-padded to 78 digits, so that equality, order, unique keys and MIN/MAX mean the same on both.
Sums are taken in Python, where ``int`` has no bound.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Integer, Numeric, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from adtally.errors import InvalidInput

DIGITS = 78
_LIMIT = 10**DIGITS

RowId = BigInteger().with_variant(Integer(), "sqlite")
"""A surrogate key; SQLite only numbers rows by itself for its own INTEGER."""


class BaseUnits(TypeDecorator[int]):
    """A non-negative ``int`` of up to 78 digits: token base units, or any unsigned EVM word.

    Raises InvalidInput on anything that is not such an ``int`` before it reaches the database.
    """

    impl = Numeric(DIGITS, 0)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(DIGITS))
        return dialect.type_descriptor(Numeric(DIGITS, 0))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if type(value) is not int or not 0 <= value < _LIMIT:
            raise InvalidInput(
                "an amount must be a whole, non-negative number",
                field="base_units",
                expected=f"an int from 0 to 10^{DIGITS}-1",
                found=repr(value),
            )
        return f"{value:0{DIGITS}d}" if dialect.name == "sqlite" else Decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)
