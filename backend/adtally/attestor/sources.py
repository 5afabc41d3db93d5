"""Where an attestor reads the log: the operator's service, or a peer that has stored it.

Nothing that comes from here is believed. What fails to come is told apart from what is wrong: the
one is waited out, the other refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import httpx

from adtally.client.fields import Fields
from adtally.client.log_client import LogClient
from adtally.client.transport import RetryPolicy
from adtally.errors import AdtallyError, InvalidInput, Overloaded
from adtally.types import Hash

T = TypeVar("T")

PATIENCE = RetryPolicy(
    deadline_seconds=0.0, request_timeout_seconds=20.0, answer_timeout_seconds=60.0
)
"""Asked once: the next round asks again."""
_WHOLE_SECONDS = 100.0
"""For anything that takes many answers, such as pages of entries. An attestor waits for it while
others wait for the attestor, and a server that gives little at a time could keep all of them."""


class SourceFailed(Overloaded):
    """A service did not give what it was asked for; it may later."""

    def __init__(self, url: str, error: AdtallyError) -> None:
        super().__init__(f"{url} does not give it: {error}")


class LogSource:
    """One service's public endpoints. Every method raises SourceFailed where it gives nothing."""

    def __init__(
        self, url: str, retry: RetryPolicy = PATIENCE, auth: httpx.Auth | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.client = LogClient(url, retry, auth)

    async def close(self) -> None:
        await self.client.close()

    async def checkpoint_note(self) -> bytes:
        """Its newest signed checkpoint, unverified."""
        return await self._ask(self.client.checkpoint_note())

    async def note_verifier(self) -> str:
        """The key that it says signs checkpoints."""
        document = await self._ask(self.client.deployment())
        return Fields(document, "deployment").text("note_verifier")

    async def entries(self, start: int, end: int) -> list[bytes]:
        """All entries ``start`` to ``end`` (exclusive)."""
        return await self._ask(self.client.entries(start, end))

    async def consistency_proof(self, first: int, second: int) -> list[Hash]:
        """RFC 9162 consistency proof between two sizes; not checked here."""
        return await self._ask(self.client.consistency_proof(first, second))

    async def json(self, path: str, **params: str | int) -> Any:
        """A JSON document under ``/v1``."""
        return await self._ask(self.client.document(path, params))

    async def post(self, path: str, document: object) -> Any:
        """The answer to a JSON document; raises the service's own error where it refuses."""
        return await self.client.post_document(path, document)

    async def signed_by(self, attestor: str, after: int = 0) -> list[Any]:
        """Everything that it knows to be signed by an attestor (0x address); not verified.

        Args:
            after: leave out so many of the first; attestors' stores know this, services don't.
        """
        found = await self.json("/attestations/signed", attestor=attestor, after=after)
        if not isinstance(found, list):
            raise SourceFailed(self.url, InvalidInput("not a list", field="signed"))
        return found

    async def _ask(self, asked: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(_WHOLE_SECONDS):
                return await asked
        except AdtallyError as error:
            raise SourceFailed(self.url, error) from None
        except TimeoutError:
            slow = Overloaded(f"it takes more than {_WHOLE_SECONDS:.0f} s")
            raise SourceFailed(self.url, slow) from None
