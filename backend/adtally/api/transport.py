"""The three transports of a batch, each to the same canonical records.

Whatever a batch came as, its signature is over the records, so a JSON body is turned into records
here and anything that can't stand in a record is refused, with the path of the field.
"""

from __future__ import annotations

import struct
import uuid
from typing import Annotated, Any, Literal

import msgspec

from adtally.errors import InvalidInput
from adtally.events.batch import SignedBatch, batch_from_wire, check_batch_header
from adtally.events.currency import currency_number
from adtally.events.record import (
    NO_PARENT,
    AdEvent,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
    pack_fields,
)
from adtally.kernel.event_lines import read_events
from adtally.kernel.records import RecordArray
from adtally.types import UINT64_MAX

JSON_TYPE = "application/json"
NDJSON_TYPE = "application/x-ndjson"
BINARY_TYPE = "application/vnd.adtally.batch"

UInt32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
UInt48 = Annotated[int, msgspec.Meta(ge=0, le=2**48 - 1)]
PositiveInt64 = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


def _wholly(pattern: str) -> msgspec.Meta:
    # ``$`` alone would let a newline follow.
    return msgspec.Meta(pattern=f"^{pattern}$(?!\\n)")


Hex16 = Annotated[str, _wholly("[0-9a-f]{32}")]
Hex20 = Annotated[str, _wholly("[0-9a-f]{40}")]
AddressText = Annotated[str, _wholly("0x[0-9a-fA-F]{40}")]
SignatureText = Annotated[str, _wholly("0x[0-9a-fA-F]{130}")]
Decimal = Annotated[str, _wholly("[0-9]{1,20}")]
Country = Annotated[str, _wholly("[A-Z]{2}")]


class EventJson(msgspec.Struct, forbid_unknown_fields=True):
    """One event in JSON."""

    type: Literal["impression", "viewable", "click", "conversion"]
    id: uuid.UUID
    campaign: UInt32
    publisher: UInt32
    placement: UInt32
    creative: UInt32
    occurred_at_ms: UInt48
    parent_id: uuid.UUID | None = None
    country: Country = "ZZ"
    device: Literal["unknown", "mobile", "desktop", "tablet", "connected_tv", "other"] = "unknown"
    user_agent_class: Literal["unknown", "browser", "app", "known_bot"] = "unknown"
    network_class: Literal["unknown", "consumer", "carrier", "data_center", "proxy"] = "unknown"
    subject: Hex16 = "0" * 32
    context: Hex20 = "0" * 40
    value_minor_units: Decimal = "0"
    currency: str | None = None


class BatchHeaderJson(msgspec.Struct, forbid_unknown_fields=True):
    """First line of an NDJSON batch."""

    chain_id: PositiveInt64
    member: UInt32
    sequence: PositiveInt64
    signer: AddressText
    signature: SignatureText


class BatchJson(BatchHeaderJson, forbid_unknown_fields=True):
    """A batch in JSON."""

    events: list[EventJson]


class UnreadBatchJson(BatchHeaderJson, forbid_unknown_fields=True):
    """A batch in JSON whose events are left as they came."""

    events: msgspec.Raw


_TYPES = {kind.label: int(kind) for kind in EventType}
_DEVICES = {device.label: int(device) for device in DeviceClass}
_AGENTS = {agent.label: int(agent) for agent in UserAgentClass}
_NETWORKS = {network.label: int(network) for network in NetworkClass}

_BATCH = msgspec.json.Decoder(BatchJson)
_UNREAD = msgspec.json.Decoder(UnreadBatchJson)
_HEADER = msgspec.json.Decoder(BatchHeaderJson)
_EVENT = msgspec.json.Decoder(EventJson)
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def parse_batch(content_type: str, body: bytes) -> SignedBatch:
    """Parse a body of one of the three media types.

    Raises:
        InvalidInput: malformed; ``field`` is the path of what is wrong.
    """
    if content_type == BINARY_TYPE:
        return _from_binary(body)
    plain = read_plain(content_type, body)
    return plain if plain is not None else parse_by_schema(content_type, body)


def read_plain(content_type: str, body: bytes) -> SignedBatch | None:
    """What ``parse_by_schema`` makes of a plain body, much sooner; None of any other.

    Raises:
        InvalidInput: the numbers of a well-formed header can't be a batch's.
    """
    read = _read_plain_lines if content_type == NDJSON_TYPE else _read_plain_object
    found = read(body)
    if found is None:
        return None
    header, records = found
    check_batch_header(header.member, header.sequence, len(records))
    return _signed(header, records)


def _read_plain_lines(body: bytes) -> tuple[BatchHeaderJson, RecordArray] | None:
    start = body.find(b"\n") + 1
    try:
        header = _HEADER.decode(memoryview(body)[: max(start - 1, 0)])
    except _MALFORMED:
        return None
    end = len(body) - body.endswith(b"\n")
    records = read_events(body, start, end, b"\n")
    return (header, records) if records is not None else None


def _read_plain_object(body: bytes) -> tuple[BatchHeaderJson, RecordArray] | None:
    # A second array of events would take the place of the first unseen, whatever is in that.
    if body.count(b'"events"') != 1 or b"\\" in body:
        return None
    try:
        batch = _UNREAD.decode(body)
    except _MALFORMED:
        return None
    events = bytes(batch.events)
    if not events.startswith(b"["):
        return None
    records = read_events(events, 1, len(events) - 1, b",")
    return (batch, records) if records is not None else None


def parse_by_schema(content_type: str, body: bytes) -> SignedBatch:
    """Parse JSON or NDJSON into objects by their types: says what is right, and what is wrong.

    Raises:
        InvalidInput: malformed; ``field`` is the path of what is wrong.
    """
    if content_type == NDJSON_TYPE:
        return _from_ndjson(body)
    batch = _decode(_BATCH, body, "")
    return _signed_events(batch, batch.events)


def _from_binary(body: bytes) -> SignedBatch:
    batch = batch_from_wire(body, RecordArray.packed)
    records = RecordArray.of(batch.records)
    try:
        records.require_unjudged()
    except InvalidInput as error:
        raise _under(f"events.{records.first_refused}", error) from None
    return batch


def _from_ndjson(body: bytes) -> SignedBatch:
    first, _, rest = body.partition(b"\n")
    try:
        header, events = _HEADER.decode(first), _EVENT.decode_lines(rest)
    except _MALFORMED:
        return _from_lines(body)
    # Blank lines are passed over there; here they are told from events.
    if len(events) != rest.count(b"\n") + (not rest.endswith(b"\n")):
        return _from_lines(body)
    return _signed_events(header, events)


def _from_lines(body: bytes) -> SignedBatch:
    """Line by line, so that an error names its event."""
    lines = body.split(b"\n")
    if lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InvalidInput(
            "the body is empty", field="body", expected="a header line, then one event a line"
        )
    header = _decode(_HEADER, lines[0], "")
    check_batch_header(header.member, header.sequence, len(lines) - 1)
    events = [
        _decode(_EVENT, line, f"events.{position}") for position, line in enumerate(lines[1:])
    ]
    return _signed_events(header, events)


def _signed_events(header: BatchHeaderJson, events: list[EventJson]) -> SignedBatch:
    check_batch_header(header.member, header.sequence, len(events))
    return _signed(header, _records(events))


def _signed(header: BatchHeaderJson, records: RecordArray) -> SignedBatch:
    return SignedBatch(
        chain_id=header.chain_id,
        member=header.member,
        sequence=header.sequence,
        signer=bytes.fromhex(header.signer[2:]),
        signature=bytes.fromhex(header.signature[2:]),
        records=records,
    )


def _records(events: list[EventJson]) -> RecordArray:
    """Packed first and checked at once; only what fails is looked at field by field."""
    try:
        records = RecordArray.packed(b"".join([_packed(event) for event in events]))
        if records.first_refused == len(records):
            return records
    except (struct.error, OverflowError, InvalidInput):
        pass
    return RecordArray.of([_record(event, position) for position, event in enumerate(events)])


def _packed(event: EventJson) -> bytes:
    return pack_fields(
        _TYPES[event.type],
        event.campaign,
        event.publisher,
        event.placement,
        event.creative,
        event.id.bytes,
        event.parent_id.bytes if event.parent_id is not None else NO_PARENT,
        event.occurred_at_ms,
        event.country.encode(),
        (_DEVICES[event.device], _AGENTS[event.user_agent_class], _NETWORKS[event.network_class]),
        bytes.fromhex(event.subject),
        bytes.fromhex(event.context),
        int(event.value_minor_units),
        currency_number(event.currency) if event.currency is not None else 0,
    )


def _record(event: EventJson, position: int) -> bytes:
    try:
        value = int(event.value_minor_units)
        return AdEvent(
            type=EventType[event.type.upper()],
            campaign=event.campaign,
            publisher=event.publisher,
            placement=event.placement,
            creative=event.creative,
            id=event.id.bytes,
            occurred_at_ms=event.occurred_at_ms,
            parent_id=event.parent_id.bytes if event.parent_id is not None else NO_PARENT,
            country=event.country,
            device=DeviceClass[event.device.upper()],
            user_agent_class=UserAgentClass[event.user_agent_class.upper()],
            network_class=NetworkClass[event.network_class.upper()],
            subject=bytes.fromhex(event.subject),
            context=bytes.fromhex(event.context),
            value_minor_units=min(value, UINT64_MAX + 1),
            currency=currency_number(event.currency) if event.currency is not None else 0,
        ).to_record()
    except InvalidInput as error:
        raise _under(f"events.{position}", error) from None


def _under(path: str, error: InvalidInput) -> InvalidInput:
    error.field = f"{path}.{error.field}" if error.field else path
    return error


def _decode(decoder: msgspec.json.Decoder[Any], data: bytes, prefix: str) -> Any:
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        field = path.rstrip("`").replace("[", ".").replace("]", "").lstrip(".")
        raise InvalidInput(
            "a field has a wrong type or value",
            field=".".join(part for part in (prefix, field) if part) or "body",
            expected="the documented schema, see /docs",
            found=message,
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(
            "not valid JSON",
            field=prefix or "body",
            expected="one JSON object in UTF-8",
            found=str(error),
        ) from None
