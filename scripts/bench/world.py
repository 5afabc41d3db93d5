"""The facts that the bench's log starts with: publishers, a funded campaign, orders, inventory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from adtally.events.eip712 import declaration_digest, escrow_domain, log_domain
from adtally.events.facts import ChainFacts, Declaration, DeclarationKind, FactLog, RulesFacts
from adtally.events.signature import address_of, sign
from adtally.types import LogIdentity, Role
from adtally.verification.chain_logs import WATCHED_EVENTS
from adtally.verification.rule_set import RuleSet

CHAIN_ID = 31337
EVENT_LOG, ESCROW, TOKEN = b"\x11" * 20, b"\x22" * 20, b"\x33" * 20
IDENTITY = LogIdentity(CHAIN_ID, EVENT_LOG)
LOG_DOMAIN = log_domain(IDENTITY)
ESCROW_DOMAIN = escrow_domain(CHAIN_ID, ESCROW)
RECEIPT_KEY = keccak(b"bench receipts")
COLLECTOR_SECRET = keccak(b"bench collector")

OPERATOR, ADVERTISER = 1, 2
PUBLISHERS = range(10, 26)
CAMPAIGN, PLACEMENT, CREATIVE = 1, 7, 9
START_SECONDS = 1_700_000_000
NOW_MS = (START_SECONDS + 43_200) * 1000
_LONG = 10 * 86_400


def key_of(member: int) -> bytes:
    """A member's event key."""
    return keccak(b"bench member %d" % member)


def world_facts() -> list[Any]:
    """Facts entries, in order."""
    at_ms = START_SECONDS * 1000
    chain = ChainFacts(at_ms, 1, 40, b"\x01" * 32, START_SECONDS, tuple(_chain_logs()))
    placements = [
        _declared(DeclarationKind.PLACEMENT, publisher, 0, publisher, PLACEMENT)
        for publisher in PUBLISHERS
    ]
    creative = _declared(DeclarationKind.CREATIVE, ADVERTISER, CAMPAIGN, 0, CREATIVE)
    return [RulesFacts(at_ms, RuleSet().to_json()), chain, *placements, creative]


def _chain_logs() -> Iterator[FactLog]:
    roles = {OPERATOR: Role.OPERATOR | Role.COLLECTOR, ADVERTISER: Role.ADVERTISER}
    for member in (OPERATOR, ADVERTISER, *PUBLISHERS):
        account = bytes([member]) * 20
        key = RECEIPT_KEY if member == OPERATOR else key_of(member)
        role = roles.get(member, Role.PUBLISHER)
        data = [role, bytes(32), START_SECONDS + _LONG, address_of(key), account]
        yield _log("MemberRegistered", [member, account], data, member, 0)
    end = START_SECONDS + 86_400
    terms = (TOKEN, START_SECONDS, end, 3_600, 0, 0, _LONG, 3_600, 1, 0, 0, 0, 0, 0, [(5, 500)])
    yield _log("CampaignOpened", [CAMPAIGN, ADVERTISER], [terms], 30, 0)
    yield _log("Funded", [CAMPAIGN, bytes(20)], [10**26, 10**26], 31, 0)
    rates = (2_000_000, 500_000, 250_000, 5_000_000)
    for publisher in PUBLISHERS:
        yield _log("OrderAccepted", [CAMPAIGN, publisher], [rates, 10**25], 32, publisher)


def _log(name: str, indexed: list[Any], data: list[Any], block: int, index: int) -> FactLog:
    event = next(watched for watched in WATCHED_EVENTS if watched.name == name)
    topics = [encode([kind], [value]) for kind, value in zip(event.indexed, indexed, strict=True)]
    return FactLog(
        block, index, event.contract, (event.topic, *topics), encode(list(event.data), data)
    )


def _declared(
    kind: DeclarationKind, member: int, campaign: int, publisher: int, item: int
) -> Declaration:
    at_ms, key = START_SECONDS * 1000, key_of(member)
    fields = (kind, True, member, campaign, publisher, item, at_ms)
    digest = declaration_digest(LOG_DOMAIN, address_of(key), *fields, "bench")
    return Declaration(at_ms, *fields, address_of(key), sign(digest, key), "bench")
