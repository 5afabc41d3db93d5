"""Cosignatures of the log's notes: this attestor's own line under what it has verified wholly.

A cosignature vouches for a root as a signature for an anchor does, so it obeys the same record: one
root for a size, noted before it is made.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from adtally.attestation.answers import Domains
from adtally.attestation.signing_record import SigningRecord, checkpoint_subject
from adtally.attestor.keystore import require_private
from adtally.attestor.signers import AttestorSigner
from adtally.attestor.sources import LogSource
from adtally.chain.files import write_atomically
from adtally.errors import AdtallyError, InvalidInput
from adtally.events.attested import cosigner_key_message
from adtally.events.cosigner_key import CosignerKey
from adtally.log.cosignature import Cosigner, cosigner_name, with_cosignatures
from adtally.types import Checkpoint

logger = logging.getLogger(__name__)

EVERY_SECONDS = 30.0
"""At most so often: each cosignature is a line in the record for ever."""


class Cosigning:
    """Cosigns notes, keeps the newest cosigned one, and hands cosignatures to the operator.

    Args:
        folder: of the attestor; holds the Ed25519 seed, made at the first start.
    """

    def __init__(
        self,
        folder: Path,
        signer: AttestorSigner,
        record: SigningRecord,
        domains: Domains,
        origin: str,
        operator: LogSource,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._signer = signer
        self._record = record
        self._domains = domains
        self._origin = origin
        self._operator = operator
        self._monotonic = monotonic
        self._due_at = 0.0
        self._cosigner = Cosigner(cosigner_name(origin, signer.address), _seed(folder))
        self._is_declared = False

    @property
    def note(self) -> bytes | None:
        """The newest note with the operator's signature and this attestor's."""
        path = self._folder / "cosigned-checkpoint"
        return path.read_bytes() if path.exists() else None

    async def cosign(self, note: bytes, tip: Checkpoint) -> None:
        """Cosign a note of which every entry is verified and stored, if it is time for it.

        Raises:
            Conflict: another root was signed for this size.
        """
        if not self._record.is_confirmed or self._monotonic() < self._due_at or not tip.tree_size:
            return
        self._due_at = self._monotonic() + EVERY_SECONDS
        self._record.note(checkpoint_subject(tip.tree_size), self._domains.digest(tip))
        line = self._cosigner.cosign(tip, origin=self._origin, timestamp_seconds=int(time.time()))
        cosigned = with_cosignatures(note, [line])
        write_atomically(self._folder / "cosigned-checkpoint", cosigned)
        try:
            await self._declare()
            await self._operator.client.post_cosignature(tip, line)
        except AdtallyError as error:
            logger.info("the operator did not take a cosignature: %s", error)

    async def _declare(self) -> None:
        """Bind the Ed25519 key to the attestor's, once for all."""
        if self._is_declared:
            return
        path = self._folder / "cosigner.json"
        key = self._declared(path)
        if key is None:
            unsigned = CosignerKey(
                self._signer.address,
                self._cosigner.verifier.public_key,
                int(time.time() * 1000),
                bytes(65),
            )
            message = cosigner_key_message(
                self._domains.identity,
                unsigned.attestor,
                unsigned.public_key,
                unsigned.declared_at_ms,
            )
            signature = await self._signer.sign(message)
            key = CosignerKey(
                unsigned.attestor, unsigned.public_key, unsigned.declared_at_ms, signature
            )
            document = {"declared_at_ms": key.declared_at_ms, "signature": signature.hex()}
            write_atomically(path, json.dumps(document).encode())
        await self._operator.client.declare_cosigner(key)
        self._is_declared = True

    def _declared(self, path: Path) -> CosignerKey | None:
        try:
            raw = json.loads(path.read_text())
            return CosignerKey(
                self._signer.address,
                self._cosigner.verifier.public_key,
                int(raw["declared_at_ms"]),
                bytes.fromhex(raw["signature"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _seed(folder: Path) -> bytes:
    path = folder / "cosigner.key"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
    require_private(path)
    try:
        return bytes.fromhex(path.read_text().strip())
    except ValueError:
        raise InvalidInput(
            "the cosigner's key is damaged",
            field=str(path),
            expected="32 bytes in hex",
            action="delete it: another is made and declared",
        ) from None
