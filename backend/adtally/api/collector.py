"""The collector's slow paths: keys for members, tags, and by what list it classifies."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from adtally.api.members import require_campaign
from adtally.api.service import ServiceDep
from adtally.collector.grants import grant_key, require_slot
from adtally.collector.landing import landing_page
from adtally.collector.tags import tags_of
from adtally.collector.user_agents import published_list, published_list_hash
from adtally.errors import NotFound
from adtally.events.hit_tokens import Slot
from adtally.events.key_request import KeyKind, KeyRequest
from adtally.settlement.machine import LogMachine
from adtally.types import UINT32_MAX, UINT48_MAX

router = APIRouter(tags=["hits"])

UInt32 = Annotated[int, Field(ge=0, le=UINT32_MAX, strict=True)]
Id = Annotated[int, Path(ge=0, le=UINT32_MAX)]


class KeyRequestIn(BaseModel):
    """A request for a key, signed by the member's event key (EIP-712 ``CollectorKeyRequest``)."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["slot", "postback"]
    member: UInt32
    campaign: UInt32
    placement: UInt32 = Field(0, description="of a slot key")
    creative: UInt32 = Field(0, description="of a slot key")
    requested_at_ms: Annotated[int, Field(ge=0, le=UINT48_MAX, strict=True)]
    signer: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    signature: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{130}$")]

    def to_request(self) -> KeyRequest:
        return KeyRequest(
            kind=KeyKind[self.kind.upper()],
            member=self.member,
            campaign=self.campaign,
            placement=self.placement,
            creative=self.creative,
            requested_at_ms=self.requested_at_ms,
            signer=bytes.fromhex(self.signer[2:]),
            signature=bytes.fromhex(self.signature[2:]),
        )


class KeyOut(BaseModel):
    key: str = Field(description="32 bytes; keep it on servers, never in a page")


class CollectorOut(BaseModel):
    """The collector of this service."""

    member: int
    can_collect: bool = Field(description="whether the member has the role on chain")
    token_lifetime_seconds: int
    user_agents_sha256: str = Field(description="of `GET /v1/collector/user-agents`")


class TagsOut(BaseModel):
    """Tags to paste; `{TOKEN}` and `{SLOT}` are for the ad server or page to fill in."""

    pixel_html: str
    viewable_url: str
    click_html: str
    script_html: str
    vast_inline: str
    vast_wrapper: str
    bid: dict[str, str] = Field(description="fields for an OpenRTB 2.6 Bid object")


@router.get("/collector", summary="The collector")
async def get_collector(service: ServiceDep) -> CollectorOut:
    """Which member signs single hits, and by which list it classifies user agents."""
    desk = service.hits
    return CollectorOut(
        member=desk.collector.member,
        can_collect=desk.collector.can_collect(),
        token_lifetime_seconds=desk.token_lifetime_ms // 1000,
        user_agents_sha256=published_list_hash(),
    )


@router.get("/collector/user-agents", summary="The list of user agents")
async def get_user_agents() -> Response:
    """Patterns and marks as canonical JSON, in the order in which they are tried."""
    return Response(published_list(), media_type="application/json")


@router.post("/collector/keys", summary="Get a slot key or a postback secret")
async def post_key_request(request: KeyRequestIn, service: ServiceDep) -> KeyOut:
    """A publisher gets keys of its slots, an advertiser the secrets of its campaigns.

    The same request gets the same key: keys follow from the collector's secret.
    """
    asked = request.to_request()
    now_ms = service.clock.now_ms()
    key = await service.sequencer.read(
        lambda machine: grant_key(asked, machine, service.hits.keys, now_ms)
    )
    return KeyOut(key=f"0x{key.hex()}")


@router.get(
    "/campaigns/{campaign_id}/tags/{publisher}/{placement}/{creative}",
    summary="Tags of a placement",
)
async def get_tags(
    campaign_id: Id,
    publisher: Id,
    placement: Id,
    creative: Id,
    request: Request,
    service: ServiceDep,
) -> TagsOut:
    """Pixel, click, script, VAST 4.2 and OpenRTB 2.6 fragments for one slot.

    They hold no key: who serves the ad puts the token that it minted in their places.
    """

    def read(machine: LogMachine) -> str:
        campaign = require_campaign(machine, campaign_id)
        slot = Slot(campaign_id, publisher, placement, creative)
        require_slot(slot, campaign, machine.facts)
        return campaign.creatives[creative]

    detail = await service.sequencer.read(read)
    page = landing_page(detail)
    if page is None:
        raise NotFound(
            "the creative has no landing page",
            field="creative",
            expected="a declaration whose detail is an http or https URL",
            found=repr(detail[:80]),
            action="the advertiser declares the creative with its landing page",
        )
    base_url = service.settings.public_url or str(request.base_url)
    tags = tags_of(base_url.rstrip("/"), campaign_id, creative, page)
    return TagsOut(
        pixel_html=tags.pixel_html,
        viewable_url=tags.viewable_url,
        click_html=tags.click_html,
        script_html=tags.script_html,
        vast_inline=tags.vast_inline,
        vast_wrapper=tags.vast_wrapper,
        bid=tags.bid,
    )
