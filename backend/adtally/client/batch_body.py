"""The request bodies of a signed batch: binary, JSON and NDJSON, all of the same records."""

from __future__ import annotations

from enum import Enum

import msgspec

from adtally.errors import InvalidInput
from adtally.events.batch import SignedBatch, batch_to_wire
from adtally.events.currency import currency_code
from adtally.events.record import NO_PARENT, AdEvent, event_id_text


class Encoding(Enum):
    """How a batch travels; the value is its media type."""

    BINARY = "application/vnd.adtally.batch"
    JSON = "application/json"
    NDJSON = "application/x-ndjson"


def encode_batch(batch: SignedBatch, encoding: Encoding) -> bytes:
    """The body of ``POST /v1/batches``."""
    if encoding is Encoding.BINARY:
        return batch_to_wire(batch)
    header = _header(batch)
    events = [event_to_json(AdEvent.from_record(record)) for record in batch.records]
    if encoding is Encoding.JSON:
        return msgspec.json.encode(header | {"events": events})
    return b"\n".join(map(msgspec.json.encode, [header, *events])) + b"\n"


def _header(batch: SignedBatch) -> dict[str, object]:
    return {
        "chain_id": batch.chain_id,
        "member": batch.member,
        "sequence": batch.sequence,
        "signer": f"0x{batch.signer.hex()}",
        "signature": f"0x{batch.signature.hex()}",
    }


def event_to_json(event: AdEvent) -> dict[str, object]:
    """An event as it stands in JSON and NDJSON bodies; fields at their default are left out.

    Raises:
        InvalidInput: its currency is no active ISO 4217 one.
    """
    document: dict[str, object] = {
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
    }
    if event.parent_id != NO_PARENT:
        document["parent_id"] = event_id_text(event.parent_id)
    if any(event.subject):
        document["subject"] = event.subject.hex()
    if any(event.context):
        document["context"] = event.context.hex()
    if event.value_minor_units:
        document["value_minor_units"] = str(event.value_minor_units)
    if event.currency:
        code = currency_code(event.currency)
        if code is None:
            raise InvalidInput(
                "the currency has no alphabetic code, so JSON can't carry it",
                field="currency",
                expected="an active ISO 4217 currency",
                found=str(event.currency),
                action="send the batch as binary",
            )
        document["currency"] = code
    return document
