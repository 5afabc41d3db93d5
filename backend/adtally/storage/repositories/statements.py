"""Statements and their lines."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from adtally.errors import Conflict, NotFound
from adtally.storage.models import StatementLine, StatementModel
from adtally.storage.rows import DraftReason, Settlement, StatementRow
from adtally.types import Counts, Line, Statement


async def add_statement(
    session: AsyncSession,
    statement: Statement,
    lines: Sequence[Line],
    reason: DraftReason,
    created_at_ms: int,
) -> None:
    """Store a draft with its lines, once and for ever.

    Raises:
        Conflict: this campaign and sequence is drafted already.
    """
    if await find_statement(session, statement.campaign, statement.sequence) is not None:
        raise Conflict(
            "the statement is drafted already and never changes",
            field="sequence",
            expected=f"a new sequence of campaign {statement.campaign}",
            found=str(statement.sequence),
        )
    session.add(
        StatementModel(
            campaign=statement.campaign,
            sequence=statement.sequence,
            tree_size=statement.tree_size,
            lines_total_base_units=statement.lines_total_base_units,
            corrections=statement.corrections,
            lines_root=statement.lines_root,
            is_final=statement.is_final,
            is_objected=False,
            reason=reason.value,
            created_at_ms=created_at_ms,
            **_count_columns(statement.counts),
        )
    )
    await session.flush()
    session.add_all(
        StatementLine(
            campaign=statement.campaign,
            sequence=statement.sequence,
            publisher=line.publisher,
            amount_base_units=line.amount_base_units,
            **_count_columns(line.counts),
        )
        for line in lines
    )
    await session.flush()


async def find_statement(
    session: AsyncSession, campaign: int, sequence: int
) -> StatementRow | None:
    """The statement, None if it has not been drafted."""
    model = await session.get(StatementModel, (campaign, sequence))
    return None if model is None else _row(model)


async def get_statement(session: AsyncSession, campaign: int, sequence: int) -> StatementRow:
    """The statement; raises NotFound if it has not been drafted."""
    row = await find_statement(session, campaign, sequence)
    if row is None:
        raise NotFound(
            "no such statement",
            field="sequence",
            expected=f"a drafted statement of campaign {campaign}",
            found=str(sequence),
        )
    return row


async def list_statements(session: AsyncSession, campaign: int | None = None) -> list[StatementRow]:
    """Statements of one campaign (or all), by campaign, then sequence."""
    query = select(StatementModel).order_by(StatementModel.campaign, StatementModel.sequence)
    if campaign is not None:
        query = query.where(StatementModel.campaign == campaign)
    return [_row(model) for model in await session.scalars(query)]


async def latest_statements(session: AsyncSession) -> dict[int, StatementRow]:
    """The newest statement of every campaign that has one, by campaign."""
    newest = (
        select(StatementModel.campaign, func.max(StatementModel.sequence).label("sequence"))
        .group_by(StatementModel.campaign)
        .subquery()
    )
    query = select(StatementModel).join(
        newest,
        and_(
            StatementModel.campaign == newest.c.campaign,
            StatementModel.sequence == newest.c.sequence,
        ),
    )
    return {model.campaign: _row(model) for model in await session.scalars(query)}


async def unsettled_statements(session: AsyncSession) -> list[StatementRow]:
    """Statements whose submission is not final on chain yet, oldest tree size first."""
    query = (
        select(StatementModel)
        .where(StatementModel.settled_block_number.is_(None))
        .order_by(StatementModel.tree_size, StatementModel.campaign, StatementModel.sequence)
    )
    return [_row(model) for model in await session.scalars(query)]


async def list_lines(session: AsyncSession, campaign: int, sequence: int) -> list[Line]:
    """A statement's lines by ascending publisher; empty if there is no such statement."""
    query = (
        select(StatementLine)
        .where(StatementLine.campaign == campaign, StatementLine.sequence == sequence)
        .order_by(StatementLine.publisher)
    )
    return [
        Line(model.publisher, _counts(model), model.amount_base_units)
        for model in await session.scalars(query)
    ]


async def highest_amounts(
    session: AsyncSession, campaign: int, through_sequence: int
) -> tuple[int, dict[int, int]]:
    """The highest total of the campaign's statements up to a sequence, and each publisher's highest
    line in them: what corrections have lowered since may have been paid from.
    """
    total = await session.scalar(
        select(func.max(StatementModel.lines_total_base_units)).where(
            StatementModel.campaign == campaign, StatementModel.sequence <= through_sequence
        )
    )
    rows = await session.execute(
        select(StatementLine.publisher, func.max(StatementLine.amount_base_units))
        .where(StatementLine.campaign == campaign, StatementLine.sequence <= through_sequence)
        .group_by(StatementLine.publisher)
    )
    return total or 0, dict(rows.all())


async def set_settlement(
    session: AsyncSession, campaign: int, sequence: int, settlement: Settlement
) -> None:
    """Note where the statement's submission stands; doing it again changes nothing.

    Raises:
        NotFound: there is no such statement.
        Conflict: it was settled elsewhere.
    """
    before = (await get_statement(session, campaign, sequence)).settlement
    if before is not None and before != settlement:
        raise Conflict(
            "a statement settles once",
            field="settlement",
            expected=str(before),
            found=str(settlement),
        )
    model = await session.get_one(StatementModel, (campaign, sequence))
    model.settled_transaction_hash = settlement.transaction_hash
    model.settled_block_number = settlement.block_number
    model.settled_block_hash = settlement.block_hash
    model.activates_at_seconds = settlement.activates_at_seconds
    await session.flush()


async def set_objection(
    session: AsyncSession, campaign: int, sequence: int, activates_at_seconds: int
) -> None:
    """Note that the advertiser has objected to a settled statement, which moves its activation.

    Raises:
        NotFound: there is no such statement, or it is not settled.
    """
    if (await get_statement(session, campaign, sequence)).settlement is None:
        raise NotFound(
            "only a settled statement can be objected to",
            field="sequence",
            expected=f"a settled statement of campaign {campaign}",
            found=str(sequence),
        )
    model = await session.get_one(StatementModel, (campaign, sequence))
    model.activates_at_seconds = activates_at_seconds
    model.is_objected = True
    await session.flush()


def _count_columns(counts: Counts) -> dict[str, int]:
    return {
        "impressions": counts.impressions,
        "viewables": counts.viewables,
        "clicks": counts.clicks,
        "conversions": counts.conversions,
    }


def _counts(model: StatementModel | StatementLine) -> Counts:
    return Counts(model.impressions, model.viewables, model.clicks, model.conversions)


def _row(model: StatementModel) -> StatementRow:
    return StatementRow(
        statement=Statement(
            campaign=model.campaign,
            sequence=model.sequence,
            tree_size=model.tree_size,
            lines_total_base_units=model.lines_total_base_units,
            counts=_counts(model),
            corrections=model.corrections,
            lines_root=model.lines_root,
            is_final=model.is_final,
        ),
        reason=DraftReason(model.reason),
        created_at_ms=model.created_at_ms,
        settlement=_settlement(model),
    )


def _settlement(model: StatementModel) -> Settlement | None:
    if (
        model.settled_transaction_hash is None
        or model.settled_block_number is None
        or model.settled_block_hash is None
        or model.activates_at_seconds is None
    ):
        return None
    return Settlement(
        model.settled_transaction_hash,
        model.settled_block_number,
        model.settled_block_hash,
        model.activates_at_seconds,
        model.is_objected,
    )
