"""EIP-712 digests of everything that is signed, computed directly.

``eth_account.messages.encode_typed_data`` gives the same bytes (a test holds them together) at
sixty times the cost. Every type string of the system stands in this file and in
``docs/spec/signatures.md``. Every function here raises InvalidInput when a value does not fit its
Solidity type: such a digest could be signed, but no contract would ever compute it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from eth_hash.auto import keccak

from adtally.errors import InvalidInput
from adtally.events.checks import check_size, check_uint
from adtally.types import Address, Checkpoint, Hash, LogIdentity, Statement

EVENT_BATCH_TYPE = (
    "EventBatch(address signer,uint32 member,uint64 sequence,uint32 count,bytes32 recordsRoot)"
)
RECEIPT_TYPE = (
    "Receipt(uint32 member,uint64 sequence,bytes32 recordsRoot,uint64 firstIndex,uint32 count,"
    "uint64 treeSize,bytes32 rootHash,uint64 anchorDeadline)"
)
DECLARATION_TYPE = (
    "Declaration(address signer,uint8 kind,bool active,uint32 member,uint32 campaign,"
    "uint32 publisher,uint32 item,uint64 declaredAtMs,string detail)"
)
CORRECTION_TYPE = "Correction(address signer,uint64 index,int8 change,uint8 reason,string detail)"
CHECKPOINT_TYPE = "Checkpoint(uint64 treeSize,bytes32 rootHash)"
STATEMENT_TYPE = (
    "Statement(uint32 campaign,uint32 sequence,uint64 treeSize,uint128 linesTotal,"
    "uint64 impressions,uint64 viewables,uint64 clicks,uint64 conversions,uint64 corrections,"
    "bytes32 linesRoot,bool isFinal)"
)
SUCCESSOR_TYPE = (
    "AttestorSetSuccessor(uint32 set,uint32 version,uint8 threshold,bytes32 attestorsHash)"
)
REFUSAL_TYPE = (
    "Refusal(bytes32 digest,string check,string place,string expected,string found,"
    "uint64 refusedAtMs)"
)
COLLECTOR_KEY_TYPE = (
    "CollectorKeyRequest(address signer,uint8 kind,uint32 member,uint32 campaign,"
    "uint32 placement,uint32 creative,uint64 requestedAtMs)"
)
COSIGNER_KEY_TYPE = "CosignerKey(address attestor,bytes32 publicKey,uint64 declaredAtMs)"
READ_GRANT_TYPE = "ReadGrant(address signer,uint32 member,uint64 expiresAtSeconds)"

LOG_DOMAIN_NAME = "adtally EventLog"
ESCROW_DOMAIN_NAME = "adtally CampaignEscrow"
DOMAIN_VERSION = "1"

_DOMAIN_TYPEHASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_EVENT_BATCH_TYPEHASH = keccak(EVENT_BATCH_TYPE.encode())
_RECEIPT_TYPEHASH = keccak(RECEIPT_TYPE.encode())
_DECLARATION_TYPEHASH = keccak(DECLARATION_TYPE.encode())
_CORRECTION_TYPEHASH = keccak(CORRECTION_TYPE.encode())
_CHECKPOINT_TYPEHASH = keccak(CHECKPOINT_TYPE.encode())
_STATEMENT_TYPEHASH = keccak(STATEMENT_TYPE.encode())
_SUCCESSOR_TYPEHASH = keccak(SUCCESSOR_TYPE.encode())
_REFUSAL_TYPEHASH = keccak(REFUSAL_TYPE.encode())
_COLLECTOR_KEY_TYPEHASH = keccak(COLLECTOR_KEY_TYPE.encode())
_COSIGNER_KEY_TYPEHASH = keccak(COSIGNER_KEY_TYPE.encode())
_READ_GRANT_TYPEHASH = keccak(READ_GRANT_TYPE.encode())


def _uint(field: str, value: int, bits: int) -> bytes:
    check_uint(field, value, bits)
    return value.to_bytes(32, "big")


def _int8(field: str, value: int) -> bytes:
    if not -128 <= value <= 127:
        raise InvalidInput(
            f"{field} is out of range", field=field, expected="-128 to 127", found=str(value)
        )
    return value.to_bytes(32, "big", signed=True)


def _bytes32(field: str, value: Hash) -> bytes:
    check_size(field, value, 32)
    return value


def _address(field: str, value: Address) -> bytes:
    check_size(field, value, 20)
    return value.rjust(32, b"\0")


def _text(field: str, value: str) -> bytes:
    """Hash of a string; one half of a surrogate pair has no UTF-8 and is refused."""
    try:
        return keccak(value.encode())
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{field} is not text", field=field, expected="Unicode text", found="a lone surrogate"
        ) from None


@lru_cache(maxsize=64)
def domain_separator(name: str, chain_id: int, contract: Address) -> Hash:
    """The EIP-712 domain separator of one of our contracts."""
    return keccak(
        _DOMAIN_TYPEHASH
        + keccak(name.encode())
        + keccak(DOMAIN_VERSION.encode())
        + _uint("chain_id", chain_id, 256)
        + _address("contract", contract)
    )


def log_domain(identity: LogIdentity) -> Hash:
    """The domain of all types but statements."""
    return domain_separator(LOG_DOMAIN_NAME, identity.chain_id, identity.event_log)


def escrow_domain(chain_id: int, escrow: Address) -> Hash:
    """The domain of statements."""
    return domain_separator(ESCROW_DOMAIN_NAME, chain_id, escrow)


def _digest(domain: Hash, struct_hash: Hash) -> Hash:
    return keccak(signed_bytes(domain, struct_hash))


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
    records_root: Hash
    first_index: int
    count: int
    tree_size: int
    root_hash: Hash
    anchor_deadline_seconds: int


def event_batch_digest(
    domain: Hash, signer: Address, member: int, sequence: int, count: int, records_root: Hash
) -> Hash:
    """What the event key signs; ``records_root`` is the tree root over the verdict-free records."""
    return _digest(
        domain,
        keccak(
            _EVENT_BATCH_TYPEHASH
            + _address("signer", signer)
            + _uint("member", member, 32)
            + _uint("sequence", sequence, 64)
            + _uint("count", count, 32)
            + _bytes32("records_root", records_root)
        ),
    )


def receipt_digest(domain: Hash, receipt: Receipt) -> Hash:
    """What the operator's receipt key signs."""
    return _digest(
        domain,
        keccak(
            _RECEIPT_TYPEHASH
            + _uint("member", receipt.member, 32)
            + _uint("sequence", receipt.sequence, 64)
            + _bytes32("records_root", receipt.records_root)
            + _uint("first_index", receipt.first_index, 64)
            + _uint("count", receipt.count, 32)
            + _uint("tree_size", receipt.tree_size, 64)
            + _bytes32("root_hash", receipt.root_hash)
            + _uint("anchor_deadline_seconds", receipt.anchor_deadline_seconds, 64)
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
            + _address("signer", signer)
            + _uint("kind", kind, 8)
            + _uint("active", int(active), 1)
            + _uint("member", member, 32)
            + _uint("campaign", campaign, 32)
            + _uint("publisher", publisher, 32)
            + _uint("item", item, 32)
            + _uint("declared_at_ms", declared_at_ms, 64)
            + _text("detail", detail)
        ),
    )


def correction_digest(
    domain: Hash, signer: Address, index: int, change: int, reason: int, detail: str
) -> Hash:
    """What the operator's event key signs to have a correction entered."""
    return _digest(
        domain,
        keccak(
            _CORRECTION_TYPEHASH
            + _address("signer", signer)
            + _uint("index", index, 64)
            + _int8("change", change)
            + _uint("reason", reason, 8)
            + _text("detail", detail)
        ),
    )


def collector_key_digest(
    domain: Hash,
    signer: Address,
    kind: int,
    member: int,
    campaign: int,
    placement: int,
    creative: int,
    requested_at_ms: int,
) -> Hash:
    """What a member's event key signs to be given a key of the collector."""
    return _digest(
        domain,
        keccak(
            _COLLECTOR_KEY_TYPEHASH
            + _address("signer", signer)
            + _uint("kind", kind, 8)
            + _uint("member", member, 32)
            + _uint("campaign", campaign, 32)
            + _uint("placement", placement, 32)
            + _uint("creative", creative, 32)
            + _uint("requested_at_ms", requested_at_ms, 64)
        ),
    )


def cosigner_key_digest(
    domain: Hash, attestor: Address, public_key: bytes, declared_at_ms: int
) -> Hash:
    """What an attestor signs to declare the Ed25519 key that it cosigns checkpoint notes with."""
    return _digest(domain, cosigner_key_hash(attestor, public_key, declared_at_ms))


def cosigner_key_hash(attestor: Address, public_key: bytes, declared_at_ms: int) -> Hash:
    """The EIP-712 struct hash of a cosigner's key."""
    return keccak(
        _COSIGNER_KEY_TYPEHASH
        + _address("attestor", attestor)
        + _bytes32("public_key", public_key)
        + _uint("declared_at_ms", declared_at_ms, 64)
    )


def read_grant_digest(domain: Hash, signer: Address, member: int, expires_at_seconds: int) -> Hash:
    """What a member's event key, or an attestor's key, signs to be let read."""
    return _digest(domain, read_grant_hash(signer, member, expires_at_seconds))


def read_grant_hash(signer: Address, member: int, expires_at_seconds: int) -> Hash:
    """The EIP-712 struct hash of a grant to read."""
    return keccak(
        _READ_GRANT_TYPEHASH
        + _address("signer", signer)
        + _uint("member", member, 32)
        + _uint("expires_at_seconds", expires_at_seconds, 64)
    )


def checkpoint_hash(checkpoint: Checkpoint) -> Hash:
    """The EIP-712 struct hash of a checkpoint."""
    return keccak(
        _CHECKPOINT_TYPEHASH
        + _uint("tree_size", checkpoint.tree_size, 64)
        + _bytes32("root_hash", checkpoint.root_hash)
    )


def checkpoint_digest(domain: Hash, checkpoint: Checkpoint) -> Hash:
    """What attestors sign for an anchor."""
    return _digest(domain, checkpoint_hash(checkpoint))


def statement_hash(statement: Statement) -> Hash:
    """The EIP-712 struct hash of a statement."""
    counts = statement.counts
    return keccak(
        _STATEMENT_TYPEHASH
        + _uint("campaign", statement.campaign, 32)
        + _uint("sequence", statement.sequence, 32)
        + _uint("tree_size", statement.tree_size, 64)
        + _uint("lines_total_base_units", statement.lines_total_base_units, 128)
        + _uint("impressions", counts.impressions, 64)
        + _uint("viewables", counts.viewables, 64)
        + _uint("clicks", counts.clicks, 64)
        + _uint("conversions", counts.conversions, 64)
        + _uint("corrections", statement.corrections, 64)
        + _bytes32("lines_root", statement.lines_root)
        + _uint("is_final", int(statement.is_final), 1)
    )


def statement_digest(domain: Hash, statement: Statement) -> Hash:
    """What attestors sign for a settlement; ``domain`` is the escrow's."""
    return _digest(domain, statement_hash(statement))


def refusal_hash(
    refused: Hash, check: str, place: str, expected: str, found: str, refused_at_ms: int
) -> Hash:
    """The EIP-712 struct hash of a refusal; ``refused`` is the digest that was not signed."""
    return keccak(
        _REFUSAL_TYPEHASH
        + _bytes32("digest", refused)
        + _text("check", check)
        + _text("place", place)
        + _text("expected", expected)
        + _text("found", found)
        + _uint("refused_at_ms", refused_at_ms, 64)
    )


def signed_bytes(domain: Hash, struct_hash: Hash) -> bytes:
    """The 66 bytes whose keccak256 is the digest."""
    return b"\x19\x01" + domain + struct_hash


def successor_digest(
    domain: Hash, attestor_set: int, version: int, threshold: int, attestors: Sequence[Address]
) -> Hash:
    """What a quorum of an attestor set signs to name its next ``version``.

    ``domain`` is the log's; ``attestorsHash`` is keccak256(abi.encode(attestors)).
    """
    attestors_hash = keccak(
        (32).to_bytes(32, "big")
        + len(attestors).to_bytes(32, "big")
        + b"".join(_address("attestors", attestor) for attestor in attestors)
    )
    return _digest(
        domain,
        keccak(
            _SUCCESSOR_TYPEHASH
            + _uint("set", attestor_set, 32)
            + _uint("version", version, 32)
            + _uint("threshold", threshold, 8)
            + attestors_hash
        ),
    )
