"""Where attestors find what to sign and leave their signatures or refusals."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from adtally.api.schemas import Json, LineOut, StatementOut, hex_text
from adtally.api.service import ServiceDep
from adtally.api.statements import AttestationOut
from adtally.attestation.answers import Signed, SignedRefusal
from adtally.events.attested import MAX_REFUSAL_TEXT, Refusal
from adtally.jobs.attestations import RequestView, view_request
from adtally.storage.repositories.attestations import get_request as find_by_id
from adtally.storage.repositories.attestations import latest_requests, signed_by
from adtally.storage.repositories.statements import get_statement, list_lines
from adtally.storage.rows import RequestKind
from adtally.types import Checkpoint, Statement

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


HashText = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{64}$")]
SignatureText = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{130}$")]
ShortText = Annotated[str, Field(max_length=MAX_REFUSAL_TEXT)]


class RefusalIn(BaseModel):
    """An attestor's refusal, signed by it (EIP-712 ``Refusal``)."""

    model_config = ConfigDict(extra="forbid")

    digest: HashText
    check: ShortText
    place: ShortText
    expected: ShortText
    found: ShortText
    refused_at_ms: Annotated[int, Field(ge=0, le=2**63 - 1, strict=True)]
    signature: SignatureText

    def signed_by(self, attestor: bytes) -> SignedRefusal:
        refusal = Refusal(
            bytes.fromhex(self.digest[2:]),
            self.check,
            self.place,
            self.expected,
            self.found,
            self.refused_at_ms,
        )
        return SignedRefusal(refusal, attestor, bytes.fromhex(self.signature[2:]))


class AnswerIn(BaseModel):
    """Exactly one of a signature and a refusal."""

    model_config = ConfigDict(extra="forbid")

    request: Annotated[int, Field(ge=1, le=2**63 - 1, strict=True)]
    attestor: AddressText
    signature: SignatureText | None = None
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


class MissingOut(BaseModel):
    """An attestor that has not answered."""

    attestor: str
    since_ms: int = Field(description="when it was asked")
    waits_seconds: int


class RequestStateOut(BaseModel):
    """A request: who signed, who refused and why, who is missing and since when."""

    id: int
    kind: str = Field(description="checkpoint or statement")
    tree_size: int
    root_hash: str
    campaign: int | None
    sequence: int | None
    digest: str
    attestor_set: int
    threshold: int
    is_complete: bool = Field(description="enough have signed")
    created_at_ms: int
    signed: list[AttestationOut]
    refused: list[AttestationOut]
    missing: list[MissingOut]

    @staticmethod
    def of(view: RequestView, now_ms: int) -> RequestStateOut:
        row = view.request
        waits_seconds = max(now_ms - row.created_at_ms, 0) // 1000
        return RequestStateOut(
            id=row.id,
            kind=row.kind.value,
            tree_size=row.checkpoint.tree_size,
            root_hash=hex_text(row.checkpoint.root_hash),
            campaign=row.campaign,
            sequence=row.sequence,
            digest=hex_text(row.digest),
            attestor_set=row.attestor_set,
            threshold=view.asked.threshold,
            is_complete=view.is_complete,
            created_at_ms=row.created_at_ms,
            signed=[AttestationOut.of(answer) for answer in view.signed],
            refused=[AttestationOut.of(answer) for answer in view.refused],
            missing=[
                MissingOut(
                    attestor=hex_text(member),
                    since_ms=row.created_at_ms,
                    waits_seconds=waits_seconds,
                )
                for member in view.missing
            ],
        )


@router.get("", summary="The newest requests, and who has answered what")
async def get_attestations(
    service: ServiceDep, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> list[RequestStateOut]:
    """Newest first."""
    now_ms = service.clock.now_ms()
    async with service.database.session() as session:
        rows = await latest_requests(session, limit)
        return [RequestStateOut.of(await view_request(session, row), now_ms) for row in rows]


@router.get("/signed", summary="Everything here that an attestor has signed")
async def get_signed(
    service: ServiceDep, attestor: Annotated[str, Query(pattern="^0x[0-9a-fA-F]{40}$")]
) -> list[Json]:
    """What an attestor asks for at every start, before it signs anything."""
    address = bytes.fromhex(attestor[2:])
    found = []
    async with service.database.session() as session:
        for row, signature in await signed_by(session, address):
            content: Checkpoint | Statement = row.checkpoint
            if row.kind is RequestKind.STATEMENT:
                assert row.campaign is not None, "a statement request names its campaign"
                assert row.sequence is not None, "and its sequence"
                content = (await get_statement(session, row.campaign, row.sequence)).statement
            found.append(Signed(content, address, signature).to_json())
    return found


@router.get("/{request}", summary="One request, and who has answered what")
async def get_attestation(
    service: ServiceDep, request: Annotated[int, Path(ge=1, le=2**63 - 1)]
) -> RequestStateOut:
    """Who signed, who refused (verified), who is missing and since when."""
    async with service.database.session() as session:
        view = await view_request(session, await find_by_id(session, request))
    return RequestStateOut.of(view, service.clock.now_ms())


@router.post("", summary="Hand in a signature or a refusal")
async def post_answer(answer: AnswerIn, service: ServiceDep) -> AttestationOut:
    """A signature is recorded only if it is this attestor's over exactly what was asked."""
    attestor = bytes.fromhex(answer.attestor[2:])
    if answer.signature is not None:
        signature = bytes.fromhex(answer.signature[2:])
        row = await service.desk.record_signature(answer.request, attestor, signature)
    else:
        assert answer.refusal is not None, "the model holds exactly one of both"
        signed = answer.refusal.signed_by(attestor)
        row = await service.desk.record_refusal(answer.request, signed)
    return AttestationOut.of(row)
