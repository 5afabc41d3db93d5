"""Values shared by every room. No behaviour beyond construction, no I/O.

Units: money is ``int`` in base units of the campaign's token; *milli* amounts are thousandths
of a base unit (rates are per mille impressions, so a milli amount is always exact). Times are
``int`` UTC milliseconds or seconds, named so. Hashes are 32 raw bytes; addresses are 20 raw
bytes inside the program and EIP-55 strings only at its edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NewType

MemberId = NewType("MemberId", int)
CampaignId = NewType("CampaignId", int)
LeafIndex = NewType("LeafIndex", int)
TreeSize = NewType("TreeSize", int)

Address = bytes
"""20 raw bytes."""

Hash = bytes
"""32 raw bytes."""

UINT32_MAX = 2**32 - 1
UINT48_MAX = 2**48 - 1
UINT64_MAX = 2**64 - 1
UINT80_MAX = 2**80 - 1
UINT128_MAX = 2**128 - 1


class Role(IntEnum):
    """What a member may do; each value is the role's mask in the member's bit set on chain."""

    ADVERTISER = 1
    PUBLISHER = 2
    INTERMEDIARY = 4
    """An agency or platform that may be named as the payee of a cut."""
    COLLECTOR = 8
    """Batches single hits and signs them as itself."""
    OPERATOR = 16


class GoalType(IntEnum):
    """Which count, if any, triggers a settlement."""

    NONE = 0
    IMPRESSIONS = 1
    VIEWABLES = 2
    CLICKS = 3
    CONVERSIONS = 4


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """What every signature is bound to: the chain, and the contract that anchors this log."""

    chain_id: int
    event_log: Address


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size (number of entries) and RFC 9162 root hash of the log at one moment."""

    tree_size: int
    root_hash: Hash


@dataclass(frozen=True, slots=True)
class Counts:
    """Billable (accepted) events of one line or campaign, cumulative; each fits uint64."""

    impressions: int = 0
    viewables: int = 0
    clicks: int = 0
    conversions: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.impressions + other.impressions,
            self.viewables + other.viewables,
            self.clicks + other.clicks,
            self.conversions + other.conversions,
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of an order in base units; each fits uint80.

    Impressions and viewables are priced per mille (1,000 events), clicks and conversions each.
    """

    per_mille_impressions: int = 0
    per_mille_viewables: int = 0
    per_click: int = 0
    per_conversion: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """An intermediary's share, in basis points (1/10,000) charged on top of the lines."""

    member: int
    basis_points: int


@dataclass(frozen=True, slots=True)
class Terms:
    """A campaign's terms as written into the escrow; they never change.

    Durations are seconds; ``settle_threshold_base_units`` 0 means no threshold and
    ``goal_type`` NONE means no count goal. ``holdback_basis_points`` (1/10,000) of every line and
    cut are paid only when the campaign closes. An objection costs ``objection_bond_base_units``
    unless it leads to a correction.
    """

    token: Address
    flight_start_seconds: int
    flight_end_seconds: int
    late_window_seconds: int
    correction_window_seconds: int
    dispute_window_seconds: int
    grace_seconds: int
    notice_seconds: int
    attestor_set: int
    holdback_basis_points: int
    objection_bond_base_units: int
    goal_type: GoalType
    goal_count: int
    settle_threshold_base_units: int
    cuts: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """What one publisher is owed in one statement, cumulative over the campaign."""

    publisher: int
    counts: Counts
    amount_base_units: int


@dataclass(frozen=True, slots=True)
class Statement:
    """What a campaign owes over the log's first ``tree_size`` entries, cumulative.

    ``lines_root`` commits to every line; ``lines_total_base_units`` is the sum of the lines'
    floored amounts; ``counts`` the sum of the lines' counts; ``corrections`` how many corrections
    in the log these lines contain.
    """

    campaign: int
    sequence: int
    tree_size: int
    lines_total_base_units: int
    counts: Counts
    corrections: int
    lines_root: Hash
    is_final: bool


@dataclass(frozen=True, slots=True)
class ChainLog:
    """One log (Solidity event) of a contract, raw, at its place in the chain."""

    block_number: int
    block_hash: Hash
    transaction_hash: Hash
    log_index: int
    address: Address
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class BlockStamp:
    """A block that reads are pinned to."""

    number: int
    hash: Hash
    timestamp_seconds: int


class OutboxState(IntEnum):
    """Where a transaction stands. Only QUEUED -> SUBMITTED -> MINED -> FINAL | FAILED moves
    forward; a reorg moves MINED back to SUBMITTED or QUEUED; FINAL is never withdrawn.
    """

    QUEUED = 1
    """Nothing signed yet."""
    SUBMITTED = 2
    """A signed transaction is stored; it may or may not have reached the chain."""
    MINED = 3
    """The effect stands in a block that a reorg could still remove."""
    FINAL = 4
    """The effect stands in a final block."""
    FAILED = 5
    """The contract refuses it; ``error`` says why. Only a person or job can queue it anew."""

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction for a row; several share a nonce when fees were bumped.

    ``is_filler`` marks a transfer of nothing to ourselves that only uses up a nonce below ours,
    so that a transaction signed before a reorg can be mined again. Fees are wei per gas.
    """

    nonce: int
    max_fee_wei: int
    priority_fee_wei: int
    raw: bytes
    hash: Hash
    signed_at_ms: int
    is_filler: bool = False


@dataclass(frozen=True, slots=True)
class NewTransaction:
    """What is asked for: one effect on the chain. ``effect_key`` is unique for ever.

    ``gas`` is the gas limit, or None to estimate.
    """

    effect_key: str
    purpose: str
    sender: Address
    to: Address
    data: bytes
    gas: int | None
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One effect and everything that was done for it.

    ``block_number``/``block_hash`` are set in MINED and FINAL (and in FAILED if it was mined).
    ``transaction_hash`` is the attempt that was mined, None when somebody else brought about
    the effect. ``gas_used`` belongs to that attempt. ``error`` is the latest trouble, if any.
    """

    id: int
    effect_key: str
    purpose: str
    sender: Address
    to: Address
    data: bytes
    gas: int | None
    created_at_ms: int
    state: OutboxState = OutboxState.QUEUED
    attempts: tuple[Attempt, ...] = ()
    transaction_hash: Hash | None = None
    block_number: int | None = None
    block_hash: Hash | None = None
    gas_used: int | None = None
    error: str | None = None
