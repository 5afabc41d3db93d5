"""Declared cosigner keys and cosignatures."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from adtally.events.cosigner_key import CosignerKey
from adtally.storage.models import Cosignature, DeclaredCosigner
from adtally.storage.rows import CosignatureRow


async def add_cosigner(session: AsyncSession, key: CosignerKey) -> None:
    """Store a declaration of a public key that was not declared before."""
    session.add(
        DeclaredCosigner(
            public_key=key.public_key,
            attestor=key.attestor,
            declared_at_ms=key.declared_at_ms,
            signature=key.signature,
        )
    )
    await session.flush()


async def list_cosigners(session: AsyncSession) -> list[CosignerKey]:
    """All declarations, oldest first."""
    query = select(DeclaredCosigner).order_by(
        DeclaredCosigner.declared_at_ms, DeclaredCosigner.public_key
    )
    return [
        CosignerKey(model.attestor, model.public_key, model.declared_at_ms, model.signature)
        for model in await session.scalars(query)
    ]


async def put_cosignature(session: AsyncSession, row: CosignatureRow) -> None:
    """Store a cosignature in place of the same key's at this size."""
    model = await session.get(Cosignature, (row.tree_size, row.public_key))
    if model is None:
        session.add(
            Cosignature(
                tree_size=row.tree_size,
                public_key=row.public_key,
                timestamped_signature=row.timestamped_signature,
            )
        )
    else:
        model.timestamped_signature = row.timestamped_signature
    await session.flush()


async def list_cosignatures(session: AsyncSession) -> list[CosignatureRow]:
    """All that are kept, by ascending size."""
    query = select(Cosignature).order_by(Cosignature.tree_size, Cosignature.public_key)
    return [
        CosignatureRow(model.tree_size, model.public_key, model.timestamped_signature)
        for model in await session.scalars(query)
    ]


async def drop_cosignatures_below(session: AsyncSession, tree_size: int) -> None:
    """Forget those of smaller trees."""
    await session.execute(delete(Cosignature).where(Cosignature.tree_size < tree_size))
