"""Registers placements and creatives in the log, once."""

from __future__ import annotations

from collections.abc import Callable

from adtally.client.publisher import PublisherClient
from adtally.demo.cast import Cast
from adtally.demo.plan import DemoPlan
from adtally.errors import NotAllowed
from adtally.events.facts import DeclarationKind


async def declare_inventory(
    plan: DemoPlan, cast: Cast, client_of: Callable[[int], PublisherClient], now_ms: int
) -> None:
    """Publishers register their placements, the advertiser its creatives; ids count from 1.

    Args:
        client_of: member id -> its client.
        now_ms: virtual time of the declarations.
    """
    for party in plan.parties:
        if party.placements:
            client = client_of(cast.ids[party.name])
            for item, name in enumerate(party.placements, start=1):
                await _declare(client, DeclarationKind.PLACEMENT, item, name, now_ms)
    advertiser = client_of(cast.ids[plan.advertiser])
    for campaign in cast.campaigns:
        for item, name in enumerate(campaign.plan.creatives, start=1):
            await _declare(
                advertiser, DeclarationKind.CREATIVE, item, name, now_ms, campaign=campaign.id
            )


async def _declare(
    client: PublisherClient,
    kind: DeclarationKind,
    item: int,
    name: str,
    now_ms: int,
    *,
    campaign: int = 0,
) -> None:
    try:
        await client.declare(kind, item, name, now_ms, campaign=campaign)
    except NotAllowed as error:
        # Declared at this very time already: by an earlier run, or by a request whose answer was
        # lost when the service was killed.
        if error.field != "declared_at_ms":
            raise
