"""``records.json``: one event of every type, and the extremes of every field."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from adtally.events.record import (
    NO_PARENT,
    AdEvent,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
    new_event_id,
)
from adtally.events.verdict import Verdict
from adtally.types import UINT32_MAX, UINT48_MAX, UINT64_MAX
from vectors.common import NOON_MS, entry_case, patched, refused, seed


def impression() -> AdEvent:
    return AdEvent(
        type=EventType.IMPRESSION,
        campaign=1,
        publisher=3,
        placement=17,
        creative=5,
        id=new_event_id(NOON_MS, seed("impression", 10)),
        occurred_at_ms=NOON_MS,
        country="DE",
        device=DeviceClass.MOBILE,
        user_agent_class=UserAgentClass.BROWSER,
        network_class=NetworkClass.CARRIER,
        subject=seed("subject", 16),
        context=seed("context", 20),
    )


def follower(name: str, kind: EventType, parent: AdEvent, delay_ms: int) -> AdEvent:
    at = parent.occurred_at_ms + delay_ms
    return replace(
        parent,
        type=kind,
        id=new_event_id(at, seed(name, 10)),
        parent_id=parent.id,
        occurred_at_ms=at,
    )


def events() -> dict[str, AdEvent]:
    """One event of every type, and the extremes of every field."""
    shown = impression()
    clicked = follower("click", EventType.CLICK, shown, 4_200)
    bought = follower("conversion", EventType.CONVERSION, clicked, 600_000)
    return {
        "impression": shown,
        "viewable": follower("viewable", EventType.VIEWABLE, shown, 1_000),
        "click": clicked,
        "conversion": replace(bought, value_minor_units=12_999, currency=978),
        "smallest values": AdEvent(EventType.IMPRESSION, 0, 0, 0, 0, bytes(16), 0),
        "largest values": AdEvent(
            type=EventType.CONVERSION,
            campaign=UINT32_MAX,
            publisher=UINT32_MAX,
            placement=UINT32_MAX,
            creative=UINT32_MAX,
            id=b"\xff" * 16,
            parent_id=b"\xff" * 16,
            occurred_at_ms=UINT48_MAX,
            country="ZZ",
            device=DeviceClass.OTHER,
            user_agent_class=UserAgentClass.KNOWN_BOT,
            network_class=NetworkClass.PROXY,
            subject=b"\xff" * 16,
            context=b"\xff" * 20,
            value_minor_units=UINT64_MAX,
            currency=999,
            verdict=Verdict.BUDGET_EXHAUSTED,
        ),
    }


def record_vectors() -> dict[str, Any]:
    cases = [entry_case(name, _record_fields(event), event.to_record())
             for name, event in events().items()]  # fmt: skip
    accepted = events()["click"].with_verdict(Verdict.ACCEPTED)
    cases.append(entry_case("click, accepted", _record_fields(accepted), accepted.to_record()))
    good = events()["click"].to_record()
    rejected = {
        "empty": b"",
        "one byte short": good[:-1],
        "one byte long": good + b"\0",
        "another kind": patched(good, 0, 2),
        "unknown type": patched(good, 1, 5),
        "flags not zero": patched(good, 2, 1),
        "unknown verdict": patched(good, 3, 200),
        "id is not of its time": patched(good, 20, good[20] ^ 1),
        "click without parent": good[:36] + NO_PARENT + good[52:],
        "small letters in the country": patched(good, 58, ord("d")),
        "unknown device": patched(good, 60, 6),
        "unknown user agent class": patched(good, 61, 4),
        "unknown network class": patched(good, 62, 5),
        "reserved byte 63 not zero": patched(good, 63, 1),
        "click with a value": patched(good, 107, 1),
        "currency over 999": events()["conversion"].to_record()[:108] + b"\x03\xe8\0\0",
        "value without currency": events()["conversion"].to_record()[:108] + bytes(4),
        "reserved bytes 110 and 111 not zero": patched(good, 111, 1),
    }
    return {"cases": cases, "rejected": refused(rejected)}


def _record_fields(event: AdEvent) -> dict[str, Any]:
    fields = asdict(event)
    return {"entry_kind": 1, "flags": 0, **fields}
