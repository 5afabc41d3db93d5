"""Salted commitments in place of personal data.

A salt holds for one campaign and one UTC day, so the same person can't be followed from one
campaign or day to the next; whoever holds the salt can open a commitment, nobody else can.
"""

from __future__ import annotations

import hashlib

DAY_MS = 86_400_000
SUBJECT_SIZE = 16
CONTEXT_SIZE = 20


def daily_salt(secret: bytes, campaign: int, at_ms: int) -> bytes:
    """32 bytes for this campaign and the UTC day of ``at_ms``."""
    day = at_ms // DAY_MS
    return hashlib.sha256(
        b"adtally salt" + campaign.to_bytes(4, "big") + day.to_bytes(8, "big") + secret
    ).digest()


def subject_commitment(salt: bytes, user: bytes) -> bytes:
    """16 bytes that stand for one user."""
    return hashlib.sha256(salt + b"subject" + user).digest()[:SUBJECT_SIZE]


def context_commitment(salt: bytes, ip: int, user_agent: str) -> bytes:
    """20 bytes that stand for an IPv4 address and a user agent."""
    opened = ip.to_bytes(4, "big") + user_agent.encode()
    return hashlib.sha256(salt + b"context" + opened).digest()[:CONTEXT_SIZE]
