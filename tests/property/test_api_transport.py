"""JSON and NDJSON bodies become the very records that binary ones carry, or are refused alike."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.api import transport
from adtally.client.batch_body import Encoding, encode_batch, event_to_json
from adtally.errors import InvalidInput
from adtally.events.batch import SignedBatch
from adtally.events.record import NO_PARENT, AdEvent, EventType
from support.world import World

odd_values = st.sampled_from(
    [
        "", "0", "x", "ab" * 16, "AB" * 16, "00000000-0000-0000-0000-000000000000", "NL", "nl",
        "NL\n", "18446744073709551615", "18446744073709551616", "99999999999999999999", "EUR",
        "XXX", "click", "conversion", -1, 0, 1, 2**32 - 1, 2**32, 2**48 - 1, 2**48,
        1.5, True, None, [], {},
    ]
)  # fmt: skip
fields = st.sampled_from([*transport.EventJson.__struct_fields__, "unknown"])
changes = st.lists(st.tuples(st.integers(0, 2), fields, odd_values), max_size=3)


def made_events() -> list[dict[str, object]]:
    world = World()
    impression = world.event()
    click = world.event(EventType.CLICK, parent_id=impression.id)
    sale = world.event(
        EventType.CONVERSION, parent_id=click.id, value_minor_units=2**64 - 1, currency=978
    )
    return [event_to_json(event) for event in (impression, click, sale)]


def bodies(events: list[dict[str, object]]) -> dict[str, bytes]:
    world = World()
    head = transport_header(world.batch([world.event()]))
    return {
        transport.JSON_TYPE: msgspec.json.encode(head | {"events": events}),
        transport.NDJSON_TYPE: b"\n".join(map(msgspec.json.encode, [head, *events])),
    }


def transport_header(batch: SignedBatch) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(encode_batch(batch, Encoding.JSON))
    del document["events"]
    return document


def outcome(content_type: str, body: bytes) -> list[bytes] | tuple[str | None, str | None]:
    try:
        return list(transport.parse_batch(content_type, body).records)
    except InvalidInput as error:
        return error.field, error.found


def plainly(events: list[dict[str, object]]) -> list[bytes] | tuple[str | None, str | None]:
    """One event after the other, by the event's own checks."""
    try:
        decoded = [
            transport._decode(transport._EVENT, msgspec.json.encode(event), f"events.{at}")
            for at, event in enumerate(events)
        ]
        return [transport._record(event, at) for at, event in enumerate(decoded)]
    except InvalidInput as error:
        return error.field, error.found


@settings(max_examples=300, deadline=None)
@given(changed=changes)
def test_parse_batch__any_fields_changed__as_one_event_after_the_other(
    changed: list[tuple[int, str, object]],
) -> None:
    events = made_events()
    for at, name, value in changed:
        events[at][name] = value
    expected = plainly(events)
    for content_type, body in bodies(events).items():
        assert outcome(content_type, body) == expected


@settings(deadline=None)
@given(
    kinds=st.lists(st.sampled_from(EventType), min_size=1, max_size=30),
    end=st.sampled_from(["", "\n"]),
)
def test_parse_batch__honest_batch__same_records_in_every_transport(
    kinds: list[EventType], end: str
) -> None:
    world = World()
    batch = world.batch([sound(world, kind) for kind in kinds])
    for encoding in Encoding:
        body = encode_batch(batch, encoding)
        if encoding is Encoding.NDJSON:
            body = body.rstrip(b"\n") + end.encode()
        parsed = transport.parse_batch(encoding.value, body)
        assert parsed == batch
        assert parsed.records_root == batch.records_root


def sound(world: World, kind: EventType) -> AdEvent:
    return world.event(
        kind, parent_id=NO_PARENT if kind is EventType.IMPRESSION else bytes(15) + b"1"
    )


def test_parse_ndjson__blank_lines__are_refused_where_they_stand() -> None:
    head, *lines = bodies(made_events())[transport.NDJSON_TYPE].split(b"\n")
    for at in range(4):
        body = b"\n".join([head, *lines[:at], b"", *lines[at:], b""])
        found = outcome(transport.NDJSON_TYPE, body)
        assert isinstance(found, tuple)
        assert found[0] == f"events.{at}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("country", "NL"),
        ("subject", "ab" * 16),
        ("context", "ab" * 20),
        ("value_minor_units", "0"),
        ("signer", "0x" + "ab" * 20),
        ("signature", "0x" + "ab" * 65),
    ],
)
def test_parse_batch__newline_behind_a_text__refused(name: str, value: str) -> None:
    event = event_to_json(World().event())
    for content_type, body in bodies([event]).items():
        head, *lines = body.split(b"\n")
        document = msgspec.json.decode(head)
        changed = document if name in document else document.get("events", [event])[0]
        changed[name] = value + "\n"
        lines = [msgspec.json.encode(event)] if lines else []
        found = outcome(content_type, b"\n".join([msgspec.json.encode(document), *lines]))
        assert isinstance(found, tuple)
        assert found[0] == (name if name in document else f"events.0.{name}")
