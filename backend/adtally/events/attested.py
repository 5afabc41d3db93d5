"""What an attestor's key signs, as one value: digest, signed bytes, and typed data for wallets.

A key in memory needs the digest alone. An external signer wants the message in the form of
``eth_signTypedData_v4``, or the bytes whose keccak256 is the digest; both are made here, so that
nobody signs what was not computed from the same fields.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from adtally.errors import InvalidInput
from adtally.events import eip712
from adtally.types import Address, Checkpoint, Counts, Hash, LogIdentity, Statement

MAX_REFUSAL_TEXT = 500
"""Characters of each text in a refusal."""

_TYPE = re.compile(r"(?P<name>\w+)\((?P<fields>.*)\)\Z")
_DOMAIN_FIELDS = (
    ("string", "name"),
    ("string", "version"),
    ("uint256", "chainId"),
    ("address", "verifyingContract"),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an attestor does not sign.

    Attributes:
        digest: the EIP-712 digest of the checkpoint or statement that was asked for.
        check: what failed, e.g. ``root_hash``, ``verdict``, ``facts``, ``statement``.
        place: where, in words: a tree size, an entry, a field of the statement.
        expected: what this attestor has computed.
        found: what it was given.
        refused_at_ms: when, by its own clock.
    """

    digest: Hash
    check: str
    place: str
    expected: str
    found: str
    refused_at_ms: int

    def __str__(self) -> str:
        return f"{self.check}, {self.place}: expected {self.expected}, found {self.found}"

    def texts(self) -> tuple[str, str, str, str]:
        return self.check, self.place, self.expected, self.found

    def require_short(self) -> None:
        """Raises InvalidInput where a text is too long, or has bytes that no page should show."""
        for name, text in zip(("check", "place", "expected", "found"), self.texts(), strict=True):
            if len(text) > MAX_REFUSAL_TEXT or "\0" in text:
                raise InvalidInput(
                    "a refusal says in a few words what differs",
                    field=f"refusal.{name}",
                    expected=f"at most {MAX_REFUSAL_TEXT} characters of text",
                    found=f"{len(text)} characters",
                )
        if not self.check.strip():
            raise InvalidInput("a refusal names its check", field="refusal.check")


def shortened(text: str) -> str:
    """What of a text fits a refusal."""
    clean = text.replace("\0", " ").encode("utf-8", "replace").decode()
    return clean if len(clean) <= MAX_REFUSAL_TEXT else clean[: MAX_REFUSAL_TEXT - 1] + "…"


@dataclass(frozen=True, slots=True)
class Message:
    """One EIP-712 message: domain, type, values in the type's order, and its struct hash."""

    domain_name: str
    chain_id: int
    contract: Address
    type: str
    values: tuple[int | bool | bytes | str, ...]
    struct_hash: Hash

    @property
    def signed_bytes(self) -> bytes:
        """The 66 bytes whose keccak256 is the digest."""
        domain = eip712.domain_separator(self.domain_name, self.chain_id, self.contract)
        return eip712.signed_bytes(domain, self.struct_hash)

    @property
    def digest(self) -> Hash:
        return keccak(self.signed_bytes)

    def typed_data(self) -> dict[str, Any]:
        """As ``eth_signTypedData_v4`` takes it."""
        match = _TYPE.match(self.type)
        assert match is not None, "types are written in eip712.py"
        fields = [tuple(field.split(" ")) for field in match["fields"].split(",")]
        return {
            "types": {
                "EIP712Domain": [{"type": kind, "name": name} for kind, name in _DOMAIN_FIELDS],
                match["name"]: [{"type": kind, "name": name} for kind, name in fields],
            },
            "primaryType": match["name"],
            "domain": {
                "name": self.domain_name,
                "version": eip712.DOMAIN_VERSION,
                "chainId": self.chain_id,
                "verifyingContract": f"0x{self.contract.hex()}",
            },
            "message": {
                name: _json_value(value)
                for (_, name), value in zip(fields, self.values, strict=True)
            },
        }


def _json_value(value: int | bool | bytes | str) -> bool | str:
    if isinstance(value, bool | str):
        return value
    # Numbers as text: a uint128 is more than JSON readers keep exact.
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)


def checkpoint_message(identity: LogIdentity, checkpoint: Checkpoint) -> Message:
    """A checkpoint, for an anchor."""
    return Message(
        eip712.LOG_DOMAIN_NAME,
        identity.chain_id,
        identity.event_log,
        eip712.CHECKPOINT_TYPE,
        (checkpoint.tree_size, checkpoint.root_hash),
        eip712.checkpoint_hash(checkpoint),
    )


def statement_message(chain_id: int, escrow: Address, statement: Statement) -> Message:
    """A statement, for a settlement."""
    counts: Counts = statement.counts
    return Message(
        eip712.ESCROW_DOMAIN_NAME,
        chain_id,
        escrow,
        eip712.STATEMENT_TYPE,
        (
            statement.campaign,
            statement.sequence,
            statement.tree_size,
            statement.lines_total_base_units,
            counts.impressions,
            counts.viewables,
            counts.clicks,
            counts.conversions,
            statement.corrections,
            statement.lines_root,
            statement.is_final,
        ),
        eip712.statement_hash(statement),
    )


def refusal_message(identity: LogIdentity, refusal: Refusal) -> Message:
    """A refusal, for everybody to read."""
    return Message(
        eip712.LOG_DOMAIN_NAME,
        identity.chain_id,
        identity.event_log,
        eip712.REFUSAL_TYPE,
        (refusal.digest, *refusal.texts(), refusal.refused_at_ms),
        eip712.refusal_hash(refusal.digest, *refusal.texts(), refusal.refused_at_ms),
    )


def cosigner_key_message(
    identity: LogIdentity, attestor: Address, public_key: bytes, declared_at_ms: int
) -> Message:
    """The Ed25519 key that an attestor cosigns notes with."""
    return Message(
        eip712.LOG_DOMAIN_NAME,
        identity.chain_id,
        identity.event_log,
        eip712.COSIGNER_KEY_TYPE,
        (attestor, public_key, declared_at_ms),
        eip712.cosigner_key_hash(attestor, public_key, declared_at_ms),
    )


def read_grant_message(
    identity: LogIdentity, signer: Address, member: int, expires_at_seconds: int
) -> Message:
    """A grant to read a log that is not open to everybody."""
    return Message(
        eip712.LOG_DOMAIN_NAME,
        identity.chain_id,
        identity.event_log,
        eip712.READ_GRANT_TYPE,
        (signer, member, expires_at_seconds),
        eip712.read_grant_hash(signer, member, expires_at_seconds),
    )
