"""Before anything is signed: what has this key signed already? Asked at every start.

A record restored from a backup looks like any other, so there is no telling when to ask. The chain
must answer, and one of the peers, or the operator where no peers are named: the operator alone
could hide what it has. Those that did not answer are asked again until they have. What they show
can only add to the record: each thing carries our own signature, and each name keeps its first
digest.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from adtally.attestation.answers import AnswerBook, Domains, subject_of
from adtally.attestation.signing_record import SigningRecord
from adtally.attestor.chain_book import ChainBook, OnChain
from adtally.attestor.peers import signed_by
from adtally.attestor.sources import LogSource, SourceFailed
from adtally.errors import AdtallyError
from adtally.events.signature import recover
from adtally.types import Address

logger = logging.getLogger(__name__)


class Recall:
    """Fills a signing record from elsewhere, then confirms it.

    Args:
        operator: its service.
        peers: the other attestors' sites. Where there are some, one must answer: that costs
            nothing, since k > n/2 signatures need another attestor anyway.
    """

    def __init__(
        self,
        record: SigningRecord,
        book: AnswerBook,
        domains: Domains,
        address: Address,
        chain: ChainBook,
        operator: LogSource,
        peers: Sequence[LogSource],
    ) -> None:
        self._record = record
        self._book = book
        self._domains = domains
        self._address = address
        self._chain = chain
        self._silent = [operator, *peers]
        self._decisive = list(peers) or [operator]
        self._told: list[LogSource] = []
        self._asked = False
        self._seen_on_chain: set[str] = set()
        self._has_read_book = False

    async def ask(self) -> None:
        """One round; confirms the record when enough have answered.

        Raises:
            ChainUnavailable: the node does not answer: nothing is confirmed.
            Conflict: this key has signed two different things under one name.
        """
        if not self._has_read_book:
            self._learn_from_book()
        await self._chain.look()
        for each in (*self._chain.anchors.values(), *self._chain.statements.values()):
            await self._learn_from_chain(each)
        silent = []
        for source in self._silent:
            try:
                learned = await self._learn_from(source)
            except SourceFailed as error:
                if source not in self._told:
                    self._told.append(source)
                    logger.warning("not asked yet what we signed: %s", error)
                silent.append(source)
                continue
            self._asked = self._asked or source in self._decisive
            if learned:
                logger.warning(
                    "%s knows %d things that we signed and had no record of: this record was "
                    "restored from a backup",
                    source.url,
                    learned,
                )
        self._silent = silent
        if self._asked:
            self._record.confirm()

    def _learn_from_book(self) -> None:
        """Our own published answers are a second copy of the record."""
        for signed in self._book.all_signed(self._address):
            self._record.learn(signed.subject, self._domains.digest(signed.content))
        self._has_read_book = True

    async def _learn_from(self, source: LogSource) -> int:
        learned = 0
        for signed in await signed_by(source, self._domains, self._address):
            learned += self._record.learn(signed.subject, self._domains.digest(signed.content))
            self._book.add(signed)
        return learned

    async def _learn_from_chain(self, each: OnChain) -> None:
        """What stands on chain under a name is the only thing worth signing under it, whoever
        signed it; so it is learned without a look at who did, unless the record says otherwise.
        """
        subject = subject_of(each.content)
        if subject in self._seen_on_chain:
            return
        digest = self._domains.digest(each.content)
        known = self._record.digest_of(subject)
        if known is None:
            self._record.learn(subject, digest)
        elif known != digest:
            if await self._is_signed_by_us(each):
                self._record.learn(subject, digest)
            logger.critical(
                "%s on chain is not what we signed: chain %s, we %s",
                subject,
                digest.hex(),
                known.hex(),
            )
        self._seen_on_chain.add(subject)

    async def _is_signed_by_us(self, each: OnChain) -> bool:
        digest = self._domains.digest(each.content)
        for signature in await self._chain.signatures_in(each):
            try:
                if recover(digest, signature) == self._address:
                    return True
            except AdtallyError:
                continue
        return False
