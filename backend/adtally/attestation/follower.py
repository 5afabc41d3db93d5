"""Keeps an attestor at work: asks for open requests, answers them, waits, asks again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from adtally.attestation.attestor import Attestor
from adtally.attestation.requests import Answer, request_from_json
from adtally.errors import AdtallyError
from adtally.types import Address

logger = logging.getLogger(__name__)

REFUSAL_PAUSE_SECONDS = 60.0
MAX_REFUSAL_CHARACTERS = 2_000
"""Longer reasons are not taken by the desk; the log has the whole one."""


class RequestDesk(Protocol):
    """Where requests are found and answers left: the operator's API."""

    async def attestation_requests(self, attestor: Address) -> list[dict[str, Any]]:
        """Open requests that this attestor has not answered, by ascending tree size."""

    async def post_attestation(self, attestor: Address, answer: Answer) -> None:
        """Hand in an answer; handing in the same again is no error."""


class Refused:
    """What was refused lately: it rests for a while, as the reason may be a passing one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: dict[int, float] = {}

    def add(self, request: int) -> None:
        self._until[request] = self._now() + REFUSAL_PAUSE_SECONDS

    def rests(self, request: int) -> bool:
        """Whether it is too early to look at the request again."""
        return self._now() < self._until.get(request, 0)


async def answer_open_requests(
    desk: RequestDesk, attestor: Attestor, address: Address, refused: Refused | None = None
) -> int:
    """One round; returns how many requests were answered.

    Args:
        refused: requests to leave out for now; those refused in this round are added.

    Raises:
        ChainUnavailable, Overloaded: try again later.
    """
    requests = [request_from_json(raw) for raw in await desk.attestation_requests(address)]
    requests.sort(key=lambda request: request.checkpoint.tree_size)
    refused = refused or Refused()
    due = [request for request in requests if not refused.rests(request.id)]
    for request in due:
        answer = await attestor.answer(request)
        if answer.refusal is not None:
            refused.add(request.id)
            logger.error("refused request %d: %s", request.id, answer.refusal)
            answer = replace(answer, refusal=answer.refusal[:MAX_REFUSAL_CHARACTERS])
        await desk.post_attestation(address, answer)
    return len(due)


async def follow(
    desk: RequestDesk, attestor: Attestor, address: Address, *, interval_seconds: float
) -> None:
    """Answer requests until cancelled; outages of service or chain are waited out."""
    refused = Refused()
    while True:
        try:
            await answer_open_requests(desk, attestor, address, refused)
        except AdtallyError as error:
            logger.warning("waiting: %s", error)
        await asyncio.sleep(interval_seconds)
