"""What an attestor is asked to sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adtally.attestation.documents import parse_checkpoint, parse_lines, parse_statement
from adtally.errors import InvalidInput
from adtally.types import Checkpoint, Line, Statement


@dataclass(frozen=True, slots=True)
class AttestationRequest:
    """A checkpoint, or a statement over an anchored checkpoint's size, to be attested."""

    id: int
    checkpoint: Checkpoint
    statement: Statement | None = None
    lines: tuple[Line, ...] = ()

    @property
    def content(self) -> Checkpoint | Statement:
        """What is to be signed."""
        return self.checkpoint if self.statement is None else self.statement


def request_from_json(raw: dict[str, Any]) -> AttestationRequest:
    """Parse one element of ``GET /v1/attestations/requests``.

    Raises:
        InvalidInput: it is not of the documented form.
    """
    number = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(number, bool) or not isinstance(number, int):
        raise InvalidInput(
            "an attestation request is malformed",
            field="id",
            expected="the form documented in /docs",
            found=repr(number)[:80],
        )
    statement = raw.get("statement")
    return AttestationRequest(
        id=number,
        checkpoint=parse_checkpoint(raw),
        statement=None if statement is None else parse_statement(statement),
        lines=tuple(parse_lines(raw.get("lines") or [])),
    )
