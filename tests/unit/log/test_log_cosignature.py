"""Cosignatures: C2SP's example, vectors, and everything that is none."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from adtally.errors import InvalidInput, VerificationFailed
from adtally.log.checkpoint import (
    NoteSignature,
    NoteSigner,
    NoteVerifier,
    SignedNote,
    format_checkpoint,
    open_checkpoint,
    sign_checkpoint,
)
from adtally.log.cosignature import (
    CosignatureVerifier,
    Cosigner,
    cosigner_name,
    timestamp_of,
    with_cosignatures,
)
from adtally.types import Checkpoint

ORIGIN = "adtally/31337/0x1111111111111111111111111111111111111111"
CHECKPOINT = Checkpoint(700, bytes(range(32)))
SECONDS = 1_700_000_000
LOG = NoteSigner(ORIGIN, b"\x07" * 32)
COSIGNER = Cosigner(cosigner_name(ORIGIN, b"\xaa" * 20), b"\x08" * 32)
VECTORS = json.loads(Path("docs/spec/vectors/log.json").read_text())

# The example of C2SP tlog-cosignature: a note with the line of a witness.
C2SP_LINE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2"
    "oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
)


@pytest.fixture
def note() -> SignedNote:
    line = COSIGNER.cosign(CHECKPOINT, origin=ORIGIN, timestamp_seconds=SECONDS)
    return SignedNote.from_bytes(with_cosignatures(sign_checkpoint(LOG, CHECKPOINT), [line]))


def test_line__of_the_specifications_example__has_its_time() -> None:
    signature = NoteSignature.parse(C2SP_LINE)
    assert signature.line() == C2SP_LINE + "\n"
    assert timestamp_of(signature.signature) == 1_679_315_147


def test_cosign__then_verify__tells_the_time(note: SignedNote) -> None:
    assert COSIGNER.verifier.timestamp_seconds(note) == SECONDS
    verifiers = [LOG.verifier, COSIGNER.verifier]
    assert open_checkpoint(note.to_bytes(), verifiers, origin=ORIGIN) == CHECKPOINT


def test_cosignature__of_the_vectors__is_made_and_verified() -> None:
    vector = VECTORS["cosignature"]
    verifier = CosignatureVerifier.parse(vector["verifier"])
    note = SignedNote.from_bytes(vector["note"].encode())
    assert verifier.timestamp_seconds(note) == vector["timestamp_seconds"]
    cosigner = Cosigner(verifier.name, bytes.fromhex(vector["private_key"][2:]))
    root = bytes.fromhex(VECTORS["roots"][9][2:])
    line = cosigner.cosign(
        Checkpoint(9, root),
        origin=verifier.name.partition("/attestors/")[0],
        timestamp_seconds=vector["timestamp_seconds"],
    )
    assert line == note.signatures[-1]
    assert str(cosigner.verifier) == vector["verifier"]


def test_verifier__of_each_kind__refuses_the_other() -> None:
    with pytest.raises(InvalidInput, match="algorithm 1"):
        NoteVerifier.parse(str(COSIGNER.verifier))
    with pytest.raises(InvalidInput, match="algorithm 4"):
        CosignatureVerifier.parse(str(LOG.verifier))


def test_key__used_for_both_kinds__has_two_ids() -> None:
    signer = NoteSigner("name", b"\x08" * 32)
    assert signer.verifier.public_key == COSIGNER.verifier.public_key
    assert CosignatureVerifier("name", signer.verifier.public_key).key_id != signer.verifier.key_id


@pytest.mark.parametrize("at", [0, 7, 8, 71])
def test_verify__one_bit_flipped__fails(note: SignedNote, at: int) -> None:
    log, line = note.signatures
    changed = bytearray(line.signature)
    changed[at] ^= 1
    forged = NoteSignature(line.name, line.key_id, bytes(changed))
    with pytest.raises(VerificationFailed):
        COSIGNER.verifier.verify(SignedNote(note.text, (log, forged)))


@pytest.mark.parametrize(
    "text",
    [
        format_checkpoint(ORIGIN, Checkpoint(701, CHECKPOINT.root_hash)),
        format_checkpoint(ORIGIN, Checkpoint(700, bytes(32))),
        format_checkpoint(ORIGIN + "x", CHECKPOINT),
        format_checkpoint(ORIGIN, CHECKPOINT) + "extension\n",
    ],
)
def test_verify__another_text__fails(note: SignedNote, text: str) -> None:
    with pytest.raises(VerificationFailed):
        COSIGNER.verifier.verify(SignedNote(text, note.signatures))


@pytest.mark.parametrize("length", [0, 8, 64, 71, 73])
def test_verify__another_length__fails(note: SignedNote, length: int) -> None:
    line = note.signatures[1]
    forged = NoteSignature(line.name, line.key_id, line.signature.ljust(80, b"\0")[:length])
    with pytest.raises(VerificationFailed, match="8 bytes of time"):
        COSIGNER.verifier.verify(SignedNote(note.text, (forged,)))


def test_verify__not_cosigned__fails() -> None:
    note = SignedNote.from_bytes(sign_checkpoint(LOG, CHECKPOINT))
    with pytest.raises(VerificationFailed, match="not signed by this key"):
        COSIGNER.verifier.timestamp_seconds(note)


def test_plain_signature__under_the_cosigners_name__does_not_pass_for_one() -> None:
    """An Ed25519 signature over the bare text says nothing of a time, and is none."""
    bare = NoteSigner(COSIGNER.verifier.name, b"\x08" * 32).sign(
        format_checkpoint(ORIGIN, CHECKPOINT)
    )
    line = NoteSignature(
        COSIGNER.verifier.name, COSIGNER.verifier.key_id, bytes(8) + bare.signatures[0].signature
    )
    with pytest.raises(VerificationFailed):
        COSIGNER.verifier.verify(SignedNote(bare.text, (line,)))


@pytest.mark.parametrize("seconds", [-1, 2**63])
def test_cosign__a_time_out_of_range__is_refused(seconds: int) -> None:
    with pytest.raises(InvalidInput):
        COSIGNER.cosign(CHECKPOINT, origin=ORIGIN, timestamp_seconds=seconds)


def test_verify__a_time_over_63_bits__fails(note: SignedNote) -> None:
    line = note.signatures[1]
    forged = NoteSignature(line.name, line.key_id, b"\x80" + line.signature[1:])
    with pytest.raises(VerificationFailed, match="2\\*\\*63"):
        COSIGNER.verifier.verify(SignedNote(note.text, (forged,)))


@pytest.mark.parametrize("line", ["", "- a b", "— a", "— a b", "— a+b AAAAAAA=", f"{C2SP_LINE}\n"])
def test_line__malformed__is_refused(line: str) -> None:
    with pytest.raises(InvalidInput):
        NoteSignature.parse(line)


def test_cosigner__key_of_another_length__is_refused() -> None:
    with pytest.raises(InvalidInput):
        Cosigner("name", bytes(31))
    assert base64.b64decode(str(COSIGNER.verifier).split("+", 2)[2])[:1] == b"\x04"
