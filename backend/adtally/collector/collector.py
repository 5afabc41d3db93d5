"""Gathers single hits into batches that the collector signs as itself.

There is one batch under way at a time. What arrives meanwhile waits for the next, so batches grow
with the load and nothing waits for a timer: the group commit of the log makes the groups.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from adtally.errors import Conflict, NotAllowed, Overloaded
from adtally.events.batch import SignedBatch
from adtally.events.eip712 import log_domain
from adtally.events.signature import SIGNATURE_SIZE, address_of, sign
from adtally.events.verdict import Verdict
from adtally.intake.receipts import BatchResult
from adtally.intake.sequencer import Sequencer
from adtally.kernel.records import RecordArray
from adtally.types import Role

logger = logging.getLogger(__name__)

MAX_BATCH_HITS = 2_000
MAX_WAITING_HITS = 20_000


class Logged(NamedTuple):
    """What became of a hit: its verdict, and the leaf index of its record."""

    verdict: Verdict
    leaf_index: int


_Waiting = tuple[bytes, "asyncio.Future[Logged]"]


class Collector:
    """Signs and submits hits for one member.

    Args:
        sequencer: started.
        member: has the role COLLECTOR on chain.
        event_key: the private key that it registered.
    """

    def __init__(self, sequencer: Sequencer, member: int, event_key: bytes) -> None:
        self.member = member
        self._sequencer = sequencer
        self._key = event_key
        self._signer = address_of(event_key)
        self._identity = sequencer.machine.identity
        self._domain = log_domain(self._identity)
        self._waiting: list[_Waiting] = []
        self._next_sequence: int | None = None
        self._task: asyncio.Task[None] | None = None

    def submit(self, record: bytes) -> asyncio.Future[Logged]:
        """Log a record (well formed, verdict zero); the future is done when its bytes are on disk.

        Raises:
            Overloaded: too many hits are waiting; this one was not taken.
            NotAllowed, Conflict, VerificationFailed: the whole batch was refused; nothing of it
                was logged.
        """
        if len(self._waiting) >= MAX_WAITING_HITS:
            raise Overloaded("too many hits are waiting")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Logged] = loop.create_future()
        self._waiting.append((record, future))
        if self._task is None:
            self._task = loop.create_task(self._run(), name="collector")
        return future

    async def stop(self) -> None:
        """Wait until everything taken is answered."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def can_collect(self) -> bool:
        """Whether the member has the role, at the latest facts."""
        member = self._sequencer.machine.facts.members.get(self.member)
        return member is not None and member.has_role(Role.COLLECTOR)

    async def _run(self) -> None:
        try:
            while self._waiting:
                # What else arrives in this round of the event loop belongs to the same group.
                await asyncio.sleep(0)
                hits = self._waiting[:MAX_BATCH_HITS]
                del self._waiting[:MAX_BATCH_HITS]
                await self._answer(hits)
        finally:
            self._task = None

    async def _answer(self, hits: Sequence[_Waiting]) -> None:
        try:
            result = await self._submit(RecordArray.of([record for record, _ in hits]))
        except BaseException as error:
            # Perhaps it was logged all the same: only the machine knows what comes next.
            self._next_sequence = None
            refusal = error if isinstance(error, Exception) else Overloaded("the service stops")
            for _, future in hits:
                if not future.done():
                    future.set_exception(refusal)
            if not isinstance(error, Exception):
                raise
            return
        first = result.receipt.first_index + 1
        for offset, ((_, future), verdict) in enumerate(zip(hits, result.verdicts, strict=True)):
            # One whose client has gone is cancelled; it is logged like the others.
            if not future.done():
                future.set_result(Logged(verdict, first + offset))

    async def _submit(self, records: RecordArray) -> BatchResult:
        if not self.can_collect():
            # Judged, each hit would be refused one by one and fill the log for nothing.
            raise NotAllowed(
                "the service's member is not a collector",
                field="member",
                expected="the role COLLECTOR, final on chain and in the log's facts",
                found=f"member {self.member} without it",
                action="have the registrar add it: setRoles on Membership",
            )
        try:
            return await self._submit_once(records)
        except Conflict as conflict:
            # Nothing was logged: somebody sent another batch as this member.
            logger.warning("the collector's sequence was taken: %s", conflict)
            self._next_sequence = None
            return await self._submit_once(records)

    async def _submit_once(self, records: RecordArray) -> BatchResult:
        if self._next_sequence is None:
            self._next_sequence = await self._sequencer.read(
                lambda machine: machine.next_sequence(self.member)
            )
        result = await self._sequencer.submit(self._signed(records, self._next_sequence))
        self._next_sequence += 1
        return result

    def _signed(self, records: RecordArray, sequence: int) -> SignedBatch:
        unsigned = SignedBatch(
            self._identity.chain_id,
            self.member,
            sequence,
            self._signer,
            bytes(SIGNATURE_SIZE),
            records,
        )
        return replace(unsigned, signature=sign(unsigned.digest(self._domain), self._key))
