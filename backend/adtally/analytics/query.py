"""What a report is asked: only names from fixed lists ever reach the SQL text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from adtally.analytics.intervals import Granularity
from adtally.errors import InvalidInput
from adtally.types import UINT32_MAX, UINT48_MAX

DEFAULT_LIMIT = 10_000
MAX_LIMIT = 50_000

_Name = TypeVar("_Name", bound=StrEnum)


class Dimension(StrEnum):
    """What a report may be grouped by; the values are column names of the derived Parquet."""

    PUBLISHER = "publisher"
    PLACEMENT = "placement"
    CREATIVE = "creative"
    COUNTRY = "country"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """One report.

    Attributes:
        campaign: its id.
        dimensions: in the order of the rows' keys; each at most once.
        granularity: intervals of occurred-at in ``zone``, or None.
        from_ms, to_ms: range of occurred-at, UTC, end exclusive; None is open.
        zone: IANA name.
        tree_size: only the log's first entries (a statement's tree size); None for all derived.
        limit: rows at most, the total aside.
    """

    campaign: int
    dimensions: tuple[Dimension, ...] = ()
    granularity: Granularity | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    zone: str = "UTC"
    tree_size: int | None = None
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        for name in self.dimensions:
            if not isinstance(name, Dimension):
                raise _invalid("dimensions", _choices(Dimension), repr(name)[:64])
        if len(set(self.dimensions)) != len(self.dimensions):
            raise _invalid("dimensions", "each dimension once", ",".join(self.dimensions))
        if self.granularity is not None and not isinstance(self.granularity, Granularity):
            raise _invalid("granularity", _choices(Granularity), repr(self.granularity)[:64])
        _check_range("campaign", self.campaign, 0, UINT32_MAX)
        _check_range("limit", self.limit, 1, MAX_LIMIT)
        _check_range("from_ms", self.from_ms, 0, UINT48_MAX + 1)
        _check_range("to_ms", self.to_ms, 0, UINT48_MAX + 1)
        _check_range("tree_size", self.tree_size, 0, 2**63 - 1)
        if self.first_ms > self.last_ms:
            raise _invalid("to_ms", f"at least from_ms {self.first_ms}", str(self.last_ms))

    @property
    def first_ms(self) -> int:
        return 0 if self.from_ms is None else self.from_ms

    @property
    def last_ms(self) -> int:
        """End of the range, exclusive."""
        return UINT48_MAX + 1 if self.to_ms is None else self.to_ms


def parse_dimensions(names: Iterable[str]) -> tuple[Dimension, ...]:
    """Dimensions by name.

    Raises:
        InvalidInput: a name is none of them.
    """
    return tuple(_parse(Dimension, name, "dimensions") for name in names)


def parse_granularity(name: str | None) -> Granularity | None:
    """A granularity by name; None and the empty string mean no intervals.

    Raises:
        InvalidInput: neither hour nor day.
    """
    return _parse(Granularity, name, "granularity") if name else None


def _parse(kind: type[_Name], name: str, field: str) -> _Name:
    try:
        return kind(name)
    except ValueError:
        raise _invalid(field, _choices(kind), repr(name)[:64]) from None


def _choices(kind: type[StrEnum]) -> str:
    return "any of " + ", ".join(kind)


def _check_range(field: str, value: int | None, lowest: int, highest: int) -> None:
    if value is not None and not lowest <= value <= highest:
        raise _invalid(field, f"{lowest} to {highest}", str(value))


def _invalid(field: str, expected: str, found: str) -> InvalidInput:
    return InvalidInput("not a report query", field=field, expected=expected, found=found)
