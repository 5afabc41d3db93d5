"""The one spelling of a published JSON document (``docs/spec/log.md``, Static layout).

Keys sorted by code point, no spaces, UTF-8 with nothing escaped that need not be, integers only,
one newline at the end. So a document is changed if a byte of it is.
"""

from __future__ import annotations

import json
import re
from typing import NoReturn

from adtally.errors import InvalidInput

_MAX_DEPTH = 64
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def canonical_json(document: object) -> bytes:
    """The document's bytes.

    Raises:
        InvalidInput: it holds a float, a lone surrogate, or what JSON does not know.
    """
    _check(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:
        raise _not_canonical("Unicode text", "a lone surrogate") from None


def read_canonical_json(content: bytes) -> object:
    """The document of these bytes.

    Raises:
        InvalidInput: they are not what ``canonical_json`` would write.
    """
    require_shallow(content)
    try:
        document: object = json.loads(
            content, parse_float=_no_float, parse_constant=_no_float, object_pairs_hook=_no_twins
        )
    except ValueError:
        raise _not_canonical("JSON in UTF-8", repr(content[:40])) from None
    if canonical_json(document) != content:
        raise _not_canonical("sorted keys, no spaces, one newline at the end", "another spelling")
    return document


def require_shallow(content: bytes) -> None:
    """Refuse JSON that could exhaust a parser's stack: a library raises Python's own limit so far
    that the process dies before it is reached.

    Raises:
        InvalidInput: objects and lists are nested more than 64 deep.
    """
    depth = 0
    for bracket in _STRING.sub(b"", content).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > _MAX_DEPTH:
            raise _not_canonical(f"at most {_MAX_DEPTH} levels", "more")


def _check(value: object) -> None:
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise _not_canonical("strings as keys", repr(key)[:40])
            _check(each)
    elif isinstance(value, list):
        for each in value:
            _check(each)
    elif not (value is None or isinstance(value, str | bool | int)):
        raise _not_canonical("objects, lists, strings, integers, true, false, null", repr(value))


def _no_float(text: str) -> NoReturn:
    raise ValueError(text)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key twice")
    return document


def _not_canonical(expected: str, found: str) -> InvalidInput:
    return InvalidInput(
        "not a canonical JSON document", field="document", expected=expected, found=found
    )
