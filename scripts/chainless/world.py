"""What a log under load starts with: publishers, a funded campaign, orders, inventory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from adtally.events.facts import (
    ChainFacts,
    DeclarationKind,
    FactLog,
    RulesFacts,
    split_chain_facts,
)
from adtally.events.signature import address_of
from adtally.types import Role
from adtally.verification.rule_set import RuleSet

from .facts import (
    FLIGHT_START,
    RECEIPT_KEY,
    TOKEN,
    encoded_log,
    key_of,
    signed_declaration,
)

OPERATOR, ADVERTISER = 1, 2
PUBLISHERS = range(10, 110)
CAMPAIGN, PLACEMENT, CREATIVE = 1, 7, 9
_LONG = 10 * 86_400


def publishers(number: int) -> range:
    """Member ids of so many publishers."""
    return range(PUBLISHERS.start, PUBLISHERS.start + number)


def world_facts(publishers: Sequence[int] = PUBLISHERS) -> list[Any]:
    """Facts entries, in order."""
    at_ms = FLIGHT_START * 1000
    chain = ChainFacts(at_ms, 1, 40, b"\x01" * 32, FLIGHT_START, tuple(_chain_logs(publishers)))
    placement, creative = DeclarationKind.PLACEMENT, DeclarationKind.CREATIVE
    placements = [
        signed_declaration(placement, publisher, key_of(publisher), PLACEMENT, publisher=publisher)
        for publisher in publishers
    ]
    shown = signed_declaration(
        creative, ADVERTISER, key_of(ADVERTISER), CREATIVE, campaign=CAMPAIGN
    )
    rules = RulesFacts(at_ms, RuleSet().to_json())
    return [rules, *split_chain_facts(chain), *placements, shown]


def _chain_logs(publishers: Sequence[int]) -> Iterator[FactLog]:
    roles = {OPERATOR: Role.OPERATOR | Role.COLLECTOR, ADVERTISER: Role.ADVERTISER}
    for member in (OPERATOR, ADVERTISER, *publishers):
        role, account = roles.get(member, Role.PUBLISHER), member.to_bytes(20, "big")
        key = RECEIPT_KEY if member == OPERATOR else key_of(member)
        data = [role, bytes(32), FLIGHT_START + _LONG, address_of(key), account]
        yield encoded_log("MemberRegistered", [member, account], data, 2, member)
    end = FLIGHT_START + 86_400
    terms = (TOKEN, FLIGHT_START, end, 3_600, 0, 0, _LONG, 3_600, 1, 0, 0, 0, 0, 0, [(5, 500)])
    yield encoded_log("CampaignOpened", [CAMPAIGN, ADVERTISER], [terms], 30, 0)
    yield encoded_log("Funded", [CAMPAIGN, bytes(20)], [10**26, 10**26], 31, 0)
    rates = (2_000_000, 500_000, 250_000, 5_000_000)
    for publisher in publishers:
        yield encoded_log("OrderAccepted", [CAMPAIGN, publisher], [rates, 10**25], 32, publisher)
