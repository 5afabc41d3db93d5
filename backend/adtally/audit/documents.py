"""Fields out of JSON that somebody else wrote; every mistake is an InvalidInput."""

from __future__ import annotations

from collections.abc import Mapping

from adtally.errors import InvalidInput
from adtally.types import Address, Counts, Hash


def field_in(document: object, name: str, what: str) -> object:
    """The value of a field; raises InvalidInput when it is missing."""
    if not isinstance(document, Mapping):
        raise _wrong(what, name, "a JSON object", document)
    if name not in document:
        raise _wrong(what, name, "this field", "nothing")
    value: object = document[name]
    return value


def object_in(document: object, name: str, what: str) -> Mapping[str, object]:
    """A JSON object."""
    value = field_in(document, name, what)
    if not isinstance(value, Mapping):
        raise _wrong(what, name, "a JSON object", value)
    return value


def list_in(document: object, name: str, what: str) -> list[object]:
    """A JSON list."""
    value = field_in(document, name, what)
    if not isinstance(value, list):
        raise _wrong(what, name, "a list", value)
    return value


def text_in(document: object, name: str, what: str) -> str:
    """A JSON string."""
    value = field_in(document, name, what)
    if not isinstance(value, str):
        raise _wrong(what, name, "a string", value)
    return value


def integer_in(document: object, name: str, what: str) -> int:
    """A natural number, as JSON integer or decimal string (as money travels)."""
    value = field_in(document, name, what)
    # No field holds more digits (uint256), and much longer ones Python refuses to read.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 78:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(what, name, "a natural number", value)
    return value


def bytes_in(document: object, name: str, what: str, size: int) -> bytes:
    """Bytes in hex, with or without 0x."""
    return hex_bytes(text_in(document, name, what), name, what, size)


def hex_bytes(value: object, name: str, what: str, size: int) -> bytes:
    """Bytes in hex, with or without 0x, of one length."""
    try:
        raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != size:
        raise _wrong(what, name, f"{size} bytes in hex", value)
    return raw


def address_in(document: object, name: str, what: str) -> Address:
    """An address in hex."""
    return bytes_in(document, name, what, 20)


def hash_in(document: object, name: str, what: str) -> Hash:
    """A hash in hex."""
    return bytes_in(document, name, what, 32)


def counts_in(document: object, name: str, what: str) -> Counts:
    """The four counts of a line or statement."""
    counts = object_in(document, name, what)
    return Counts(
        integer_in(counts, "impressions", what),
        integer_in(counts, "viewables", what),
        integer_in(counts, "clicks", what),
        integer_in(counts, "conversions", what),
    )


def _wrong(what: str, name: str, expected: str, found: object) -> InvalidInput:
    return InvalidInput(
        f"the {what} document is malformed",
        field=name,
        expected=expected,
        found=repr(found)[:200],
    )
