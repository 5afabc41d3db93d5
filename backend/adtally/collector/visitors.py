"""What a record says of the person behind a hit: classes and salted commitments, nothing else.

Addresses and user agents are used here and at most kept in memory for a while; they are never
stored or logged.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import socket
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from adtally.collector.user_agents import MAX_USER_AGENT_BYTES, classify_user_agent
from adtally.errors import StorageFailed
from adtally.events.record import NetworkClass
from adtally.intake.keys import create_secret, read_secret

DAY_MS = 86_400_000
_SUFFIX = ".salt"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAPPED = bytes(10) + b"\xff\xff"


class Visitor(NamedTuple):
    """Who asks, as far as HTTP says."""

    address: str | None = None
    """Of the client in text, None when it is not known."""
    user_agent: bytes = b""
    """The header as it came, empty without one."""
    is_relayed: bool = False
    """The hit comes from a server for somebody else (OpenRTB ``burl``), so that address and user
    agent say nothing of the person."""


class VisitorFields(NamedTuple):
    """The visitor's part of a record; ``classes`` are device, user agent and network."""

    classes: bytes = bytes(3)
    subject: bytes = bytes(16)
    context: bytes = bytes(20)


NOBODY = VisitorFields()


class DailySalts:
    """One secret a UTC day, in a file that is deleted after the retention.

    As long as it is there, whoever has the address and the user agent as well can open a
    commitment; afterwards nobody can, and nobody can try them out.

    Args:
        directory: holds a file a day; made when it is needed.
        retention_days: how many days a secret is kept, at least 1.
    """

    def __init__(self, directory: Path, retention_days: int) -> None:
        self._directory = directory
        self._retention_days = retention_days
        self._today = -1
        self._salts = lru_cache(4_096)(self._derived)

    def of(self, campaign: bytes, at_ms: int, now_ms: int) -> tuple[bytes, bytes] | None:
        """Salts of subject and context for a campaign (4 bytes) on the day of ``at_ms``.

        None when that day is over its retention.

        Raises:
            StorageFailed, StorageCorrupt: its file can't be written, read or deleted.
        """
        today, day = now_ms // DAY_MS, at_ms // DAY_MS
        try:
            if today != self._today:
                self._delete_expired(today)
                self._salts.cache_clear()
                self._today = today
            return None if day <= today - self._retention_days else self._salts(campaign, day)
        except OSError as error:
            raise StorageFailed(
                "the salts of commitments can't be kept",
                field=str(self._directory),
                expected="a folder that can be written",
                found=str(error),
                action="mend the disk; hits are refused until then",
            ) from error

    def _derived(self, campaign: bytes, day: int) -> tuple[bytes, bytes]:
        secret = self._secret(day)
        return (
            hmac.digest(secret, b"adtally subject v1" + campaign, "sha256"),
            hmac.digest(secret, b"adtally context v1" + campaign, "sha256"),
        )

    def _secret(self, day: int) -> bytes:
        path = self._directory / f"{_date(day)}{_SUFFIX}"
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            create_secret(path, secrets.token_bytes(32))
        return read_secret(path)

    def _delete_expired(self, today: int) -> None:
        oldest = _date(today - self._retention_days + 1)
        for path in self._directory.glob(f"*{_SUFFIX}"):
            if path.stem < oldest:
                path.unlink()


def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def describe(
    visitor: Visitor, salts: DailySalts, campaign: bytes, at_ms: int, now_ms: int
) -> VisitorFields:
    """The visitor's part of a record.

    The same visitor gives the same bytes for one ad, whenever it is sent again: the salt is that
    of the day on which the ad was served.

    Args:
        campaign: 4 bytes.
        at_ms: when the ad was served.
        now_ms: the service's time.
    """
    if visitor.is_relayed:
        return NOBODY
    user_agent = visitor.user_agent[:MAX_USER_AGENT_BYTES]
    classes = _classes(user_agent)
    address = packed_address(visitor.address)
    salt = salts.of(campaign, at_ms, now_ms) if address else None
    if salt is None:
        return VisitorFields(classes)
    opened = address + user_agent
    return VisitorFields(
        classes,
        hashlib.sha256(salt[0] + opened).digest()[:16],
        hashlib.sha256(salt[1] + opened).digest()[:20],
    )


@lru_cache(maxsize=16_384)
def _classes(user_agent: bytes) -> bytes:
    device, client = classify_user_agent(user_agent)
    return bytes((device, client, NetworkClass.UNKNOWN))


@lru_cache(maxsize=65_536)
def packed_address(text: str | None) -> bytes:
    """16 bytes of an address, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2); empty for none."""
    if text is None:
        return b""
    try:
        return _MAPPED + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        pass
    try:
        return socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        return b""
