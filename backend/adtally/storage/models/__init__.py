"""Tables of the control database, one file a subject."""

from adtally.storage.models.attestations import Attestation, AttestationRequest, AttestorSet
from adtally.storage.models.base import Base
from adtally.storage.models.blocks import ChainBlock, ChainLogRow
from adtally.storage.models.cosigners import Cosignature, DeclaredCosigner
from adtally.storage.models.ledger import Anchor, Cursor, Transfer
from adtally.storage.models.outbox import OutboxAttempt, OutboxTransaction
from adtally.storage.models.statements import StatementLine, StatementModel

__all__ = [
    "Anchor",
    "Attestation",
    "AttestationRequest",
    "AttestorSet",
    "Base",
    "ChainBlock",
    "ChainLogRow",
    "Cosignature",
    "Cursor",
    "DeclaredCosigner",
    "OutboxAttempt",
    "OutboxTransaction",
    "StatementLine",
    "StatementModel",
    "Transfer",
]
