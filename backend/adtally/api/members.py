"""Members and campaigns as the log's facts know them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from adtally.api.schemas import CampaignOut, MemberOut
from adtally.api.service import ServiceDep
from adtally.errors import NotFound
from adtally.settlement.machine import LogMachine
from adtally.types import UINT32_MAX, Role
from adtally.verification.fact_state import CampaignFacts

router = APIRouter()

Id = Annotated[int, Path(ge=1, le=UINT32_MAX)]


@router.get("/members/{member_id}", tags=["members"], summary="One member")
async def get_member(member_id: Id, service: ServiceDep) -> MemberOut:
    """Roles, keys and placements, and the sequence of the next batch."""

    def read(machine: LogMachine) -> MemberOut:
        member = machine.facts.members.get(member_id)
        if member is None:
            raise NotFound(
                "unknown member",
                field="member_id",
                expected="a member whose registration is final on chain",
                found=str(member_id),
            )
        placements = {
            item: detail
            for (publisher, item), detail in machine.facts.placements.items()
            if publisher == member_id
        }
        roles = [role.name.lower() for role in Role if member.has_role(role)]
        return MemberOut.of(member, roles, machine.next_sequence(member_id), placements)

    return await service.sequencer.read(read)


@router.get("/campaigns", tags=["campaigns"], summary="All campaigns")
async def get_campaigns(service: ServiceDep) -> list[CampaignOut]:
    """Every campaign whose opening is final on chain, by id."""
    return await service.sequencer.read(
        lambda machine: [_campaign(machine, id_) for id_ in sorted(machine.facts.campaigns)]
    )


@router.get("/campaigns/{campaign_id}", tags=["campaigns"], summary="One campaign")
async def get_campaign(campaign_id: Id, service: ServiceDep) -> CampaignOut:
    """Terms, funding, orders, and what has accrued so far."""
    return await service.sequencer.read(lambda machine: _campaign(machine, campaign_id))


def _campaign(machine: LogMachine, campaign_id: int) -> CampaignOut:
    return CampaignOut.of(
        require_campaign(machine, campaign_id), machine.accruals.lines(campaign_id)
    )


def require_campaign(machine: LogMachine, campaign_id: int) -> CampaignFacts:
    """The campaign's facts, or NotFound."""
    campaign = machine.facts.campaigns.get(campaign_id)
    if campaign is None:
        raise NotFound(
            "unknown campaign",
            field="campaign_id",
            expected="a campaign whose opening is final on chain",
            found=str(campaign_id),
        )
    return campaign
