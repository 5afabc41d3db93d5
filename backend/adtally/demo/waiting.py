"""Waiting for something to come true, without waiting for the dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from adtally.chain.connection import Chain
from adtally.errors import AdtallyError, NotFound

T = TypeVar("T")

_POLL_SECONDS = 0.1


async def wait_for(
    what: str,
    look: Callable[[], Awaitable[T | None]],
    *,
    alive: Callable[[], None],
    patience_seconds: float,
) -> T:
    """Ask ``look`` until it gives something; what is not found yet may still come.

    Args:
        what: for the error message.
        look: returns None while it has not happened.
        alive: raises if somebody who is needed for it has died.
        patience_seconds: real time.

    Raises:
        AdtallyError: it did not happen in time.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            found = await look()
        except NotFound:
            found = None
        if found is not None:
            return found
        alive()
        if time.monotonic() > deadline:
            raise AdtallyError(
                f"waited in vain for {what}",
                expected=f"it within {patience_seconds:.0f} s",
                found="nothing",
                action="read the logs of the processes that should have done it",
            )
        await asyncio.sleep(_POLL_SECONDS)


async def wait_until_final(chain: Chain, patience_seconds: float = 60.0) -> None:
    """Until the newest block of this moment is final: what it holds can't be lost any more."""
    number = (await chain.latest()).number

    async def look() -> bool | None:
        final = await chain.final()
        return True if final is not None and final.number >= number else None

    await wait_for(
        f"block {number} to be final", look, alive=_assume, patience_seconds=patience_seconds
    )


def _assume() -> None:
    """Nobody to look after: the chain itself answers or does not."""
