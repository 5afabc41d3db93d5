"""``facts.json``: chain facts, declarations, rules and times."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from eth_utils import keccak

from adtally.events.facts import (
    ChainFacts,
    ContractCode,
    Declaration,
    DeclarationKind,
    FactLog,
    RulesFacts,
    TimeFacts,
)
from adtally.events.signature import address_of, sign
from vectors.common import (
    ADVERTISER_KEY,
    LOG_DOMAIN,
    NOON_MS,
    PUBLISHER_KEY,
    entry_case,
    patched,
    refused,
    seed,
    word,
)


def sample_chain_facts() -> ChainFacts:
    registered = keccak(b"MemberRegistered(uint32,address,uint8,bytes32,uint64,address,address)")
    funded = keccak(b"Funded(uint32,address,uint128,uint128)")
    return ChainFacts(
        recorded_at_ms=NOON_MS - 60_000,
        first_block=7,
        last_block=12,
        last_block_hash=seed("block 12"),
        last_block_timestamp_seconds=NOON_MS // 1000 - 70,
        logs=(
            FactLog(
                8,
                0,
                ContractCode.MEMBERSHIP,
                (registered, word(3), address_of(PUBLISHER_KEY).rjust(32, b"\0")),
                word(2) + seed("kyc") + word(NOON_MS // 1000 + 10**7)
                + address_of(PUBLISHER_KEY).rjust(32, b"\0") + (b"\x44" * 20).rjust(32, b"\0"),
            ),
            FactLog(
                12,
                4,
                ContractCode.CAMPAIGN_ESCROW,
                (funded, word(1), (b"\x55" * 20).rjust(32, b"\0")),
                word(250_000_000) * 2,
            ),
        ),
    )  # fmt: skip


def chain_facts_vectors() -> dict[str, Any]:
    facts = sample_chain_facts()
    cases = {
        "two logs": facts,
        "no logs": replace(facts, logs=()),
        "second of three parts": replace(facts, logs=facts.logs[:1], part=1, parts=3),
    }
    good = facts.to_entry()
    empty = replace(facts, logs=()).to_entry()
    rejected = {
        "empty": b"",
        "another kind": patched(good, 0, 4),
        "ends within a log": good[:-1],
        "trailing byte": good + b"\0",
        "first block after the last": good[:7] + word(13)[-8:] + good[15:],
        "no parts": empty[:65] + bytes(2) + empty[67:],
        "part 1 of 1": patched(good, 64, 1),
        "unknown contract": patched(good, len(empty) + 12, 3),
        "five topics": patched(good, len(empty) + 13, 5),
        "a count of logs beyond the bytes": patched(good, len(empty) - 1, 3),
    }
    return {
        "cases": [
            entry_case(name, {"entry_kind": 3, **asdict(case)}, case.to_entry())
            for name, case in cases.items()
        ],
        "rejected": refused(rejected),
    }


def signed_declaration(
    key: bytes,
    kind: DeclarationKind,
    member: int,
    campaign: int,
    publisher: int,
    item: int,
    detail: str,
    *,
    active: bool = True,
) -> Declaration:
    unsigned = Declaration(
        NOON_MS - 30_000, kind, active, member, campaign, publisher, item, NOON_MS - 31_000,
        address_of(key), bytes(65), detail,
    )  # fmt: skip
    return replace(unsigned, signature=sign(unsigned.digest(LOG_DOMAIN), key))


def declarations() -> dict[str, Declaration]:
    kinds = DeclarationKind
    return {
        "placement": signed_declaration(
            PUBLISHER_KEY, kinds.PLACEMENT, 3, 0, 3, 17, "news.example, top of page"
        ),
        "creative": signed_declaration(
            ADVERTISER_KEY, kinds.CREATIVE, 2, 1, 0, 5, "https://shop.example/läufer"
        ),
        "allowed placement": signed_declaration(
            ADVERTISER_KEY, kinds.ALLOWED_PLACEMENT, 2, 1, 3, 17, ""
        ),
        "withdrawn": signed_declaration(
            ADVERTISER_KEY, kinds.CREATIVE, 2, 1, 0, 6, "", active=False
        ),
    }


def declaration_vectors() -> dict[str, Any]:
    good = declarations()["placement"].to_entry()
    rejected = {
        "empty": b"",
        "ends within the signature": good[:110],
        "another kind": patched(good, 0, 3),
        "unknown kind of declaration": patched(good, 7, 4),
        "active 2": patched(good, 8, 2),
        "detail is not UTF-8": good + b"\xff",
        "detail over 2,048 bytes": good + b"a" * 2_048,
    }
    return {
        "cases": [
            entry_case(name, {"entry_kind": 4, **asdict(case)}, case.to_entry())
            for name, case in declarations().items()
        ],
        "rejected": refused(rejected),
    }


def facts_vectors() -> dict[str, Any]:
    rules = RulesFacts(NOON_MS - 90_000, b'{"max_event_age_ms":86400000,"version":1}')
    time = TimeFacts(NOON_MS + 90_000)
    return {
        "chain_facts": chain_facts_vectors(),
        "declaration": declaration_vectors(),
        "rules": {
            "cases": [entry_case("frame", {"entry_kind": 5, **asdict(rules)}, rules.to_entry())],
            "rejected": refused({"empty": b"", "ends within the time": rules.to_entry()[:6]}),
        },
        "time": {
            "cases": [entry_case("usual", {"entry_kind": 6, **asdict(time)}, time.to_entry())],
            "rejected": refused(
                {"one byte short": time.to_entry()[:-1], "trailing byte": time.to_entry() + b"\0"}
            ),
        },
    }
