"""Checkpoints, statements, lines and refusals in JSON: the forms of the API, both ways.

Money and counts may be decimal strings or integers when read; they are written as the API writes
them. Every mistake is an InvalidInput.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adtally.errors import InvalidInput
from adtally.events.attested import Refusal
from adtally.types import Checkpoint, Counts, Line, Statement

_COUNTS = ("impressions", "viewables", "clicks", "conversions")


def checkpoint_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Tree size and root hash."""
    return {"tree_size": checkpoint.tree_size, "root_hash": _hex(checkpoint.root_hash)}


def parse_checkpoint(document: object) -> Checkpoint:
    """What ``checkpoint_json`` writes."""
    raw = _object(document, "checkpoint")
    return Checkpoint(_integer(raw, "tree_size"), _octets(raw, "root_hash", 32))


def counts_json(counts: Counts) -> dict[str, int]:
    """The four counts."""
    return {name: getattr(counts, name) for name in _COUNTS}


def parse_counts(document: object) -> Counts:
    """What ``counts_json`` writes."""
    raw = _object(document, "counts")
    return Counts(*(_integer(raw, name) for name in _COUNTS))


def statement_json(statement: Statement) -> dict[str, Any]:
    """As in ``GET /v1/campaigns/{id}/statements``."""
    return {
        "campaign": statement.campaign,
        "sequence": statement.sequence,
        "tree_size": statement.tree_size,
        "lines_total_base_units": str(statement.lines_total_base_units),
        "counts": counts_json(statement.counts),
        "corrections": statement.corrections,
        "lines_root": _hex(statement.lines_root),
        "is_final": statement.is_final,
    }


def parse_statement(document: object) -> Statement:
    """What ``statement_json`` writes; further fields are passed over."""
    raw = _object(document, "statement")
    is_final = raw.get("is_final")
    if not isinstance(is_final, bool):
        raise _wrong("is_final", "true or false", is_final)
    return Statement(
        campaign=_integer(raw, "campaign"),
        sequence=_integer(raw, "sequence"),
        tree_size=_integer(raw, "tree_size"),
        lines_total_base_units=_integer(raw, "lines_total_base_units"),
        counts=parse_counts(raw.get("counts")),
        corrections=_integer(raw, "corrections"),
        lines_root=_octets(raw, "lines_root", 32),
        is_final=is_final,
    )


def line_json(line: Line) -> dict[str, Any]:
    """A line without its proof."""
    return {
        "publisher": line.publisher,
        "counts": counts_json(line.counts),
        "amount_base_units": str(line.amount_base_units),
    }


def parse_line(document: object) -> Line:
    """What ``line_json`` writes; a proof is passed over."""
    raw = _object(document, "line")
    counts = parse_counts(raw.get("counts"))
    return Line(_integer(raw, "publisher"), counts, _integer(raw, "amount_base_units"))


def parse_lines(document: object) -> list[Line]:
    """A list of lines."""
    if not isinstance(document, list):
        raise _wrong("lines", "a list", document)
    return [parse_line(line) for line in document]


def refusal_json(refusal: Refusal) -> dict[str, Any]:
    """A refusal without its signature."""
    return {
        "digest": _hex(refusal.digest),
        "check": refusal.check,
        "place": refusal.place,
        "expected": refusal.expected,
        "found": refusal.found,
        "refused_at_ms": refusal.refused_at_ms,
    }


def parse_refusal(document: object) -> Refusal:
    """What ``refusal_json`` writes; its texts are within their bounds."""
    raw = _object(document, "refusal")
    refusal = Refusal(
        _octets(raw, "digest", 32),
        _text(raw, "check"),
        _text(raw, "place"),
        _text(raw, "expected"),
        _text(raw, "found"),
        _integer(raw, "refused_at_ms"),
    )
    refusal.require_short()
    return refusal


def _object(document: object, what: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise _wrong(what, "a JSON object", document)
    return document


def _integer(raw: Mapping[str, Any], name: str) -> int:
    value = raw.get(name)
    # Longer ones than any field holds would only cost time to read.
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 39:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong(name, "a natural number", value)
    return value


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise _wrong(name, "text", value)
    return value


def _octets(raw: Mapping[str, Any], name: str, size: int) -> bytes:
    value = raw.get(name)
    try:
        octets = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else b""
    except ValueError:
        octets = b""
    if len(octets) != size:
        raise _wrong(name, f"{size} bytes in hex", value)
    return octets


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"


def _wrong(name: str, expected: str, found: object) -> InvalidInput:
    return InvalidInput(
        "a document is malformed", field=name, expected=expected, found=repr(found)[:80]
    )
