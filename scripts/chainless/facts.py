"""What a chain would have said: the log's identity, contract logs and signed declarations."""

from __future__ import annotations

from typing import Any

from eth_abi import encode
from eth_utils import keccak

from adtally.events.eip712 import declaration_digest, escrow_domain, log_domain
from adtally.events.facts import Declaration, DeclarationKind, FactLog
from adtally.events.signature import address_of, sign
from adtally.types import LogIdentity
from adtally.verification.chain_logs import WATCHED_EVENTS

CHAIN_ID = 31337
EVENT_LOG = bytes.fromhex("11" * 20)
ESCROW = bytes.fromhex("22" * 20)
TOKEN = bytes.fromhex("33" * 20)
MEMBERSHIP = bytes.fromhex("44" * 20)
IDENTITY = LogIdentity(CHAIN_ID, EVENT_LOG)
LOG_DOMAIN = log_domain(IDENTITY)
ESCROW_DOMAIN = escrow_domain(CHAIN_ID, ESCROW)
RECEIPT_KEY = keccak(b"receipt key")
COLLECTOR_SECRET = keccak(b"collector secret")

FLIGHT_START = 1_700_000_000
"""Seconds; all campaigns begin here, and facts are recorded at this time."""
NOON_MS = (FLIGHT_START + 43_200) * 1000


def key_of(member: int) -> bytes:
    """The member's private event key."""
    return keccak(b"event key %d" % member)


def encoded_log(name: str, indexed: list[Any], data: list[Any], block: int, index: int) -> FactLog:
    """A contract log as the chain would give it."""
    event = next(watched for watched in WATCHED_EVENTS if watched.name == name)
    topics = [event.topic]
    topics += [encode([kind], [value]) for kind, value in zip(event.indexed, indexed, strict=True)]
    return FactLog(block, index, event.contract, tuple(topics), encode(list(event.data), data))


def signed_declaration(
    kind: DeclarationKind,
    member: int,
    key: bytes,
    item: int,
    *,
    campaign: int = 0,
    publisher: int = 0,
    active: bool = True,
    at_ms: int = FLIGHT_START * 1000,
) -> Declaration:
    """A placement or creative, declared by a member under this key."""
    fields = (kind, active, member, campaign, publisher, item, at_ms)
    digest = declaration_digest(LOG_DOMAIN, address_of(key), *fields, "detail")
    return Declaration(at_ms, *fields, address_of(key), sign(digest, key), "detail")
