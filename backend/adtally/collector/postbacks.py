"""Conversions that an advertiser's server posts: parsed, authenticated, made into records."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

from adtally.errors import InvalidInput, NotAllowed, VerificationFailed
from adtally.events.currency import currency_number
from adtally.events.hit_tokens import Slot, Token, postback_mac
from adtally.events.record import AdEvent, EventType, new_event_id
from adtally.types import UINT48_MAX, UINT64_MAX

WINDOW_SECONDS = 300
MAX_POSTBACK_BYTES = 4_096
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})\Z")
_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z")
_ID = b"adtally conversion id v1"


class PostbackJson(msgspec.Struct, forbid_unknown_fields=True):
    """The body of ``POST /v1/conversion``."""

    click: str
    """What came to the landing page as ``adtally_click``."""
    order: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    """The advertiser's own reference: the same one is the same conversion."""
    occurred_at_ms: Annotated[int, msgspec.Meta(ge=0, le=UINT48_MAX)]
    value_minor_units: str = "0"
    currency: str | None = None


_DECODER = msgspec.json.Decoder(PostbackJson)


@dataclass(frozen=True, slots=True)
class PostbackSignature:
    """``t=<seconds>,v1=<HMAC-SHA256 in hex>`` over the time in decimal, a dot, and the body."""

    at_seconds: int
    mac: bytes

    @staticmethod
    def parse(text: str) -> PostbackSignature:
        """Read the header; raises InvalidInput on another form."""
        match = _SIGNATURE.match(text)
        if match is None:
            raise InvalidInput(
                "the postback is not signed",
                field="Adtally-Signature",
                expected="t=<UTC seconds>,v1=<64 hex digits, small letters>",
                found=repr(text[:100]) if text else "no such header",
            )
        return PostbackSignature(int(match[1]), bytes.fromhex(match[2]))

    def require(self, secret: bytes, body: bytes, now_ms: int) -> None:
        """Check the time, then the MAC in constant time.

        Raises:
            NotAllowed: the time is more than ``WINDOW_SECONDS`` from the service's.
            VerificationFailed: another secret or body.
        """
        if abs(now_ms - self.at_seconds * 1000) > WINDOW_SECONDS * 1000:
            raise NotAllowed(
                "the postback is not of now",
                field="Adtally-Signature",
                expected=f"t within {WINDOW_SECONDS} s of {now_ms // 1000}",
                found=str(self.at_seconds),
                action="sign it again with the time of sending; check the clock",
            )
        if not hmac.compare_digest(postback_mac(secret, self.at_seconds, body), self.mac):
            raise VerificationFailed(
                "the postback's signature does not verify",
                field="Adtally-Signature",
                expected="HMAC-SHA256 under the campaign's postback secret",
                found="another",
                action="sign the bytes of the body exactly as they are sent",
            )


def parse_postback(body: bytes) -> PostbackJson:
    """Read a body; raises InvalidInput naming what is wrong."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            "the postback is malformed",
            field="body",
            expected="a JSON object with click, order, occurred_at_ms and, of a value,"
            " value_minor_units and currency",
            found=str(error)[:200],
        ) from None


def conversion_record(postback: PostbackJson, click: Token) -> bytes:
    """The canonical record of a conversion: a function of the postback alone.

    Sent again it is the same bytes, so the log says ``duplicate``; the same order with another
    value is a ``conflict``.

    Raises:
        InvalidInput: value, currency or order can't stand in a record.
    """
    slot = Slot.unpacked(click.slot)
    return AdEvent(
        type=EventType.CONVERSION,
        campaign=slot.campaign,
        publisher=slot.publisher,
        placement=slot.placement,
        creative=slot.creative,
        id=_event_id(postback, click),
        parent_id=click.event_id,
        occurred_at_ms=postback.occurred_at_ms,
        country=click.country.decode("ascii"),
        value_minor_units=_amount(postback.value_minor_units),
        currency=0 if postback.currency is None else currency_number(postback.currency),
    ).to_record()


def _event_id(postback: PostbackJson, click: Token) -> bytes:
    try:
        order = postback.order.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            "the order is not text", field="order", expected="Unicode", found="a lone surrogate"
        ) from None
    tail = hashlib.sha256(_ID + click.event_id + order).digest()[:10]
    return new_event_id(postback.occurred_at_ms, tail)


def _amount(text: str) -> int:
    if not _AMOUNT.match(text) or int(text) > UINT64_MAX:
        raise InvalidInput(
            "the value is no amount",
            field="value_minor_units",
            expected="a decimal string, 0 to 2^64-1, in the currency's minor unit",
            found=repr(text[:40]),
        )
    return int(text)
