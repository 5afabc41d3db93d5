"""Signed checkpoints: the C2SP text, its vectors, and everything that is not one."""

from __future__ import annotations

import base64

import pytest

from adtally.errors import InvalidInput, VerificationFailed
from adtally.log.checkpoint import (
    NoteSigner,
    NoteVerifier,
    SignedNote,
    format_checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from adtally.rfc9162 import EMPTY_ROOT
from adtally.types import Checkpoint

ORIGIN = "adtally/31337/0x5fbdb2315678afecb367f032d93f642f64180aa3"
CHECKPOINT = Checkpoint(20_852_163, bytes(range(32)))

# golang.org/x/mod/sumdb/note, package documentation: the key and the note of the example.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
    "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


@pytest.fixture
def signer() -> NoteSigner:
    return NoteSigner(ORIGIN, bytes(range(32)))


@pytest.fixture
def note(signer: NoteSigner) -> bytes:
    return sign_checkpoint(signer, CHECKPOINT)


def test_note__of_the_go_implementation__verifies() -> None:
    note = SignedNote.from_bytes(GO_NOTE.encode())
    NoteVerifier.parse(GO_KEY).verify(note)
    assert note.to_bytes() == GO_NOTE.encode()


def test_format_checkpoint__three_lines__as_c2sp_writes_them() -> None:
    root = base64.b64encode(CHECKPOINT.root_hash).decode()
    assert format_checkpoint(ORIGIN, CHECKPOINT) == f"{ORIGIN}\n20852163\n{root}\n"


def test_checkpoint__signed_and_opened__is_the_same(signer: NoteSigner, note: bytes) -> None:
    assert open_checkpoint(note, [signer.verifier], origin=ORIGIN) == CHECKPOINT
    assert SignedNote.from_bytes(note).to_bytes() == note


@pytest.mark.parametrize("size", [0, 1, 2**64 - 1])
def test_checkpoint__extreme_sizes__round_trip(size: int) -> None:
    checkpoint = Checkpoint(size, EMPTY_ROOT)
    assert parse_checkpoint(format_checkpoint(ORIGIN, checkpoint)) == (ORIGIN, checkpoint)


def test_parse_checkpoint__extension_lines__passed_over() -> None:
    text = format_checkpoint(ORIGIN, CHECKPOINT) + "extension\n"
    assert parse_checkpoint(text) == (ORIGIN, CHECKPOINT)


def test_checkpoint__cosigned__both_must_have_signed(signer: NoteSigner, note: bytes) -> None:
    attestor = NoteSigner("attestor-1", b"\x07" * 32)
    text = format_checkpoint(ORIGIN, CHECKPOINT)
    both = SignedNote(text, signer.sign(text).signatures + attestor.sign(text).signatures)
    verifiers = [signer.verifier, attestor.verifier]
    assert open_checkpoint(both.to_bytes(), verifiers, origin=ORIGIN) == CHECKPOINT
    with pytest.raises(VerificationFailed):
        open_checkpoint(note, verifiers, origin=ORIGIN)


def test_checkpoint__every_single_bit_flip__refused(signer: NoteSigner, note: bytes) -> None:
    for bit in range(len(note) * 8):
        changed = bytearray(note)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((InvalidInput, VerificationFailed)):
            open_checkpoint(bytes(changed), [signer.verifier], origin=ORIGIN)


def test_checkpoint__cut_anywhere__refused(signer: NoteSigner, note: bytes) -> None:
    for length in range(len(note)):
        with pytest.raises(InvalidInput):
            open_checkpoint(note[:length], [signer.verifier], origin=ORIGIN)


def test_checkpoint__of_another_log__refused(signer: NoteSigner, note: bytes) -> None:
    with pytest.raises(VerificationFailed) as caught:
        open_checkpoint(note, [signer.verifier], origin="another log")
    assert caught.value.field == "origin"


def test_checkpoint__by_another_key_of_the_same_name__refused(note: bytes) -> None:
    other = NoteSigner(ORIGIN, b"\x01" * 32)
    with pytest.raises(VerificationFailed):
        open_checkpoint(note, [other.verifier], origin=ORIGIN)


def test_checkpoint__one_right_and_one_wrong_signature_of_a_key__refused(
    signer: NoteSigner,
) -> None:
    text = format_checkpoint(ORIGIN, CHECKPOINT)
    right = signer.sign(text).signatures[0]
    wrong = signer.sign(text + "more\n").signatures[0]
    note = SignedNote(text, (right, wrong)).to_bytes()
    with pytest.raises(VerificationFailed):
        open_checkpoint(note, [signer.verifier], origin=ORIGIN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "origin\n",
        "origin\n1\n",
        "origin\n01\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n-1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n+1\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n\N{ARABIC-INDIC DIGIT ONE}\n" + base64.b64encode(bytes(32)).decode() + "\n",
        f"origin\n{2**64}\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "origin\n1\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "origin\n1\n" + base64.b64encode(bytes(32)).decode().rstrip("=") + "\n",
        "origin\n1\n" + base64.urlsafe_b64encode(b"\xff" * 32).decode() + "\n",
        "origin\n1\nnot base64\n",
        "origin\n1\n" + base64.b64encode(bytes(32)).decode(),
        "\n1\n" + base64.b64encode(bytes(32)).decode() + "\n",
    ],
)
def test_parse_checkpoint__malformed__refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\n",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash\n",
        "text\n\n— name\n".encode(),
        "text\n\n— name AAAA\n".encode(),
        "text\n\n— na me AAAAAAAA\n".encode(),
        "text\n\n— name AAAAAAAA".encode(),
        "text\r\n\n— name AAAAAAAA\n".encode(),
        "text\n\n— name AAAAAAAB==\n".encode(),
        b"\xff\xfe\n\n",
        b"x" * 70_000,
        ("text\n\n" + "— name AAAAAAAA\n" * 101).encode(),
    ],
)
def test_note__malformed__refused(note: bytes) -> None:
    with pytest.raises(InvalidInput):
        SignedNote.from_bytes(note)


def test_note_verifier__as_text__round_trip(signer: NoteSigner) -> None:
    parsed = NoteVerifier.parse(str(signer.verifier))
    assert (parsed.name, parsed.key_id) == (signer.name, signer.verifier.key_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+c74f20a3",
        "name+c74f20a3+AAAA",
        GO_KEY.replace("c74f20a3", "c74f20a4"),
        GO_KEY.replace("ARpc", "AhpC"),
        GO_KEY.replace("PeterNeumann", "Peter Neumann"),
        GO_KEY + "=",
    ],
)
def test_note_verifier__malformed__refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        NoteVerifier.parse(text)


def test_note_signer__key_of_wrong_length__refused() -> None:
    with pytest.raises(InvalidInput):
        NoteSigner(ORIGIN, b"short")
