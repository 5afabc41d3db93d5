"""Cosignatures of checkpoint notes, C2SP tlog-cosignature v1 (timestamped Ed25519, type 0x04).

A cosignature says: at this time, the largest consistent tree that I know of this log has this size
and root. Attestors cosign what they have verified wholly. The signed message does not name the
signer, so a key must have one owner only.
"""

from __future__ import annotations

from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adtally.errors import InvalidInput, VerificationFailed
from adtally.log.checkpoint import NoteSignature, NoteVerifier, SignedNote, format_checkpoint
from adtally.types import Address, Checkpoint

MAX_TIMESTAMP = 2**63 - 1
_TIMESTAMP_BYTES = 8
_SIGNATURE_BYTES = 64
_SEED_BYTES = 32


def cosigner_name(origin: str, attestor: Address) -> str:
    """The key name of an attestor's cosignatures of the log with this origin."""
    return f"{origin}/attestors/0x{attestor.hex()}"


class CosignatureVerifier(NoteVerifier):
    """A cosigner's name and public key; verifies notes as a ``NoteVerifier`` does."""

    ALGORITHM: ClassVar[bytes] = b"\x04"

    def timestamp_seconds(self, note: SignedNote) -> int:
        """When the note was cosigned, UTC; the newest if several times.

        Raises:
            VerificationFailed: this key's cosignature is missing or wrong.
        """
        self.verify(note)
        return max(timestamp_of(each.signature) for each in note.signatures if self.made(each))

    def made(self, signature: NoteSignature) -> bool:
        """Whether a line claims to be this cosigner's."""
        return (signature.name, signature.key_id) == (self.name, self.key_id)

    def _verify_one(self, signature: bytes, text: str) -> None:
        seconds = timestamp_of(signature)
        self._verify_message(signature[_TIMESTAMP_BYTES:], _message(text, seconds))


class Cosigner:
    """An Ed25519 key that cosigns.

    Args:
        name: of ``cosigner_name``.
        private_key: the 32-byte Ed25519 seed, used for nothing else.
    """

    def __init__(self, name: str, private_key: bytes) -> None:
        if len(private_key) != _SEED_BYTES:
            raise InvalidInput(
                "not an Ed25519 private key",
                field="private_key",
                expected=f"{_SEED_BYTES} bytes",
                found=f"{len(private_key)} bytes",
            )
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self.verifier = CosignatureVerifier(name, self._key.public_key().public_bytes_raw())

    def cosign(
        self, checkpoint: Checkpoint, *, origin: str, timestamp_seconds: int
    ) -> NoteSignature:
        """The cosignature of a checkpoint that the caller has verified.

        Never of a smaller tree than before, never of two roots of one size: that is the caller's
        to remember.

        Args:
            checkpoint: what is cosigned.
            origin: of the log.
            timestamp_seconds: now, UTC.

        Raises:
            InvalidInput: the time is negative or over 2**63 - 1.
        """
        if not 0 <= timestamp_seconds <= MAX_TIMESTAMP:
            raise _bad_time(timestamp_seconds)
        message = _message(format_checkpoint(origin, checkpoint), timestamp_seconds)
        packed = timestamp_seconds.to_bytes(_TIMESTAMP_BYTES, "big")
        verifier = self.verifier
        return NoteSignature(verifier.name, verifier.key_id, packed + self._key.sign(message))


def with_cosignatures(note: bytes, cosignatures: list[NoteSignature]) -> bytes:
    """A signed note with more signature lines; none of them is checked here."""
    signed = SignedNote.from_bytes(note)
    return SignedNote(signed.text, (*signed.signatures, *cosignatures)).to_bytes()


def _message(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def timestamp_of(signature: bytes) -> int:
    """Seconds, UTC, of a timestamped signature; raises VerificationFailed."""
    if len(signature) != _TIMESTAMP_BYTES + _SIGNATURE_BYTES:
        raise VerificationFailed(
            "the cosignature does not verify",
            field="signature",
            expected=f"{_TIMESTAMP_BYTES} bytes of time and {_SIGNATURE_BYTES} of signature",
            found=f"{len(signature)} bytes",
        )
    seconds = int.from_bytes(signature[:_TIMESTAMP_BYTES], "big")
    if seconds > MAX_TIMESTAMP:
        raise VerificationFailed(
            "the cosignature does not verify",
            field="signature",
            expected="a time below 2**63 seconds",
            found=str(seconds),
        )
    return seconds


def _bad_time(seconds: int) -> InvalidInput:
    return InvalidInput(
        "not a time that can be cosigned",
        field="timestamp_seconds",
        expected="0 to 2**63 - 1 seconds",
        found=str(seconds),
    )
