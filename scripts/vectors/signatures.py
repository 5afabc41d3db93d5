"""``signatures.json``: every EIP-712 message with digest and signatures; spellings to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from eth_utils import keccak

from adtally.events import eip712
from adtally.events.attested import Refusal, refusal_message
from adtally.events.correction import CorrectionReason
from adtally.events.key_request import KeyKind
from adtally.events.signature import address_of, sign
from adtally.types import Checkpoint, LogIdentity
from vectors.batches import sample_batch
from vectors.common import (
    ADVERTISER_KEY,
    CHAIN_ID,
    ESCROW,
    ESCROW_DOMAIN,
    EVENT_LOG,
    LOG_DOMAIN,
    NOON_MS,
    PUBLISHER_KEY,
    hexed,
    plain,
    seed,
    word,
)
from vectors.facts import declarations
from vectors.log import log_tree
from vectors.money import sample_statement

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
RECEIPT_KEY = seed("operator receipt key")
ATTESTOR_KEYS = sorted((seed(f"attestor {n}") for n in range(3)), key=address_of)


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
        records_root=batch.records_root,
        first_index=5,
        count=3,
        tree_size=9,
        root_hash=log_tree().root(9),
        anchor_deadline_seconds=NOON_MS // 1000 + 10 + 3_600,
    )


def signature_vectors() -> dict[str, Any]:
    batch, receipt, statement = sample_batch(), sample_receipt(), sample_statement()
    declared = declarations()["creative"]
    checkpoint = Checkpoint(9, log_tree().root(9))
    attestors = [address_of(key) for key in ATTESTOR_KEYS]
    log, escrow = (
        domain_json(eip712.LOG_DOMAIN_NAME, EVENT_LOG),
        domain_json(eip712.ESCROW_DOMAIN_NAME, ESCROW),
    )
    counts = statement.counts
    grant = (address_of(PUBLISHER_KEY), 3, NOON_MS // 1000 + 3_600)
    cosigner = (attestors[0], seed("cosigner public key"), NOON_MS)
    attestors_hash = keccak(
        word(32) + word(3) + b"".join(each.rjust(32, b"\0") for each in attestors)
    )
    refusal = Refusal(
        eip712.checkpoint_digest(LOG_DOMAIN, checkpoint), "root_hash", "tree size 9",
        checkpoint.root_hash.hex(), "00" * 32, NOON_MS,
    )  # fmt: skip
    asked = (address_of(PUBLISHER_KEY), KeyKind.SLOT, 3, 1, 17, 5, NOON_MS)
    rows: list[tuple[str, dict[str, Any], bytes, Sequence[Any], bytes, list[bytes]]] = [
        (eip712.EVENT_BATCH_TYPE, log, LOG_DOMAIN,
         [batch.signer, 3, 1, 3, batch.records_root], batch.digest(LOG_DOMAIN), [PUBLISHER_KEY]),
        (eip712.RECEIPT_TYPE, log, LOG_DOMAIN, list(asdict(receipt).values()),
         eip712.receipt_digest(LOG_DOMAIN, receipt), [RECEIPT_KEY]),
        (eip712.DECLARATION_TYPE, log, LOG_DOMAIN,
         [declared.signer, declared.kind, True, 2, 1, 0, 5, declared.declared_at_ms,
          declared.detail], declared.digest(LOG_DOMAIN), [ADVERTISER_KEY]),
        (eip712.CHECKPOINT_TYPE, log, LOG_DOMAIN, [9, checkpoint.root_hash],
         eip712.checkpoint_digest(LOG_DOMAIN, checkpoint), ATTESTOR_KEYS[:2]),
        (eip712.STATEMENT_TYPE, escrow, ESCROW_DOMAIN,
         [1, 2, 9, statement.lines_total_base_units, counts.impressions, counts.viewables,
          counts.clicks, counts.conversions, statement.corrections, statement.lines_root, False],
         eip712.statement_digest(ESCROW_DOMAIN, statement), ATTESTOR_KEYS[:2]),
        (eip712.SUCCESSOR_TYPE, log, LOG_DOMAIN, [1, 2, 2, attestors_hash],
         eip712.successor_digest(LOG_DOMAIN, 1, 2, 2, attestors), ATTESTOR_KEYS[:2]),
        (eip712.CORRECTION_TYPE, log, LOG_DOMAIN,
         [address_of(RECEIPT_KEY), 6, -1, CorrectionReason.LATE_SIVT, "click farm, r\u00e9port 7"],
         eip712.correction_digest(LOG_DOMAIN, address_of(RECEIPT_KEY), 6, -1,
                                  CorrectionReason.LATE_SIVT, "click farm, r\u00e9port 7"),
         [RECEIPT_KEY]),
        (eip712.REFUSAL_TYPE, log, LOG_DOMAIN,
         [refusal.digest, *refusal.texts(), refusal.refused_at_ms],
         refusal_message(LogIdentity(CHAIN_ID, EVENT_LOG), refusal).digest, ATTESTOR_KEYS[:1]),
        (eip712.COLLECTOR_KEY_TYPE, log, LOG_DOMAIN, list(asked),
         eip712.collector_key_digest(LOG_DOMAIN, *asked), [PUBLISHER_KEY]),
        (eip712.COSIGNER_KEY_TYPE, log, LOG_DOMAIN, list(cosigner),
         eip712.cosigner_key_digest(LOG_DOMAIN, *cosigner), ATTESTOR_KEYS[:1]),
        (eip712.READ_GRANT_TYPE, log, LOG_DOMAIN, list(grant),
         eip712.read_grant_digest(LOG_DOMAIN, *grant), [PUBLISHER_KEY]),
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
    twin = r + word(CURVE_ORDER - s) + bytes((55 - v,))
    return {
        "digest": hexed(digest),
        "signature": hexed(good),
        "refused": {
            "high s, the same key's malleable twin": hexed(twin),
            "v 0 or 1": hexed(good[:64] + bytes((v - 27,))),
            "v of EIP-155": hexed(good[:64] + bytes((v + 10,))),
            "compact, 64 bytes (EIP-2098)": hexed(r + word(s | (v - 27) << 255)),
            "one byte long": hexed(good + b"\0"),
            "empty": "0x",
            "r is zero": hexed(bytes(32) + good[32:]),
            "s is zero": hexed(r + bytes(32) + good[64:]),
            "r is the curve order": hexed(word(CURVE_ORDER) + good[32:]),
        },
    }
