"""A member's sending side: signs batches and declarations, sends them until they are answered.

One client sends for one member, one batch after the other: batch sequences have no gaps, and a
batch without an answer is sent again under the same sequence, so nothing is counted twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType

from adtally.client.batch_body import Encoding, encode_batch
from adtally.client.fields import Fields
from adtally.client.hits import SlotMint, fetch_postback_secret, fetch_slot_key
from adtally.client.receipts import BatchAnswer
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import RetryPolicy, Transport, decode_json
from adtally.events.batch import SignedBatch, sign_batch
from adtally.events.facts import Declaration, DeclarationKind
from adtally.events.hit_tokens import Slot
from adtally.events.record import AdEvent
from adtally.events.signature import address_of, sign


class PublisherClient:
    """Sends for one member with its event key; an async context manager.

    Args:
        transport: to the service; closed with the client.
        facts: what the signatures are bound to, and whose receipts count.
        member: the sender's member id.
        event_key: 32-byte private key that the member registered on chain.
        next_sequence: sequence of the next batch.
    """

    def __init__(
        self,
        transport: Transport,
        facts: ServiceFacts,
        member: int,
        event_key: bytes,
        next_sequence: int = 1,
    ) -> None:
        self.member = member
        self.facts = facts
        self.next_sequence = next_sequence
        self._transport = transport
        self._key = event_key
        self._turn = asyncio.Lock()

    @staticmethod
    async def connect(
        base_url: str, member: int, event_key: bytes, retry: RetryPolicy | None = None
    ) -> PublisherClient:
        """A client that has asked the service what to sign for and where the member stands."""
        transport = Transport(base_url, retry)
        try:
            facts = ServiceFacts.from_json(await transport.get_json("/deployment"))
            about = Fields(await transport.get_json(f"/members/{member}"), "member")
            next_sequence = about.integer("next_sequence")
        except BaseException:
            await transport.close()
            raise
        return PublisherClient(transport, facts, member, event_key, next_sequence)

    async def __aenter__(self) -> PublisherClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._transport.close()

    async def send(
        self, events: Sequence[AdEvent], encoding: Encoding = Encoding.BINARY
    ) -> BatchAnswer:
        """Sign and send events as the member's next batch; returns its checked answer.

        Raises:
            AdtallyError: the service refused the batch (nothing of it was logged), or it could
                not be reached in time; the sequence is used again by the next call.
            VerificationFailed: the receipt does not verify.
        """
        async with self._turn:
            batch = self.sign(events)
            answer = await self.send_signed(batch, encoding)
            self.next_sequence += 1
            return answer

    def sign(self, events: Sequence[AdEvent]) -> SignedBatch:
        """The member's next batch, without sending it."""
        return sign_batch(
            self.facts.domain,
            self.facts.identity.chain_id,
            self._key,
            self.member,
            self.next_sequence,
            [event.to_record() for event in events],
        )

    async def send_signed(
        self, batch: SignedBatch, encoding: Encoding = Encoding.BINARY
    ) -> BatchAnswer:
        """Send a batch that is signed already; returns its checked answer."""
        body = encode_batch(batch, encoding)
        response = await self._transport.post("/batches", body, encoding.value)
        answer = BatchAnswer.from_json(decode_json(response))
        answer.check(batch, self.facts.domain, self.facts.receipt_signer)
        return answer

    async def slot_mint(
        self, campaign: int, placement: int, creative: int, now_ms: int
    ) -> SlotMint:
        """What mints tokens for ads of this publisher's placement; raises as ``fetch_slot_key``."""
        slot = Slot(campaign, self.member, placement, creative)
        return await fetch_slot_key(self._transport, self.facts, self._key, slot, now_ms)

    async def postback_secret(self, campaign: int, now_ms: int) -> bytes:
        """What signs conversions of this advertiser's campaign; raises as the function named."""
        return await fetch_postback_secret(
            self._transport, self.facts, self.member, self._key, campaign, now_ms
        )

    async def declare(
        self,
        kind: DeclarationKind,
        item: int,
        detail: str,
        declared_at_ms: int,
        *,
        campaign: int = 0,
        publisher: int | None = None,
        active: bool = True,
    ) -> int:
        """Register (or withdraw) a placement, creative or allowlist entry.

        Args:
            publisher: whose placement it is; by default this member's own for a placement, and
                none (0) for everything else.
            declared_at_ms: must rise from one declaration of the same thing to the next.

        Returns:
            The size of the log that holds it.
        """
        if publisher is None:
            publisher = self.member if kind is DeclarationKind.PLACEMENT else 0
        unsigned = Declaration(
            recorded_at_ms=0,
            kind=kind,
            active=active,
            member=self.member,
            campaign=campaign,
            publisher=publisher,
            item=item,
            declared_at_ms=declared_at_ms,
            signer=address_of(self._key),
            signature=bytes(65),
            detail=detail,
        )
        signature = sign(unsigned.digest(self.facts.domain), self._key)
        document = _declaration_json(replace(unsigned, signature=signature))
        answer = Fields(await self._transport.post_json("/declarations", document), "declaration")
        return answer.integer("tree_size")


def _declaration_json(declaration: Declaration) -> dict[str, object]:
    return {
        "kind": declaration.kind.name.lower(),
        "active": declaration.active,
        "member": declaration.member,
        "campaign": declaration.campaign,
        "publisher": declaration.publisher,
        "item": declaration.item,
        "declared_at_ms": declaration.declared_at_ms,
        "detail": declaration.detail,
        "signer": f"0x{declaration.signer.hex()}",
        "signature": f"0x{declaration.signature.hex()}",
    }
