"""Who is given which key: the placement's publisher a slot key, the advertiser its secret."""

from __future__ import annotations

from adtally.collector.keys import CollectorKeys
from adtally.errors import NotAllowed, NotFound
from adtally.events.eip712 import log_domain
from adtally.events.hit_tokens import Slot
from adtally.events.key_request import KeyKind, KeyRequest
from adtally.settlement.machine import LogMachine
from adtally.types import Role
from adtally.verification.fact_state import CampaignFacts, FactState

REQUEST_WINDOW_MS = 300_000


def grant_key(request: KeyRequest, machine: LogMachine, keys: CollectorKeys, now_ms: int) -> bytes:
    """The key that was asked for.

    Raises:
        VerificationFailed: the signature does not verify.
        NotAllowed: the request is too old or ahead, the signer is not the member's event key, or
            the key is none of this member's.
        NotFound: there is no such campaign.
    """
    request.verify_signature(log_domain(machine.identity))
    if abs(now_ms - request.requested_at_ms) > REQUEST_WINDOW_MS:
        raise NotAllowed(
            "the request for a key is not of now",
            field="requested_at_ms",
            expected=f"within {REQUEST_WINDOW_MS // 1000} s of {now_ms}",
            found=str(request.requested_at_ms),
            action="sign a new one; check the clock",
        )
    facts = machine.facts
    member = facts.members.get(request.member)
    if member is None or not member.accepts_key(request.signer, now_ms):
        raise NotAllowed(
            "the signer may not ask for this member",
            field="signer",
            expected="the member's registered event key",
            found=f"0x{request.signer.hex()} for member {request.member}",
        )
    campaign = facts.campaigns.get(request.campaign)
    if campaign is None:
        raise NotFound(
            "unknown campaign",
            field="campaign",
            expected="a campaign whose opening is final on chain",
            found=str(request.campaign),
        )
    if request.kind is KeyKind.POSTBACK:
        _require(
            request.member == campaign.advertiser,
            "member",
            f"the campaign's advertiser, member {campaign.advertiser}",
            f"member {request.member}",
        )
        return keys.postback_secret(request.campaign)
    _require(member.has_role(Role.PUBLISHER), "member", "a publisher", f"member {request.member}")
    slot = Slot(request.campaign, request.member, request.placement, request.creative)
    require_slot(slot, campaign, facts)
    return keys.slot_key(slot.packed())


def require_slot(slot: Slot, campaign: CampaignFacts, facts: FactState) -> None:
    """Raises NotAllowed unless hits of this slot could count at all by now."""
    publisher, placement = slot.publisher, slot.placement
    _require(
        publisher in campaign.orders,
        "campaign",
        "an order that the publisher has accepted",
        f"none of publisher {publisher} in campaign {campaign.id}",
    )
    allowed = campaign.allowed_placements.get(publisher)
    _require(
        (publisher, placement) in facts.placements and (not allowed or placement in allowed),
        "placement",
        "one that the publisher has declared and the campaign allows",
        str(placement),
    )
    _require(
        slot.creative in campaign.creatives,
        "creative",
        f"a declared creative of the campaign, one of {sorted(campaign.creatives)[:8]}",
        str(slot.creative),
    )


def _require(holds: bool, field: str, expected: str, found: str) -> None:
    if not holds:
        raise NotAllowed(
            "there is no such key for this member", field=field, expected=expected, found=found
        )
