"""Attestation requests and the attestors' answers."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import and_, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from adtally.errors import Conflict, NotFound
from adtally.storage.models import Anchor, Attestation, AttestationRequest, AttestorSet
from adtally.storage.rows import (
    AttestationRow,
    AttestorSetRow,
    NewRequest,
    RequestKind,
    RequestRow,
)
from adtally.types import Address, Checkpoint

_ADDRESS_SIZE = 20


async def add_attestor_set(session: AsyncSession, row: AttestorSetRow) -> None:
    """Post a version of a set, as named in a final block."""
    session.add(
        AttestorSet(
            attestor_set=row.attestor_set,
            version=row.version,
            threshold=row.threshold,
            attestors=b"".join(sorted(row.attestors)),
        )
    )
    await session.flush()


async def current_attestor_sets(session: AsyncSession) -> dict[int, AttestorSetRow]:
    """The newest version of every set, by set."""
    query = select(AttestorSet).order_by(AttestorSet.attestor_set, AttestorSet.version)
    return {
        model.attestor_set: AttestorSetRow(
            model.attestor_set,
            model.version,
            model.threshold,
            tuple(
                model.attestors[at : at + _ADDRESS_SIZE]
                for at in range(0, len(model.attestors), _ADDRESS_SIZE)
            ),
        )
        for model in await session.scalars(query)
    }


async def add_request(session: AsyncSession, new: NewRequest) -> RequestRow:
    """Ask for attestations, once for each subject: asked again, the first request is returned.

    Raises:
        Conflict: a request for a larger tree exists already (attestors read the log forwards), or
            the same subject was asked with another digest.
    """
    query = select(AttestationRequest).where(AttestationRequest.subject == new.subject)
    model = (await session.scalars(query)).one_or_none()
    if model is not None:
        if model.digest != new.digest:
            raise Conflict(
                f"{new.subject} was asked with another digest",
                field="digest",
                expected=model.digest.hex(),
                found=new.digest.hex(),
            )
        return _request(model)
    largest = await largest_requested_size(session)
    if new.checkpoint.tree_size < largest:
        raise Conflict(
            "requests come in the order of their tree sizes",
            field="tree_size",
            expected=f"at least {largest}",
            found=str(new.checkpoint.tree_size),
        )
    model = AttestationRequest(
        subject=new.subject,
        kind=new.kind.value,
        attestor_set=new.attestor_set,
        tree_size=new.checkpoint.tree_size,
        root_hash=new.checkpoint.root_hash,
        digest=new.digest,
        campaign=new.campaign,
        sequence=new.sequence,
        created_at_ms=new.created_at_ms,
    )
    session.add(model)
    await session.flush()
    return _request(model)


async def largest_requested_size(session: AsyncSession) -> int:
    """Largest tree size that attestors were asked about; 0 before the first request."""
    return await session.scalar(select(func.max(AttestationRequest.tree_size))) or 0


async def get_request(session: AsyncSession, request: int) -> RequestRow:
    """The request; raises NotFound if there is none with this number."""
    model = await session.get(AttestationRequest, request)
    if model is None:
        raise NotFound(
            "no such attestation request",
            field="request",
            expected="an id from the list of open requests",
            found=str(request),
        )
    return _request(model)


async def find_request(session: AsyncSession, subject: str) -> RequestRow | None:
    """The request for a subject (``NewRequest.subject``), None if it was not asked."""
    query = select(AttestationRequest).where(AttestationRequest.subject == subject)
    model = (await session.scalars(query)).one_or_none()
    return None if model is None else _request(model)


async def checkpoint_requests_above(session: AsyncSession, tree_size: int) -> list[RequestRow]:
    """Checkpoint requests over more than ``tree_size`` entries, smallest first."""
    query = (
        select(AttestationRequest)
        .where(
            AttestationRequest.kind == RequestKind.CHECKPOINT.value,
            AttestationRequest.tree_size > tree_size,
        )
        .order_by(AttestationRequest.tree_size)
    )
    return [_request(model) for model in await session.scalars(query)]


async def open_requests(
    session: AsyncSession,
    attestor: Address,
    sets: Collection[int],
    *,
    limit: int = 100,
) -> list[RequestRow]:
    """Requests to the given attestor sets that ``attestor`` has not signed, by tree size.

    Those it has refused are among them: the reason may pass. Over the limit, requests without a
    refusal come first.
    Checkpoints below the newest final anchor are left out: nothing can come of them any more.
    Statements stay, so that every attestor of the set gets to check each one.
    """
    mine = and_(Attestation.request_id == AttestationRequest.id, Attestation.attestor == attestor)
    signed = exists().where(mine, Attestation.signature.is_not(None))
    refused = exists().where(mine, Attestation.signature.is_(None))
    anchored = await session.scalar(select(func.max(Anchor.tree_size))) or 0
    query = (
        select(AttestationRequest)
        .where(
            AttestationRequest.attestor_set.in_(sets),
            ~signed,
            (AttestationRequest.kind == RequestKind.STATEMENT.value)
            | (AttestationRequest.tree_size > anchored),
        )
        .order_by(refused, AttestationRequest.tree_size, AttestationRequest.id)
        .limit(limit)
    )
    rows = [_request(model) for model in await session.scalars(query)]
    return sorted(rows, key=lambda row: (row.checkpoint.tree_size, row.id))


async def latest_requests(session: AsyncSession, limit: int = 100) -> list[RequestRow]:
    """The newest requests, newest first."""
    query = select(AttestationRequest).order_by(AttestationRequest.id.desc()).limit(limit)
    return [_request(model) for model in await session.scalars(query)]


async def signed_by(session: AsyncSession, attestor: Address) -> list[tuple[RequestRow, bytes]]:
    """Everything that an attestor has signed here: request and signature, oldest first."""
    query = (
        select(AttestationRequest, Attestation.signature)
        .join(Attestation, Attestation.request_id == AttestationRequest.id)
        .where(Attestation.attestor == attestor, Attestation.signature.is_not(None))
        .order_by(AttestationRequest.id)
    )
    rows = await session.execute(query)
    return [(_request(model), signature) for model, signature in rows if signature is not None]


async def list_attestations(session: AsyncSession, request: int) -> list[AttestationRow]:
    """The answers to a request, by ascending attestor."""
    query = (
        select(Attestation).where(Attestation.request_id == request).order_by(Attestation.attestor)
    )
    return [_attestation(model) for model in await session.scalars(query)]


async def record_attestation(session: AsyncSession, new: AttestationRow) -> AttestationRow:
    """Store an answer; the same answer again changes nothing and returns the first.

    A signature takes the place of an earlier refusal, whose reason may have passed; a later refusal
    takes the place of an earlier one.

    Raises:
        Conflict: another signature, or a refusal, after a signature.
    """
    if await _insert_attestation(session, new):
        return new
    model = await session.get_one(
        Attestation, (new.request, new.attestor), with_for_update=True, populate_existing=True
    )
    if model.signature is not None and new.signature != model.signature:
        raise Conflict(
            "this attestor has signed this request already",
            field="signature" if new.signature is not None else "refusal",
            expected=f"the signature 0x{model.signature.hex()}, or nothing more",
            found="a refusal" if new.signature is None else f"0x{new.signature.hex()}",
        )
    if (model.signature, model.refusal) != (new.signature, new.refusal):
        model.signature = new.signature
        model.refusal = new.refusal
        model.answered_at_ms = new.answered_at_ms
        await session.flush()
    return _attestation(model)


async def _insert_attestation(session: AsyncSession, new: AttestationRow) -> bool:
    """False if this attestor has answered already."""
    if await session.get(Attestation, (new.request, new.attestor)) is not None:
        return False
    model = Attestation(
        request_id=new.request,
        attestor=new.attestor,
        signature=new.signature,
        refusal=new.refusal,
        answered_at_ms=new.answered_at_ms,
    )
    try:
        async with session.begin_nested():
            session.add(model)
    except IntegrityError:
        # It answers on another connection at this very moment.
        return False
    return True


def _request(model: AttestationRequest) -> RequestRow:
    return RequestRow(
        kind=RequestKind(model.kind),
        attestor_set=model.attestor_set,
        checkpoint=Checkpoint(model.tree_size, model.root_hash),
        digest=model.digest,
        created_at_ms=model.created_at_ms,
        campaign=model.campaign,
        sequence=model.sequence,
        id=model.id,
    )


def _attestation(model: Attestation) -> AttestationRow:
    return AttestationRow(
        model.request_id, model.attestor, model.signature, model.refusal, model.answered_at_ms
    )
