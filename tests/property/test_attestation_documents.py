"""Documents of attestors: what is written is read back, and what is not is refused as such."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtally.attestation.answers import Domains, Signed, SignedRefusal
from adtally.attestation.documents import (
    checkpoint_json,
    line_json,
    parse_checkpoint,
    parse_line,
    parse_refusal,
    parse_statement,
    refusal_json,
    statement_json,
)
from adtally.attestation.judgement import require_complete, whole_entries
from adtally.errors import AdtallyError, InvalidInput, VerificationFailed
from adtally.events.attested import MAX_REFUSAL_TEXT, Refusal, refusal_message, shortened
from adtally.events.signature import address_of, sign
from adtally.types import (
    UINT32_MAX,
    UINT64_MAX,
    UINT128_MAX,
    Checkpoint,
    Counts,
    Line,
    LogIdentity,
    Statement,
)
from support.attestor_scene import two_batches
from support.world import World

DOMAINS = Domains(LogIdentity(31337, b"\x11" * 20), b"\x22" * 20)
KEY = b"\x07" * 32

uint32s = st.integers(0, UINT32_MAX)
uint64s = st.integers(0, UINT64_MAX)
uint128s = st.integers(0, UINT128_MAX)
hashes = st.binary(min_size=32, max_size=32)
counts = st.builds(Counts, uint64s, uint64s, uint64s, uint64s)
checkpoints = st.builds(Checkpoint, uint64s, hashes)
statements = st.builds(
    Statement, uint32s, uint32s, uint64s, uint128s, counts, uint64s, hashes, st.booleans()
)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=80)
names = texts.filter(lambda text: text.strip())
refusals = st.builds(Refusal, hashes, names, texts, texts, texts, uint64s)
garbage: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=8,
)


@given(checkpoints, statements, st.builds(Line, uint32s, counts, uint128s), refusals)
def test_documents__written_and_read__are_the_same(
    checkpoint: Checkpoint, statement: Statement, line: Line, refusal: Refusal
) -> None:
    def through_json(document: object) -> Any:
        return json.loads(json.dumps(document))

    assert parse_checkpoint(through_json(checkpoint_json(checkpoint))) == checkpoint
    assert parse_statement(through_json(statement_json(statement))) == statement
    assert parse_line(through_json(line_json(line))) == line
    assert parse_refusal(through_json(refusal_json(refusal))) == refusal


@given(st.one_of(checkpoints, statements), refusals)
def test_signed__written_and_read__verifies_and_no_other_does(
    content: Checkpoint | Statement, refusal: Refusal
) -> None:
    signed = Signed(content, address_of(KEY), sign(DOMAINS.digest(content), KEY))
    assert DOMAINS.read_signed(signed.to_json()) == signed
    digest = refusal_message(DOMAINS.identity, refusal).digest
    refused = SignedRefusal(refusal, address_of(KEY), sign(digest, KEY))
    assert DOMAINS.read_refusal(refused.to_json()) == refused
    for document, read in (
        (signed.to_json(), DOMAINS.read_signed),
        (refused.to_json(), DOMAINS.read_refusal),
    ):
        document["attestor"] = "0x" + "01" * 20
        with pytest.raises(VerificationFailed):
            read(document)


@given(garbage)
def test_documents__garbage__is_an_invalid_input(document: object) -> None:
    for read in (
        parse_checkpoint,
        parse_statement,
        parse_line,
        parse_refusal,
        DOMAINS.read_signed,
        DOMAINS.read_refusal,
    ):
        with pytest.raises(AdtallyError):
            read(document)  # type: ignore[operator]


@given(st.text())
def test_shortened__any_text__fits_a_refusal(text: str) -> None:
    short = shortened(text)
    assert len(short) <= MAX_REFUSAL_TEXT
    Refusal(bytes(32), "check", short, short, short, 1).require_short()
    short.encode()


class _Stored:
    def __init__(self, entries: list[bytes]) -> None:
        self._entries = entries

    def entries(self, start: int, end: int) -> list[bytes]:
        return self._entries[start:end]


def test_complete__every_size_of_a_log__is_told_apart_both_ways() -> None:
    entries, _ = two_batches(World())
    facts = len(entries) - 10
    ends = {*range(facts + 1), facts + 5, facts + 10}
    for size in range(len(entries) + 1):
        assert whole_entries(entries[:size]) == max(end for end in ends if end <= size)
        if size in ends:
            require_complete(_Stored(entries), size)
        else:
            with pytest.raises(VerificationFailed):
                require_complete(_Stored(entries), size)


def test_refusal__too_much_text__is_refused() -> None:
    for place in ("x" * (MAX_REFUSAL_TEXT + 1), "a\0b"):
        with pytest.raises(InvalidInput):
            Refusal(bytes(32), "check", place, "", "", 1).require_short()
