"""Where attestors find what to sign and leave their signatures or refusals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from adtally.api.schemas import LineOut, StatementOut, hex_text
from adtally.api.service import ServiceDep
from adtally.api.statements import AttestationOut
from adtally.storage.repositories.statements import get_statement, list_lines
from adtally.storage.rows import RequestKind

router = APIRouter(prefix="/attestations", tags=["attestation"])

AddressText = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]


class AttestationRequestOut(BaseModel):
    """A checkpoint, or a statement over that checkpoint's tree, to be recomputed and signed."""

    id: int
    kind: str = Field(description="checkpoint or statement")
    tree_size: int
    root_hash: str
    digest: str = Field(description="EIP-712 digest; compute it yourself before signing")
    created_at_ms: int
    statement: StatementOut | None = None
    lines: list[LineOut] | None = None


class RefusalIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str


class AnswerIn(BaseModel):
    """Exactly one of a signature and a refusal."""

    model_config = ConfigDict(extra="forbid")

    request: Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]
    attestor: AddressText
    signature: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{130}$")] | None = None
    refusal: RefusalIn | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> AnswerIn:
        if (self.signature is None) == (self.refusal is None):
            raise ValueError("give either a signature or a refusal")
        return self


@router.get("/requests", summary="What an attestor has not answered yet")
async def get_requests(
    service: ServiceDep, attestor: Annotated[str, Query(pattern="^0x[0-9a-fA-F]{40}$")]
) -> list[AttestationRequestOut]:
    """By ascending tree size, so that a replay of the log answers them in one pass."""
    rows = await service.desk.open_requests(bytes.fromhex(attestor[2:]))
    requests = []
    async with service.database.session() as session:
        for row in rows:
            request = AttestationRequestOut(
                id=row.id,
                kind=row.kind.value,
                tree_size=row.checkpoint.tree_size,
                root_hash=hex_text(row.checkpoint.root_hash),
                digest=hex_text(row.digest),
                created_at_ms=row.created_at_ms,
            )
            if row.kind is RequestKind.STATEMENT:
                assert row.campaign is not None, "a statement request names its campaign"
                assert row.sequence is not None, "and its sequence"
                statement = await get_statement(session, row.campaign, row.sequence)
                lines = await list_lines(session, row.campaign, row.sequence)
                request.statement = StatementOut.of(statement.statement)
                request.lines = [LineOut.of(line) for line in lines]
            requests.append(request)
    return requests


@router.post("", summary="Hand in a signature or a refusal")
async def post_answer(answer: AnswerIn, service: ServiceDep) -> AttestationOut:
    """A signature is recorded only if it is this attestor's over exactly what was asked."""
    attestor = bytes.fromhex(answer.attestor[2:])
    if answer.signature is not None:
        signature = bytes.fromhex(answer.signature[2:])
        row = await service.desk.record_signature(answer.request, attestor, signature)
    else:
        assert answer.refusal is not None, "the model holds exactly one of both"
        row = await service.desk.record_refusal(answer.request, attestor, answer.refusal.reason)
    return AttestationOut.of(row)
