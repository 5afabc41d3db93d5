"""Writes the test vectors of the specification, ``docs/spec/vectors/*.json``.

Everything comes from fixed inputs: running it twice gives the same bytes. A test compares the
committed files with what this script builds, and others check them without this package's code.

    python scripts/make_vectors.py            write the files
    python scripts/make_vectors.py --check    exit 1 if a committed file differs
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eth_utils import keccak

from adtally.events import eip712
from adtally.events.batch import Envelope, SignedBatch, batch_to_wire, sign_batch
from adtally.events.currency import currency_code
from adtally.events.facts import (
    ChainFacts,
    ContractCode,
    Declaration,
    DeclarationKind,
    FactLog,
    RulesFacts,
    TimeFacts,
)
from adtally.events.record import (
    NO_PARENT,
    AdEvent,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
    event_id_text,
    new_event_id,
    set_verdict,
)
from adtally.events.signature import address_of, sign
from adtally.events.verdict import Verdict
from adtally.log.bundle import encode_bundle
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.log.merkle import MerkleTree, leaf_hash
from adtally.settlement.claim_tree import ClaimTree, line_leaf
from adtally.settlement.rates import (
    counts_amount_milli,
    cut_amount_base_units,
    line_amount_base_units,
    reserve_base_units,
)
from adtally.types import (
    UINT32_MAX,
    UINT48_MAX,
    UINT64_MAX,
    UINT96_MAX,
    UINT128_MAX,
    Checkpoint,
    Counts,
    Cut,
    Line,
    LogIdentity,
    Rates,
    Statement,
)
from replay_vector import replay_vectors

VECTORS = Path(__file__).resolve().parent.parent / "docs" / "spec" / "vectors"

CHAIN_ID = 31_337
EVENT_LOG = bytes.fromhex("11" * 20)
ESCROW = bytes.fromhex("22" * 20)
MEMBERSHIP = bytes.fromhex("33" * 20)
IDENTITY = LogIdentity(CHAIN_ID, EVENT_LOG)
LOG_DOMAIN = eip712.log_domain(IDENTITY)
ESCROW_DOMAIN = eip712.escrow_domain(CHAIN_ID, ESCROW)
MEMBERSHIP_DOMAIN = eip712.membership_domain(CHAIN_ID, MEMBERSHIP)
LOG_ORIGIN = f"adtally/{CHAIN_ID}/0x{EVENT_LOG.hex()}"

# 2026-11-02 12:00:00 UTC.
NOON_MS = 1_793_620_800_000
LARGEST_JSON_INTEGER = 2**53 - 1
CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def seed(name: str, size: int = 32) -> bytes:
    """Fixed bytes under a name; also the private keys of the vectors."""
    return hashlib.sha256(f"adtally vector: {name}".encode()).digest()[:size]


PUBLISHER_KEY = seed("publisher event key")
ADVERTISER_KEY = seed("advertiser event key")
RECEIPT_KEY = seed("operator receipt key")
NOTE_KEY = seed("log note key")
ATTESTOR_KEYS = sorted((seed(f"attestor {n}") for n in range(3)), key=address_of)


# Values -----------------------------------------------------------------------------------------


def hexed(value: bytes) -> str:
    return "0x" + value.hex()


def plain(value: Any) -> Any:
    """JSON form: bytes as 0x hex, integers a double can't hold as decimal strings."""
    if isinstance(value, bytes):
        return hexed(value)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return int(value) if value <= LARGEST_JSON_INTEGER else str(int(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value]


def impression() -> AdEvent:
    return AdEvent(
        type=EventType.IMPRESSION,
        campaign=1,
        publisher=3,
        placement=17,
        creative=5,
        id=new_event_id(NOON_MS, seed("impression", 10)),
        occurred_at_ms=NOON_MS,
        country="DE",
        device=DeviceClass.MOBILE,
        user_agent_class=UserAgentClass.BROWSER,
        network_class=NetworkClass.CARRIER,
        subject=seed("subject", 16),
        context=seed("context", 20),
    )


def follower(name: str, kind: EventType, parent: AdEvent, delay_ms: int) -> AdEvent:
    at = parent.occurred_at_ms + delay_ms
    return replace(
        parent,
        type=kind,
        id=new_event_id(at, seed(name, 10)),
        parent_id=parent.id,
        occurred_at_ms=at,
    )


def events() -> dict[str, AdEvent]:
    """One event of every type, and the extremes of every field."""
    shown = impression()
    clicked = follower("click", EventType.CLICK, shown, 4_200)
    bought = follower("conversion", EventType.CONVERSION, clicked, 600_000)
    return {
        "impression": shown,
        "viewable": follower("viewable", EventType.VIEWABLE, shown, 1_000),
        "click": clicked,
        "conversion": replace(bought, value_minor_units=12_999, currency=978),
        "smallest values": AdEvent(EventType.IMPRESSION, 0, 0, 0, 0, bytes(16), 0),
        "largest values": AdEvent(
            type=EventType.CONVERSION,
            campaign=UINT32_MAX,
            publisher=UINT32_MAX,
            placement=UINT32_MAX,
            creative=UINT32_MAX,
            id=b"\xff" * 16,
            parent_id=b"\xff" * 16,
            occurred_at_ms=UINT48_MAX,
            country="ZZ",
            device=DeviceClass.OTHER,
            user_agent_class=UserAgentClass.KNOWN_BOT,
            network_class=NetworkClass.PROXY,
            subject=b"\xff" * 16,
            context=b"\xff" * 20,
            value_minor_units=UINT64_MAX,
            currency=999,
            verdict=Verdict.BUDGET_EXHAUSTED,
        ),
    }


def event_json(event: AdEvent) -> dict[str, Any]:
    """The event as it stands in a JSON batch."""
    body: dict[str, Any] = {
        "type": event.type.label,
        "id": event_id_text(event.id),
        "campaign": event.campaign,
        "publisher": event.publisher,
        "placement": event.placement,
        "creative": event.creative,
        "occurred_at_ms": event.occurred_at_ms,
        "country": event.country,
        "device": event.device.label,
        "user_agent_class": event.user_agent_class.label,
        "network_class": event.network_class.label,
        "subject": event.subject.hex(),
        "context": event.context.hex(),
    }
    if event.parent_id != NO_PARENT:
        body["parent_id"] = event_id_text(event.parent_id)
    if event.currency:
        body["value_minor_units"] = str(event.value_minor_units)
        body["currency"] = currency_code(event.currency)
    return body


# Entries ----------------------------------------------------------------------------------------


def entry_case(name: str, fields: dict[str, Any], entry: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "fields": plain(fields),
        "entry": hexed(entry),
        "leaf_hash": hexed(leaf_hash(entry)),
    }


def patched(entry: bytes, offset: int, value: int) -> bytes:
    return entry[:offset] + bytes((value,)) + entry[offset + 1 :]


def record_vectors() -> dict[str, Any]:
    cases = [entry_case(name, _record_fields(event), event.to_record())
             for name, event in events().items()]  # fmt: skip
    accepted = events()["click"].with_verdict(Verdict.ACCEPTED)
    cases.append(entry_case("click, accepted", _record_fields(accepted), accepted.to_record()))
    good = events()["click"].to_record()
    rejected = {
        "empty": b"",
        "one byte short": good[:-1],
        "one byte long": good + b"\0",
        "another kind": patched(good, 0, 2),
        "unknown type": patched(good, 1, 5),
        "flags not zero": patched(good, 2, 1),
        "unknown verdict": patched(good, 3, 200),
        "id is not of its time": patched(good, 20, good[20] ^ 1),
        "click without parent": good[:36] + NO_PARENT + good[52:],
        "small letters in the country": patched(good, 58, ord("d")),
        "unknown device": patched(good, 60, 6),
        "unknown user agent class": patched(good, 61, 4),
        "unknown network class": patched(good, 62, 5),
        "reserved byte 63 not zero": patched(good, 63, 1),
        "click with a value": patched(good, 107, 1),
        "currency over 999": events()["conversion"].to_record()[:108] + b"\x03\xe8\0\0",
        "value without currency": events()["conversion"].to_record()[:108] + bytes(4),
        "reserved bytes 110 and 111 not zero": patched(good, 111, 1),
    }
    return {"cases": cases, "rejected": _rejected(rejected)}


def _record_fields(event: AdEvent) -> dict[str, Any]:
    fields = asdict(event)
    return {"entry_kind": 1, "flags": 0, **fields}


def _rejected(cases: dict[str, bytes]) -> list[dict[str, Any]]:
    return [{"name": name, "entry": hexed(entry)} for name, entry in cases.items()]


def sample_batch() -> SignedBatch:
    """Three events of one publisher under one signature."""
    records = [events()[name].to_record() for name in ("impression", "viewable", "click")]
    return sign_batch(LOG_DOMAIN, CHAIN_ID, PUBLISHER_KEY, 3, 1, records)


def sample_envelope() -> Envelope:
    batch = sample_batch()
    return Envelope(3, 1, 3, NOON_MS + 10_000, batch.signer, batch.signature)


def envelope_vectors() -> dict[str, Any]:
    usual = sample_envelope()
    largest = Envelope(UINT32_MAX, UINT64_MAX, 10_000, UINT48_MAX, b"\xff" * 20, b"\xff" * 65)
    good = usual.to_entry()
    rejected = {
        "empty": b"",
        "one byte short": good[:-1],
        "one byte long": good + b"\0",
        "another kind": patched(good, 0, 1),
        "reserved byte not zero": patched(good, 1, 1),
        "member 0": good[:2] + bytes(4) + good[6:],
        "sequence 0": good[:6] + bytes(8) + good[14:],
        "no records": good[:14] + bytes(4) + good[18:],
        "10,001 records": good[:14] + (10_001).to_bytes(4, "big") + good[18:],
    }
    return {
        "cases": [
            entry_case(name, {"entry_kind": 2, **asdict(envelope)}, envelope.to_entry())
            for name, envelope in (("usual", usual), ("largest values", largest))
        ],
        "rejected": _rejected(rejected),
    }


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
                (registered, _word(3), address_of(PUBLISHER_KEY).rjust(32, b"\0")),
                _word(2) + seed("kyc") + _word(NOON_MS // 1000 + 10**7)
                + address_of(PUBLISHER_KEY).rjust(32, b"\0") + (b"\x44" * 20).rjust(32, b"\0"),
            ),
            FactLog(
                12,
                4,
                ContractCode.CAMPAIGN_ESCROW,
                (funded, _word(1), (b"\x55" * 20).rjust(32, b"\0")),
                _word(250_000_000) * 2,
            ),
        ),
    )  # fmt: skip


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


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
        "first block after the last": good[:7] + _word(13)[-8:] + good[15:],
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
        "rejected": _rejected(rejected),
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
        "rejected": _rejected(rejected),
    }


def facts_vectors() -> dict[str, Any]:
    rules = RulesFacts(NOON_MS - 90_000, b'{"max_event_age_ms":86400000,"version":1}')
    time = TimeFacts(NOON_MS + 90_000)
    return {
        "chain_facts": chain_facts_vectors(),
        "declaration": declaration_vectors(),
        "rules": {
            "cases": [entry_case("frame", {"entry_kind": 5, **asdict(rules)}, rules.to_entry())],
            "rejected": _rejected({"empty": b"", "ends within the time": rules.to_entry()[:6]}),
        },
        "time": {
            "cases": [entry_case("usual", {"entry_kind": 6, **asdict(time)}, time.to_entry())],
            "rejected": _rejected(
                {"one byte short": time.to_entry()[:-1], "trailing byte": time.to_entry() + b"\0"}
            ),
        },
    }


# Batches and signatures -------------------------------------------------------------------------


def batch_vectors() -> dict[str, Any]:
    batch = sample_batch()
    header = {
        "chain_id": batch.chain_id,
        "member": batch.member,
        "sequence": batch.sequence,
        "signer": hexed(batch.signer),
        "signature": hexed(batch.signature),
    }
    sent = [event_json(events()[name]) for name in ("impression", "viewable", "click")]
    lines = [header, *sent]
    wire = batch_to_wire(batch)
    judged = patched(wire, 113 + 112 + 3, Verdict.ACCEPTED)
    return {
        "identity": {"chain_id": CHAIN_ID, "event_log": hexed(EVENT_LOG)},
        "private_key": hexed(PUBLISHER_KEY),
        "json": {**header, "events": sent},
        "ndjson": "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines),
        "wire": hexed(wire),
        "records": [hexed(record) for record in batch.records],
        "records_hash": hexed(batch.records_hash),
        "digest": hexed(batch.digest(LOG_DOMAIN)),
        "rejected_wire": _rejected(
            {
                "empty": b"",
                "header only": wire[:113],
                "another magic": b"ADT2" + wire[4:],
                "one byte short": wire[:-1],
                "one byte long": wire + b"\0",
                "member 0": wire[:12] + bytes(4) + wire[16:],
                "sequence 0": wire[:16] + bytes(8) + wire[24:],
                "no records": wire[:24] + bytes(4) + wire[28:113],
                "second record judged": judged,
            }
        ),
    }


def typed_data(type_string: str, domain: dict[str, Any], values: Sequence[Any]) -> dict[str, Any]:
    """The EIP-712 JSON form of a message, as wallets take it."""
    name, _, members = type_string.rstrip(")").partition("(")
    fields = [dict(zip(("type", "name"), member.split(" "), strict=True))
              for member in members.split(",")]  # fmt: skip
    return {
        "types": {
            "EIP712Domain": [
                {"type": "string", "name": "name"},
                {"type": "string", "name": "version"},
                {"type": "uint256", "name": "chainId"},
                {"type": "address", "name": "verifyingContract"},
            ],
            name: fields,
        },
        "primaryType": name,
        "domain": domain,
        "message": {
            field["name"]: plain(value) for field, value in zip(fields, values, strict=True)
        },
    }


def domain_json(name: str, contract: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "version": eip712.DOMAIN_VERSION,
        "chainId": CHAIN_ID,
        "verifyingContract": hexed(contract),
    }


def sample_receipt() -> eip712.Receipt:
    batch = sample_batch()
    return eip712.Receipt(
        member=3,
        sequence=1,
        records_hash=batch.records_hash,
        first_index=5,
        count=3,
        tree_size=9,
        root_hash=log_tree().root(9),
        anchor_deadline_seconds=NOON_MS // 1000 + 10 + 3_600,
    )


def sample_lines() -> list[Line]:
    rates = Rates(2_500_000, 4_000_000, 250_000, 5_000_000)
    counts = {
        3: Counts(1_234, 801, 17, 1),
        4: Counts(999, 0, 0, 0),
        7: Counts(0, 0, 2, 0),
    }
    return [
        Line(publisher, each, line_amount_base_units(rates, each, UINT128_MAX))
        for publisher, each in counts.items()
    ]


def sample_statement() -> Statement:
    lines = sample_lines()
    return Statement(
        campaign=1,
        sequence=2,
        tree_size=9,
        lines_total_base_units=sum(line.amount_base_units for line in lines),
        counts=sum((line.counts for line in lines), Counts()),
        lines_root=ClaimTree(ESCROW_DOMAIN, 1, lines).root,
        is_final=False,
    )


def signature_vectors() -> dict[str, Any]:
    batch, receipt, statement = sample_batch(), sample_receipt(), sample_statement()
    declared = declarations()["creative"]
    checkpoint = Checkpoint(9, log_tree().root(9))
    attestors = [address_of(key) for key in ATTESTOR_KEYS]
    log, escrow, membership = (
        domain_json(eip712.LOG_DOMAIN_NAME, EVENT_LOG),
        domain_json(eip712.ESCROW_DOMAIN_NAME, ESCROW),
        domain_json(eip712.MEMBERSHIP_DOMAIN_NAME, MEMBERSHIP),
    )
    counts = statement.counts
    attestors_hash = keccak(
        _word(32) + _word(3) + b"".join(each.rjust(32, b"\0") for each in attestors)
    )
    rows: list[tuple[str, dict[str, Any], bytes, Sequence[Any], bytes, list[bytes]]] = [
        (eip712.EVENT_BATCH_TYPE, log, LOG_DOMAIN,
         [batch.signer, 3, 1, 3, batch.records_hash], batch.digest(LOG_DOMAIN), [PUBLISHER_KEY]),
        (eip712.RECEIPT_TYPE, log, LOG_DOMAIN, list(asdict(receipt).values()),
         eip712.receipt_digest(LOG_DOMAIN, receipt), [RECEIPT_KEY]),
        (eip712.DECLARATION_TYPE, log, LOG_DOMAIN,
         [declared.signer, declared.kind, True, 2, 1, 0, 5, declared.declared_at_ms,
          declared.detail], declared.digest(LOG_DOMAIN), [ADVERTISER_KEY]),
        (eip712.CHECKPOINT_TYPE, log, LOG_DOMAIN, [9, checkpoint.root_hash],
         eip712.checkpoint_digest(LOG_DOMAIN, checkpoint), ATTESTOR_KEYS[:2]),
        (eip712.STATEMENT_TYPE, escrow, ESCROW_DOMAIN,
         [1, 2, 9, statement.lines_total_base_units, counts.impressions, counts.viewables,
          counts.clicks, counts.conversions, statement.lines_root, False],
         eip712.statement_digest(ESCROW_DOMAIN, statement), ATTESTOR_KEYS[:2]),
        (eip712.SUCCESSOR_TYPE, membership, MEMBERSHIP_DOMAIN, [1, 2, 2, attestors_hash],
         eip712.successor_digest(MEMBERSHIP_DOMAIN, 1, 2, 2, attestors), ATTESTOR_KEYS[:2]),
    ]  # fmt: skip
    return {
        "attestors": [hexed(each) for each in attestors],
        "messages": [_message(*row) for row in rows],
        "refused_signatures": refused_signatures(),
    }


def _message(
    type_string: str,
    domain: dict[str, Any],
    separator: bytes,
    values: Sequence[Any],
    digest: bytes,
    keys: list[bytes],
) -> dict[str, Any]:
    return {
        "type": type_string,
        "type_hash": hexed(keccak(type_string.encode())),
        "domain_separator": hexed(separator),
        "typed_data": typed_data(type_string, domain, values),
        "digest": hexed(digest),
        "signatures": [
            {
                "private_key": hexed(key),
                "signer": hexed(address_of(key)),
                "signature": hexed(sign(digest, key)),
            }
            for key in keys
        ],
    }


def refused_signatures() -> dict[str, Any]:
    """Other spellings of a good signature: none of them may verify."""
    digest = sample_batch().digest(LOG_DOMAIN)
    good = sign(digest, PUBLISHER_KEY)
    r, s, v = good[:32], int.from_bytes(good[32:64], "big"), good[64]
    twin = r + _word(CURVE_ORDER - s) + bytes((55 - v,))
    return {
        "digest": hexed(digest),
        "signature": hexed(good),
        "refused": {
            "high s, the same key's malleable twin": hexed(twin),
            "v 0 or 1": hexed(good[:64] + bytes((v - 27,))),
            "v of EIP-155": hexed(good[:64] + bytes((v + 10,))),
            "compact, 64 bytes (EIP-2098)": hexed(r + _word(s | (v - 27) << 255)),
            "one byte long": hexed(good + b"\0"),
            "empty": "0x",
            "r is zero": hexed(bytes(32) + good[32:]),
            "s is zero": hexed(r + bytes(32) + good[64:]),
            "r is the curve order": hexed(_word(CURVE_ORDER) + good[32:]),
        },
    }


# Log and money ----------------------------------------------------------------------------------


def log_entries() -> list[bytes]:
    """One entry of every kind, in the order of a log; for hashing, not for replay."""
    declared = declarations()
    records = [set_verdict(record, Verdict.ACCEPTED) for record in sample_batch().records]
    return [
        RulesFacts(NOON_MS - 90_000, b'{"max_event_age_ms":86400000,"version":1}').to_entry(),
        sample_chain_facts().to_entry(),
        declared["placement"].to_entry(),
        declared["creative"].to_entry(),
        declared["allowed placement"].to_entry(),
        sample_envelope().to_entry(),
        *records,
        TimeFacts(NOON_MS + 90_000).to_entry(),
    ]


def log_tree() -> MerkleTree:
    tree = MerkleTree()
    tree.append([leaf_hash(entry) for entry in log_entries()])
    return tree


def log_vectors() -> dict[str, Any]:
    entries, tree = log_entries(), log_tree()
    signer = NoteSigner(LOG_ORIGIN, NOTE_KEY)
    size = len(entries)
    return {
        "entries": [hexed(entry) for entry in entries],
        "leaf_hashes": [hexed(leaf_hash(entry)) for entry in entries],
        "roots": [hexed(tree.root(at)) for at in range(size + 1)],
        "inclusion_proofs": [
            {
                "index": index,
                "tree_size": size,
                "proof": plain(tree.inclusion_proof(index, size)),
            }
            for index in range(size)
        ],
        "consistency_proofs": [
            {"first": first, "second": size, "proof": plain(tree.consistency_proof(first, size))}
            for first in range(1, size + 1)
        ],
        "bundle": hexed(encode_bundle(entries)),
        "checkpoint": {
            "private_key": hexed(NOTE_KEY),
            "verifier": str(signer.verifier),
            "note": sign_checkpoint(signer, Checkpoint(9, tree.root(9))).decode(),
        },
    }


def money_vectors() -> dict[str, Any]:
    return {
        "lines": [_line_case(*case) for case in _LINE_CASES],
        "reserves": [_reserve_case(total, cuts) for total, cuts in _RESERVE_CASES],
        "claim_tree": claim_tree_vectors(),
    }


_USD6 = Rates(2_500_000, 4_000_000, 250_000, 5_000_000)
_LINE_CASES = (
    ("nothing", _USD6, Counts(), UINT128_MAX),
    ("one impression at 2.50 a mille, six decimals", _USD6, Counts(1), UINT128_MAX),
    ("a rate of one base unit a mille, below one", Rates(1), Counts(999), UINT128_MAX),
    ("a rate of one base unit a mille, exactly one", Rates(1), Counts(1_000), UINT128_MAX),
    ("floors add up before they are taken", Rates(1, 1), Counts(600, 400), UINT128_MAX),
    ("every type", _USD6, Counts(1_234, 801, 17, 1), UINT128_MAX),
    ("at the cap", _USD6, Counts(1_000), 2_500_000),
    ("over the cap", _USD6, Counts(1_001), 2_500_000),
    ("eighteen decimals", Rates(10**18), Counts(123_457), UINT128_MAX),
    (
        "largest rate and counts",
        Rates(UINT96_MAX, UINT96_MAX, UINT96_MAX, UINT96_MAX),
        Counts(UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX),
        UINT128_MAX,
    ),
)
_RESERVE_CASES: tuple[tuple[int, tuple[Cut, ...]], ...] = (
    (0, (Cut(9, 1_000),)),
    (1_000_000, ()),
    (1_000_000, (Cut(9, 1_000), Cut(8, 250))),
    (9_999, (Cut(9, 1), Cut(8, 1))),
    (12_345_678_901, (Cut(9, 333), Cut(8, 1_500), Cut(7, 1))),
)


def _line_case(name: str, rates: Rates, counts: Counts, cap: int) -> dict[str, Any]:
    return {
        "name": name,
        "rates": {key: str(value) for key, value in asdict(rates).items()},
        "counts": plain(asdict(counts)),
        "cap_base_units": str(cap),
        "amount_milli": str(counts_amount_milli(rates, counts)),
        "amount_base_units": str(line_amount_base_units(rates, counts, cap)),
    }


def _reserve_case(total: int, cuts: tuple[Cut, ...]) -> dict[str, Any]:
    return {
        "lines_total_base_units": str(total),
        "cuts": [
            {**asdict(cut), "amount_base_units": str(cut_amount_base_units(total, cut))}
            for cut in cuts
        ],
        "reserve_base_units": str(reserve_base_units(total, cuts)),
    }


def claim_tree_vectors() -> dict[str, Any]:
    """Trees of 0 to 5 lines, each with every proof."""
    pool = [*sample_lines(), Line(11, Counts(1, 1, 1, 1), 0), Line(12, Counts(5), 0)]
    trees = []
    for count in range(len(pool) + 1):
        lines = pool[:count]
        tree = ClaimTree(ESCROW_DOMAIN, 1, lines)
        trees.append(
            {
                "root": hexed(tree.root),
                "lines": [
                    {
                        "publisher": line.publisher,
                        "counts": plain(asdict(line.counts)),
                        "leaf": hexed(line_leaf(ESCROW_DOMAIN, 1, line.publisher, line.counts)),
                        "proof": plain(tree.proof(line.publisher)),
                    }
                    for line in lines
                ],
            }
        )
    return {"escrow_domain": hexed(ESCROW_DOMAIN), "campaign": 1, "trees": trees}


def verdict_vectors() -> dict[str, Any]:
    return {"verdicts": [{"code": int(each), "label": each.label} for each in Verdict]}


BUILDERS: dict[str, Callable[[], dict[str, Any]]] = {
    "records.json": record_vectors,
    "envelope.json": envelope_vectors,
    "facts.json": facts_vectors,
    "batches.json": batch_vectors,
    "signatures.json": signature_vectors,
    "log.json": log_vectors,
    "money.json": money_vectors,
    "verdicts.json": verdict_vectors,
    "replay.json": replay_vectors,
}


def render(name: str) -> str:
    """The text of one vector file."""
    return json.dumps(BUILDERS[name](), indent=1, ensure_ascii=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Write the specification's test vectors.")
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    check: bool = parser.parse_args(arguments).check
    stale = []
    for name in BUILDERS:
        path, text = VECTORS / name, render(name)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    verb = "differs" if check else "written"
    for name in stale:
        print(f"{name}: {verb}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
