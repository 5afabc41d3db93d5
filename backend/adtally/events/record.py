"""The canonical record: one event as 112 bytes, the leaf of the log.

The layout is fixed-width and big-endian so that a contract can slice it; with the leaf prefix
of RFC 9162 it fills exactly two SHA-256 blocks. ``docs/spec/record.md`` is its specification and
``docs/spec/vectors/records.json`` its vectors.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

from adtally.errors import InvalidInput
from adtally.events.checks import check_size, time_bytes
from adtally.events.verdict import Verdict
from adtally.types import UINT32_MAX, UINT48_MAX, UINT64_MAX

RECORD_SIZE = 112
RECORD_KIND = 0x01
VERDICT_OFFSET = 3
NO_PARENT = bytes(16)

_LAYOUT = struct.Struct(">BBBBIIII16s16s6s2sBBBx16s20sQHxx")
_HIT_LAYOUT = struct.Struct(">BBBB16s16s16s6s2s3sx16s20s12x")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")

_Code = TypeVar("_Code", bound=IntEnum)

assert _LAYOUT.size == _HIT_LAYOUT.size == RECORD_SIZE


class EventType(IntEnum):
    """Adtech's four billable moments (MRC, OpenRTB 2.6, VAST 4.2)."""

    IMPRESSION = 1
    VIEWABLE = 2
    CLICK = 3
    CONVERSION = 4

    @property
    def label(self) -> str:
        return self.name.lower()


class DeviceClass(IntEnum):
    """OpenRTB 2.6 device types, folded to what reports need."""

    UNKNOWN = 0
    MOBILE = 1
    DESKTOP = 2
    TABLET = 3
    CONNECTED_TV = 4
    OTHER = 5

    @property
    def label(self) -> str:
        return self.name.lower()


class UserAgentClass(IntEnum):
    """A claim derived from the user agent; disprovable by opening the context commitment."""

    UNKNOWN = 0
    BROWSER = 1
    APP = 2
    KNOWN_BOT = 3
    """Matches the crawler list named in the rules (GIVT)."""

    @property
    def label(self) -> str:
        return self.name.lower()


class NetworkClass(IntEnum):
    """A claim derived from the IP address; disprovable by opening the context commitment."""

    UNKNOWN = 0
    CONSUMER = 1
    CARRIER = 2
    DATA_CENTER = 3
    PROXY = 4

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class AdEvent:
    """One event as its sender claims it, plus the operator's verdict.

    Attributes:
        id: 16 bytes, unique per publisher; its first six bytes are ``occurred_at_ms`` (UUIDv7).
        parent_id: the impression of a viewable or click, the click of a conversion; zero for
            an impression.
        country: ISO 3166-1 alpha-2, ``ZZ`` when unknown.
        subject: salted commitment to the user, changed per campaign and day.
        context: salted commitment to IP address and user agent.
        value_minor_units: revenue of a conversion, in the currency's minor unit.
        currency: ISO 4217 numeric code, 0 when there is no value.
    """

    type: EventType
    campaign: int
    publisher: int
    placement: int
    creative: int
    id: bytes
    occurred_at_ms: int
    parent_id: bytes = NO_PARENT
    country: str = "ZZ"
    device: DeviceClass = DeviceClass.UNKNOWN
    user_agent_class: UserAgentClass = UserAgentClass.UNKNOWN
    network_class: NetworkClass = NetworkClass.UNKNOWN
    subject: bytes = bytes(16)
    context: bytes = bytes(20)
    value_minor_units: int = 0
    currency: int = 0
    verdict: Verdict = Verdict.UNSET

    def with_verdict(self, verdict: Verdict) -> AdEvent:
        return replace(self, verdict=verdict)

    def to_record(self) -> bytes:
        """The canonical bytes.

        Raises:
            InvalidInput: a field is outside its range; ``field`` names it.
        """
        check_event(self)
        return _LAYOUT.pack(
            RECORD_KIND,
            self.type,
            0,
            self.verdict,
            self.campaign,
            self.publisher,
            self.placement,
            self.creative,
            self.id,
            self.parent_id,
            self.occurred_at_ms.to_bytes(6, "big"),
            self.country.encode("ascii"),
            self.device,
            self.user_agent_class,
            self.network_class,
            self.subject,
            self.context,
            self.value_minor_units,
            self.currency,
        )

    @staticmethod
    def from_record(record: bytes) -> AdEvent:
        """Parse canonical bytes; accepts exactly what ``to_record`` writes.

        Raises:
            InvalidInput: wrong length, unknown code, nonzero reserved byte, broken field.
        """
        if len(record) != RECORD_SIZE:
            raise InvalidInput(
                "a record has a fixed length",
                field="record",
                expected=f"{RECORD_SIZE} bytes",
                found=f"{len(record)} bytes",
            )
        if record[0] != RECORD_KIND or record[2] != 0 or record[63] != 0 or any(record[110:112]):
            raise InvalidInput(
                "not a version 1 record",
                field="record",
                expected="first byte 0x01; bytes 2, 63, 110 and 111 zero",
                found=record[:4].hex() + ".." + record[63:64].hex() + ".." + record[110:].hex(),
            )
        fields = _LAYOUT.unpack(record)
        try:
            country = fields[11].decode("ascii")
        except UnicodeDecodeError:
            country = ""
        event = AdEvent(
            type=_code(EventType, fields[1], "type"),
            verdict=_code(Verdict, fields[3], "verdict"),
            campaign=fields[4],
            publisher=fields[5],
            placement=fields[6],
            creative=fields[7],
            id=fields[8],
            parent_id=fields[9],
            occurred_at_ms=int.from_bytes(fields[10], "big"),
            country=country,
            device=_code(DeviceClass, fields[12], "device"),
            user_agent_class=_code(UserAgentClass, fields[13], "user_agent_class"),
            network_class=_code(NetworkClass, fields[14], "network_class"),
            subject=fields[15],
            context=fields[16],
            value_minor_units=fields[17],
            currency=fields[18],
        )
        check_event(event)
        return event


def _code(kind: type[_Code], value: int, field: str) -> _Code:
    try:
        return kind(value)
    except ValueError:
        raise InvalidInput(
            f"unknown {field} code",
            field=field,
            expected=f"one of {[int(member) for member in kind]}",
            found=str(value),
        ) from None


def check_event(event: AdEvent) -> None:
    """Refuse an event whose fields can't stand in a record.

    Raises:
        InvalidInput: naming the first field at fault.
    """
    for field, limit in (
        ("campaign", UINT32_MAX),
        ("publisher", UINT32_MAX),
        ("placement", UINT32_MAX),
        ("creative", UINT32_MAX),
        ("occurred_at_ms", UINT48_MAX),
        ("value_minor_units", UINT64_MAX),
        ("currency", 999),
    ):
        _check_range(field, getattr(event, field), limit)
    for field, size in (("id", 16), ("parent_id", 16), ("subject", 16), ("context", 20)):
        check_size(field, getattr(event, field), size)
    if not _COUNTRY.match(event.country):
        raise InvalidInput(
            "country is not an ISO 3166-1 alpha-2 code",
            field="country",
            expected="two capital letters, ZZ when unknown",
            found=repr(event.country),
        )
    if event.id[:6] != event.occurred_at_ms.to_bytes(6, "big"):
        raise InvalidInput(
            "an event id starts with its time",
            field="id",
            expected=f"first six bytes {event.occurred_at_ms:012x} (occurred_at_ms, UUIDv7 order)",
            found=event.id[:6].hex(),
            action="make ids with adtally.events.record.new_event_id or any UUIDv7 generator",
        )
    if (event.type is EventType.IMPRESSION) != (event.parent_id == NO_PARENT):
        raise InvalidInput(
            "only an impression has no parent",
            field="parent_id",
            expected="zero" if event.type is EventType.IMPRESSION else "the parent event's id",
            found=event.parent_id.hex(),
        )
    if event.type is not EventType.CONVERSION and (event.value_minor_units or event.currency):
        raise InvalidInput(
            "only a conversion has a value",
            field="value_minor_units",
            expected="0 and no currency",
            found=f"{event.value_minor_units} in currency {event.currency}",
        )
    if event.value_minor_units and not event.currency:
        raise InvalidInput(
            "a value needs a currency",
            field="currency",
            expected="the ISO 4217 numeric code of the value's currency",
            found="0",
        )


def _check_range(field: str, value: int, limit: int) -> None:
    if not 0 <= value <= limit:
        raise InvalidInput(
            f"{field} is out of range", field=field, expected=f"0 to {limit}", found=str(value)
        )


def new_event_id(occurred_at_ms: int, tail: bytes) -> bytes:
    """A UUIDv7 (RFC 9562) of the given time, made unique by ten bytes of ``tail``.

    The six bits of ``tail`` under version and variant (top 4 of byte 0, top 2 of byte 2) are lost.

    Raises:
        InvalidInput: the time does not fit 48 bits, or ``tail`` is no ten bytes.
    """
    check_size("tail", tail, 10)
    raw = bytearray(time_bytes("occurred_at_ms", occurred_at_ms) + tail)
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return bytes(raw)


def event_id_text(event_id: bytes) -> str:
    """The id as UUID text, as it appears in JSON."""
    text = event_id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def pack_fields(
    kind: int,
    campaign: int,
    publisher: int,
    placement: int,
    creative: int,
    event_id: bytes,
    parent_id: bytes,
    occurred_at_ms: int,
    country: bytes,
    classes: tuple[int, int, int],
    subject: bytes,
    context: bytes,
    value_minor_units: int,
    currency: int,
) -> bytes:
    """The bytes of a record of these fields, whether they can stand in one or not.

    For callers that check many records at once afterwards; ``classes`` are device, user agent and
    network. ``AdEvent.to_record`` checks what it writes.

    Raises:
        struct.error, OverflowError: a number does not fit its place.
    """
    return _LAYOUT.pack(
        RECORD_KIND, kind, 0, 0, campaign, publisher, placement, creative, event_id, parent_id,
        occurred_at_ms.to_bytes(6, "big"), country, *classes, subject, context, value_minor_units,
        currency,
    )  # fmt: skip


def pack_hit(
    kind: int,
    slot: bytes,
    event_id: bytes,
    parent_id: bytes,
    country: bytes,
    classes: bytes,
    subject: bytes,
    context: bytes,
) -> bytes:
    """The bytes of a record without a value, of parts that are known to have their sizes.

    ``slot`` are campaign, publisher, placement and creative as 16 bytes, ``classes`` device, user
    agent and network as three; the time is the id's.
    """
    return _HIT_LAYOUT.pack(
        RECORD_KIND, kind, 0, 0, slot, event_id, parent_id, event_id[:6], country, classes,
        subject, context,
    )  # fmt: skip


def set_verdict(unset_record: bytes, verdict: Verdict) -> bytes:
    """The record with its operator-written byte filled in."""
    return unset_record[:VERDICT_OFFSET] + bytes((verdict,)) + unset_record[VERDICT_OFFSET + 1 :]


def clear_verdict(record: bytes) -> bytes:
    """The bytes that the sender signed."""
    return record[:VERDICT_OFFSET] + b"\0" + record[VERDICT_OFFSET + 1 :]
