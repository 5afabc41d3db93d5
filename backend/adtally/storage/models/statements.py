"""Statements as drafted, and what the chain says of them."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKeyConstraint, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from adtally.storage.column_types import BaseUnits
from adtally.storage.models.base import Base


class StatementModel(Base):
    """A cumulative statement. Its own columns never change; the next four are filled once, when
    its submission is final on chain. An objection moves ``activates_at_seconds`` and sets
    ``is_objected``.
    """

    __tablename__ = "statements"

    campaign: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tree_size: Mapped[int] = mapped_column(BigInteger)
    lines_total_base_units: Mapped[int] = mapped_column(BaseUnits)
    impressions: Mapped[int] = mapped_column(BigInteger)
    viewables: Mapped[int] = mapped_column(BigInteger)
    clicks: Mapped[int] = mapped_column(BigInteger)
    conversions: Mapped[int] = mapped_column(BigInteger)
    corrections: Mapped[int] = mapped_column(BigInteger)
    lines_root: Mapped[bytes] = mapped_column(LargeBinary(32))
    is_final: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(16))
    """Why it was drafted: threshold, goal or final."""
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    settled_transaction_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    settled_block_number: Mapped[int | None] = mapped_column(BigInteger)
    settled_block_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    activates_at_seconds: Mapped[int | None] = mapped_column(BigInteger)
    is_objected: Mapped[bool]


class StatementLine(Base):
    """One publisher in a statement, cumulative over the campaign."""

    __tablename__ = "statement_lines"
    __table_args__ = (
        ForeignKeyConstraint(
            ["campaign", "sequence"], ["statements.campaign", "statements.sequence"]
        ),
    )

    campaign: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    publisher: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    impressions: Mapped[int] = mapped_column(BigInteger)
    viewables: Mapped[int] = mapped_column(BigInteger)
    clicks: Mapped[int] = mapped_column(BigInteger)
    conversions: Mapped[int] = mapped_column(BigInteger)
    amount_base_units: Mapped[int] = mapped_column(BaseUnits)
