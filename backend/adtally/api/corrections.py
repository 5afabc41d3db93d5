"""``/v1/corrections``: what was taken back or made good after its verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from adtally.api.members import require_campaign
from adtally.api.service import ServiceDep
from adtally.events.correction import REASON_BY_LABEL, Correction, CorrectionOrder
from adtally.events.record import event_id_text
from adtally.intake.corrections import Entered, enter_correction
from adtally.log.store import LogStore
from adtally.settlement.machine import LogMachine
from adtally.types import UINT32_MAX, UINT64_MAX

router = APIRouter(prefix="/corrections", tags=["corrections"])

MAX_LISTED = 1_000

Index = Annotated[int, Field(ge=0, le=UINT64_MAX, strict=True)]
ReasonLabel = Literal["late_givt", "late_sivt", "discrepancy", "make_good", "other"]
assert set(ReasonLabel.__args__) == set(REASON_BY_LABEL)  # type: ignore[attr-defined]


class CorrectionIn(BaseModel):
    """A correction, signed by the operator's event key (EIP-712 ``Correction``)."""

    model_config = ConfigDict(extra="forbid")

    index: Index = Field(description="leaf index of the record that is corrected")
    change: Annotated[int, Field(ge=-1, le=1, strict=True)] = Field(
        description="-1 takes back an event that counts, 1 counts one that does not"
    )
    reason: ReasonLabel
    detail: str = Field("", description="for people, at most 512 bytes of UTF-8")
    signer: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{40}$")]
    signature: Annotated[str, Field(pattern="^0x[0-9a-fA-F]{130}$")]

    def to_order(self) -> CorrectionOrder:
        return CorrectionOrder(
            index=self.index,
            change=self.change,
            reason=REASON_BY_LABEL[self.reason],
            detail=self.detail,
            signer=bytes.fromhex(self.signer[2:]),
            signature=bytes.fromhex(self.signature[2:]),
        )


class EnteredOut(BaseModel):
    """Where the correction stands in the log."""

    index: int = Field(description="leaf index of the correction")
    tree_size: int = Field(description="size of the log once the entry was durable")

    @staticmethod
    def of(entered: Entered) -> EnteredOut:
        return EnteredOut(index=entered.index, tree_size=entered.tree_size)


class CorrectionOut(BaseModel):
    """A correction in the log and the record that it is about."""

    index: int = Field(description="leaf index of the correction")
    recorded_at_ms: int
    record_index: int = Field(description="leaf index of the record")
    campaign: int
    publisher: int
    type: str
    event_id: str
    verdict: str = Field(description="that the record was given")
    change: int = Field(description="-1: counts no more; 1: counts now")
    reason: str
    detail: str

    @staticmethod
    def of(index: int, correction: Correction) -> CorrectionOut:
        event = correction.event
        return CorrectionOut(
            index=index,
            recorded_at_ms=correction.recorded_at_ms,
            record_index=correction.index,
            campaign=event.campaign,
            publisher=event.publisher,
            type=event.type.label,
            event_id=event_id_text(event.id),
            verdict=event.verdict.label,
            change=correction.change,
            reason=correction.reason.label,
            detail=correction.detail,
        )


class CorrectionsOut(BaseModel):
    """A page of a campaign's corrections, in log order."""

    campaign: int
    total: int = Field(description="corrections in the log; a statement names how many it contains")
    corrections: list[CorrectionOut]


@router.post("", summary="Correct what counts (operator only)")
async def post_correction(correction: CorrectionIn, service: ServiceDep) -> EnteredOut:
    """Log a correction; the next statement contains it.

    What was taken back and made good is bounded by the campaign's terms: no line falls by more than
    the holdback, none rises over its order's cap or the funding. The same correction sent again is
    a conflict that says where it stands.
    """
    entered = await enter_correction(
        service.sequencer, service.deployment.operator_member, correction.to_order()
    )
    return EnteredOut.of(entered)


@router.get("", summary="A campaign's corrections")
async def get_corrections(
    service: ServiceDep,
    campaign: Annotated[int, Query(ge=1, le=UINT32_MAX)],
    after: Annotated[
        int, Query(ge=-1, le=UINT64_MAX, description="leaf index to go on after")
    ] = -1,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = MAX_LISTED,
) -> CorrectionsOut:
    """Each with the record's index and event, the publisher, the change and its reason."""

    def read(machine: LogMachine) -> tuple[int, list[int]]:
        require_campaign(machine, campaign)
        indexes = machine.corrections.of_campaign(campaign)
        return len(indexes), [index for index in indexes if index > after][:limit]

    total, indexes = await service.sequencer.read(read)
    listed = await asyncio.to_thread(_listed, service.sequencer.store, indexes)
    return CorrectionsOut(campaign=campaign, total=total, corrections=listed)


def _listed(store: LogStore, indexes: Sequence[int]) -> list[CorrectionOut]:
    return [CorrectionOut.of(index, Correction.from_entry(store.entry(index))) for index in indexes]
