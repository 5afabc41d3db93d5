"""What an audit found, as values that become JSON without loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from adtally.types import BlockStamp


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that is not as it must be.

    ``check`` names the check that found it; ``where`` is a leaf index, a transaction, a campaign.
    """

    check: str
    what: str
    where: str
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class Check:
    """One kind of comparison: how many were made and whether all held."""

    name: str
    what: str
    how_many: int
    ok: bool


@dataclass(frozen=True, slots=True)
class CampaignFigures:
    """A campaign's money, in base units of its token, at the pinned block.

    Attributes:
        lines_total_base_units: of the newest statement on chain.
        accrued_base_units: what the log gives at its end; more than stated while unsettled.
        held_base_units: funded - paid - cuts - refunded.
        bond_base_units: held besides, for an objection.
    """

    campaign: int
    token: str
    statements: int
    is_final: bool
    funded_base_units: int
    lines_total_base_units: int
    accrued_base_units: int
    paid_base_units: int
    cuts_base_units: int
    refunded_base_units: int
    held_base_units: int
    bond_base_units: int


@dataclass(frozen=True, slots=True)
class PublisherFigures:
    """One publisher in a campaign: what the log gives at its end, and what was paid by then."""

    campaign: int
    publisher: int
    impressions: int
    viewables: int
    clicks: int
    conversions: int
    accrued_base_units: int
    paid_base_units: int


@dataclass(frozen=True, slots=True)
class TokenFigures:
    """The escrow's balance of one token at the pinned block.

    ``surplus_base_units`` was sent to the escrow by mistake: it belongs to no campaign.
    """

    token: str
    balance_base_units: int
    owed_base_units: int
    surplus_base_units: int


@dataclass(slots=True)
class Figures:
    """What was there to audit. The pinned block is what balances and payments refer to.

    ``resumed_at`` is the size from which the log was read, after an audit that ended there.
    """

    tree_size: int = 0
    root_hash: str = ""
    pinned_block: int = 0
    pinned_block_hash: str = ""
    facts_through_block: int | None = None
    records: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    corrections: int = 0
    anchors: int = 0
    statements: int = 0
    claims: int = 0
    cuts: int = 0
    refunds: int = 0
    objections: int = 0
    resumed_at: int = 0
    campaigns: list[CampaignFigures] = field(default_factory=list)
    publishers: list[PublisherFigures] = field(default_factory=list)
    tokens: list[TokenFigures] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The audit's verdict; ``ok`` only if every check was made and held.

    ``remarks`` are for people: what was done otherwise than usual, and why. ``pinned`` is the
    final block up to which the chain was read.
    """

    ok: bool
    checks: tuple[Check, ...]
    discrepancies: tuple[Discrepancy, ...]
    figures: Figures
    remarks: tuple[str, ...] = ()
    pinned: BlockStamp | None = None

    def with_remarks(self, remarks: Iterable[str]) -> AuditReport:
        """The same with more said."""
        return replace(self, remarks=(*self.remarks, *remarks))

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``json.dumps``; money as decimal strings."""
        document: dict[str, Any] = _with_money_as_text(asdict(self))
        del document["pinned"]
        return document


class Findings:
    """Collects comparisons while the audit runs.

    Args:
        checks: every check that must be made, name and meaning, in the order of the report.
    """

    def __init__(self, checks: dict[str, str]) -> None:
        self._checks = checks
        self._counts: Counter[str] = Counter()
        self._discrepancies: list[Discrepancy] = []
        self._remarks: list[str] = []
        self.figures = Figures()
        self.pinned: BlockStamp | None = None

    def compare(self, check: str, what: str, where: str, expected: object, found: object) -> bool:
        """Count one comparison, and note a discrepancy unless both are equal."""
        if expected == found:
            self._counts[check] += 1
            return True
        self.differs(check, what, where, expected, found)
        return False

    def holds(self, check: str, how_many: int = 1) -> None:
        """Count comparisons that held."""
        self._counts[check] += how_many

    def differs(self, check: str, what: str, where: str, expected: object, found: object) -> None:
        """Count a comparison that did not hold."""
        assert check in self._checks, check
        self._counts[check] += 1
        self._discrepancies.append(Discrepancy(check, what, where, show(expected), show(found)))

    def remark(self, text: str) -> None:
        """Say something that is no comparison."""
        self._remarks.append(text)

    @property
    def failed(self) -> set[str]:
        """Checks that did not hold so far."""
        return {each.check for each in self._discrepancies}

    def report(self) -> AuditReport:
        """Everything so far."""
        failed = self.failed
        return AuditReport(
            ok=not failed,
            checks=tuple(
                Check(name, what, self._counts[name], name not in failed)
                for name, what in self._checks.items()
            ),
            discrepancies=tuple(self._discrepancies),
            figures=self.figures,
            remarks=tuple(self._remarks),
            pinned=self.pinned,
        )


def show(value: object) -> str:
    """A value as people read it: bytes in hex."""
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _with_money_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: str(each) if name.endswith("_base_units") else _with_money_as_text(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_with_money_as_text(each) for each in value]
    return value
