"""Attestors' declared Ed25519 keys, and the cosignatures made with them."""

from __future__ import annotations

from sqlalchemy import BigInteger, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from adtally.storage.models.base import Base


class DeclaredCosigner(Base):
    """One declaration (``adtally.events.cosigner_key``); an attestor's newest one counts."""

    __tablename__ = "cosigners"

    public_key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    attestor: Mapped[bytes] = mapped_column(LargeBinary(20))
    declared_at_ms: Mapped[int] = mapped_column(BigInteger)
    signature: Mapped[bytes] = mapped_column(LargeBinary(65))


class Cosignature(Base):
    """A cosignature of the log at one size."""

    __tablename__ = "cosignatures"

    tree_size: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    public_key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    timestamped_signature: Mapped[bytes] = mapped_column(LargeBinary(72))
    """Seconds in 8 bytes, then the signature, as it stands in the note."""
