"""EIP-712 digests of everything that is signed, computed directly.

``eth_account.messages.encode_typed_data`` gives the same bytes (a test holds them together) at
sixty times the cost. Every type string of the system stands in this file and in
``docs/spec/signatures.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from eth_utils import keccak

from adtally.types import Address, Checkpoint, Hash, LogIdentity, Statement

EVENT_BATCH_TYPE = (
    "EventBatch(address signer,uint32 member,uint64 sequence,uint32 count,bytes32 recordsHash)"
)
RECEIPT_TYPE = (
    "Receipt(uint32 member,uint64 sequence,bytes32 recordsHash,uint64 firstIndex,uint32 count,"
    "uint64 treeSize,bytes32 rootHash,uint64 anchorDeadline)"
)
DECLARATION_TYPE = (
    "Declaration(address signer,uint8 kind,bool active,uint32 member,uint32 campaign,"
    "uint32 publisher,uint32 item,uint64 declaredAtMs,string detail)"
)
CHECKPOINT_TYPE = "Checkpoint(uint64 treeSize,bytes32 rootHash)"
STATEMENT_TYPE = (
    "Statement(uint32 campaign,uint32 sequence,uint64 treeSize,uint128 linesTotal,"
    "uint64 impressions,uint64 viewables,uint64 clicks,uint64 conversions,bytes32 linesRoot,"
    "bool isFinal)"
)
SUCCESSOR_TYPE = (
    "AttestorSetSuccessor(uint32 set,uint32 version,uint8 threshold,bytes32 attestorsHash)"
)

LOG_DOMAIN_NAME = "adtally EventLog"
ESCROW_DOMAIN_NAME = "adtally CampaignEscrow"
MEMBERSHIP_DOMAIN_NAME = "adtally Membership"
DOMAIN_VERSION = "1"

_DOMAIN_TYPEHASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_EVENT_BATCH_TYPEHASH = keccak(EVENT_BATCH_TYPE.encode())
_RECEIPT_TYPEHASH = keccak(RECEIPT_TYPE.encode())
_DECLARATION_TYPEHASH = keccak(DECLARATION_TYPE.encode())
_CHECKPOINT_TYPEHASH = keccak(CHECKPOINT_TYPE.encode())
_STATEMENT_TYPEHASH = keccak(STATEMENT_TYPE.encode())


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _address(value: Address) -> bytes:
    return value.rjust(32, b"\0")


@lru_cache(maxsize=64)
def domain_separator(name: str, chain_id: int, contract: Address) -> Hash:
    """The EIP-712 domain separator of one of our contracts."""
    return keccak(
        _DOMAIN_TYPEHASH
        + keccak(name.encode())
        + keccak(DOMAIN_VERSION.encode())
        + _word(chain_id)
        + _address(contract)
    )


def log_domain(identity: LogIdentity) -> Hash:
    """The domain of batches, receipts, declarations and checkpoints."""
    return domain_separator(LOG_DOMAIN_NAME, identity.chain_id, identity.event_log)


def escrow_domain(chain_id: int, escrow: Address) -> Hash:
    """The domain of statements."""
    return domain_separator(ESCROW_DOMAIN_NAME, chain_id, escrow)


def _digest(domain: Hash, struct_hash: Hash) -> Hash:
    return keccak(b"\x19\x01" + domain + struct_hash)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The operator's promise for one batch, given after its bytes are on disk.

    ``first_index`` is the leaf index of the batch's envelope; its records follow at
    ``first_index + 1`` to ``first_index + count``. ``tree_size`` and ``root_hash`` are the log's
    after the group commit. An anchor of at least ``tree_size`` will be on chain by
    ``anchor_deadline_seconds`` (UTC).
    """

    member: int
    sequence: int
    records_hash: Hash
    first_index: int
    count: int
    tree_size: int
    root_hash: Hash
    anchor_deadline_seconds: int


def event_batch_digest(
    domain: Hash, signer: Address, member: int, sequence: int, count: int, records_hash: Hash
) -> Hash:
    """What the event key signs; ``records_hash`` is SHA-256 of the verdict-free records."""
    return _digest(
        domain,
        keccak(
            _EVENT_BATCH_TYPEHASH
            + _address(signer)
            + _word(member)
            + _word(sequence)
            + _word(count)
            + records_hash
        ),
    )


def receipt_digest(domain: Hash, receipt: Receipt) -> Hash:
    """What the operator's receipt key signs."""
    return _digest(
        domain,
        keccak(
            _RECEIPT_TYPEHASH
            + _word(receipt.member)
            + _word(receipt.sequence)
            + receipt.records_hash
            + _word(receipt.first_index)
            + _word(receipt.count)
            + _word(receipt.tree_size)
            + receipt.root_hash
            + _word(receipt.anchor_deadline_seconds)
        ),
    )


def declaration_digest(
    domain: Hash,
    signer: Address,
    kind: int,
    active: bool,
    member: int,
    campaign: int,
    publisher: int,
    item: int,
    declared_at_ms: int,
    detail: str,
) -> Hash:
    """What a member's event key signs to register a placement, creative or allowlist entry."""
    return _digest(
        domain,
        keccak(
            _DECLARATION_TYPEHASH
            + _address(signer)
            + _word(kind)
            + _word(int(active))
            + _word(member)
            + _word(campaign)
            + _word(publisher)
            + _word(item)
            + _word(declared_at_ms)
            + keccak(detail.encode())
        ),
    )


def checkpoint_digest(domain: Hash, checkpoint: Checkpoint) -> Hash:
    """What attestors sign for an anchor."""
    return _digest(
        domain,
        keccak(_CHECKPOINT_TYPEHASH + _word(checkpoint.tree_size) + checkpoint.root_hash),
    )


def statement_digest(domain: Hash, statement: Statement) -> Hash:
    """What attestors sign for a settlement; ``domain`` is the escrow's."""
    counts = statement.counts
    return _digest(
        domain,
        keccak(
            _STATEMENT_TYPEHASH
            + _word(statement.campaign)
            + _word(statement.sequence)
            + _word(statement.tree_size)
            + _word(statement.lines_total_base_units)
            + _word(counts.impressions)
            + _word(counts.viewables)
            + _word(counts.clicks)
            + _word(counts.conversions)
            + statement.lines_root
            + _word(int(statement.is_final))
        ),
    )
