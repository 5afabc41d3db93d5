"""What all vectors share: fixed inputs, and the JSON form of values."""

from __future__ import annotations

import hashlib
from typing import Any

from adtally.events import eip712
from adtally.rfc9162 import leaf_hash
from adtally.types import LogIdentity

CHAIN_ID = 31_337
EVENT_LOG = bytes.fromhex("11" * 20)
ESCROW = bytes.fromhex("22" * 20)
IDENTITY = LogIdentity(CHAIN_ID, EVENT_LOG)
LOG_DOMAIN = eip712.log_domain(IDENTITY)
ESCROW_DOMAIN = eip712.escrow_domain(CHAIN_ID, ESCROW)

# 2026-11-02 12:00:00 UTC.
NOON_MS = 1_793_620_800_000
LARGEST_JSON_INTEGER = 2**53 - 1


def seed(name: str, size: int = 32) -> bytes:
    """Fixed bytes under a name; also the private keys of the vectors."""
    return hashlib.sha256(f"adtally vector: {name}".encode()).digest()[:size]


PUBLISHER_KEY = seed("publisher event key")
ADVERTISER_KEY = seed("advertiser event key")


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


def patched(entry: bytes, offset: int, value: int) -> bytes:
    return entry[:offset] + bytes((value,)) + entry[offset + 1 :]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def entry_case(name: str, fields: dict[str, Any], entry: bytes) -> dict[str, Any]:
    return {
        "name": name,
        "fields": plain(fields),
        "entry": hexed(entry),
        "leaf_hash": hexed(leaf_hash(entry)),
    }


def refused(cases: dict[str, bytes]) -> list[dict[str, Any]]:
    return [{"name": name, "entry": hexed(entry)} for name, entry in cases.items()]
