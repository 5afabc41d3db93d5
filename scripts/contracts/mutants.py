"""Mutants: one small change to one contract each. Pure."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable
from typing import Any, NamedTuple

_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_FIXED = re.compile(r"\bimmutable\b")
_STEP = re.compile(r"(?<=[;{})])(\+\+|--)(\w+)(?=[;)])")
_ZERO = re.compile(r"(\buint\d+[A-Za-z_]\w*)=0;")
_SIGNED = re.compile(r"\bint\d*\b")
_POSITIVE = re.compile(r"(?<![<=>])>0(?![\w.])")
_NOT_POSITIVE = re.compile(r"(?<!<)<=0(?![\w.])")


class Mutant(NamedTuple):
    """The bytes from ``start`` to ``end`` of ``file`` become ``text``.

    ``key`` names the mutated code without its comments and spaces: a comment that is edited
    elsewhere in the file changes no key, and two mutators that do the same give one key.
    """

    file: str
    start: int
    end: int
    text: str
    mutator: str
    key: str


class Accepted(NamedTuple):
    """A survivor that need not be caught, and why. The lines are stripped."""

    file: str
    line: str
    mutated: str
    reason: str


def bare(source: str) -> str:
    """The code without comments and spaces.

    What changes nothing that a test could see is written in one way: ``immutable`` as
    ``constant``, ``++i;`` as ``i++;``, ``uint256 i = 0;`` as ``uint256 i;``, and where nothing is
    signed, ``> 0`` as ``!= 0`` and ``<= 0`` as ``== 0``.
    """
    without = _COMMENT.sub(lambda match: match[0] if match[0][0] == '"' else " ", source)
    packed = "".join(_FIXED.sub("constant", without).split())
    packed = _ZERO.sub(r"\1;", _STEP.sub(r"\2\1", packed))
    if _SIGNED.search(without):
        return packed
    return _NOT_POSITIVE.sub("==0", _POSITIVE.sub("!=0", packed))


def mutated(source: bytes, start: int, end: int, text: str) -> bytes:
    """The file with the change."""
    return source[:start] + text.encode() + source[end:]


def code_key(file: str, source: bytes) -> str:
    """Names the code of a file."""
    return hashlib.sha256(f"{file}\0{bare(source.decode())}".encode()).hexdigest()[:32]


def read_mutants(listed: Iterable[dict[str, Any]], sources: dict[str, bytes]) -> list[Mutant]:
    """The listed changes without those that change nothing or repeat an earlier one.

    They are in an order that has nothing to do with where they are, and is always the same: so the
    first of them are a fair sample of all when time runs out.
    """
    seen = {code_key(file, source) for file, source in sources.items()}
    mutants = []
    for change in listed:
        file, start, end, text = (change[name] for name in ("file", "start", "end", "text"))
        key = code_key(file, mutated(sources[file], start, end, text))
        if key not in seen:
            seen.add(key)
            mutants.append(Mutant(file, start, end, text, change["mutator"], key))
    return sorted(mutants, key=lambda mutant: mutant.key)


def line_of(source: bytes, mutant: Mutant) -> int:
    """The first line that it changes, from 1."""
    return source.count(b"\n", 0, mutant.start) + 1


def changed_lines(source: bytes, mutant: Mutant) -> tuple[str, str]:
    """The lines that it touches before and after, stripped and joined by spaces."""
    begin = source.rfind(b"\n", 0, mutant.start) + 1
    stop = source.find(b"\n", mutant.end)
    stop = len(source) if stop < 0 else stop
    before = source[begin:stop]
    after = mutated(before, mutant.start - begin, mutant.end - begin, mutant.text)
    return _joined(before), _joined(after)


def _joined(text: bytes) -> str:
    return " ".join(line.strip() for line in text.decode().splitlines() if line.strip())


def diff(source: bytes, mutant: Mutant) -> str:
    """What it changes, as a unified diff without context."""
    before = source.decode().splitlines()
    after = mutated(source, mutant.start, mutant.end, mutant.text).decode().splitlines()
    return "\n".join(difflib.unified_diff(before, after, mutant.file, mutant.file, "", "", 0, ""))


def parse_accepted(text: str) -> list[Accepted]:
    """survivors.toml.

    Raises:
        ValueError: an entry lacks a key or its reason.
    """
    accepted = []
    for entry in tomllib.loads(text).get("accepted", []):
        if entry.keys() != set(Accepted._fields) or not str(entry["reason"]).strip():
            raise ValueError(f"survivors.toml: an entry needs {Accepted._fields}, got {entry}")
        accepted.append(Accepted(**entry))
    return accepted


def reason_for(source: bytes, mutant: Mutant, accepted: list[Accepted]) -> str:
    """Why it may survive; empty if nobody has said so."""
    before, after = changed_lines(source, mutant)
    for one in accepted:
        if (one.file, one.line, one.mutated) == (mutant.file, before, after):
            return one.reason
    return ""
