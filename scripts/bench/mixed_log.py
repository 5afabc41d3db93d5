"""A log for replays: several publishers, children with parents, and events that are refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random

from scripts.chainless.facts import CHAIN_ID, ESCROW_DOMAIN, IDENTITY, LOG_DOMAIN, NOON_MS, key_of
from scripts.chainless.world import CAMPAIGN, CREATIVE, PLACEMENT, PUBLISHERS, world_facts

from adtally.events.batch import sign_batch
from adtally.events.record import NO_PARENT, EventType, UserAgentClass, new_event_id, pack_fields
from adtally.kernel.engine import KernelEngine
from adtally.settlement.machine import LogMachine, batch_entries

_PUBLISHERS = PUBLISHERS[:20]
_PARENTS = 2_000
_KINDS = ((EventType.VIEWABLE, 0.12), (EventType.CLICK, 0.08), (EventType.CONVERSION, 0.02))
_BOTS, _DOUBLES, _OTHER_CREATIVES = 0.03, 0.01, 0.01
_MS_PER_EVENT = 0.1


def mixed_entries(events: int, batch_size: int, seed: int = 1) -> Iterator[list[bytes]]:
    """First the facts, then batch after batch, with the verdicts that intake gives."""
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, engine=KernelEngine, verify_signatures=False)
    facts = world_facts(_PUBLISHERS)
    for each in facts:
        machine.apply_facts(each)
    yield [each.to_entry() for each in facts]
    random = Random(seed)
    sources = {publisher: _Source(publisher, random) for publisher in _PUBLISHERS}
    for number in range(events // batch_size):
        publisher = _PUBLISHERS[number % len(_PUBLISHERS)]
        now_ms = NOON_MS + int(number * batch_size * _MS_PER_EVENT)
        records = sources[publisher].records(batch_size, now_ms)
        sequence = number // len(_PUBLISHERS) + 1
        key = key_of(publisher)
        batch = sign_batch(LOG_DOMAIN, CHAIN_ID, key, publisher, sequence, records)
        yield batch_entries(batch, now_ms, machine.judge_batch(batch, now_ms))


class _Source:
    """Events of one publisher; remembers what children may name."""

    def __init__(self, publisher: int, random: Random) -> None:
        self._publisher = publisher
        self._random = random
        self._impressions: deque[bytes] = deque(maxlen=_PARENTS)
        self._clicks: deque[bytes] = deque(maxlen=_PARENTS)

    def records(self, number: int, now_ms: int) -> list[bytes]:
        made: list[bytes] = []
        while len(made) < number:
            again = bool(made) and self._random.random() < _DOUBLES
            made.append(made[-1] if again else self._record(now_ms))
        return made

    def _record(self, now_ms: int) -> bytes:
        random = self._random
        at_ms = now_ms - random.randrange(60_000)
        event_id = new_event_id(at_ms, random.randbytes(10))
        kind, parent = self._kind()
        agent = UserAgentClass.KNOWN_BOT if random.random() < _BOTS else UserAgentClass.BROWSER
        creative = CREATIVE + (random.random() < _OTHER_CREATIVES)
        if kind is EventType.IMPRESSION:
            self._impressions.append(event_id)
        elif kind is EventType.CLICK:
            self._clicks.append(event_id)
        return pack_fields(
            kind, CAMPAIGN, self._publisher, PLACEMENT, creative, event_id, parent, at_ms, b"DE",
            (1, agent, 1), random.randbytes(16), random.randbytes(20), 0, 0,
        )  # fmt: skip

    def _kind(self) -> tuple[EventType, bytes]:
        drawn = self._random.random()
        for kind, share in _KINDS:
            drawn -= share
            parents = self._clicks if kind is EventType.CONVERSION else self._impressions
            if drawn < 0 and parents:
                return kind, self._random.choice(parents)
        return EventType.IMPRESSION, NO_PARENT
