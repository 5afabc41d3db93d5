"""Batches that must be refused as a whole, each wrong in one way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eth_utils import keccak

from adtally.client.batch_body import Encoding, encode_batch
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import Transport
from adtally.errors import AdtallyError, InvariantBroken
from adtally.events.batch import SignedBatch, sign_batch
from adtally.events.record import AdEvent
from adtally.types import LogIdentity

STRANGER_KEY = keccak(b"adtally demo: a key that nobody registered")
_GAP = 1_000


@dataclass(frozen=True, slots=True)
class Victim:
    """The member in whose name is forged, and a competitor whose key is tried."""

    member: int
    event_key: bytes
    competitor_key: bytes
    next_sequence: int


@dataclass(frozen=True, slots=True)
class ForgedBatch:
    """A body to send, and the code of the error that must come back."""

    kind: str
    body: bytes
    encoding: Encoding
    events: int
    code: str


def forge(facts: ServiceFacts, victim: Victim, events: Sequence[AdEvent]) -> Iterator[ForgedBatch]:
    """One batch of every kind, of events that would count if they were signed rightly."""
    records = [event.to_record() for event in events]

    def signed(
        key: bytes,
        *,
        identity: LogIdentity = facts.identity,
        member: int = victim.member,
        sequence: int = victim.next_sequence,
    ) -> SignedBatch:
        domain = replace(facts, identity=identity).domain
        return sign_batch(domain, identity.chain_id, key, member, sequence, records)

    honest = signed(victim.event_key)
    stranger = signed(STRANGER_KEY)
    foreign = LogIdentity(facts.identity.chain_id + 1, facts.identity.event_log)
    altered = (_other_country(events[0]).to_record(), *records[1:])
    for kind, batch, code in (
        ("signature of a stranger", replace(stranger, signer=honest.signer), "verification_failed"),
        ("records changed after signing", replace(honest, records=altered), "verification_failed"),
        ("unregistered key", stranger, "not_allowed"),
        ("another member's key", signed(victim.competitor_key), "not_allowed"),
        ("unknown member", signed(victim.event_key, member=2**32 - 1), "not_allowed"),
        ("foreign chain", signed(victim.event_key, identity=foreign), "not_allowed"),
        (
            "gap in the sequence",
            signed(victim.event_key, sequence=victim.next_sequence + _GAP),
            "conflict",
        ),
    ):
        body = encode_batch(batch, Encoding.JSON)
        yield ForgedBatch(kind, body, Encoding.JSON, len(events), code)
    wire = encode_batch(honest, Encoding.BINARY)
    yield ForgedBatch("cut off", wire[:-1], Encoding.BINARY, len(events), "invalid_input")


def _other_country(event: AdEvent) -> AdEvent:
    return replace(event, country="CH" if event.country != "CH" else "NO")


async def must_be_refused(transport: Transport, forged: ForgedBatch) -> str:
    """Send a forged batch; returns the error code with which it was refused.

    Raises:
        InvariantBroken: it was taken, or refused for another reason than it should be.
    """
    try:
        await transport.post("/batches", forged.body, forged.encoding.value)
    except AdtallyError as error:
        if error.code == forged.code:
            return error.code
        raise InvariantBroken(
            f"forged batch ({forged.kind}) should be refused as {forged.code}: {error}"
        ) from error
    raise InvariantBroken(f"forged batch ({forged.kind}) was taken")
