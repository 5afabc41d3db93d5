"""The books: what final blocks say about anchors and money, each line posted once."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from adtally.storage.column_types import BaseUnits, RowId
from adtally.storage.models.base import Base


class Anchor(Base):
    """A checkpoint stored on chain, in a final block."""

    __tablename__ = "anchors"

    tree_size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    root_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    anchor_number: Mapped[int] = mapped_column(BigInteger)
    transaction_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    block_number: Mapped[int] = mapped_column(BigInteger)
    block_hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class Transfer(Base):
    """Money that moved into or out of the escrow, in a final block."""

    __tablename__ = "transfers"
    __table_args__ = (UniqueConstraint("block_hash", "log_index"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(16))
    """A value of ``storage.rows.TransferKind``."""
    campaign: Mapped[int] = mapped_column(BigInteger, index=True)
    member: Mapped[int] = mapped_column(BigInteger)
    """Publisher of a claim, payee of a cut, else the advertiser."""
    party: Mapped[bytes] = mapped_column(LargeBinary(20))
    """The address on the other side of the escrow."""
    token: Mapped[bytes] = mapped_column(LargeBinary(20))
    amount_base_units: Mapped[int] = mapped_column(BaseUnits)
    total_base_units: Mapped[int] = mapped_column(BaseUnits)
    """The running total that the contract announced with it."""
    transaction_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    block_number: Mapped[int] = mapped_column(BigInteger, index=True)
    block_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    log_index: Mapped[int] = mapped_column(Integer)


class Cursor(Base):
    """Up to which final block something has been worked off."""

    __tablename__ = "cursors"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    block_number: Mapped[int] = mapped_column(BigInteger)
    block_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
