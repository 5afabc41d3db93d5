"""Canonical JSON: one spelling, and every other is refused."""

from __future__ import annotations

import pytest

from adtally.errors import InvalidInput
from adtally.log.canonical_json import canonical_json, read_canonical_json


@pytest.mark.parametrize(
    ("document", "content"),
    [
        ({}, b"{}\n"),
        ({"b": 1, "a": [None, True, "x"]}, b'{"a":[null,true,"x"],"b":1}\n'),
        ('é\U0001f600\x07"\\/', '"é\U0001f600\\u0007\\"\\\\/"\n'.encode()),
        (2**300, str(2**300).encode() + b"\n"),
    ],
)
def test_canonical_json__of_a_document__is_read_again(document: object, content: bytes) -> None:
    assert canonical_json(document) == content
    assert read_canonical_json(content) == document


@pytest.mark.parametrize(
    "document", [0.5, {"a": [1.0]}, {1: 2}, b"x", "\ud800", (1,), {"\udc00": 1}]
)
def test_canonical_json__what_it_has_no_spelling_for__is_refused(document: object) -> None:
    with pytest.raises(InvalidInput):
        canonical_json(document)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"{}\n\n",
        b" {}\n",
        b"{ }\n",
        b'{"b":1,"a":2}\n',
        b'{"a":1,"a":1}\n',
        b'{"a":1.0}\n',
        b'{"a":1e2}\n',
        b'{"a":NaN}\n',
        b'"\\u00e9"\n',
        b'"\\/"\n',
        b"-0\n",
        b"01\n",
        b"[1,]\n",
        b"\xff\n",
        b"\xef\xbb\xbf{}\n",
        b'"\\ud800"\n',
        b"[" * 100_000,
        b"]" * 10 + b"[" * 100_000,
        b'{"":' * 100_000,
    ],
)
def test_read_canonical_json__any_other_spelling__is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_canonical_json(content)


def test_read_canonical_json__brackets_in_text__are_no_levels() -> None:
    document = {"text": "[" * 1000 + '\\"' + "{" * 1000, "levels": [[[{}]]]}
    assert read_canonical_json(canonical_json(document)) == document
