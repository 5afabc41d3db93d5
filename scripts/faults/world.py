"""The facts that the log under test starts with: a funded campaign, and publishers with orders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eth_abi import encode
from eth_utils import keccak

from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.events.eip712 import declaration_digest, escrow_domain, log_domain
from adtally.events.facts import (
    ChainFacts,
    Declaration,
    DeclarationKind,
    FactLog,
    RulesFacts,
    split_chain_facts,
)
from adtally.events.signature import address_of, sign
from adtally.types import LogIdentity, Role
from adtally.verification.chain_logs import WATCHED_EVENTS
from adtally.verification.rule_set import RuleSet

CHAIN_ID = 31337
EVENT_LOG, ESCROW, TOKEN = b"\x11" * 20, b"\x22" * 20, b"\x33" * 20
IDENTITY = LogIdentity(CHAIN_ID, EVENT_LOG)
LOG_DOMAIN = log_domain(IDENTITY)
ESCROW_DOMAIN = escrow_domain(CHAIN_ID, ESCROW)
RECEIPT_KEY = keccak(b"receipts under fault")
RECEIPT_SIGNER = address_of(RECEIPT_KEY)

ADVERTISER = 2
FIRST_PUBLISHER = 10
CAMPAIGN, PLACEMENT, CREATIVE = 1, 7, 9
START_SECONDS = 1_700_000_000
NOW_MS = (START_SECONDS + 43_200) * 1000
_LONG = 10 * 86_400
_RATES = (2_000_000, 500_000, 250_000, 5_000_000)

DEPLOYMENT = Deployment(
    chain_id=CHAIN_ID,
    genesis_hash=bytes(32),
    block_number=1,
    access_manager=DeployedContract(b"\x55" * 20, bytes(32)),
    membership=DeployedContract(b"\x44" * 20, bytes(32)),
    event_log=DeployedContract(EVENT_LOG, bytes(32)),
    campaign_escrow=DeployedContract(ESCROW, bytes(32)),
    operator_member=1,
    attestor_set=1,
    threshold=2,
    attestors=(),
    receipt_signer=RECEIPT_SIGNER,
    tokens={"USDX": DeployedToken(TOKEN, 6, "USD")},
)


def key_of(member: int) -> bytes:
    """A member's event key."""
    return keccak(b"member under fault %d" % member)


def publishers(number: int) -> range:
    """Their member ids."""
    return range(FIRST_PUBLISHER, FIRST_PUBLISHER + number)


def world_facts(number: int) -> list[Any]:
    """Facts entries of a world with so many publishers, in order."""
    at_ms = START_SECONDS * 1000
    chain = ChainFacts(at_ms, 1, 40, b"\x01" * 32, START_SECONDS, tuple(_chain_logs(number)))
    placements = [
        _declared(DeclarationKind.PLACEMENT, publisher, 0, publisher, PLACEMENT)
        for publisher in publishers(number)
    ]
    creative = _declared(DeclarationKind.CREATIVE, ADVERTISER, CAMPAIGN, 0, CREATIVE)
    rules = RulesFacts(at_ms, RuleSet().to_json())
    return [rules, *split_chain_facts(chain), *placements, creative]


def _chain_logs(number: int) -> Iterator[FactLog]:
    for member in (ADVERTISER, *publishers(number)):
        role = Role.ADVERTISER if member == ADVERTISER else Role.PUBLISHER
        account = member.to_bytes(20, "big")
        data = [role, bytes(32), START_SECONDS + _LONG, address_of(key_of(member)), account]
        yield _log("MemberRegistered", [member, account], data, 20, member)
    end = START_SECONDS + 86_400
    terms = (TOKEN, START_SECONDS, end, 3_600, 0, 0, _LONG, 3_600, 1, 0, 0, 0, 0, 0, [(5, 500)])
    yield _log("CampaignOpened", [CAMPAIGN, ADVERTISER], [terms], 30, 0)
    yield _log("Funded", [CAMPAIGN, bytes(20)], [10**26, 10**26], 31, 0)
    for publisher in publishers(number):
        yield _log("OrderAccepted", [CAMPAIGN, publisher], [_RATES, 10**25], 32, publisher)


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
    digest = declaration_digest(LOG_DOMAIN, address_of(key), *fields, "faults")
    return Declaration(at_ms, *fields, address_of(key), sign(digest, key), "faults")
