"""``envelope.json``: what precedes a batch's records in the log."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from adtally.events.batch import Envelope
from adtally.types import UINT32_MAX, UINT48_MAX, UINT64_MAX
from vectors.batches import sample_batch
from vectors.common import NOON_MS, entry_case, patched, refused


def sample_envelope() -> Envelope:
    batch = sample_batch()
    return Envelope(3, 1, 3, NOON_MS + 10_000, batch.signer, batch.signature)


def envelope_vectors() -> dict[str, Any]:
    usual = sample_envelope()
    largest = Envelope(UINT32_MAX, UINT64_MAX, 10_000, UINT48_MAX, b"\xff" * 20, b"\xff" * 65)
    good = usual.to_entry()
    rejected = {
        "empty": b"",
        "one byte short": good[:-1],
        "one byte long": good + b"\0",
        "another kind": patched(good, 0, 1),
        "reserved byte not zero": patched(good, 1, 1),
        "member 0": good[:2] + bytes(4) + good[6:],
        "sequence 0": good[:6] + bytes(8) + good[14:],
        "no records": good[:14] + bytes(4) + good[18:],
        "10,001 records": good[:14] + (10_001).to_bytes(4, "big") + good[18:],
    }
    return {
        "cases": [
            entry_case(name, {"entry_kind": 2, **asdict(envelope)}, envelope.to_entry())
            for name, envelope in (("usual", usual), ("largest values", largest))
        ],
        "rejected": refused(rejected),
    }
