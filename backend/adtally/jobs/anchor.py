"""Asks for checkpoints when they are due, and anchors those that are signed."""

from __future__ import annotations

import asyncio
import logging

from adtally.chain import effects
from adtally.chain.contracts.event_log import NO_ANCHOR
from adtally.errors import InvariantBroken
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.jobs.context import JobContext
from adtally.jobs.decisions import (
    AnchorPolicy,
    AskedCheckpoint,
    NewEntries,
    anchor_reason,
    may_ask_beyond,
)
from adtally.jobs.requests import find_quorum
from adtally.jobs.sending import bring_about, has_unmined
from adtally.settlement.machine import parse_facts
from adtally.storage.repositories import attestations
from adtally.types import Checkpoint

logger = logging.getLogger(__name__)

_LOOKS = 5
_PAUSE_SECONDS = 0.2


class AnchorJob:
    """One round asks for a checkpoint if one is due, and enqueues the largest signed one.

    The state is in the requests, the attestations, the outbox and the chain's head; nothing of it
    is kept here.
    """

    def __init__(self, context: JobContext, policy: AnchorPolicy) -> None:
        self._context = context
        self._policy = policy

    async def run(self) -> None:
        """Raises ChainUnavailable when the chain can't be read now.

        Raises:
            InvariantBroken: the chain's head is no prefix of this log.
        """
        head = await self.head()
        await self._ask(head)
        await self._submit(head)

    async def head(self) -> Checkpoint:
        """The newest anchor on chain, checked to be a prefix of this log.

        Raises:
            InvariantBroken: it is not. This log is an old backup, or a second one was started on
                the same contract; whatever it would promise could not be anchored.
        """
        for look in range(_LOOKS):
            # anvil answers a read pinned to its newest block from a state in which the next
            # block is under way, so what looks like another log is looked at again.
            latest = await self._context.chain.latest()
            size = await self._context.event_log.head_size(latest)
            if size == 0:
                return NO_ANCHOR
            have = self._context.sequencer.tree.size
            if size > have:
                raise InvariantBroken(
                    f"the chain has an anchor of {size} entries at block {latest.number}, this "
                    f"log holds {have}: it lacks entries that receipts were given for; bring "
                    "back the log's own segment files"
                )
            head = self._context.sequencer.checkpoint(size)
            if await self._context.event_log.is_anchored(head, latest):
                return head
            await asyncio.sleep(_PAUSE_SECONDS * look)
        raise InvariantBroken(
            f"the anchor of {size} entries at block {latest.number} is of another log: ours "
            f"has root hash {head.root_hash.hex()} at that size"
        )

    async def _ask(self, head: Checkpoint) -> None:
        book, now_ms = self._context.requests, self._context.clock.now_ms()
        async with book.lock:
            new, asked = await self._new_entries(head)
            reason = anchor_reason(new, self._policy, now_ms)
            if reason is None or not may_ask_beyond(asked, self._policy, now_ms):
                return
            checkpoint = self._context.sequencer.checkpoint()
            async with self._context.database.transaction() as session:
                request = await book.ask_checkpoint(session, checkpoint, now_ms)
        logger.info(
            "asked for a checkpoint of %d entries (%s), request %d",
            checkpoint.tree_size,
            reason.value,
            request.id,
        )

    async def _new_entries(self, head: Checkpoint) -> tuple[NewEntries, AskedCheckpoint | None]:
        """Entries that no checkpoint was asked for, and the one asked for on its way."""
        async with self._context.database.session() as session:
            rows = await attestations.checkpoint_requests_above(session, head.tree_size)
        asked = AskedCheckpoint(rows[-1].created_at_ms) if rows else None
        first = rows[-1].checkpoint.tree_size if rows else head.tree_size
        count = self._context.sequencer.tree.size - first
        if count <= 0:
            return NewEntries(0, 0, 0), asked
        rules = self._context.sequencer.machine.rules
        promise = 0 if rules is None else rules.anchor_promise_seconds
        return NewEntries(count, self._received_at_ms(first), promise), asked

    def _received_at_ms(self, index: int) -> int:
        """When the entry at ``index``, where a checkpoint ended, came in: never a record."""
        entry = self._context.sequencer.store.entry(index)
        if entry[0] == ENVELOPE_KIND:
            return Envelope.from_entry(entry).received_at_ms
        return parse_facts(entry).recorded_at_ms

    async def _submit(self, head: Checkpoint) -> None:
        """Enqueue the largest checkpoint that has its signatures, one anchor after the other."""
        if await has_unmined(self._context, effects.ANCHOR):
            return
        async with self._context.database.session() as session:
            rows = await attestations.checkpoint_requests_above(session, head.tree_size)
            for row in reversed(rows):
                quorum = await find_quorum(session, row)
                if quorum is not None:
                    break
            else:
                return
        following = row.checkpoint
        tree = self._context.sequencer.tree
        proof = (
            tree.consistency_proof(head.tree_size, following.tree_size) if head.tree_size else []
        )
        await bring_about(
            self._context,
            f"anchor:{following.tree_size}",
            effects.ANCHOR,
            self._context.event_log.anchor_call(head, following, proof, quorum),
        )
