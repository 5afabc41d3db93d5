"""How the service is doing: health, status, deployment, anchors, payments, transactions."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from adtally.api.schemas import Json, hex_text
from adtally.api.service import ServiceDep
from adtally.errors import Overloaded
from adtally.jobs.archive import ArchiveView
from adtally.storage.repositories.ledger import latest_anchor, list_anchors, list_payments
from adtally.storage.repositories.outbox import list_transactions
from adtally.types import UINT32_MAX, OutboxRow

router = APIRouter(tags=["operations"])


class HealthOut(BaseModel):
    status: str


class ArchiveOut(BaseModel):
    """How far the log is in the archive."""

    archived_entries: int = Field(description="the log's first so many are there, read back")
    archived_segments: int
    behind_entries: int = Field(description="entries of the log that are not there")
    sealed_behind_entries: int = Field(
        description="those of them in sealed segments; the segment being written comes later"
    )
    local_segments: int = Field(description="sealed segments on the service's own disk")
    problem: str | None = Field(
        description="what the last attempt failed at; it is repeated, the process's log has details"
    )

    @staticmethod
    def of(view: ArchiveView, tree_size: int) -> ArchiveOut:
        return ArchiveOut(
            behind_entries=tree_size - view.archived_entries,
            **asdict(view),
        )


class StatusOut(BaseModel):
    """Where log, chain and money stand."""

    tree_size: int
    root_hash: str
    anchored_tree_size: int
    facts_block: int | None = Field(description="last chain block whose facts are in the log")
    last_received_at_ms: int
    now_ms: int
    stopped: bool
    archive: ArchiveOut | None = Field(description="null without ADTALLY_ARCHIVE_URL")


class AnchorOut(BaseModel):
    """A checkpoint stored on chain, final."""

    tree_size: int
    root_hash: str
    anchor_number: int
    transaction_hash: str
    block_number: int
    gas_used: int | None = Field(description="null when somebody else sent the transaction")


class PaymentOut(BaseModel):
    """Money that left the escrow, in a final block."""

    kind: str = Field(description="claim, cut, refund or bond_released")
    campaign: int
    member: int
    payee: str
    token: str
    amount_base_units: str
    total_base_units: str
    transaction_hash: str
    block_number: int


class TransactionOut(BaseModel):
    """One effect on chain and everything that was done for it."""

    id: int
    purpose: str
    effect_key: str
    state: str = Field(description="queued, submitted, mined, final or failed")
    attempts: int
    transaction_hash: str | None
    block_number: int | None
    gas_used: int | None
    error: str | None

    @staticmethod
    def of(row: OutboxRow) -> TransactionOut:
        return TransactionOut(
            id=row.id,
            purpose=row.purpose,
            effect_key=row.effect_key,
            state=row.state.label,
            attempts=len(row.attempts),
            transaction_hash=None
            if row.transaction_hash is None
            else hex_text(row.transaction_hash),
            block_number=row.block_number,
            gas_used=row.gas_used,
            error=row.error,
        )


@router.get("/health", summary="Whether the service takes events")
async def get_health(service: ServiceDep) -> HealthOut:
    """200 while the log can be written, 503 after a write error."""
    if service.sequencer.failure is not None:
        raise Overloaded("the log can't be written; the service is stopping")
    return HealthOut(status="ok")


@router.get("/status", summary="Where log, chain and money stand")
async def get_status(service: ServiceDep) -> StatusOut:
    """Durable tree size, anchored size, and the chain block that facts reach to."""
    async with service.database.session() as session:
        anchor = await latest_anchor(session)
    checkpoint = service.sequencer.checkpoint()
    machine = service.sequencer.machine
    return StatusOut(
        tree_size=checkpoint.tree_size,
        root_hash=hex_text(checkpoint.root_hash),
        anchored_tree_size=0 if anchor is None else anchor.checkpoint.tree_size,
        facts_block=machine.facts.last_block,
        last_received_at_ms=machine.last_received_at_ms,
        now_ms=service.clock.now_ms(),
        stopped=service.sequencer.failure is not None,
        archive=None
        if service.archive is None
        else ArchiveOut.of(service.archive.view(), checkpoint.tree_size),
    )


@router.get("/deployment", summary="Chain, contracts, keys: what signatures are bound to")
async def get_deployment(service: ServiceDep) -> Json:
    """The deployment file, and the key that verifies checkpoint notes."""
    return service.deployment.to_json() | {"note_verifier": str(service.note_signer.verifier)}


@router.get("/anchors", summary="Checkpoints on chain")
async def get_anchors(service: ServiceDep) -> list[AnchorOut]:
    """By tree size; final ones only."""
    async with service.database.session() as session:
        rows = await list_anchors(session)
    return [
        AnchorOut(
            tree_size=row.checkpoint.tree_size,
            root_hash=hex_text(row.checkpoint.root_hash),
            anchor_number=row.anchor_number,
            transaction_hash=hex_text(row.transaction_hash),
            block_number=row.block_number,
            gas_used=row.gas_used,
        )
        for row in rows
    ]


@router.get("/payments", summary="Money that left the escrow")
async def get_payments(
    service: ServiceDep, campaign: Annotated[int | None, Query(ge=1, le=UINT32_MAX)] = None
) -> list[PaymentOut]:
    """Claims, cuts, refunds and released bonds in chain order, by whomever they were sent."""
    async with service.database.session() as session:
        rows = await list_payments(session, campaign)
    return [
        PaymentOut(
            kind=row.kind.value,
            campaign=row.campaign,
            member=row.member,
            payee=hex_text(row.party),
            token=hex_text(row.token),
            amount_base_units=str(row.amount_base_units),
            total_base_units=str(row.total_base_units),
            transaction_hash=hex_text(row.transaction_hash),
            block_number=row.block_number,
        )
        for row in rows
    ]


@router.get("/transactions", summary="The service's own transactions")
async def get_transactions(service: ServiceDep) -> list[TransactionOut]:
    """Queued, submitted, mined, final or failed, in order of creation."""
    async with service.database.session() as session:
        rows = await list_transactions(session)
    return [TransactionOut.of(row) for row in rows]
