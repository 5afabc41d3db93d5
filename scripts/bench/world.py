"""The facts that the bench's log starts with: publishers, a funded campaign, orders, inventory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scripts.chainless.facts import (
    FLIGHT_START,
    RECEIPT_KEY,
    TOKEN,
    encoded_log,
    key_of,
    signed_declaration,
)

from adtally.events.facts import ChainFacts, DeclarationKind, FactLog, RulesFacts
from adtally.events.signature import address_of
from adtally.types import Role
from adtally.verification.rule_set import RuleSet

OPERATOR, ADVERTISER = 1, 2
# One entry of chain facts, of 65,535 bytes at most, holds them all.
PUBLISHERS = range(10, 110)
CAMPAIGN, PLACEMENT, CREATIVE = 1, 7, 9
_LONG = 10 * 86_400


def world_facts() -> list[Any]:
    """Facts entries, in order."""
    at_ms = FLIGHT_START * 1000
    chain = ChainFacts(at_ms, 1, 40, b"\x01" * 32, FLIGHT_START, tuple(_chain_logs()))
    placement, creative = DeclarationKind.PLACEMENT, DeclarationKind.CREATIVE
    placements = [
        signed_declaration(placement, publisher, key_of(publisher), PLACEMENT, publisher=publisher)
        for publisher in PUBLISHERS
    ]
    shown = signed_declaration(
        creative, ADVERTISER, key_of(ADVERTISER), CREATIVE, campaign=CAMPAIGN
    )
    return [RulesFacts(at_ms, RuleSet().to_json()), chain, *placements, shown]


def _chain_logs() -> Iterator[FactLog]:
    roles = {OPERATOR: Role.OPERATOR | Role.COLLECTOR, ADVERTISER: Role.ADVERTISER}
    for member in (OPERATOR, ADVERTISER, *PUBLISHERS):
        role, account = roles.get(member, Role.PUBLISHER), bytes([member]) * 20
        key = RECEIPT_KEY if member == OPERATOR else key_of(member)
        data = [role, bytes(32), FLIGHT_START + _LONG, address_of(key), account]
        yield encoded_log("MemberRegistered", [member, account], data, 2, member)
    end = FLIGHT_START + 86_400
    terms = (TOKEN, FLIGHT_START, end, 3_600, 0, 0, _LONG, 3_600, 1, 0, 0, 0, 0, 0, [(5, 500)])
    yield encoded_log("CampaignOpened", [CAMPAIGN, ADVERTISER], [terms], 30, 0)
    yield encoded_log("Funded", [CAMPAIGN, bytes(20)], [10**26, 10**26], 31, 0)
    rates = (2_000_000, 500_000, 250_000, 5_000_000)
    for publisher in PUBLISHERS:
        yield encoded_log("OrderAccepted", [CAMPAIGN, publisher], [rates, 10**25], 32, publisher)
