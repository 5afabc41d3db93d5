"""What the repositories return: plain frozen values, no ORM objects, no lazy loading."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from adtally.types import Address, Checkpoint, Hash, Statement


class RequestKind(Enum):
    """What attestors are asked to sign."""

    CHECKPOINT = "checkpoint"
    STATEMENT = "statement"


class DraftReason(Enum):
    """Why a statement was drafted."""

    THRESHOLD = "threshold"
    GOAL = "goal"
    CORRECTION = "correction"
    """It decides an open objection, with a correction."""
    COMPLETE = "complete"
    """No further event can count; objections and corrections still can."""
    FINAL = "final"


class TransferKind(Enum):
    """How money moves into (deposit, bond) or out of (all others) the escrow."""

    DEPOSIT = "deposit"
    BOND = "bond"
    """An objection's bond, held until the objection is decided."""
    CLAIM = "claim"
    CUT = "cut"
    REFUND = "refund"
    BOND_RELEASED = "bond_released"
    """The bond went back to the advertiser, or was burned."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """Where a statement stands in the chain, in a final block.

    ``is_objected``: the advertiser has objected to it; that moved ``activates_at_seconds``.
    """

    transaction_hash: Hash
    block_number: int
    block_hash: Hash
    activates_at_seconds: int
    is_objected: bool = False


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A drafted statement; ``settlement`` None until its submission is final on chain."""

    statement: Statement
    reason: DraftReason
    created_at_ms: int
    settlement: Settlement | None

    @property
    def is_objected(self) -> bool:
        """Whether the advertiser has objected to it."""
        return self.settlement is not None and self.settlement.is_objected

    @property
    def is_last(self) -> bool:
        """Whether no statement follows: it was signed as final and nobody has objected to it."""
        return self.statement.is_final and not self.is_objected


@dataclass(frozen=True, slots=True)
class AttestorSetRow:
    """A version of an attestor set; ``attestors`` ascending, ``threshold`` of them must sign."""

    attestor_set: int
    version: int
    threshold: int
    attestors: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class CosignatureRow:
    """A cosignature of the log at one size; time and signature as they stand in the note."""

    tree_size: int
    public_key: bytes
    timestamped_signature: bytes


@dataclass(frozen=True, slots=True)
class NewRequest:
    """Something to ask an attestor set to sign; ``digest`` is its EIP-712 digest.

    ``campaign`` and ``sequence`` are set for statements only. ``checkpoint`` is the log at the
    tree size in question.
    """

    kind: RequestKind
    attestor_set: int
    checkpoint: Checkpoint
    digest: Hash
    created_at_ms: int
    campaign: int | None = None
    sequence: int | None = None

    @property
    def subject(self) -> str:
        """What makes it unique."""
        if self.kind is RequestKind.CHECKPOINT:
            return f"checkpoint:{self.checkpoint.tree_size}"
        return f"statement:{self.campaign}:{self.sequence}"


@dataclass(frozen=True, slots=True)
class RequestRow(NewRequest):
    """A request as stored, with its number."""

    id: int = 0


@dataclass(frozen=True, slots=True)
class AttestationRow:
    """An attestor's answer: exactly one of ``signature`` and ``refusal`` is set."""

    request: int
    attestor: Address
    signature: bytes | None
    refusal: str | None
    answered_at_ms: int


@dataclass(frozen=True, slots=True)
class AnchorRow:
    """A checkpoint stored on chain, in a final block.

    ``gas_used`` is None when somebody else sent the transaction.
    """

    checkpoint: Checkpoint
    anchor_number: int
    transaction_hash: Hash
    block_number: int
    block_hash: Hash
    gas_used: int | None = None


@dataclass(frozen=True, slots=True)
class TransferRow:
    """Money that moved into or out of the escrow, in a final block.

    ``member`` is the publisher of a claim, the payee of a cut, else the advertiser; ``party`` the
    address on the other side; ``total_base_units`` the running total the contract announced (of
    bonds: what is held afterwards).
    """

    kind: TransferKind
    campaign: int
    member: int
    party: Address
    token: Address
    amount_base_units: int
    total_base_units: int
    transaction_hash: Hash
    block_number: int
    block_hash: Hash
    log_index: int
