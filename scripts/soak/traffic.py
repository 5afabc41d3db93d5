"""The traffic: a second at a time, signed, with the verdict that every event must get.

Publishers send impressions, viewables and clicks in batches of 1 to 1,000; the advertiser sends
conversions of clicks some seconds old. Some events are sent twice, changed, too late, by bots, for
a parent that is not there or used up, or without an order. Some batches are sent twice or forged.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from adtally.client.batch_body import Encoding, encode_batch
from adtally.events.batch import sign_batch
from adtally.events.record import AdEvent, EventType, UserAgentClass, new_event_id
from adtally.events.verdict import Verdict
from adtally.types import Hash

from .plan import CREATIVES, MAX_EVENT_AGE_MS, PLACEMENTS

SIZES = (1, 1, 3, 10, 30, 100, 300, 1_000)
"""A batch has at most so many events, drawn anew for each."""
CONVERSION_DELAY = 4
"""Seconds from a click to its conversion: its batch must have been answered before."""
_CONVERSION_EVERY = 50
"""One of so many events is a conversion."""
_RESENT_EVERY = 40
_FORGED_EVERY = 53
"""Of so many batches one."""
_ENCODINGS = (Encoding.BINARY,) * 6 + (Encoding.NDJSON,) * 3 + (Encoding.JSON,)
_DOLLAR = 840
_CONTEXT_KEY = b'"context":"'
_CONTEXT_FROM_END = 32
"""Bytes from the start of a record's context to the record's end (docs/spec/record.md)."""


class Kind(Enum):
    """What must become of a batch."""

    NEW = "new"
    RESENT = "resent"
    FORGED = "forged"


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch ready to be sent.

    Attributes:
        due: when, in seconds from the start of its second.
        expected: verdict codes, one an event; of a forged batch none.
    """

    member: int
    kind: Kind
    content_type: str
    body: bytes
    due: float
    expected: bytes

    @property
    def events(self) -> int:
        return len(self.expected)


@dataclass(frozen=True, slots=True)
class World:
    """What the traffic must know of the deployment.

    Attributes:
        weights: publisher's member id -> its share of the events.
        orders: campaign -> the publishers that have an order in it.
        keys: member id -> private event key.
        domain: EIP-712 domain of the log.
    """

    advertiser: int
    weights: Mapping[int, int]
    orders: Mapping[int, tuple[int, ...]]
    keys: Mapping[int, bytes]
    domain: Hash
    chain_id: int


@dataclass(slots=True)
class _Publisher:
    """What a publisher sent in the second before: parents, and what can be repeated."""

    member: int
    home: tuple[int, ...]
    foreign: tuple[int, ...]
    to_view: list[AdEvent] = field(default_factory=list)
    to_click: list[AdEvent] = field(default_factory=list)
    viewed: list[AdEvent] = field(default_factory=list)
    sent: list[AdEvent] = field(default_factory=list)


_Judged = tuple[AdEvent, Verdict]


class Traffic:
    """An endless stream of seconds; the same for the same seed, except for the times."""

    def __init__(self, world: World, events_per_second: int, seed: int = 1) -> None:
        self._world = world
        self._rate = events_per_second
        self._random = random.Random(seed)
        self._sequences: defaultdict[int, int] = defaultdict(int)
        self._publishers = [
            _Publisher(
                member,
                tuple(each for each, members in world.orders.items() if member in members),
                tuple(each for each, members in world.orders.items() if member not in members),
            )
            for member in world.weights
        ]
        self._clicks: deque[list[AdEvent]] = deque([[] for _ in range(CONVERSION_DELAY)])
        self._kinds = self._publisher_kinds()
        self._batches = 0

    def second(self, start_ms: int) -> list[Parcel]:
        """All batches of the second that begins at ``start_ms`` (UTC), by time.

        Their events occurred in the second before it.
        """
        conversions = [self._conversion(click, start_ms) for click in self._clicks.popleft()]
        conversions = conversions[: self._rate // _CONVERSION_EVERY]
        left = self._rate - len(conversions)
        total = sum(self._world.weights.values())
        parcels: list[Parcel] = []
        clicks: list[AdEvent] = []
        given = 0
        for number, publisher in enumerate(self._publishers, start=1):
            last = number == len(self._publishers)
            share = left * self._world.weights[publisher.member] // total
            count = left - given if last else share
            given += count
            judged = self._events(publisher, start_ms, count)
            clicks += [
                event
                for event, verdict in judged
                if event.type is EventType.CLICK and verdict is Verdict.ACCEPTED
            ]
            parcels += self._parcels(publisher.member, judged)
        self._clicks.append(clicks)
        parcels += self._parcels(self._world.advertiser, conversions)
        return sorted(parcels, key=lambda parcel: parcel.due)

    # Events ------------------------------------------------------------------------------------

    def _publisher_kinds(self) -> tuple[list[Callable[[_Publisher, int], _Judged]], list[int]]:
        shares = (
            (self._impression, 700),
            (self._viewable, 150),
            (self._click, 90),
            (self._bot, 15),
            (self._again, 15),
            (self._changed, 5),
            (self._orphan, 10),
            (self._second_view, 5),
            (self._without_order, 7),
            (self._late, 3),
        )
        return [kind for kind, _ in shares], [share for _, share in shares]

    def _events(self, publisher: _Publisher, start_ms: int, count: int) -> list[_Judged]:
        makers, shares = self._kinds
        made = []
        for make in self._random.choices(makers, shares, k=count):
            at_ms = start_ms - 1 - self._random.randrange(1_000)
            made.append(make(publisher, at_ms))
        fresh = [
            event
            for event, verdict in made
            if event.type is EventType.IMPRESSION and verdict is Verdict.ACCEPTED
        ]
        publisher.sent = fresh
        publisher.to_view, publisher.to_click = fresh[:], fresh[:]
        self._random.shuffle(publisher.to_view)
        self._random.shuffle(publisher.to_click)
        publisher.viewed = [
            event
            for event, verdict in made
            if event.type is EventType.VIEWABLE and verdict is Verdict.ACCEPTED
        ]
        return made

    def _new(self, publisher: _Publisher, at_ms: int, campaign: int) -> AdEvent:
        draw = self._random
        return AdEvent(
            type=EventType.IMPRESSION,
            campaign=campaign,
            publisher=publisher.member,
            placement=draw.choice(PLACEMENTS),
            creative=draw.choice(CREATIVES),
            id=new_event_id(at_ms, draw.randbytes(10)),
            occurred_at_ms=at_ms,
            user_agent_class=UserAgentClass.BROWSER,
            subject=draw.randbytes(16),
            context=draw.randbytes(20),
        )

    def _child(self, parent: AdEvent, kind: EventType, at_ms: int) -> AdEvent:
        event_id = new_event_id(at_ms, self._random.randbytes(10))
        return replace(
            parent, type=kind, id=event_id, occurred_at_ms=at_ms, parent_id=parent.id, country="ZZ"
        )

    def _impression(self, publisher: _Publisher, at_ms: int) -> _Judged:
        campaign = self._random.choice(publisher.home)
        return self._new(publisher, at_ms, campaign), Verdict.ACCEPTED

    def _viewable(self, publisher: _Publisher, at_ms: int) -> _Judged:
        if not publisher.to_view:
            return self._impression(publisher, at_ms)
        parent = publisher.to_view.pop()
        return self._child(parent, EventType.VIEWABLE, at_ms), Verdict.ACCEPTED

    def _click(self, publisher: _Publisher, at_ms: int) -> _Judged:
        if not publisher.to_click:
            return self._impression(publisher, at_ms)
        parent = publisher.to_click.pop()
        return self._child(parent, EventType.CLICK, at_ms), Verdict.ACCEPTED

    def _bot(self, publisher: _Publisher, at_ms: int) -> _Judged:
        event, _ = self._impression(publisher, at_ms)
        return replace(event, user_agent_class=UserAgentClass.KNOWN_BOT), Verdict.KNOWN_BOT

    def _again(self, publisher: _Publisher, at_ms: int) -> _Judged:
        if not publisher.sent:
            return self._impression(publisher, at_ms)
        return self._random.choice(publisher.sent), Verdict.DUPLICATE

    def _changed(self, publisher: _Publisher, at_ms: int) -> _Judged:
        if not publisher.sent:
            return self._impression(publisher, at_ms)
        return replace(self._random.choice(publisher.sent), country="NZ"), Verdict.CONFLICT

    def _orphan(self, publisher: _Publisher, at_ms: int) -> _Judged:
        nobody, _ = self._impression(publisher, at_ms - 1)
        return self._child(nobody, EventType.CLICK, at_ms), Verdict.UNKNOWN_PARENT

    def _second_view(self, publisher: _Publisher, at_ms: int) -> _Judged:
        if not publisher.viewed:
            return self._impression(publisher, at_ms)
        seen = self._random.choice(publisher.viewed)
        again = replace(
            seen, id=new_event_id(at_ms, self._random.randbytes(10)), occurred_at_ms=at_ms
        )
        return again, Verdict.PARENT_ALREADY_USED

    def _without_order(self, publisher: _Publisher, at_ms: int) -> _Judged:
        if not publisher.foreign:
            return self._impression(publisher, at_ms)
        return self._new(publisher, at_ms, publisher.foreign[0]), Verdict.NO_ORDER

    def _late(self, publisher: _Publisher, at_ms: int) -> _Judged:
        event, _ = self._impression(publisher, at_ms - 2 * MAX_EVENT_AGE_MS)
        return event, Verdict.TOO_OLD

    def _conversion(self, click: AdEvent, start_ms: int) -> _Judged:
        at_ms = start_ms - 1 - self._random.randrange(1_000)
        event = self._child(click, EventType.CONVERSION, at_ms)
        value = 100 * self._random.randrange(1, 300)
        return replace(event, value_minor_units=value, currency=_DOLLAR), Verdict.ACCEPTED

    # Batches -----------------------------------------------------------------------------------

    def _parcels(self, member: int, judged: list[_Judged]) -> Iterator[Parcel]:
        pieces = list(self._cut(judged))
        for at, piece in enumerate(pieces):
            due = (at + self._random.random()) / len(pieces)
            parcel = self._sign(member, piece, due)
            self._batches += 1
            if self._batches % _FORGED_EVERY == 0:
                yield _forged(parcel)
            yield parcel
            if self._batches % _RESENT_EVERY == 0:
                yield replace(parcel, kind=Kind.RESENT)

    def _cut(self, judged: list[_Judged]) -> Iterator[list[_Judged]]:
        at = 0
        while at < len(judged):
            size = self._random.choice(SIZES)
            yield judged[at : at + size]
            at += size

    def _sign(self, member: int, piece: list[_Judged], due: float) -> Parcel:
        self._sequences[member] += 1
        batch = sign_batch(
            self._world.domain,
            self._world.chain_id,
            self._world.keys[member],
            member,
            self._sequences[member],
            [event.to_record() for event, _ in piece],
        )
        encoding = self._random.choice(_ENCODINGS)
        expected = bytes(verdict for _, verdict in piece)
        body = encode_batch(batch, encoding)
        return Parcel(member, Kind.NEW, encoding.value, body, due, expected)


def _forged(parcel: Parcel) -> Parcel:
    """The same batch with the context of one event changed: no signature covers it."""
    body = bytearray(parcel.body)
    if parcel.content_type == Encoding.BINARY.value:
        body[-_CONTEXT_FROM_END] ^= 1
    else:
        at = body.index(_CONTEXT_KEY) + len(_CONTEXT_KEY)
        body[at] = ord("1" if body[at] == ord("0") else "0")
    return replace(parcel, kind=Kind.FORGED, body=bytes(body), expected=b"")
