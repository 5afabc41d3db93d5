"""A published document's signature: a note beside it, by the key that signs checkpoints.

The log answers for itself by its tree; the documents beside it (deployment, statements, anchors)
are the operator's word. The note makes it a word that can be held against it, and a changed bit one
that is noticed. Layout: ``docs/spec/log.md``, Static layout.
"""

from __future__ import annotations

import base64
import hashlib

from adtally.errors import VerificationFailed
from adtally.log.checkpoint import NoteSigner, NoteVerifier, SignedNote

SUFFIX = ".note"
"""Appended to the document's path."""


def document_text(origin: str, path: str, content: bytes) -> str:
    """What is signed: whose document, which one, and SHA-256 of its bytes, a line each."""
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode("ascii")
    return f"{origin}/document\n{path}\n{digest}\n"


def sign_document(signer: NoteSigner, path: str, content: bytes) -> bytes:
    """The note for a document.

    Args:
        signer: the log's; its name is the origin.
        path: as in the static layout, e.g. ``statements/1/1.json``.
    """
    return signer.sign(document_text(signer.name, path, content)).to_bytes()


def verify_document(verifier: NoteVerifier, path: str, content: bytes, note: bytes) -> None:
    """Check that a note is this document's.

    Raises:
        InvalidInput: it is no signed note.
        VerificationFailed: it is of another document or other bytes, or not signed by the log.
    """
    signed = SignedNote.from_bytes(note)
    verifier.verify(signed)
    expected = document_text(verifier.name, path, content)
    if signed.text != expected:
        raise VerificationFailed(
            "the document is not the one that was signed",
            field=path,
            expected=expected.rstrip("\n").replace("\n", " "),
            found=signed.text.rstrip("\n").replace("\n", " "),
        )
