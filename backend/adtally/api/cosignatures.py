"""Attestors' cosigner keys and cosignatures (C2SP tlog-cosignature)."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from adtally.api.caching import BRIEFLY, answer
from adtally.api.log import note_answer
from adtally.api.schemas import hex_text
from adtally.api.service import Service, ServiceDep
from adtally.events.cosigner_key import CosignerKey
from adtally.jobs.cosignatures import CosignatureDesk
from adtally.log.canonical_json import canonical_json
from adtally.log.checkpoint import NoteSignature
from adtally.types import UINT48_MAX, UINT64_MAX, Checkpoint

router = APIRouter(prefix="/log", tags=["log"])

HashText = Annotated[str, Field(pattern="^0x[0-9a-fA-F]{64}$")]


class CosignerIn(BaseModel):
    """An attestor's Ed25519 key, signed by its attestor key (EIP-712 `CosignerKey`)."""

    model_config = ConfigDict(extra="forbid")

    attestor: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    public_key: HashText
    declared_at_ms: Annotated[int, Field(ge=0, le=UINT48_MAX, strict=True)]
    signature: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{130}$")]

    def to_key(self) -> CosignerKey:
        return CosignerKey(
            attestor=bytes.fromhex(self.attestor[2:]),
            public_key=bytes.fromhex(self.public_key[2:]),
            declared_at_ms=self.declared_at_ms,
            signature=bytes.fromhex(self.signature[2:]),
        )


class CosignerOut(BaseModel):
    """A declaration as it was signed, and the C2SP verifier key that follows from it."""

    attestor: str
    public_key: str
    declared_at_ms: int
    signature: str
    verifier: str


class CosignatureIn(BaseModel):
    """A checkpoint of this log, and the line that an attestor adds to its note."""

    model_config = ConfigDict(extra="forbid")

    tree_size: Annotated[int, Field(ge=1, le=UINT64_MAX, strict=True)]
    root_hash: HashText
    line: Annotated[str, Field(max_length=1000, description="dash, name, base64; no newline")]


def _desk(service: Service) -> CosignatureDesk:
    return CosignatureDesk(service.database, service.clock, service.sequencer, service.deployment)


def _out(desk: CosignatureDesk, key: CosignerKey) -> CosignerOut:
    return CosignerOut(
        attestor=hex_text(key.attestor),
        public_key=hex_text(key.public_key),
        declared_at_ms=key.declared_at_ms,
        signature=hex_text(key.signature),
        verifier=str(desk.verifier(key)),
    )


@router.post("/cosigners", summary="Declare an attestor's cosigner key")
async def post_cosigner(declaration: CosignerIn, service: ServiceDep) -> CosignerOut:
    """The newest declaration of an attestor of the log's set counts; older ones stay readable."""
    desk, key = _desk(service), declaration.to_key()
    await desk.declare(key)
    return _out(desk, key)


@router.head("/cosigners.json", include_in_schema=False)
@router.get("/cosigners.json", response_class=Response, summary="All cosigner keys")
async def get_cosigners(request: Request, service: ServiceDep) -> Response:
    """Every declaration, oldest first, as canonical JSON; check attestors against the chain."""
    content = canonical_json(await cosigners(service))
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    return answer(request, content, media_type="application/json", etag=tag, cache_control=BRIEFLY)


async def cosigners(service: Service) -> list[object]:
    """What ``cosigners.json`` holds."""
    desk = _desk(service)
    return [_out(desk, key).model_dump() for key in await desk.declared()]


@router.post("/cosignatures", status_code=204, summary="Hand in a cosignature")
async def post_cosignature(given: CosignatureIn, service: ServiceDep) -> None:
    """Taken if the checkpoint is this log's, and not older than what its cosigner has signed."""
    checkpoint = Checkpoint(given.tree_size, bytes.fromhex(given.root_hash[2:]))
    await _desk(service).record(checkpoint, NoteSignature.parse(given.line))


@router.head("/cosigned-checkpoint", include_in_schema=False)
@router.get(
    "/cosigned-checkpoint", response_class=PlainTextResponse, summary="The newest cosigned note"
)
async def get_cosigned_checkpoint(request: Request, service: ServiceDep) -> Response:
    """The largest checkpoint that a threshold of attestors has cosigned, with their lines."""
    return note_answer(request, await _desk(service).note(service.note_signer))
