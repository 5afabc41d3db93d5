"""Proofs for one event: where it stands, why, and a file that anyone can check."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from adtally.api.members import Id
from adtally.api.service import ServiceDep
from adtally.errors import InvalidInput
from adtally.events.record import EventType, event_id_text
from adtally.evidence.desk import Wish
from adtally.evidence.records import Found
from adtally.proofs.bundle import Bundle
from adtally.proofs.findings import Finding, Trust
from adtally.proofs.verify import verify_bundle
from adtally.proofs.words import rule_in_words
from adtally.types import UINT32_MAX

router = APIRouter(prefix="/events/{member_id}/{event_id}", tags=["proofs"])

MEDIA_TYPE = "application/vnd.adtally.proof"

EventId = Annotated[str, Path(description="UUID, with or without hyphens")]
Kind = Annotated[
    str | None,
    Query(alias="type", description="impression, viewable, click or conversion"),
]
_TYPES = {kind.label: kind for kind in EventType}


class OccurrenceOut(BaseModel):
    """A record of the event in the log."""

    leaf_index: int
    verdict: str
    rule: str = Field(description="the rule behind the verdict, in words")


class EventOut(BaseModel):
    """An event, and all its records, the first 100."""

    publisher: int
    type: str
    id: str
    campaign: int = Field(description="of the first record; a conflict may name another")
    occurred_at_ms: int
    occurrences: list[OccurrenceOut]


class FindingOut(BaseModel):
    """One line of what a proof shows."""

    topic: str
    standing: str = Field(description="shown, rests on or not shown")
    text: str

    @staticmethod
    def of(finding: Finding) -> FindingOut:
        return FindingOut(topic=finding.topic, standing=finding.standing.value, text=finding.text)


class ProofParameters(BaseModel):
    """Which proof of the event."""

    type: str | None = Field(None, description="needed if events of several types share the id")
    occurrence: int = Field(0, ge=0, lt=100, description="0 is the first record of the event")
    statement: int | None = Field(
        None, ge=1, le=UINT32_MAX, description="sequence; default: the first that covers it"
    )
    facts: bool = Field(False, description="cite the facts behind an accepted verdict, too")
    headers: bool = Field(False, description="add the headers between the bundle's blocks")


Parameters = Annotated[ProofParameters, Query()]


@router.get("", summary="Where an event stands in the log")
async def get_event(
    member_id: Id, event_id: EventId, service: ServiceDep, kind: Kind = None
) -> EventOut:
    """Every record of the event. The member is the publisher that it is for, whoever sent it."""
    found = await service.proofs.occurrences(member_id, parse_event_id(event_id), _type(kind))
    event = found[0].event
    return EventOut(
        publisher=member_id,
        type=event.type.label,
        id=event_id_text(event.id),
        campaign=event.campaign,
        occurred_at_ms=event.occurred_at_ms,
        occurrences=[_occurrence(each) for each in found],
    )


@router.get("/proof", response_class=Response, summary="A proof bundle of an event")
async def get_proof(
    member_id: Id, event_id: EventId, service: ServiceDep, parameters: Parameters
) -> Response:
    """A file for `adtally verify`: record, log, line, statement and payment.

    409 until a final anchor covers the record.
    """
    data = await _bundle(service, member_id, event_id, parameters)
    name = parse_event_id(event_id).hex()
    return Response(
        data,
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{name}.adtproof"'},
    )


@router.get("/explanation", summary="What a proof of the event shows, in words")
async def get_explanation(
    member_id: Id, event_id: EventId, service: ServiceDep, parameters: Parameters
) -> list[FindingOut]:
    """The lines of `adtally verify` on the proof, for a reader who trusts no block yet."""
    data = await _bundle(service, member_id, event_id, parameters)
    found = await asyncio.to_thread(lambda: verify_bundle(Bundle.from_bytes(data), Trust()))
    return [FindingOut.of(line) for line in found.lines]


async def _bundle(
    service: ServiceDep, member_id: int, event_id: str, parameters: ProofParameters
) -> bytes:
    return await service.proofs.bundle(
        Wish(
            member_id,
            parse_event_id(event_id),
            _type(parameters.type),
            parameters.occurrence,
            parameters.statement,
            parameters.facts,
            parameters.headers,
        )
    )


def parse_event_id(text: str) -> bytes:
    """16 bytes of a UUID, with hyphens or without; raises InvalidInput."""
    try:
        raw = bytes.fromhex(text.replace("-", "").removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise InvalidInput(
            "not an event id", field="event_id", expected="a UUID", found=repr(text)[:64]
        )
    return raw


def _type(label: str | None) -> EventType | None:
    if label is None:
        return None
    if label not in _TYPES:
        raise InvalidInput(
            "no such type of event",
            field="type",
            expected=f"one of {', '.join(_TYPES)}",
            found=repr(label)[:64],
        )
    return _TYPES[label]


def _occurrence(found: Found) -> OccurrenceOut:
    verdict = found.event.verdict
    return OccurrenceOut(leaf_index=found.index, verdict=verdict.label, rule=rule_in_words(verdict))
