"""Other attestors: what they know of us, what we know of them, and signatures left with them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from adtally.attestation.answers import AnswerBook, Domains, Signed
from adtally.attestor.sources import LogSource, SourceFailed
from adtally.client.transport import RetryPolicy
from adtally.errors import AdtallyError
from adtally.types import Address

logger = logging.getLogger(__name__)

_REST_SECONDS = 15.0
QUICK = RetryPolicy(deadline_seconds=0.0, request_timeout_seconds=5.0, answer_timeout_seconds=60.0)


class Peers:
    """The stores of other attestors, by their addresses on the network."""

    def __init__(self, urls: Sequence[str], domains: Domains) -> None:
        self.sources = [LogSource(url, QUICK) for url in urls]
        self._domains = domains
        self._rests_until: dict[str, float] = {}

    async def leave(self, signed: Signed) -> None:
        """Give every peer a copy of a signature that we are about to hand out."""
        now = time.monotonic()
        awake = [peer for peer in self.sources if self._rests_until.get(peer.url, 0.0) <= now]
        if awake:
            await asyncio.gather(*(self._leave(peer, signed) for peer in awake))

    async def _leave(self, peer: LogSource, signed: Signed) -> None:
        try:
            await peer.post("/attestations/deposits", signed.to_json())
        except AdtallyError as error:
            # A peer that hangs must not hold up every signature.
            self._rests_until[peer.url] = time.monotonic() + _REST_SECONDS
            logger.info("%s did not take our signature of %s: %s", peer.url, signed.subject, error)

    async def close(self) -> None:
        for peer in self.sources:
            await peer.close()


async def signed_by(source: LogSource, domains: Domains, attestor: Address) -> list[Signed]:
    """What a service knows to be signed by an attestor, verified; what is not is left out.

    Raises:
        SourceFailed: it does not answer.
    """
    return _verified(source, domains, attestor, await source.signed_by(f"0x{attestor.hex()}"))


def _verified(
    source: LogSource, domains: Domains, attestor: Address, documents: Sequence[object]
) -> list[Signed]:
    found = []
    for document in documents:
        try:
            signed = domains.read_signed(document)
        except AdtallyError as error:
            logger.warning("%s shows a signature that does not verify: %s", source.url, error)
            continue
        if signed.attestor == attestor:
            found.append(signed)
    return found


class Collector:
    """Keeps what other attestors have signed, as their own stores and their peers' show it.

    Each store is asked for what is new only: theirs are journals, which never change their order.
    """

    def __init__(
        self,
        sources: Sequence[LogSource],
        domains: Domains,
        attestors: Sequence[Address],
        book: AnswerBook,
    ) -> None:
        self._sources = sources
        self._domains = domains
        self._attestors = attestors
        self._book = book
        self._seen: dict[tuple[str, Address], int] = {}

    async def collect(self) -> None:
        """One round; a store that does not answer is passed over."""
        for source in self._sources:
            for attestor in self._attestors:
                key = (source.url, attestor)
                seen = self._seen.get(key, 0)
                try:
                    documents = await source.signed_by(f"0x{attestor.hex()}", seen)
                except SourceFailed as error:
                    logger.debug("%s", error)
                    break
                for signed in _verified(source, self._domains, attestor, documents):
                    self._book.add(signed)
                self._seen[key] = seen + len(documents)
