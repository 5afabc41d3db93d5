"""What the watcher has read of the chain."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from adtally.storage.models.base import Base


class ChainBlock(Base):
    """A stamp: every watched log up to this block is stored."""

    __tablename__ = "chain_blocks"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    timestamp_seconds: Mapped[int] = mapped_column(BigInteger)


class ChainLogRow(Base):
    """A log of one of our contracts; unique by block hash and log index."""

    __tablename__ = "chain_logs"

    block_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    log_index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    block_number: Mapped[int] = mapped_column(BigInteger, index=True)
    transaction_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    address: Mapped[bytes] = mapped_column(LargeBinary(20))
    topics: Mapped[bytes] = mapped_column(LargeBinary)
    """The topics back to back, 32 bytes each."""
    data: Mapped[bytes] = mapped_column(LargeBinary)
