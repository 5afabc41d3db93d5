"""Sends simulated steps: every publisher its batch, then the advertiser its conversions.

In a fixed order, one batch after the other, so that the log is the same on every run of a plan,
whatever happens to the service in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType

from adtally.client.batch_body import Encoding
from adtally.client.publisher import PublisherClient
from adtally.client.transport import RetryPolicy, Transport
from adtally.demo.forgery import Victim, forge, must_be_refused
from adtally.demo.tally import Tally
from adtally.errors import InvariantBroken
from adtally.events.batch import MAX_BATCH_EVENTS
from adtally.events.record import AdEvent
from adtally.events.verdict import Verdict
from adtally.simulation.traffic import SimulatedEvent, Step

_FORGED_EVENTS = 10
_ENCODINGS = tuple(Encoding)


class TrafficSender:
    """The publishers and the advertiser at their end of the wire; an async context manager.

    Args:
        base_url: of the service.
        event_keys: member id -> event key, for everybody who sends.
        advertiser: member id that reports conversions.
        retry: how long to wait for a service that is away.
    """

    def __init__(
        self, base_url: str, event_keys: Mapping[int, bytes], advertiser: int, retry: RetryPolicy
    ) -> None:
        self.tally = Tally()
        self._base_url = base_url
        self._keys = dict(event_keys)
        self._advertiser = advertiser
        self._retry = retry
        self._clients: dict[int, PublisherClient] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> TrafficSender:
        for member, key in self._keys.items():
            client = await PublisherClient.connect(self._base_url, member, key, self._retry)
            self._clients[member] = await self._stack.enter_async_context(client)
        self._forger = await self._stack.enter_async_context(Transport(self._base_url, self._retry))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def client(self, member: int) -> PublisherClient:
        """The client of one member, for its declarations."""
        return self._clients[member]

    async def send_step(self, steps: Sequence[Step]) -> None:
        """Send one step of every campaign, a batch per member.

        Raises:
            InvariantBroken: an event got a verdict that it must not get.
        """
        for member in sorted({member for step in steps for member in step.publishers}):
            events = [pair for step in steps for pair in step.publishers.get(member, ())]
            await self._send(member, events)
        await self._send(self._advertiser, [pair for step in steps for pair in step.conversions])
        if self.tally.surprises:
            raise InvariantBroken("; ".join(self.tally.surprises[:3]))

    async def send_events(self, member: int, events: Sequence[AdEvent]) -> None:
        """Send real events of one member: nobody knows beforehand what they deserve."""
        self.tally.is_simulated = False
        await self._send(member, [SimulatedEvent(event, None) for event in events])

    async def send_forged(self, victim: int, competitor: int, steps: Sequence[Step]) -> None:
        """Try to pass off batches in the victim's name; every one must be refused."""
        events = [
            pair.event
            for step in steps
            for pair in step.publishers.get(victim, ())
            if pair.expected in (None, Verdict.DUPLICATE)
        ][:_FORGED_EVENTS]
        if not events:
            return
        client = self._clients[victim]
        target = Victim(victim, self._keys[victim], self._keys[competitor], client.next_sequence)
        for forged in forge(client.facts, target, events):
            code = await must_be_refused(self._forger, forged)
            self.tally.refuse(forged.kind, code, forged.events)

    async def _send(self, member: int, pairs: Sequence[SimulatedEvent]) -> None:
        client = self._clients[member]
        for start in range(0, len(pairs), MAX_BATCH_EVENTS):
            piece = pairs[start : start + MAX_BATCH_EVENTS]
            # Every member uses all three transports in turn.
            encoding = _ENCODINGS[(client.next_sequence + member) % len(_ENCODINGS)]
            answer = await client.send([pair.event for pair in piece], encoding)
            self.tally.add(piece, answer, encoding.name.lower())
