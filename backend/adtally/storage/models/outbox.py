"""Transactions to the chain, and every signed attempt at them."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from adtally.storage.column_types import BaseUnits, RowId
from adtally.storage.models.base import Base


class OutboxTransaction(Base):
    """One wanted effect on the chain (``adtally.types.OutboxRow``)."""

    __tablename__ = "outbox_transactions"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    effect_key: Mapped[str] = mapped_column(String(200), unique=True)
    purpose: Mapped[str] = mapped_column(String(200))
    sender: Mapped[bytes] = mapped_column(LargeBinary(20))
    to: Mapped[bytes] = mapped_column("to_address", LargeBinary(20))
    data: Mapped[bytes] = mapped_column(LargeBinary)
    gas: Mapped[int | None] = mapped_column(BigInteger)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[int] = mapped_column(Integer, index=True)
    """A code of ``OutboxState``."""
    transaction_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), index=True)
    block_number: Mapped[int | None] = mapped_column(BigInteger)
    block_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    gas_used: Mapped[int | None] = mapped_column(BigInteger)
    error: Mapped[str | None] = mapped_column(Text)

    attempts: Mapped[list[OutboxAttempt]] = relationship(
        order_by="OutboxAttempt.position", cascade="all, delete-orphan", lazy="selectin"
    )


class OutboxAttempt(Base):
    """One signed transaction, stored before it is sent."""

    __tablename__ = "outbox_attempts"

    transaction_id: Mapped[int] = mapped_column(
        ForeignKey("outbox_transactions.id"), primary_key=True
    )
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    nonce: Mapped[int] = mapped_column(BigInteger)
    max_fee_wei: Mapped[int] = mapped_column(BaseUnits)
    priority_fee_wei: Mapped[int] = mapped_column(BaseUnits)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    signed_at_ms: Mapped[int] = mapped_column(BigInteger)
    is_filler: Mapped[bool]
