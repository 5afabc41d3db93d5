"""Typed fields out of JSON documents that somebody else wrote."""

from __future__ import annotations

from collections.abc import Mapping

from adtally.errors import InvalidInput


class Fields:
    """A JSON object whose fields are taken out by name and type.

    Args:
        document: what was decoded.
        what: what the document should be, for error messages.
    """

    def __init__(self, document: object, what: str) -> None:
        if not isinstance(document, Mapping):
            raise _wrong(what, what, "a JSON object", document)
        self._document = document
        self._what = what

    def names(self) -> list[str]:
        """The names of all fields, in the document's order."""
        return [str(name) for name in self._document]

    def has_value(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._document.get(name) is not None

    def integer(self, name: str) -> int:
        """A JSON integer, or a decimal string (how money travels)."""
        value = self._value(name)
        # No field holds more digits (uint256), and much longer ones Python refuses to read.
        if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) <= 78:
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(self._what, name, "an integer", value)
        return value

    def text(self, name: str) -> str:
        value = self._value(name)
        if not isinstance(value, str):
            raise _wrong(self._what, name, "a string", value)
        return value

    def boolean(self, name: str) -> bool:
        value = self._value(name)
        if not isinstance(value, bool):
            raise _wrong(self._what, name, "true or false", value)
        return value

    def octets(self, name: str, size: int | None = None) -> bytes:
        """Bytes written in hex, with or without 0x."""
        return octets_from_hex(self._value(name), name, self._what, size)

    def items(self, name: str) -> list[object]:
        value = self._value(name)
        if not isinstance(value, list):
            raise _wrong(self._what, name, "a list", value)
        return value

    def hashes(self, name: str) -> list[bytes]:
        """A list of 32-byte hashes in hex."""
        return [octets_from_hex(each, name, self._what, 32) for each in self.items(name)]

    def inner(self, name: str) -> Fields:
        return Fields(self._value(name), f"{self._what}.{name}")

    def inners(self, name: str) -> list[Fields]:
        return [Fields(each, f"{self._what}.{name}") for each in self.items(name)]

    def _value(self, name: str) -> object:
        if name not in self._document:
            raise _wrong(self._what, name, "a value", None)
        return self._document[name]


def octets_from_hex(value: object, name: str, what: str, size: int | None) -> bytes:
    """Bytes of a hex string; raises InvalidInput on anything else or another size."""
    expected = "hex" if size is None else f"{size} bytes in hex"
    if not isinstance(value, str):
        raise _wrong(what, name, expected, value)
    try:
        raw = bytes.fromhex(value.removeprefix("0x"))
    except ValueError:
        raise _wrong(what, name, expected, value) from None
    if size is not None and len(raw) != size:
        raise _wrong(what, name, expected, f"{len(raw)} bytes")
    return raw


def _wrong(what: str, name: str, expected: str, found: object) -> InvalidInput:
    return InvalidInput(
        f"the {what} document is malformed",
        field=name,
        expected=expected,
        found="nothing" if found is None else repr(found)[:80],
    )
