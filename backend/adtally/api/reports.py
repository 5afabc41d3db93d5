"""``GET /v1/campaigns/{id}/report``: marketing figures over the same events that are settled."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from adtally.analytics.currencies import Token
from adtally.analytics.query import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    ReportQuery,
    parse_dimensions,
    parse_granularity,
)
from adtally.analytics.report import Report, ReportRow, report
from adtally.api.members import Id, require_campaign
from adtally.api.schemas import CountsOut, hex_text
from adtally.api.service import Service, ServiceDep
from adtally.events.currency import currency_code, currency_number
from adtally.storage.repositories.statements import get_statement
from adtally.types import Address

router = APIRouter(tags=["analytics"])


class MetricOut(BaseModel):
    """A quotient as a decimal string; null with the reason when it is undefined."""

    value: str | None
    reason: str | None


class GrossToNetOut(BaseModel):
    """Every logged event: all, invalid by lists, counted, by verdict, and what was corrected."""

    gross: CountsOut
    general_invalid: CountsOut
    net: CountsOut
    by_verdict: dict[str, CountsOut]
    corrections: dict[str, CountsOut] = Field(
        description="by reason, signed: made good less taken back; net = accepted + all of these"
    )


class ValueOut(BaseModel):
    currency: str | None
    value_minor_units: str


class IntervalOut(BaseModel):
    start_ms: int
    end_ms: int
    label: str = Field(description="start in the query's zone")
    is_partial: bool = Field(description="the range, or the present, cuts it short")


class RowOut(BaseModel):
    """One group, or the total."""

    interval: IntervalOut | None
    dimensions: dict[str, int | str]
    counts: CountsOut
    gross_to_net: GrossToNetOut
    spend_milli_base_units: str = Field(description="exact; rows add up to the total")
    spend_base_units: str = Field(description="floored per publisher, as in a statement")
    values: list[ValueOut]
    metrics: dict[str, MetricOut]

    @staticmethod
    def of(row: ReportRow) -> RowOut:
        net = row.gross_to_net
        return RowOut(
            interval=None
            if row.interval is None
            else IntervalOut(
                start_ms=row.interval.start_ms,
                end_ms=row.interval.end_ms,
                label=row.interval.label,
                is_partial=row.interval.is_partial,
            ),
            dimensions=dict(row.dimensions),
            counts=CountsOut.of(row.counts),
            gross_to_net=GrossToNetOut(
                gross=CountsOut.of(net.gross),
                general_invalid=CountsOut.of(net.general_invalid),
                net=CountsOut.of(net.net),
                by_verdict={label: CountsOut.of(c) for label, c in net.by_verdict.items()},
                corrections={label: CountsOut.of(c) for label, c in net.corrections.items()},
            ),
            spend_milli_base_units=str(row.spend_milli_base_units),
            spend_base_units=str(row.spend_base_units),
            values=[
                ValueOut(currency=value.code, value_minor_units=str(value.value_minor_units))
                for value in row.values
            ],
            metrics={
                name: MetricOut(value=value.text, reason=value.reason)
                for name, value in row.metrics.items()
            },
        )


class FxOut(BaseModel):
    base: str | None
    quote: str | None
    rate: str
    day: str
    source: str


class ReportOut(BaseModel):
    """Rows by interval and dimensions, and their total, over the log's first ``tree_size``."""

    campaign: int
    tree_size: int
    token: str
    token_decimals: int
    zone: str
    as_of_ms: int | None
    rows: list[RowOut]
    total: RowOut
    is_truncated: bool
    fx: list[FxOut]

    @staticmethod
    def of(result: Report) -> ReportOut:
        return ReportOut(
            campaign=result.query.campaign,
            tree_size=result.tree_size,
            token=result.token.symbol,
            token_decimals=result.token.decimals,
            zone=result.query.zone,
            as_of_ms=result.as_of_ms,
            rows=[RowOut.of(row) for row in result.rows],
            total=RowOut.of(result.total),
            is_truncated=result.is_truncated,
            fx=[
                FxOut(
                    base=currency_code(rate.base),
                    quote=currency_code(rate.quote),
                    rate=format(rate.rate, "f"),
                    day=rate.day.isoformat(),
                    source=rate.source,
                )
                for rate in result.fx
            ],
        )


class ReportParameters(BaseModel):
    """Query parameters of a report."""

    dimensions: str = Field(
        "", description="comma-separated: publisher, placement, creative, country, device"
    )
    granularity: str = Field("", description="hour or day; empty for none")
    from_ms: int | None = Field(None, ge=0, le=2**48, description="occurred-at, inclusive")
    to_ms: int | None = Field(None, ge=0, le=2**48, description="occurred-at, exclusive")
    zone: str = Field("UTC", description="IANA time zone of the intervals")
    statement: int | None = Field(
        None, ge=1, le=2**32 - 1, description="only what this statement covers"
    )
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)


@router.get(
    "/campaigns/{campaign_id}/report", response_model=ReportOut, summary="Figures of a campaign"
)
async def get_report(
    campaign_id: Id, service: ServiceDep, parameters: Annotated[ReportParameters, Query()]
) -> Response:
    """Impressions to ROAS, gross to net by verdict, grouped as asked.

    With ``statement`` the totals equal that statement to the unit. A ratio over nothing is null,
    with the reason, never 0.
    """
    token = await service.sequencer.read(
        lambda machine: _token(service, require_campaign(machine, campaign_id).terms.token)
    )
    tree_size = None
    if parameters.statement is not None:
        async with service.database.session() as session:
            row = await get_statement(session, campaign_id, parameters.statement)
        tree_size = row.statement.tree_size
    query = ReportQuery(
        campaign=campaign_id,
        dimensions=parse_dimensions(name for name in parameters.dimensions.split(",") if name),
        granularity=parse_granularity(parameters.granularity),
        from_ms=parameters.from_ms,
        to_ms=parameters.to_ms,
        zone=parameters.zone,
        tree_size=tree_size,
        limit=parameters.limit,
    )
    body = await asyncio.to_thread(_answer, service, query, token)
    return Response(body, media_type="application/json")


def _answer(service: Service, query: ReportQuery, token: Token) -> bytes:
    """Down to the bytes of the answer: thousands of rows must not hold up the event loop."""
    service.deriver.catch_up()
    result = report(
        service.deriver.dataset,
        query,
        token,
        fx=service.settings.fx_rates(),
        as_of_ms=service.clock.now_ms(),
    )
    return ReportOut.of(result).model_dump_json().encode()


def _token(service: Service, address: Address) -> Token:
    """What the deployment file says of a token; one it does not name has no decimals."""
    for symbol, token in service.deployment.tokens.items():
        if token.address == address:
            currency = None if token.currency is None else currency_number(token.currency)
            return Token(symbol, token.decimals, currency)
    return Token(hex_text(address), 0)
