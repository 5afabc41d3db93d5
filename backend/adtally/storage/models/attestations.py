"""What attestors are asked to sign, and what they answered."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from adtally.storage.column_types import RowId
from adtally.storage.models.base import Base


class AttestorSet(Base):
    """A version of an attestor set, named on chain in a final block."""

    __tablename__ = "attestor_sets"

    attestor_set: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    threshold: Mapped[int] = mapped_column(BigInteger)
    attestors: Mapped[bytes] = mapped_column(LargeBinary)
    """The addresses back to back, 20 bytes each, ascending."""


class AttestationRequest(Base):
    """One digest that an attestor set is asked to sign. Requests are numbered in the order of
    their tree sizes, so an attestor that works through them reads the log once.
    """

    __tablename__ = "attestation_requests"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    subject: Mapped[str] = mapped_column(String(80), unique=True)
    """``checkpoint:<tree size>`` or ``statement:<campaign>:<sequence>``: each is asked once."""
    kind: Mapped[str] = mapped_column(String(16))
    attestor_set: Mapped[int] = mapped_column(BigInteger)
    tree_size: Mapped[int] = mapped_column(BigInteger, index=True)
    root_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    """The EIP-712 digest to sign."""
    campaign: Mapped[int | None] = mapped_column(BigInteger)
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    created_at_ms: Mapped[int] = mapped_column(BigInteger)


class Attestation(Base):
    """One attestor's answer to one request: a signature, or a refusal with its reason."""

    __tablename__ = "attestations"
    __table_args__ = (
        CheckConstraint("(signature IS NULL) <> (refusal IS NULL)", name="signature_or_refusal"),
    )

    request_id: Mapped[int] = mapped_column(ForeignKey("attestation_requests.id"), primary_key=True)
    attestor: Mapped[bytes] = mapped_column(LargeBinary(20), primary_key=True)
    signature: Mapped[bytes | None] = mapped_column(LargeBinary(65))
    refusal: Mapped[str | None] = mapped_column(Text)
    answered_at_ms: Mapped[int] = mapped_column(BigInteger)
