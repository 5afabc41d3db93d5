"""Keeps an attestor at work: answer what is asked, follow the log, learn, save; wait; again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from typing import Any

from adtally.attestation.answers import AnswerBook, Signed, SignedRefusal
from adtally.attestation.requests import AttestationRequest, request_from_json
from adtally.attestor.attesting import Attesting, Rests
from adtally.attestor.cosigning import Cosigning
from adtally.attestor.machine_hub import MachineGone
from adtally.attestor.peers import Collector
from adtally.attestor.recall import Recall
from adtally.attestor.sources import LogSource, SourceFailed
from adtally.errors import (
    AdtallyError,
    ChainError,
    Conflict,
    NotAllowed,
    Overloaded,
    StorageCorrupt,
    StorageFailed,
)
from adtally.types import Address, Checkpoint

logger = logging.getLogger(__name__)

_COLLECT_EVERY_ROUNDS = 5


class Rounds:
    """The rounds of one attestor.

    Args:
        operator: the service.
        peers: other attestors, to follow when the operator is away, and to learn from.
        attestors: of the deployment's set, whose signatures are kept.
        cosigning: adds this attestor's line to the operator's notes.
    """

    def __init__(
        self,
        attesting: Attesting,
        recall: Recall,
        operator: LogSource,
        peers: Sequence[LogSource],
        attestors: Sequence[Address],
        cosigning: Cosigning | None = None,
    ) -> None:
        self._attesting = attesting
        self._recall = recall
        self._operator = operator
        self._peers = peers
        others = [each for each in attestors if each != attesting.desk.signer.address]
        desk = attesting.desk
        # Of peers: what the operator has collected, its attestors have.
        self._collector = Collector(peers, desk.domains, others, desk.book)
        self.cosigning = cosigning
        self._address = attesting.desk.signer.address
        self._rests = Rests()
        self._number = 0
        self.trouble: str | None = None
        """What the last round could not do, for the status page."""
        self.lock = asyncio.Lock()
        """Held while entries are taken in or something is judged: one thing at a time. Never while
        a service is asked that may not be there.
        """

    @property
    def book(self) -> AnswerBook:
        return self._attesting.desk.book

    async def run(self, interval_seconds: float) -> None:
        """Until cancelled; outages of service, chain or signer are waited out.

        Raises:
            Conflict: this key has signed two different things under one name.
            StorageFailed, StorageCorrupt: the disk fails it.
        """
        while True:
            await self.round()
            await asyncio.sleep(interval_seconds)

    async def round(self) -> None:
        """One round; raises as ``run``."""
        self.trouble = None
        record = self._attesting.desk.record
        for step in (self._recall.ask, self._answer_requests, self._follow, self._collect):
            try:
                await step()
            except (StorageFailed, StorageCorrupt):
                raise
            except MachineGone as error:
                logger.warning("%s: it is built again", error)
                await self._attesting.follower.ladder.revive()
            except AdtallyError as error:
                if record.conflict is not None:
                    raise
                self.trouble = str(error)
                logger.warning("waiting: %s", error)
                if isinstance(error, ChainError):
                    break
        self._number += 1

    # The operator's requests -------------------------------------------------------------------

    async def _answer_requests(self) -> None:
        if not self._attesting.desk.record.is_confirmed:
            return
        try:
            raw = await self._operator.json(
                "/attestations/requests", attestor=f"0x{self._address.hex()}"
            )
        except SourceFailed as error:
            logger.debug("%s", error)
            return
        self._attesting.heard()
        requests = [request_from_json(each) for each in raw] if isinstance(raw, list) else []
        for request in sorted(requests, key=lambda each: (each.checkpoint.tree_size, each.id)):
            if not self._rests.rests(request.id):
                await self._answer(request)

    async def _answer(self, request: AttestationRequest) -> None:
        try:
            async with self.lock:
                answer = await self._attesting.answer(request, self._operator)
        except (ChainError, Overloaded, NotAllowed) as error:
            if isinstance(error, MachineGone):
                raise
            self.trouble = f"request {request.id}: {error}"
            logger.warning("request %d waits: %s", request.id, error)
            return
        if isinstance(answer, SignedRefusal):
            self._rests.add(request.id)
        await self._hand_in(request.id, answer)

    async def _hand_in(self, request: int, answer: Signed | SignedRefusal) -> None:
        document: dict[str, Any] = {
            "request": request,
            "attestor": f"0x{self._address.hex()}",
        }
        if isinstance(answer, Signed):
            document["signature"] = f"0x{answer.signature.hex()}"
        else:
            refusal = answer.to_json()
            del refusal["attestor"]
            document["refusal"] = refusal
        try:
            await self._operator.post("/attestations", document)
        except AdtallyError as error:
            # Published here all the same; the request stays open, so it is handed in again.
            logger.warning("the operator did not take the answer to request %d: %s", request, error)

    # Following ---------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """The operator first; what it does not give, peers may have stored."""
        try:
            await self._follow_one(self._operator)
            self._attesting.heard()
            return
        except SourceFailed as error:
            logger.debug("%s", error)
        for peer in self._peers:
            try:
                await self._follow_one(peer)
            except SourceFailed as error:
                logger.debug("%s", error)

    async def _follow_one(self, source: LogSource) -> None:
        follower = self._attesting.follower
        key = (source.url, follower.copy.size)
        if self._rests.rests(key):
            return
        try:
            note, tip = await follower.read_tip(source)
            async with self.lock:
                await follower.follow(source, note, tip)
            if self.cosigning is not None and follower.copy.size == tip.tree_size:
                await self.cosigning.cosign(note, tip)
        except (SourceFailed, ChainError, Overloaded, NotAllowed, StorageFailed, StorageCorrupt):
            raise
        except AdtallyError as error:
            self._rests.add(key)
            await self._refuse_log(source, error)
            if isinstance(error, Conflict):
                logger.critical("%s", error)

    async def _refuse_log(self, source: LogSource, error: AdtallyError) -> None:
        """The log as served is wrong: say so about the checkpoint that it is served under."""
        follower = self._attesting.follower
        stored = follower.copy.checkpoint()
        tip = stored
        with contextlib.suppress(AdtallyError):
            _, tip = await follower.read_tip(source)
        place = f"the log behind {stored.tree_size} entries, as {source.url} serves it"
        content: Checkpoint = tip
        await self._attesting.refuse(error, content, place)

    # Learning ----------------------------------------------------------------------------------

    async def _collect(self) -> None:
        """Signatures of the others; statements that were settled without ours."""
        if self._number % _COLLECT_EVERY_ROUNDS:
            return
        await self._collector.collect()
        await self._keep_settled()
        for peer in self._peers:
            await self._compare_notes(peer)

    async def _compare_notes(self, peer: LogSource) -> None:
        """What the operator has shown to others must be the log that it shows here."""
        try:
            await self._attesting.follower.read_tip(peer)
        except Conflict as error:
            key = (peer.url, error.found)
            if not self._rests.rests(key):
                self._rests.add(key)
                logger.critical("%s shows another log: %s", peer.url, error)
                content = self._attesting.follower.copy.checkpoint()
                await self._attesting.refuse(error, content, f"the note that {peer.url} has")
        except AdtallyError as error:
            logger.debug("%s", error)

    async def _keep_settled(self) -> None:
        """Lines and proofs of statements on chain that this attestor has not signed."""
        attesting = self._attesting
        for each in attesting.chain.statements.values():
            statement = each.content
            if isinstance(statement, Checkpoint):
                continue
            digest = attesting.desk.domains.digest(statement)
            if attesting.statements.has(statement, digest) or self._rests.rests(digest):
                continue
            if statement.tree_size > attesting.follower.copy.size:
                continue
            async with self.lock:
                own, lines = await attesting.computed(
                    statement.campaign,
                    statement.sequence,
                    statement.tree_size,
                    is_final=statement.is_final,
                )
            if own.statement == statement:
                attesting.keep(statement, lines)
            else:
                self._rests.add(digest)
                logger.critical(
                    "statement %d of campaign %d on chain is not what the log gives",
                    statement.sequence,
                    statement.campaign,
                )
