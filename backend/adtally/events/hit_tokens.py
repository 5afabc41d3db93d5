"""Tokens of single hits: what a pixel, a redirect or a postback is authenticated by.

A *hit token* is minted for one ad served in one slot and names its impression; a *click token* is
what a landing page gets; a *slot name* lets a page have tokens minted by the service. All are of
fixed width, a multiple of three bytes, so that base64url has no padding, no spare bits and thus one
spelling each. ``docs/spec/hits.md`` is the specification, ``docs/spec/vectors/hits.json`` its
vectors.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from adtally.errors import InvalidInput, VerificationFailed
from adtally.events.checks import check_size, check_uint

KEY_SIZE = 32
MAC_SIZE = 16
SLOT_SIZE = 16

HIT_KIND = 0x01
CLICK_KIND = 0x02
SLOT_KIND = 0x03

TOKEN_SIZE = 51
TOKEN_CHARACTERS = 68
SLOT_NAME_SIZE = 33
SLOT_NAME_CHARACTERS = 44

_SLOT = struct.Struct(">IIII")
_SIGNED_SIZE = TOKEN_SIZE - MAC_SIZE
_COUNTRY = re.compile(rb"[A-Z]{2}\Z")
_BLOCK_SIZE = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/   ")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True)
class Slot:
    """One publisher's placement with one creative of one campaign."""

    campaign: int
    publisher: int
    placement: int
    creative: int

    def packed(self) -> bytes:
        """16 bytes, as they stand in tokens and records; raises InvalidInput over 32 bits."""
        for field in ("campaign", "publisher", "placement", "creative"):
            check_uint(field, getattr(self, field), 32)
        return _SLOT.pack(self.campaign, self.publisher, self.placement, self.creative)

    @staticmethod
    def unpacked(packed: bytes) -> Slot:
        """From the 16 bytes of ``packed``."""
        return Slot(*_SLOT.unpack(packed))


class Token:
    """A hit or click token that is well formed; whether it is genuine, ``require_mac`` says.

    Args:
        raw: 51 bytes, checked by ``parse`` or made by ``mint_token``.
    """

    # Cut from its bytes when asked: one of these is made for every hit.
    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    @property
    def kind(self) -> int:
        """HIT_KIND or CLICK_KIND."""
        return self.raw[0]

    @property
    def country(self) -> bytes:
        """Two capital letters, ASCII; the minter's claim, ``ZZ`` when unknown."""
        return self.raw[1:3]

    @property
    def slot(self) -> bytes:
        """16 bytes, see ``Slot.packed``."""
        return self.raw[3:19]

    @property
    def event_id(self) -> bytes:
        """Of the impression (hit token) or the click (click token)."""
        return self.raw[19:35]

    @property
    def at_ms(self) -> int:
        """When the ad was served, or the click happened: the first six bytes of the id."""
        return int.from_bytes(self.raw[19:25], "big")

    @property
    def signed(self) -> bytes:
        """The bytes under the MAC."""
        return self.raw[:_SIGNED_SIZE]

    @property
    def text(self) -> str:
        """The one spelling of this token in URLs and JSON."""
        return _encoded(self.raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def require_mac(self, key: bytes) -> None:
        """Raises VerificationFailed unless it was minted under ``key``; in constant time."""
        raw = self.raw
        if not hmac.compare_digest(_mac(key, raw[:_SIGNED_SIZE]), raw[_SIGNED_SIZE:]):
            raise _not_genuine("token")

    @staticmethod
    def parse(text: bytes, kind: int) -> Token:
        """Read a token of a kind.

        Raises:
            InvalidInput: another length, alphabet, kind, or no country.
        """
        raw = _decoded(text, TOKEN_CHARACTERS, kind, "token")
        # What is well formed must fit a record, whoever minted it.
        if not (65 <= raw[1] <= 90 and 65 <= raw[2] <= 90):
            raise InvalidInput(
                "the token's country is not an ISO 3166-1 alpha-2 code",
                field="token",
                expected="two capital letters, ZZ when unknown",
                found=raw[1:3].hex(),
            )
        return Token(raw)


def mint_token(key: bytes, kind: int, slot: bytes, event_id: bytes, country: str = "ZZ") -> Token:
    """A genuine token.

    Args:
        key: the slot key for a hit token, the collector's click key for a click token.
        event_id: ``adtally.events.record.new_event_id`` of the time of now and ten random bytes.

    Raises:
        InvalidInput: a part has another size, or ``country`` is none.
    """
    check_size("key", key, KEY_SIZE)
    check_size("slot", slot, SLOT_SIZE)
    check_size("event_id", event_id, 16)
    code = country.encode("ascii", "replace")
    if not _COUNTRY.match(code):
        raise InvalidInput(
            "country is not an ISO 3166-1 alpha-2 code",
            field="country",
            expected="two capital letters, ZZ when unknown",
            found=repr(country),
        )
    signed = bytes((kind,)) + code + slot + event_id
    return Token(signed + _mac(key, signed))


def slot_name(key: bytes, slot: bytes) -> str:
    """The name under which a page may have tokens minted for a slot; ``key`` is the slot key."""
    check_size("key", key, KEY_SIZE)
    check_size("slot", slot, SLOT_SIZE)
    signed = bytes((SLOT_KIND,)) + slot
    return _encoded(signed + _mac(key, signed))


def parse_slot_name(text: bytes) -> tuple[bytes, bytes]:
    """The packed slot and the MAC of a slot name, not checked yet.

    Raises:
        InvalidInput: another length, alphabet or kind.
    """
    raw = _decoded(text, SLOT_NAME_CHARACTERS, SLOT_KIND, "slot")
    return raw[1 : 1 + SLOT_SIZE], raw[1 + SLOT_SIZE :]


def require_slot_mac(key: bytes, slot: bytes, mac: bytes) -> None:
    """Raises VerificationFailed unless the slot name was made under ``key``."""
    if not hmac.compare_digest(_mac(key, bytes((SLOT_KIND,)) + slot), mac):
        raise _not_genuine("slot")


def postback_mac(secret: bytes, at_seconds: int, body: bytes) -> bytes:
    """What an advertiser's server signs a postback with: over the time, a dot, and the body."""
    return hmac.digest(secret, b"%d." % at_seconds + body, "sha256")


def _mac(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104), its first half."""
    inner, outer = _hmac_states(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message)
    outer.update(inner.digest())
    digest: bytes = outer.digest()
    return digest[:MAC_SIZE]


@lru_cache(maxsize=4_096)
def _hmac_states(key: bytes) -> tuple[Any, Any]:
    """SHA-256 after the inner and the outer pad: what every message under a key has in common."""
    block = key.ljust(_BLOCK_SIZE, b"\0")
    return (
        hashlib.sha256(block.translate(_INNER_PAD)),
        hashlib.sha256(block.translate(_OUTER_PAD)),
    )


def _encoded(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).translate(_TO_URL_SAFE).decode("ascii")


def _decoded(text: bytes, characters: int, kind: int, field: str) -> bytes:
    raw = b""
    if len(text) == characters:
        try:
            # Strict, and what is not of the URL alphabet has become a blank, which is refused.
            raw = a2b_base64(text.translate(_TO_STANDARD), strict_mode=True)
        except Base64Error:
            raw = b""
    if not raw or raw[0] != kind:
        raise InvalidInput(
            f"not a {field} of this kind",
            field=field,
            expected=f"{characters} characters of base64url, first byte {kind:#04x}",
            found=f"{len(text)} characters" + (f", first byte {raw[0]:#04x}" if raw else ""),
            action="the whole of it belongs into the URL, nothing before or behind it",
        )
    return raw


def _not_genuine(field: str) -> VerificationFailed:
    return VerificationFailed(
        f"the {field} is not genuine",
        field=field,
        expected="a MAC under the key of this slot",
        found="another",
        action="mint it with the key that POST /v1/collector/keys gives for this slot",
    )
