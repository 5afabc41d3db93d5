"""Signatures and refusals of attestors, our own and others', as they are kept and published.

Everything in here was verified: a signature recovers to its attestor over exactly the checkpoint
or statement it stands with, a refusal is signed by the one who refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adtally.attestation.documents import (
    checkpoint_json,
    parse_checkpoint,
    parse_refusal,
    parse_statement,
    refusal_json,
    statement_json,
)
from adtally.attestation.journal import Journal
from adtally.attestation.signing_record import checkpoint_subject, statement_subject
from adtally.errors import AdtallyError, InvalidInput, StorageCorrupt
from adtally.events.attested import Message, Refusal, checkpoint_message, refusal_message
from adtally.events.attested import statement_message as _statement_message
from adtally.events.signature import require_signer
from adtally.types import Address, Checkpoint, Hash, LogIdentity, Statement


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint or a statement, and one attestor's signature over it."""

    content: Checkpoint | Statement
    attestor: Address
    signature: bytes

    @property
    def subject(self) -> str:
        return subject_of(self.content)

    def to_json(self) -> dict[str, Any]:
        """As it is published: ``checkpoint`` or ``statement``, attestor, signature."""
        is_checkpoint = isinstance(self.content, Checkpoint)
        return {
            "checkpoint" if is_checkpoint else "statement": content_json(self.content),
            "attestor": f"0x{self.attestor.hex()}",
            "signature": f"0x{self.signature.hex()}",
        }


@dataclass(frozen=True, slots=True)
class SignedRefusal:
    """A refusal, who refuses, and its signature."""

    refusal: Refusal
    attestor: Address
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        """As it is published."""
        return refusal_json(self.refusal) | {
            "attestor": f"0x{self.attestor.hex()}",
            "signature": f"0x{self.signature.hex()}",
        }


def content_json(content: Checkpoint | Statement) -> dict[str, Any]:
    """A checkpoint or a statement as the API has it."""
    if isinstance(content, Checkpoint):
        return checkpoint_json(content)
    return statement_json(content)


def subject_of(content: Checkpoint | Statement) -> str:
    """The name under which an attestor signs one such thing."""
    if isinstance(content, Checkpoint):
        return checkpoint_subject(content.tree_size)
    return statement_subject(content.campaign, content.sequence)


class Domains:
    """What signatures of one deployment are bound to."""

    def __init__(self, identity: LogIdentity, escrow: Address) -> None:
        self.identity = identity
        self.escrow = escrow

    def message(self, content: Checkpoint | Statement) -> Message:
        """What is signed for a checkpoint or a statement."""
        if isinstance(content, Checkpoint):
            return checkpoint_message(self.identity, content)
        return _statement_message(self.identity.chain_id, self.escrow, content)

    def digest(self, content: Checkpoint | Statement) -> Hash:
        return self.message(content).digest

    def read_signed(self, document: object) -> Signed:
        """Parse and verify what ``Signed.to_json`` writes.

        Raises:
            InvalidInput: malformed.
            VerificationFailed: the signature is not the attestor's.
        """
        raw = _object(document)
        if ("checkpoint" in raw) == ("statement" in raw):
            raise InvalidInput(
                "not a signed checkpoint or statement",
                expected="exactly one of checkpoint and statement",
                found=", ".join(map(str, raw))[:80],
            )
        content: Checkpoint | Statement
        if "checkpoint" in raw:
            content = parse_checkpoint(raw["checkpoint"])
        else:
            content = parse_statement(raw["statement"])
        signed = Signed(content, *_signer(raw))
        what = "checkpoint" if isinstance(content, Checkpoint) else "statement"
        require_signer(self.digest(content), signed.signature, signed.attestor, what)
        return signed

    def read_refusal(self, document: object) -> SignedRefusal:
        """Parse and verify what ``SignedRefusal.to_json`` writes; raises as ``read_signed``."""
        raw = _object(document)
        refusal = parse_refusal(raw)
        signed = SignedRefusal(refusal, *_signer(raw))
        digest = refusal_message(self.identity, refusal).digest
        require_signer(digest, signed.signature, signed.attestor, "refusal")
        return signed


def _object(document: object) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise InvalidInput("not a JSON object", found=repr(document)[:80])
    return document


def _signer(raw: Mapping[str, Any]) -> tuple[Address, bytes]:
    try:
        attestor = bytes.fromhex(raw["attestor"].removeprefix("0x"))
        signature = bytes.fromhex(raw["signature"].removeprefix("0x"))
        if len(attestor) != 20:
            raise ValueError(f"an address of {len(attestor)} bytes")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InvalidInput(
            "attestor or signature is malformed", expected="0x hex", found=repr(error)
        ) from None
    return attestor, signature


class AnswerBook:
    """The journal of what attestors answered; each thing once.

    In memory it takes a few hundred bytes an answer: an anchor or a statement and an attestor.
    """

    def __init__(self, path: Path, domains: Domains) -> None:
        self._domains = domains
        self._signatures: dict[Hash, dict[Address, Signed]] = {}
        self._of_attestor: dict[Address, list[Signed]] = {}
        self._refusals: dict[tuple[Address, Hash, str], SignedRefusal] = {}
        self._journal = Journal(path)
        for number, line in enumerate(self._journal.lines):
            try:
                document = json.loads(line)
                if "check" in document:
                    self._keep_refusal(domains.read_refusal(document))
                else:
                    self._keep(domains.read_signed(document))
            except (ValueError, TypeError, AdtallyError) as error:
                raise StorageCorrupt(
                    "the journal of answers is damaged",
                    field=f"{path}, line {number + 1}",
                    expected="a signed answer in JSON",
                    found=str(error),
                    action="restore the file, or delete it: peers and chain are asked again",
                ) from None

    def add(self, signed: Signed) -> bool:
        """Keep a verified signature, durably; False if it is there already."""
        if signed.attestor in self._signatures.get(self._domains.digest(signed.content), ()):
            return False
        self._journal.append(json.dumps(signed.to_json()).encode())
        self._keep(signed)
        return True

    def add_refusal(self, refusal: SignedRefusal) -> bool:
        """Keep a verified refusal, durably; False if the attestor has refused for the same reason
        before.
        """
        if _refusal_key(refusal) in self._refusals:
            return False
        self._journal.append(json.dumps(refusal.to_json()).encode())
        self._keep_refusal(refusal)
        return True

    def signatures(self, content: Checkpoint | Statement) -> dict[Address, bytes]:
        """The signatures over exactly this, by attestor."""
        found = self._signatures.get(self._domains.digest(content), {})
        return {attestor: signed.signature for attestor, signed in found.items()}

    def all_signed(self, attestor: Address, after: int = 0) -> list[Signed]:
        """An attestor's signatures in the order they came, but for the first ``after``."""
        return self._of_attestor.get(attestor, [])[after:]

    def refusals(self) -> list[SignedRefusal]:
        """Every refusal, in the order they came."""
        return list(self._refusals.values())

    def close(self) -> None:
        """Give up the file."""
        self._journal.close()

    def _keep(self, signed: Signed) -> None:
        digest = self._domains.digest(signed.content)
        self._signatures.setdefault(digest, {})[signed.attestor] = signed
        self._of_attestor.setdefault(signed.attestor, []).append(signed)

    def _keep_refusal(self, refusal: SignedRefusal) -> None:
        self._refusals[_refusal_key(refusal)] = refusal


def _refusal_key(refusal: SignedRefusal) -> tuple[Address, Hash, str]:
    return refusal.attestor, refusal.refusal.digest, refusal.refusal.check
