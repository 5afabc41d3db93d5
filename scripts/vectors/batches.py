"""``batches.json``: one batch as JSON, NDJSON and binary."""

from __future__ import annotations

import json
from typing import Any

from adtally.events.batch import SignedBatch, batch_to_wire, sign_batch
from adtally.events.currency import currency_code
from adtally.events.record import NO_PARENT, AdEvent, event_id_text
from adtally.events.verdict import Verdict
from vectors.common import (
    CHAIN_ID,
    EVENT_LOG,
    LOG_DOMAIN,
    PUBLISHER_KEY,
    hexed,
    patched,
    refused,
)
from vectors.records import events


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


def sample_batch() -> SignedBatch:
    """Three events of one publisher under one signature."""
    records = [events()[name].to_record() for name in ("impression", "viewable", "click")]
    return sign_batch(LOG_DOMAIN, CHAIN_ID, PUBLISHER_KEY, 3, 1, records)


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
        "records_root": hexed(batch.records_root),
        "digest": hexed(batch.digest(LOG_DOMAIN)),
        "rejected_wire": refused(
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
