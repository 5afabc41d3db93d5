"""``POST /dev/clock``: moves a virtual clock; mounted only where the service runs on one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from adtally.api.service import ServiceDep
from adtally.errors import NotFound
from adtally.intake.clock import VirtualClock
from adtally.types import UINT48_MAX

router = APIRouter(prefix="/dev", tags=["virtual time"])


class ClockIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    now_ms: Annotated[int, Field(ge=0, le=UINT48_MAX, strict=True)]


@router.post("/clock", summary="Move the virtual clock")
async def set_clock(clock: ClockIn, service: ServiceDep) -> ClockIn:
    """Set the service's time; it never falls, and is kept over a restart."""
    if not isinstance(service.clock, VirtualClock):
        raise NotFound("this service runs on the system clock")
    service.clock.set(clock.now_ms)
    return clock
