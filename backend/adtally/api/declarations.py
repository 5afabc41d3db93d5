"""``POST /v1/declarations``: members register placements, creatives and allowlists."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from adtally.api.schemas import TreeSizeOut
from adtally.api.service import ServiceDep
from adtally.errors import InvalidInput
from adtally.events.facts import MAX_DETAIL_BYTES, Declaration, DeclarationKind
from adtally.types import UINT32_MAX, UINT48_MAX

router = APIRouter(tags=["members"])

UInt32 = Annotated[int, Field(ge=0, le=UINT32_MAX, strict=True)]


class DeclarationIn(BaseModel):
    """A registration, signed by the member's event key (EIP-712 ``Declaration``)."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["placement", "creative", "allowed_placement"]
    active: bool = True
    member: UInt32
    campaign: UInt32 = 0
    publisher: UInt32 = 0
    item: UInt32 = Field(description="placement or creative id")
    declared_at_ms: Annotated[int, Field(ge=0, le=UINT48_MAX, strict=True)]
    detail: str = Field("", description="placement name, or the creative's landing page")
    signer: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    signature: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{130}$")]

    def to_declaration(self, recorded_at_ms: int) -> Declaration:
        return Declaration(
            recorded_at_ms=recorded_at_ms,
            kind=DeclarationKind[self.kind.upper()],
            active=self.active,
            member=self.member,
            campaign=self.campaign,
            publisher=self.publisher,
            item=self.item,
            declared_at_ms=self.declared_at_ms,
            signer=bytes.fromhex(self.signer[2:]),
            signature=bytes.fromhex(self.signature[2:]),
            detail=self.detail,
        )


@router.post("/declarations", summary="Register a placement, creative or allowlist entry")
async def post_declaration(declaration: DeclarationIn, service: ServiceDep) -> TreeSizeOut:
    """Log a signed declaration; it holds for every event logged after it.

    Sending one that is not newer (``declared_at_ms``) than the one in force is refused, so a
    declaration can't be replayed.
    """
    try:
        size = len(declaration.detail.encode())
    except UnicodeEncodeError:
        size = MAX_DETAIL_BYTES + 1
    if size > MAX_DETAIL_BYTES:
        raise InvalidInput(
            "the detail is too long or not Unicode text",
            field="detail",
            expected=f"at most {MAX_DETAIL_BYTES} bytes of UTF-8",
            found=f"{size} bytes",
        )
    tree_size = await service.sequencer.enter_facts(
        lambda recorded_at_ms: [declaration.to_declaration(recorded_at_ms)]
    )
    return TreeSizeOut(tree_size=tree_size)
