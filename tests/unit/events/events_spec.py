"""Reads the specification's own tables and vectors, without any of adtally's code."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[3]
SPEC = ROOT / "docs" / "spec"

# For ``import make_vectors``: scripts/ is no package.
sys.path.insert(0, str(ROOT / "scripts"))


class Field(NamedTuple):
    """A row of a byte table; ``size`` None takes the rest of the entry."""

    offset: int
    size: int | None
    name: str
    encoding: str


def vectors(name: str) -> dict[str, Any]:
    return json.loads((SPEC / "vectors" / name).read_text())


def tables(page: str) -> list[list[list[str]]]:
    """Every Markdown table of a page, as rows of cells, the header row first."""
    found: list[list[list[str]]] = []
    inside = False
    for line in (SPEC / page).read_text().splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not inside:
            found.append([cells])
        elif not set("".join(cells)) <= set("-:"):
            found[-1].append(cells)
        inside = True
    return found


def byte_table(page: str, number: int = 0) -> list[Field]:
    """The ``number``-th byte table of a page whose rows have fixed offsets."""
    byte_tables = [table for table in tables(page) if table[0][0] == "offset"]
    return [
        Field(int(offset), None if size == "rest" else int(size), name, encoding)
        for offset, size, name, encoding, *_ in byte_tables[number][1:]
    ]


def slice_entry(entry: bytes, fields: list[Field]) -> dict[str, Any]:
    """The entry cut by the table, in the JSON form of the vectors."""
    values: dict[str, Any] = {}
    for field in fields:
        end = len(entry) if field.size is None else field.offset + field.size
        piece = entry[field.offset : end]
        if field.encoding == "zero":
            assert not any(piece), field
        elif field.encoding == "uint":
            number = int.from_bytes(piece, "big")
            values[field.name] = number if number < 2**53 else str(number)
        elif field.encoding == "int":
            values[field.name] = int.from_bytes(piece, "big", signed=True)
        elif field.encoding == "bytes":
            values[field.name] = "0x" + piece.hex()
        else:
            values[field.name] = piece.decode(field.encoding)
    return values


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
