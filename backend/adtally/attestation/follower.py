"""Keeps an attestor at work: asks for open requests, answers them, waits, asks again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from adtally.attestation.attestor import Attestor
from adtally.attestation.requests import Answer, request_from_json
from adtally.errors import AdtallyError
from adtally.types import Address

logger = logging.getLogger(__name__)


class RequestDesk(Protocol):
    """Where requests are found and answers left: the operator's API."""

    async def attestation_requests(self, attestor: Address) -> list[dict[str, Any]]:
        """Open requests that this attestor has not answered, by ascending tree size."""

    async def post_attestation(self, attestor: Address, answer: Answer) -> None:
        """Hand in an answer; handing in the same again is no error."""


async def answer_open_requests(desk: RequestDesk, attestor: Attestor, address: Address) -> int:
    """One round; returns how many requests were answered.

    Raises:
        ChainUnavailable, Overloaded: try again later.
    """
    requests = [request_from_json(raw) for raw in await desk.attestation_requests(address)]
    requests.sort(key=lambda request: request.checkpoint.tree_size)
    for request in requests:
        answer = await attestor.answer(request)
        if answer.refusal is not None:
            logger.error("refused request %d: %s", request.id, answer.refusal)
        await desk.post_attestation(address, answer)
    return len(requests)


async def follow(
    desk: RequestDesk, attestor: Attestor, address: Address, *, interval_seconds: float
) -> None:
    """Answer requests until cancelled; outages of service or chain are waited out."""
    while True:
        try:
            await answer_open_requests(desk, attestor, address)
        except AdtallyError as error:
            logger.warning("waiting: %s", error)
        await asyncio.sleep(interval_seconds)
