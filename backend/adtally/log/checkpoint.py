"""Checkpoints as C2SP signed notes (tlog-checkpoint, signed-note), signed with Ed25519.

The text is three lines: origin, tree size in decimal, root hash in base64. A blank line and one
signature line per signer follow. Existing tlog clients read these notes unchanged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from adtally.errors import InvalidInput, VerificationFailed
from adtally.rfc9162 import HASH_SIZE
from adtally.types import UINT64_MAX, Checkpoint

_KEY_SIZE = 32
_KEY_ID_SIZE = 4
_SIGNATURE_PREFIX = "\N{EM DASH} "
_NAME = re.compile(r"[^\s+]+\Z")
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,19})\Z")

MAX_NOTE_BYTES = 65_536
MAX_SIGNATURES = 100


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who, under which key, and the bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        encoded = base64.b64encode(self.key_id + self.signature).decode("ascii")
        return f"{_SIGNATURE_PREFIX}{self.name} {encoded}\n"

    @staticmethod
    def parse(line: str) -> NoteSignature:
        """A signature line, without its newline; raises InvalidInput."""
        name, separator, encoded = line.removeprefix(_SIGNATURE_PREFIX).partition(" ")
        if not line.startswith(_SIGNATURE_PREFIX) or not separator or not _NAME.match(name):
            raise _malformed("a signature line: dash, name, base64", repr(line[:80]))
        raw = _from_base64(encoded, "signature")
        if len(raw) <= _KEY_ID_SIZE:
            raise _malformed("a key hash of 4 bytes and a signature", f"{len(raw)} bytes")
        return NoteSignature(name, raw[:_KEY_ID_SIZE], raw[_KEY_ID_SIZE:])


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text (each of its lines ends in a newline) and the signatures over it."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """The note as it is published."""
        return (self.text + "\n" + "".join(each.line() for each in self.signatures)).encode()

    @staticmethod
    def from_bytes(note: bytes) -> SignedNote:
        """Parse; raises InvalidInput on anything ``to_bytes`` would not write."""
        if len(note) > MAX_NOTE_BYTES:
            raise _malformed(f"at most {MAX_NOTE_BYTES} bytes", f"{len(note)} bytes")
        try:
            text = note.decode()
        except UnicodeDecodeError:
            raise _malformed("UTF-8", "other bytes") from None
        if any((ord(char) < 0x20 and char != "\n") or char == "\x7f" for char in text):
            raise _malformed("no control characters but newlines", "another one")
        head, separator, tail = text.rpartition("\n\n")
        if not separator or not head or not tail.endswith("\n"):
            raise _malformed("a text, a blank line and signature lines", "no such parts")
        lines = tail[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise _malformed(f"at most {MAX_SIGNATURES} signatures", f"{len(lines)}")
        return SignedNote(head + "\n", tuple(NoteSignature.parse(line) for line in lines))


class NoteSigner:
    """An Ed25519 key under a name, as a signed note knows it.

    Args:
        name: the key name; for a log its origin. No spaces, no plus sign.
        private_key: the 32-byte Ed25519 seed.
    """

    def __init__(self, name: str, private_key: bytes) -> None:
        if len(private_key) != _KEY_SIZE:
            raise InvalidInput(
                "not an Ed25519 private key",
                field="private_key",
                expected=f"{_KEY_SIZE} bytes",
                found=f"{len(private_key)} bytes",
            )
        self._key = Ed25519PrivateKey.from_private_bytes(private_key)
        self.verifier = NoteVerifier(name, self._key.public_key().public_bytes_raw())

    @property
    def name(self) -> str:
        return self.verifier.name

    def sign(self, text: str) -> SignedNote:
        """Sign a text whose lines all end in a newline."""
        signature = self._key.sign(text.encode())
        return SignedNote(
            text, (NoteSignature(self.verifier.name, self.verifier.key_id, signature),)
        )


class NoteVerifier:
    """The public half of a ``NoteSigner``."""

    ALGORITHM: ClassVar[bytes] = b"\x01"
    """Goes into key id and verifier key; other kinds of signatures have other bytes."""

    def __init__(self, name: str, public_key: bytes) -> None:
        if not _NAME.match(name) or len(public_key) != _KEY_SIZE:
            raise InvalidInput(
                "not a note key",
                field="note_verifier",
                expected=f"a name without spaces or plus signs and {_KEY_SIZE} bytes of key",
                found=f"{name!r} and {len(public_key)} bytes",
            )
        self.name = name
        self.public_key = public_key
        digest = hashlib.sha256(name.encode() + b"\n" + self.ALGORITHM + public_key).digest()
        self.key_id = digest[:_KEY_ID_SIZE]

    def __str__(self) -> str:
        """The verifier key as C2SP writes it: ``name+hash+key``."""
        key = base64.b64encode(self.ALGORITHM + self.public_key).decode("ascii")
        return f"{self.name}+{self.key_id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``name+hash+key``.

        Raises:
            InvalidInput: malformed, another algorithm, or the hash is not that of the key.
        """
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        key = _from_base64(encoded, "note_verifier")
        if key[:1] != cls.ALGORITHM:
            expected = f"an Ed25519 key (algorithm {cls.ALGORITHM[0]})"
            raise _malformed_verifier(expected, key[:1].hex() or "nothing")
        verifier = cls(name, key[1:])
        if str(verifier) != text:
            raise _malformed_verifier(f"key hash {verifier.key_id.hex()}", repr(key_id))
        return verifier

    def verify(self, note: SignedNote) -> None:
        """Raises VerificationFailed unless this key signed the note's text.

        Signatures of other keys are left alone; one of this key that is wrong is never excused
        by another that is right.
        """
        mine = [
            each.signature
            for each in note.signatures
            if (each.name, each.key_id) == (self.name, self.key_id)
        ]
        if not mine:
            raise VerificationFailed(
                "the note is not signed by this key",
                field="checkpoint",
                expected=f"a signature by {self.name} ({self.key_id.hex()})",
                found=", ".join(sorted({each.name for each in note.signatures})),
            )
        for signature in mine:
            self._verify_one(signature, note.text)

    def _verify_one(self, signature: bytes, text: str) -> None:
        self._verify_message(signature, text.encode())

    def _verify_message(self, signature: bytes, message: bytes) -> None:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except InvalidSignature:
            raise VerificationFailed(
                "the note's signature does not verify",
                field="checkpoint",
                expected=f"an Ed25519 signature by {self.name} over the note's text",
                found=signature.hex(),
            ) from None


def format_checkpoint(origin: str, checkpoint: Checkpoint) -> str:
    """The text of a checkpoint, without signatures."""
    root = base64.b64encode(checkpoint.root_hash).decode("ascii")
    return f"{origin}\n{checkpoint.tree_size}\n{root}\n"


def parse_checkpoint(text: str) -> tuple[str, Checkpoint]:
    """Origin and checkpoint of a text; extension lines after the third are passed over.

    Raises:
        InvalidInput: anything else than the canonical three lines at its start.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise _malformed("origin, size and root hash, a line each", f"{len(lines) - 1} lines")
    origin, size_text, root_text = lines[:3]
    if not _DECIMAL.match(size_text) or int(size_text) > UINT64_MAX:
        raise _malformed("a tree size in decimal without leading zeros", repr(size_text))
    root = _from_base64(root_text, "root_hash")
    if len(root) != HASH_SIZE:
        raise _malformed(f"a root hash of {HASH_SIZE} bytes", f"{len(root)} bytes")
    return origin, Checkpoint(int(size_text), root)


def sign_checkpoint(signer: NoteSigner, checkpoint: Checkpoint) -> bytes:
    """The signed note of a log whose origin is the signer's name."""
    return signer.sign(format_checkpoint(signer.name, checkpoint)).to_bytes()


def open_checkpoint(note: bytes, verifiers: Sequence[NoteVerifier], *, origin: str) -> Checkpoint:
    """Parse a signed checkpoint and check its origin and the signature of every verifier.

    Raises:
        InvalidInput: it is no signed checkpoint.
        VerificationFailed: another origin, or a signature is missing or wrong.
    """
    signed = SignedNote.from_bytes(note)
    for verifier in verifiers:
        verifier.verify(signed)
    found, checkpoint = parse_checkpoint(signed.text)
    if found != origin:
        raise VerificationFailed(
            "the checkpoint is another log's", field="origin", expected=origin, found=found
        )
    return checkpoint


def _from_base64(text: str, field: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    # Padding bits can hide a second spelling of the same bytes; only one is canonical.
    if not raw or base64.b64encode(raw).decode("ascii") != text:
        raise InvalidInput(
            f"{field} is not canonical base64",
            field=field,
            expected="standard base64 with padding",
            found=repr(text[:80]),
        )
    return raw


def _malformed(expected: str, found: str) -> InvalidInput:
    return InvalidInput(
        "not a signed checkpoint", field="checkpoint", expected=expected, found=found
    )


def _malformed_verifier(expected: str, found: str) -> InvalidInput:
    return InvalidInput("not a note key", field="note_verifier", expected=expected, found=found)
