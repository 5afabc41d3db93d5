"""Single hits from outside: keys of the collector, tokens for ads, signed postbacks."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import msgspec

from adtally.client.fields import Fields
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import Transport
from adtally.events.hit_tokens import HIT_KIND, Slot, mint_token, postback_mac, slot_name
from adtally.events.key_request import KeyKind, KeyRequest
from adtally.events.record import new_event_id
from adtally.events.signature import address_of, sign


@dataclass(frozen=True, slots=True)
class SlotMint:
    """Mints tokens of one slot, offline; ``key`` is what ``fetch_slot_key`` gave."""

    slot: Slot
    key: bytes

    def token(self, now_ms: int, country: str = "ZZ") -> str:
        """A token for one ad that is served now; it counts one impression, once.

        Args:
            now_ms: UTC milliseconds.
            country: of the person, ISO 3166-1 alpha-2, as far as the ad server knows.
        """
        event_id = new_event_id(now_ms, secrets.token_bytes(10))
        return mint_token(self.key, HIT_KIND, self.slot.packed(), event_id, country).text

    def name(self) -> str:
        """The slot's name, for pages that have tokens minted by the service."""
        return slot_name(self.key, self.slot.packed())


async def fetch_slot_key(
    transport: Transport, facts: ServiceFacts, event_key: bytes, slot: Slot, now_ms: int
) -> SlotMint:
    """Ask for the key of a slot, as its publisher.

    Raises:
        NotAllowed: not this member's placement, no order, unknown creative, or the clock is off.
    """
    request = KeyRequest(
        kind=KeyKind.SLOT,
        member=slot.publisher,
        campaign=slot.campaign,
        placement=slot.placement,
        creative=slot.creative,
        requested_at_ms=now_ms,
        signer=address_of(event_key),
        signature=bytes(65),
    )
    return SlotMint(slot, await _fetch(transport, facts, event_key, request))


async def fetch_postback_secret(
    transport: Transport,
    facts: ServiceFacts,
    member: int,
    event_key: bytes,
    campaign: int,
    now_ms: int,
) -> bytes:
    """Ask for the secret that signs a campaign's conversions, as its advertiser.

    Raises:
        NotAllowed: another member's campaign, or the clock is off.
    """
    request = KeyRequest(
        kind=KeyKind.POSTBACK,
        member=member,
        campaign=campaign,
        placement=0,
        creative=0,
        requested_at_ms=now_ms,
        signer=address_of(event_key),
        signature=bytes(65),
    )
    return await _fetch(transport, facts, event_key, request)


async def _fetch(
    transport: Transport, facts: ServiceFacts, event_key: bytes, unsigned: KeyRequest
) -> bytes:
    request = replace(unsigned, signature=sign(unsigned.digest(facts.domain), event_key))
    answer = await transport.post_json("/collector/keys", key_request_json(request))
    return Fields(answer, "key").octets("key", 32)


def key_request_json(request: KeyRequest) -> dict[str, object]:
    """The body of ``POST /v1/collector/keys``."""
    return {
        "kind": request.kind.label,
        "member": request.member,
        "campaign": request.campaign,
        "placement": request.placement,
        "creative": request.creative,
        "requested_at_ms": request.requested_at_ms,
        "signer": f"0x{request.signer.hex()}",
        "signature": f"0x{request.signature.hex()}",
    }


@dataclass(frozen=True, slots=True)
class SignedPostback:
    """Body and headers of ``POST /v1/conversion``, good for five minutes."""

    body: bytes
    headers: dict[str, str]


def sign_postback(
    secret: bytes,
    click: str,
    order: str,
    occurred_at_ms: int,
    now_ms: int,
    *,
    value_minor_units: int = 0,
    currency: str | None = None,
) -> SignedPostback:
    """A conversion as the advertiser's server reports it; can be signed and sent again.

    Args:
        click: what came to the landing page as ``adtally_click``.
        order: the advertiser's own reference, 1 to 128 characters.
        occurred_at_ms: of the conversion; the same whenever it is reported again.
        now_ms: time of sending.
        currency: ISO 4217 code of the value, needed where there is one.
    """
    document: dict[str, object] = {
        "click": click,
        "order": order,
        "occurred_at_ms": occurred_at_ms,
        "value_minor_units": str(value_minor_units),
    }
    if currency is not None:
        document["currency"] = currency
    body = msgspec.json.encode(document)
    at_seconds = now_ms // 1000
    signature = f"t={at_seconds},v1={postback_mac(secret, at_seconds, body).hex()}"
    return SignedPostback(
        body, {"content-type": "application/json", "adtally-signature": signature}
    )
