"""What an attestor is asked to sign, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adtally.errors import InvalidInput
from adtally.types import Checkpoint, Counts, Line, Statement


@dataclass(frozen=True, slots=True)
class AttestationRequest:
    """A checkpoint, or a statement over an anchored checkpoint's size, to be attested."""

    id: int
    checkpoint: Checkpoint
    statement: Statement | None = None
    lines: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A signature, or the reason why there is none."""

    request: int
    signature: bytes | None = None
    refusal: str | None = None


def request_from_json(raw: dict[str, Any]) -> AttestationRequest:
    """Parse one element of ``GET /v1/attestations/requests``.

    Raises:
        InvalidInput: it is not of the documented form.
    """
    try:
        statement = raw.get("statement")
        return AttestationRequest(
            id=int(raw["id"]),
            checkpoint=Checkpoint(int(raw["tree_size"]), _hash(raw["root_hash"])),
            statement=None if statement is None else _statement(statement),
            lines=tuple(_line(line) for line in raw.get("lines") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(
            "an attestation request is malformed",
            field="requests",
            expected="the form documented in /docs",
            found=repr(error),
        ) from None


def _hash(text: str) -> bytes:
    value = bytes.fromhex(text.removeprefix("0x"))
    if len(value) != 32:
        raise ValueError(f"{len(value)} bytes instead of 32")
    return value


def _counts(raw: dict[str, Any]) -> Counts:
    return Counts(
        int(raw["impressions"]),
        int(raw["viewables"]),
        int(raw["clicks"]),
        int(raw["conversions"]),
    )


def _statement(raw: dict[str, Any]) -> Statement:
    return Statement(
        campaign=int(raw["campaign"]),
        sequence=int(raw["sequence"]),
        tree_size=int(raw["tree_size"]),
        lines_total_base_units=int(raw["lines_total_base_units"]),
        counts=_counts(raw["counts"]),
        corrections=int(raw["corrections"]),
        lines_root=_hash(raw["lines_root"]),
        is_final=bool(raw["is_final"]),
    )


def _line(raw: dict[str, Any]) -> Line:
    return Line(int(raw["publisher"]), _counts(raw["counts"]), int(raw["amount_base_units"]))
