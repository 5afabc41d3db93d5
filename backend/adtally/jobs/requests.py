"""Asking attestors: checkpoints and statements, in the order of their tree sizes."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncSession

from adtally.chain.contracts.quorum import Quorum, make_quorum
from adtally.events.eip712 import checkpoint_digest, log_domain, statement_digest
from adtally.storage.repositories import attestations
from adtally.storage.rows import NewRequest, RequestKind, RequestRow
from adtally.types import Checkpoint, Hash, LogIdentity, Statement


class RequestBook:
    """Writes requests. Hold ``lock`` from taking the tree size until the request is stored, so
    that no request for a larger tree comes in between.
    """

    def __init__(self, identity: LogIdentity, escrow_domain: Hash, log_attestor_set: int) -> None:
        self.lock = asyncio.Lock()
        self.log_attestor_set = log_attestor_set
        self._log_domain = log_domain(identity)
        self._escrow_domain = escrow_domain

    async def ask_checkpoint(
        self, session: AsyncSession, checkpoint: Checkpoint, now_ms: int
    ) -> RequestRow:
        """Ask the log's attestors to sign a checkpoint; asked again, it is the same request."""
        digest = checkpoint_digest(self._log_domain, checkpoint)
        return await attestations.add_request(
            session,
            NewRequest(RequestKind.CHECKPOINT, self.log_attestor_set, checkpoint, digest, now_ms),
        )

    async def ask_statement(
        self,
        session: AsyncSession,
        statement: Statement,
        checkpoint: Checkpoint,
        attestor_set: int,
        now_ms: int,
    ) -> RequestRow:
        """Ask a campaign's attestors to sign a statement over ``checkpoint``'s tree."""
        return await attestations.add_request(
            session,
            NewRequest(
                RequestKind.STATEMENT,
                attestor_set,
                checkpoint,
                statement_digest(self._escrow_domain, statement),
                now_ms,
                statement.campaign,
                statement.sequence,
            ),
        )


async def find_quorum(session: AsyncSession, request: RequestRow) -> Quorum | None:
    """Enough signatures of the set as it is now, None as long as there are too few."""
    asked = (await attestations.current_attestor_sets(session)).get(request.attestor_set)
    if asked is None:
        return None
    answers = await attestations.list_attestations(session, request.id)
    signatures = {
        answer.attestor: answer.signature
        for answer in answers
        if answer.signature is not None and answer.attestor in asked.attestors
    }
    if len(signatures) < asked.threshold:
        return None
    return make_quorum(asked.threshold, asked.attestors, signatures)
