"""The compiled reader of plain JSON is right or declines; ``parse_by_schema`` is the judge."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.api import transport
from adtally.api.transport import JSON_TYPE, NDJSON_TYPE, parse_batch, parse_by_schema, read_plain
from adtally.client.batch_body import Encoding, encode_batch, event_to_json
from adtally.errors import InvalidInput
from adtally.events.batch import MAX_BATCH_EVENTS, SignedBatch
from adtally.events.currency import NUMERIC
from adtally.events.record import (
    NO_PARENT,
    AdEvent,
    DeviceClass,
    EventType,
    NetworkClass,
    UserAgentClass,
)
from adtally.kernel.records import RecordArray
from support.world import World

Outcome = tuple[Any, ...]
Event = dict[str, object]
REQUIRED = [each.name for each in msgspec.structs.fields(transport.EventJson) if each.required]


def outcome(parse: Callable[[str, bytes], SignedBatch], content_type: str, body: bytes) -> Outcome:
    """All that can be told of a batch, or of why it is none."""
    try:
        batch = parse(content_type, body)
    except InvalidInput as error:
        return str(error), error.field, error.expected, error.found
    header = (batch.chain_id, batch.member, batch.sequence, batch.signer, batch.signature)
    return (*header, RecordArray.of(batch.records).rows.tobytes())


def is_read(content_type: str, body: bytes) -> bool:
    """Whether the compiled reader takes it; what it says must then be what the schema says."""
    try:
        is_plain = read_plain(content_type, body) is not None
    except InvalidInput:
        is_plain = True
    if is_plain:
        expected = outcome(parse_by_schema, content_type, body)
        assert outcome(parse_batch, content_type, body) == expected, body
    return is_plain


def made_header() -> dict[str, Any]:
    world = World()
    header, _, _ = encode_batch(world.batch([world.event()]), Encoding.NDJSON).partition(b"\n")
    return msgspec.json.decode(header, type=dict[str, Any])


HEADER = msgspec.json.encode(made_header())


def lines(*events: bytes, end: bytes = b"\n") -> bytes:
    return b"\n".join([HEADER, *events]) + end


def array(*events: bytes) -> bytes:
    return HEADER[:-1] + b',"events":[' + b",".join(events) + b"]}"


def bodies(*events: bytes) -> Iterator[tuple[str, bytes]]:
    yield NDJSON_TYPE, lines(*events)
    yield JSON_TYPE, array(*events)


def full_event() -> Event:
    """One with a value in every field, none of them the default."""
    return {
        "type": "conversion",
        "id": "018bd278-9600-7abc-8def-0123456789ab",
        "campaign": 4294967295,
        "publisher": 10,
        "placement": 0,
        "creative": 9,
        "occurred_at_ms": 1700043200000,
        "parent_id": "018bd278-9600-7fed-8cba-9876543210ff",
        "country": "NL",
        "device": "connected_tv",
        "user_agent_class": "known_bot",
        "network_class": "data_center",
        "subject": "0123456789abcdef0123456789abcdef",
        "context": "fedcba9876543210fedcba9876543210fedcba98",
        "value_minor_units": "1234567890123456789",
        "currency": "EUR",
    }


FULL = msgspec.json.encode(full_event())
PLAIN = msgspec.json.encode(event_to_json(World().event()))


# What is read -----------------------------------------------------------------------------------


def bytes_of(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


@st.composite
def ad_events(draw: st.DrawFn) -> AdEvent:
    """Any event that JSON can carry and a record can hold."""
    kind = draw(st.sampled_from(EventType))
    at_ms = draw(st.integers(0, 2**48 - 1))
    numbers = st.integers(0, 2**32 - 1)
    is_sale = kind is EventType.CONVERSION
    currency = draw(st.sampled_from([0, *NUMERIC.values()])) if is_sale else 0
    return AdEvent(
        type=kind,
        campaign=draw(numbers),
        publisher=draw(numbers),
        placement=draw(numbers),
        creative=draw(numbers),
        id=at_ms.to_bytes(6, "big") + draw(bytes_of(10)),
        occurred_at_ms=at_ms,
        parent_id=NO_PARENT
        if kind is EventType.IMPRESSION
        else draw(bytes_of(16).filter(lambda id_: id_ != NO_PARENT)),
        country=draw(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=2)),
        device=draw(st.sampled_from(DeviceClass)),
        user_agent_class=draw(st.sampled_from(UserAgentClass)),
        network_class=draw(st.sampled_from(NetworkClass)),
        subject=draw(bytes_of(16)),
        context=draw(bytes_of(20)),
        value_minor_units=draw(st.integers(0, 10**19 - 1)) if currency else 0,
        currency=currency,
    )


def spelled(event: AdEvent, chance: random.Random) -> bytes:
    """One of the ways to write it plainly: any order, spaces, defaults, capitals in UUIDs."""
    document = event_to_json(event)
    for name in ("id", "parent_id"):
        if name in document and chance.random() < 0.3:
            document[name] = str(document[name]).upper()
    if event.parent_id == NO_PARENT and chance.random() < 0.3:
        document["parent_id"] = chance.choice([None, "0" * 8 + "-0000" * 3 + "-" + "0" * 12])
    if event.currency == 0 and chance.random() < 0.3:
        document["currency"] = None
    if event.value_minor_units == 0 and chance.random() < 0.3:
        document["value_minor_units"] = chance.choice(["0", "00", "0" * 19])
    for name in document.keys() - REQUIRED:
        if document[name] in ("unknown", "ZZ") and chance.random() < 0.5:
            del document[name]
    members = list(document.items())
    chance.shuffle(members)

    def space() -> bytes:
        return b"" if chance.random() < 0.8 else bytes(chance.choices(b" \t\r", k=2))

    text = b",".join(
        space() + msgspec.json.encode(key) + space() + b":" + space() + msgspec.json.encode(value)
        + space()
        for key, value in members
    )  # fmt: skip
    return space() + b"{" + text + b"}" + space()


@settings(max_examples=300, deadline=None)
@given(
    events=st.lists(ad_events(), min_size=1, max_size=8),
    seed=st.integers(0, 2**32),
    end=st.sampled_from([b"", b"\n"]),
)
def test_read_plain__any_event_in_any_plain_spelling__its_record(
    events: list[AdEvent], seed: int, end: bytes
) -> None:
    chance = random.Random(seed)
    texts = [spelled(event, chance) for event in events]
    expected = [event.to_record() for event in events]
    for content_type, body in ((NDJSON_TYPE, lines(*texts, end=end)), (JSON_TYPE, array(*texts))):
        batch = read_plain(content_type, body)
        assert batch is not None
        assert list(batch.records) == expected
        assert is_read(content_type, body)


def with_changes(**changes: object) -> bytes:
    return msgspec.json.encode(full_event() | changes)


@pytest.mark.parametrize(
    "changes",
    [
        *({"currency": code} for code in NUMERIC),
        *({"device": each.label} for each in DeviceClass),
        *({"user_agent_class": each.label} for each in UserAgentClass),
        *({"network_class": each.label} for each in NetworkClass),
        *({"type": each.label} for each in EventType),
        *({name: 2**32 - 1} for name in ("campaign", "publisher", "placement", "creative")),
        {"id": "ffffffff-ffff-7000-8000-000000000000", "occurred_at_ms": 2**48 - 1},
        {"id": "00000000-0000-0000-0000-000000000000", "occurred_at_ms": 0},
        {"country": "AA"},
        {"country": "ZZ"},
        {"value_minor_units": "9" * 19},
        {"value_minor_units": "0" * 19, "currency": None},
    ],
    ids=str,
)
def test_read_plain__every_label_currency_and_limit__as_by_schema(
    changes: dict[str, object],
) -> None:
    if changes.get("type", "conversion") != "conversion":
        changes |= {"value_minor_units": "0", "currency": None}
    if changes.get("type") == "impression":
        changes |= {"parent_id": None}
    for content_type, body in bodies(PLAIN, with_changes(**changes)):
        assert is_read(content_type, body)


@pytest.mark.parametrize("encoding", [Encoding.JSON, Encoding.NDJSON])
def test_read_plain__what_the_client_sends__is_read(encoding: Encoding) -> None:
    world = World()
    batch = world.batch([world.event() for _ in range(MAX_BATCH_EVENTS)])
    body = encode_batch(batch, encoding)
    assert read_plain(encoding.value, body) == batch
    assert is_read(encoding.value, body)


def test_parse_batch__plain_body__needs_no_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(content_type: str, body: bytes) -> SignedBatch:
        asked.append(content_type)
        raise InvalidInput("asked")

    monkeypatch.setattr(transport, "parse_by_schema", refuse)
    for content_type, body in bodies(FULL, PLAIN):
        assert len(parse_batch(content_type, body).records) == 2
    assert not asked
    for content_type, body in bodies(changed(b'"NL"', b'"N\\u004c"'), PLAIN):
        with pytest.raises(InvalidInput, match="asked"):
            parse_batch(content_type, body)
    assert asked == [NDJSON_TYPE, JSON_TYPE]


# What is not ------------------------------------------------------------------------------------

LONG_ZEROS = bytes(64)


def changed(old: bytes, new: bytes) -> bytes:
    assert FULL.count(old) == 1, old
    return FULL.replace(old, new)


DECLINED = {
    "escape in a key": changed(b'"type"', b'"t\\u0079pe"'),
    "escape in a value": changed(b'"NL"', b'"N\\u004c"'),
    "escaped newline behind a value": changed(b'"NL"', b'"NL\\n"'),
    "same key twice": changed(b'"placement":0', b'"placement":0,"placement":1'),
    "same key twice, far apart": changed(b'"EUR"}', b'"EUR","campaign":1}'),
    "unknown key": changed(b'"EUR"}', b'"EUR","unknown":1}'),
    "empty key": changed(b'"EUR"}', b'"EUR","":1}'),
    # As if a type: 4 << 16 is what a number would leave in the first bytes of a conversion.
    "empty key instead of the type": changed(b'"type":"conversion"', b'"":262144'),
    "key goes on": changed(b'"type"', b'"types"'),
    "key too short": changed(b'"type"', b'"typ"'),
    "long key goes on": changed(b'"value_minor_units"', b'"value_minor_units_of_currency"'),
    "zeros after a key": changed(b'"type"', b'"type\0\0\0\0"'),
    "zeros after a key of eight": changed(b'"campaign"', b'"campaign' + bytes(16) + b'"'),
    "zeros instead of a quote": changed(b'"campaign"', b'"campaign' + bytes(17)),
    "zeros after a label": changed(b'"known_bot"', b'"known_bot' + bytes(7) + b'"'),
    "zeros after a currency": changed(b'"EUR"', b'"EUR' + bytes(5) + b'"'),
    "float": changed(b'"publisher":10', b'"publisher":10.0'),
    "exponent": changed(b'"publisher":10', b'"publisher":1e1'),
    "negative": changed(b'"publisher":10', b'"publisher":-10'),
    "plus": changed(b'"publisher":10', b'"publisher":+10'),
    "zero in front": changed(b'"publisher":10', b'"publisher":010'),
    "two zeros": changed(b'"placement":0', b'"placement":00'),
    "digits in words": changed(b'"publisher":10', b'"publisher":"10"'),
    "true": changed(b'"placement":0', b'"placement":true'),
    "NaN": changed(b'"placement":0', b'"placement":NaN'),
    "nothing": changed(b'"placement":0', b'"placement":'),
    "two values": changed(b'"placement":0', b'"placement":0 1'),
    "array": changed(b'"placement":0', b'"placement":[0]'),
    "deep": changed(b'"placement":0', b'"placement":' + b"[" * 9999),
    "32 bits and one": changed(b"4294967295", b"4294967296"),
    "64 bits and one": changed(b"4294967295", b"18446744073709551616"),
    "64 bits and a small number": changed(b"4294967295", b"18446744073709551620"),
    "endless number": changed(b"4294967295", b"1" * 5000),
    "48 bits and one": changed(b"1700043200000", b"281474976710656"),
    "48 bits and the time": changed(b"1700043200000", b"%d" % (2**48 + 1700043200000)),
    "32 bits and ten": changed(b'"publisher":10', b'"publisher":4294967306'),
    "20 digits of value": changed(b"1234567890123456789", b"12345678901234567890"),
    "value too large": changed(b"1234567890123456789", b"99999999999999999999"),
    "value empty": changed(b"1234567890123456789", b""),
    "value as number": changed(b'"1234567890123456789"', b"12"),
    "value null": changed(b'"1234567890123456789"', b"null"),
    "UUID without dashes": changed(b"018bd278-9600-7abc-8def-", b"018bd27896007abc8def"),
    "UUID in braces": changed(b'"018bd278-9600-7abc-', b'"{018bd278-9600-7abc-'),
    "UUID with another dash": changed(b"7abc-8def", b"7abc_8def"),
    "UUID too long": changed(b"-0123456789ab", b"-0123456789abc"),
    "UUID no hex": changed(b"-0123456789ab", b"-0123456789ag"),
    "id null": changed(b'"018bd278-9600-7abc-8def-0123456789ab"', b"null"),
    "no time where it is zero": changed(b"018bd278-9600-7abc", b"00000000-0000-7abc").replace(
        b'"occurred_at_ms":1700043200000,', b""
    ),
    "id null where time is zero": changed(
        b'"018bd278-9600-7abc-8def-0123456789ab"', b"null"
    ).replace(b"1700043200000", b"0"),
    "id of another time": changed(b"018bd278-9600-7abc", b"018bd278-9601-7abc"),
    "no parent": changed(b'"018bd278-9600-7fed-8cba-9876543210ff"', b"null"),
    "parent nil": changed(b'"018bd278-9600-7fed-8cba-9876543210ff"', b"nil"),
    "parent nulls": changed(b'"018bd278-9600-7fed-8cba-9876543210ff"', b"nulls"),
    "no currency": changed(b'"EUR"', b"null"),
    "unknown currency": changed(b'"EUR"', b'"XXX"'),
    "small currency": changed(b'"EUR"', b'"eur"'),
    "long currency": changed(b'"EUR"', b'"EURO"'),
    "empty currency": changed(b'"EUR"', b'""'),
    "small country": changed(b'"NL"', b'"Nl"'),
    "long country": changed(b'"NL"', b'"NLD"'),
    "country null": changed(b'"NL"', b"null"),
    "label null": changed(b'"known_bot"', b"null"),
    "label of another field": changed(b'"connected_tv"', b'"browser"'),
    "another label of another field": changed(b'"known_bot"', b'"mobile"'),
    "type of another field": changed(b'"conversion"', b'"unknown"'),
    "label in capitals": changed(b'"connected_tv"', b'"CONNECTED_TV"'),
    "capitals in hex": changed(b'"0123456789abcdef', b'"0123456789ABCDEF'),
    "short hex": changed(b'3210fedcba98"', b'3210fedcba"'),
    "long hex": changed(b'3210fedcba98"', b'3210fedcba9800"'),
    "hex null": changed(b'"0123456789abcdef0123456789abcdef"', b"null"),
    "byte order mark": b"\xef\xbb\xbf" + FULL,
    "not ASCII": changed(b'"NL"', '"Ñ"'.encode()),
    "not UTF-8": changed(b'"NL"', b'"\xff\xfe"'),
    "comma at the end": changed(b'"EUR"}', b'"EUR",}'),
    "comma in front": changed(b'{"type"', b'{,"type"'),
    "no comma": changed(b'"EUR"}', b'"EUR" "device":"other"}'),
    "no colon": changed(b'"placement":0', b'"placement" 0'),
    "semicolon": changed(b'"placement":0', b'"placement":0;'),
    "quote missing": changed(b'"NL"', b'"NL'),
    "simple quotes": changed(b'"NL"', b"'NL'"),
    "comment": changed(b'{"type"', b'{/**/"type"'),
    "form feed": changed(b'{"type"', b'{\f"type"'),
    "zero behind": FULL + b"\0",
    "zeros behind": FULL + LONG_ZEROS,
    "word behind": FULL + b" x",
    "closed twice": FULL + b"}",
    "not closed": FULL[:-1],
    "in an array": b"[" + FULL + b"]",
    "two without a comma": FULL + PLAIN,
    "no fields": b"{}",
    "null": b"null",
    "nothing at all": b"",
    "spaces": b"  ",
    **{
        f"no {name}": msgspec.json.encode(
            {key: value for key, value in full_event().items() if key != name}
        )
        for name in REQUIRED
    },
}


@pytest.mark.parametrize("event", DECLINED.values(), ids=DECLINED.keys())
def test_read_plain__not_plain_or_not_right__left_to_the_schema(event: bytes) -> None:
    for events in ((event,), (PLAIN, event), (event, PLAIN), (PLAIN, event, PLAIN)):
        for content_type, body in bodies(*events):
            assert not is_read(content_type, body), body
            expected = outcome(parse_by_schema, content_type, body)
            assert outcome(parse_batch, content_type, body) == expected


@pytest.mark.parametrize(
    "body",
    [
        lines(PLAIN, end=b"\n\n"),
        lines(PLAIN, end=b"\n \n"),
        lines(PLAIN, end=b"\n "),
        lines(b"", PLAIN),
        lines(PLAIN, b"", PLAIN),
        lines(PLAIN + b"," + PLAIN),
        lines(PLAIN + b" " + PLAIN),
        lines(PLAIN.replace(b",", b",\n")),
        lines(PLAIN[:-1] + b"\n}"),
        lines(*[PLAIN] * (MAX_BATCH_EVENTS + 1)),
        lines(),
        HEADER,
        b"\n" + PLAIN,
        b"\n",
        b"",
        PLAIN,
        HEADER[:-1] + b"\n" + PLAIN,
        HEADER[:-1] + b',"events":[]}\n' + PLAIN,
        b"\xff" + lines(PLAIN),
    ],
)
def test_read_plain__lines_not_one_event_each__left_to_the_schema(body: bytes) -> None:
    assert not is_read(NDJSON_TYPE, body)
    assert outcome(parse_batch, NDJSON_TYPE, body) == outcome(parse_by_schema, NDJSON_TYPE, body)


GOOD_ARRAY = b',"events":[' + PLAIN + b"]"


@pytest.mark.parametrize(
    "body",
    [
        array(),
        array(PLAIN)[:-2] + b",]}",
        array(PLAIN)[:-1] + GOOD_ARRAY + b"}",
        HEADER[:-1] + b',"events":[1]' + GOOD_ARRAY + b"}",
        HEADER[:-1] + b',"event\\u0073":[1]' + GOOD_ARRAY + b"}",
        HEADER[:-1] + GOOD_ARRAY.replace(b"events", b"event\\u0073") + b"}",
        HEADER[:-1] + b',"events":' + PLAIN + b"}",
        HEADER[:-1] + b',"events":null}',
        HEADER[:-1] + b',"events":"' + b"x" * 500 + b'"}',
        HEADER[:-1] + b',"more":0' + GOOD_ARRAY + b"}",
        array(PLAIN.replace(b",", b",\n")),
        array(PLAIN) + b"x",
        array(*[PLAIN] * (MAX_BATCH_EVENTS + 1)),
        HEADER,
        b"[]",
        b"",
    ],
)
def test_read_plain__no_plain_array__left_to_the_schema(body: bytes) -> None:
    assert not is_read(JSON_TYPE, body)
    assert outcome(parse_batch, JSON_TYPE, body) == outcome(parse_by_schema, JSON_TYPE, body)


@pytest.mark.parametrize("name", ["member", "sequence"])
def test_read_plain__header_out_of_range__as_by_schema(name: str) -> None:
    header = msgspec.json.encode(made_header() | {name: 0})
    body = header + b"\n" + PLAIN
    with pytest.raises(InvalidInput) as refused:
        parse_batch(NDJSON_TYPE, body)
    assert refused.value.field == name
    assert outcome(parse_batch, NDJSON_TYPE, body) == outcome(parse_by_schema, NDJSON_TYPE, body)


# Anything ---------------------------------------------------------------------------------------


def test_read_plain__each_byte_another_or_gone_or_new__right_or_declined() -> None:
    body = lines(FULL, PLAIN)
    start = len(HEADER)
    read = 0
    for at in range(start, len(body)):
        head, tail = body[:at], body[at + 1 :]
        read += is_read(NDJSON_TYPE, head + tail)
        read += is_read(NDJSON_TYPE, head)
        for byte in range(256):
            read += is_read(NDJSON_TYPE, b"%b%c%b" % (head, byte, tail))
        for byte in b'\0\t\n\r !"#+,-./09:;AFZ[\\]_aefnz{}~\x7f\x80\xff':
            read += is_read(NDJSON_TYPE, b"%b%c%b" % (head, byte, body[at:]))
    # Other digits and letters where any will do, and spaces.
    assert read > 1_000


PIECES = [
    *(b'"%b"' % name.encode() for name in full_event()),
    *FULL[1:-1].split(b","),
    *(b":", b",", b"{", b"}", b"[", b"]", b'"', b"\\", b"\n", b"\r\n", b" ", b"\0", b"null"),
    *(b"true", b"-0", b"0.5", b"1e3", b"18446744073709551616", b"\\u0041", "é".encode(), b"\xff"),
    *(b"\0" * 8, b"\0" * 24, b"[" * 2000, b"{}", b'""', b"0" * 24, PLAIN, FULL),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Bodies with pieces cut out, doubled, moved and put in, at and off the seams."""
    body = draw(st.sampled_from([lines(FULL), lines(PLAIN, FULL), lines(FULL, PLAIN, end=b"")]))
    for _ in range(draw(st.integers(1, 3))):
        seams = [at for at, byte in enumerate(body) if byte in b',:{}"\n']
        places = st.one_of(st.sampled_from([*seams, 0]), st.integers(0, len(body)))
        start, end = sorted((draw(places), draw(places)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=12))
        body = draw(
            st.sampled_from(
                [
                    body[:start] + piece + body[start:],
                    body[:start] + piece + body[end:],
                    body[:start] + body[end:],
                    body[:end] + body[start:],
                    body[:start] + body[end:] + body[start:end],
                    body[:start],
                ]
            )
        )
    return body


@settings(max_examples=1_500, deadline=None)
@given(body=damaged())
def test_parse_batch__damaged_bodies__as_by_schema(body: bytes) -> None:
    header, _, rest = body.partition(b"\n")
    as_array = header[:-1] + b',"events":[' + b",".join(rest.splitlines()) + b"]}"
    for content_type, each in ((NDJSON_TYPE, body), (JSON_TYPE, as_array), (JSON_TYPE, body)):
        assert outcome(parse_batch, content_type, each) == outcome(
            parse_by_schema, content_type, each
        )


fields = st.sampled_from([*full_event(), "unknown", "typ"])
values = st.one_of(
    st.sampled_from([*full_event().values(), None, True, 1.5, -1, 2**32, 2**48, 2**64, [], {}, ""]),
    st.integers(-(2**70), 2**70),
    st.text(max_size=40),
)


@settings(max_examples=800, deadline=None)
@given(members=st.lists(st.tuples(fields, values), max_size=3), chance=st.randoms())
def test_parse_batch__members_changed_added_and_swapped__as_by_schema(
    members: list[tuple[str, object]], chance: random.Random
) -> None:
    pairs = [*full_event().items()]
    for pair in members:
        pairs.insert(chance.randrange(len(pairs) + 1), pair)
        if chance.random() < 0.7:
            pairs.remove(next(each for each in pairs if each[0] == pair[0]))
    text = b",".join(
        msgspec.json.encode(key) + b":" + msgspec.json.encode(value) for key, value in pairs
    )
    for content_type, body in bodies(PLAIN, b"{" + text + b"}"):
        assert outcome(parse_batch, content_type, body) == outcome(
            parse_by_schema, content_type, body
        )
