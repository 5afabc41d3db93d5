"""Statements: what a campaign owes, line by line, with the proof to claim each line."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, ValidationError

from adtally.api.members import Id
from adtally.api.schemas import LineOut, StatementOut, hex_text
from adtally.api.service import ServiceDep
from adtally.settlement.claim_tree import ClaimTree
from adtally.storage.repositories.attestations import find_request, list_attestations
from adtally.storage.repositories.statements import get_statement, list_lines, list_statements
from adtally.storage.rows import AttestationRow, StatementRow
from adtally.types import UINT32_MAX

router = APIRouter(prefix="/campaigns/{campaign_id}/statements", tags=["statements"])

Sequence = Annotated[int, Path(ge=1, le=UINT32_MAX)]


class StatementSummaryOut(StatementOut):
    """A statement and where it stands."""

    reason: str = Field(description="threshold, goal, correction, complete or final")
    created_at_ms: int
    state: str = Field(description="drafted, or settled once its submission is final on chain")
    transaction_hash: str | None
    activates_at_seconds: int | None
    is_objected: bool = Field(description="the advertiser has objected; the next one decides")

    @staticmethod
    def of_row(row: StatementRow) -> StatementSummaryOut:
        settlement = row.settlement
        return StatementSummaryOut(
            **StatementOut.of(row.statement).model_dump(),
            reason=row.reason.value,
            created_at_ms=row.created_at_ms,
            state="drafted" if settlement is None else "settled",
            transaction_hash=None if settlement is None else hex_text(settlement.transaction_hash),
            activates_at_seconds=None if settlement is None else settlement.activates_at_seconds,
            is_objected=settlement is not None and settlement.is_objected,
        )


class RefusalOut(BaseModel):
    """Why an attestor does not sign, under its signature (EIP-712 ``Refusal``)."""

    digest: str = Field(description="of what was asked for")
    check: str = Field(description="what failed")
    place: str
    expected: str = Field(description="what the attestor has computed")
    found: str = Field(description="what it was given")
    refused_at_ms: int
    signature: str


class AttestationOut(BaseModel):
    """One attestor's answer: a signature, or a signed refusal."""

    attestor: str
    signature: str | None
    refusal: RefusalOut | None
    answered_at_ms: int

    @staticmethod
    def of(row: AttestationRow) -> AttestationOut:
        return AttestationOut(
            attestor=hex_text(row.attestor),
            signature=None if row.signature is None else hex_text(row.signature),
            refusal=None if row.refusal is None else _refusal_out(row.refusal),
            answered_at_ms=row.answered_at_ms,
        )


def _refusal_out(stored: str) -> RefusalOut:
    try:
        return RefusalOut.model_validate_json(stored)
    except ValidationError:
        # Left by a version in which refusals were not signed: its reason is all there is.
        return RefusalOut(
            digest="", check="unsigned", place="", expected="", found=stored, refused_at_ms=0,
            signature="",
        )  # fmt: skip


class StatementDetailOut(StatementSummaryOut):
    """A statement with its lines, each with the Merkle proof that the escrow takes."""

    lines: list[LineOut]
    attestations: list[AttestationOut]


@router.get("", summary="All statements of a campaign")
async def get_statements(campaign_id: Id, service: ServiceDep) -> list[StatementSummaryOut]:
    """By sequence; each one is cumulative and never changes once drafted."""
    async with service.database.session() as session:
        rows = await list_statements(session, campaign_id)
    return [StatementSummaryOut.of_row(row) for row in rows]


@router.get("/{sequence}", summary="One statement with lines and proofs")
async def get_one_statement(
    campaign_id: Id, sequence: Sequence, service: ServiceDep
) -> StatementDetailOut:
    """Everything that a publisher needs to claim its line, and an auditor to check it."""
    async with service.database.session() as session:
        row = await get_statement(session, campaign_id, sequence)
        lines = await list_lines(session, campaign_id, sequence)
        request = await find_request(session, f"statement:{campaign_id}:{sequence}")
        answers = [] if request is None else await list_attestations(session, request.id)
    tree = ClaimTree(service.deployment.escrow_domain, campaign_id, lines)
    return StatementDetailOut(
        **StatementSummaryOut.of_row(row).model_dump(),
        lines=[LineOut.of(line, tree.proof(line.publisher)) for line in lines],
        attestations=[AttestationOut.of(answer) for answer in answers],
    )
