"""An attestor's judgement at work: verify up to what is asked, recompute it, sign it or refuse.

It trusts nobody: entries come from the operator, but every signature, verdict and sequence is
checked again, facts are compared with the chain, and statements are built from its own state.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from adtally.attestation.answers import Signed, SignedRefusal
from adtally.attestation.judgement import (
    Computed,
    compare_order,
    compare_root,
    compare_statement,
    newest_judged,
    refusal_of,
    require_complete,
)
from adtally.attestation.reference_state import Summary
from adtally.attestation.requests import AttestationRequest
from adtally.attestor.chain_book import ChainBook
from adtally.attestor.follower import LogFollower
from adtally.attestor.signing import SigningDesk
from adtally.attestor.sources import LogSource
from adtally.attestor.statement_store import StatementStore
from adtally.errors import (
    AdtallyError,
    ChainError,
    NotAllowed,
    Overloaded,
    StorageCorrupt,
    StorageFailed,
    VerificationFailed,
)
from adtally.events.facts import CHAIN_FACTS_KIND, RULES_KIND
from adtally.types import Checkpoint, Line, Statement
from adtally.verification.facts_lag import Judged

logger = logging.getLogger(__name__)

REFUSAL_PAUSE_SECONDS = 60.0
_NOT_THE_ASKERS_FAULT = (ChainError, Overloaded, NotAllowed, StorageFailed, StorageCorrupt)
"""It can't be told now, or it is our own trouble: no reason to refuse, none to sign."""


@dataclass(slots=True)
class Rests:
    """What was refused lately rests for a while, as the reason may be a passing one."""

    now: Callable[[], float] = time.monotonic
    _until: dict[object, float] = field(default_factory=dict)

    def add(self, key: object) -> None:
        self._until[key] = self.now() + REFUSAL_PAUSE_SECONDS

    def rests(self, key: object) -> bool:
        """Whether it is too early to look again."""
        return self.now() < self._until.get(key, 0)


class Attesting:
    """Answers what an operator or a peer asks to be signed.

    Args:
        gone_after_seconds: without any word of the operator for so long, it counts as gone, and
            peers are answered as ``docs/decisions/0030`` says.
        silent_seconds: how long the operator had been silent when the attestor was started.
        on_heard: told whenever the operator answers.
    """

    def __init__(
        self,
        follower: LogFollower,
        chain: ChainBook,
        desk: SigningDesk,
        statements: StatementStore,
        *,
        gone_after_seconds: float,
        silent_seconds: float = 0.0,
        on_heard: Callable[[], None] = lambda: None,
        clock_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.follower = follower
        self.chain = chain
        self.desk = desk
        self.statements = statements
        self._gone_after = gone_after_seconds
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._on_heard = on_heard
        self._heard_at = monotonic() - silent_seconds

    # What the operator asks --------------------------------------------------------------------

    def heard(self) -> None:
        """The operator has answered."""
        self._heard_at = self._monotonic()
        self._on_heard()

    @property
    def is_operator_gone(self) -> bool:
        return self._monotonic() - self._heard_at >= self._gone_after

    async def answer(
        self, request: AttestationRequest, source: LogSource
    ) -> Signed | SignedRefusal:
        """Verify up to the request's size, recompute what is asked, and sign or refuse.

        Raises:
            ChainUnavailable, Overloaded, NotAllowed: it can't tell yet; ask again later.
            StorageFailed, StorageCorrupt: its own disk fails it.
        """
        try:
            if request.statement is not None:
                standing = await self.chain.standing(request.statement.campaign)
                compare_order(standing, request.statement)
            await self._reach(request.checkpoint.tree_size, source)
            return await self._judge(request.checkpoint, request.statement)
        except _NOT_THE_ASKERS_FAULT:
            raise
        except AdtallyError as error:
            place = f"tree size {request.checkpoint.tree_size}"
            return await self.refuse(error, request.content, place)

    async def refuse(
        self, error: AdtallyError, content: Checkpoint | Statement, place: str
    ) -> SignedRefusal:
        """Sign, keep and publish the difference."""
        digest = self.desk.domains.digest(content)
        refusal = refusal_of(error, digest, place, self._clock_ms())
        logger.error("refused: %s", refusal)
        return await self.desk.refuse(refusal)

    async def _reach(self, size: int, source: LogSource) -> None:
        follower = self.follower
        if size <= follower.copy.size:
            return
        note, tip = await follower.read_tip(source)
        if tip.tree_size < size:
            raise Overloaded(
                f"a request is about {size} entries, the signed checkpoint covers {tip.tree_size}"
            )
        await follower.advance(source, size, tip, note)

    async def _judge(self, checkpoint: Checkpoint, statement: Statement | None) -> Signed:
        copy = self.follower.copy
        if checkpoint.tree_size == 0:
            raise VerificationFailed(
                "an empty log is not attested", field="tree_size", expected="1 or more", found="0"
            )
        compare_root(copy.tree.root(checkpoint.tree_size), checkpoint)
        require_complete(copy, checkpoint.tree_size)
        await self._require_fresh_facts(checkpoint.tree_size)
        if statement is None:
            return await self.desk.sign(checkpoint)
        if statement.tree_size != checkpoint.tree_size:
            raise VerificationFailed(
                "the statement is of another size than the checkpoint it comes with",
                field="tree_size",
                expected=str(checkpoint.tree_size),
                found=str(statement.tree_size),
            )
        return await self._judge_statement(statement)

    async def _require_fresh_facts(self, size: int) -> None:
        """Nothing is signed while facts are missing that its last batch had to be judged by."""
        copy = self.follower.copy
        newest = newest_judged(copy, size)
        if newest is None:
            return
        summary = await self._summary_at(size)
        if summary.rules is None:
            return
        through = -1 if summary.facts_block is None else summary.facts_block
        lag = summary.rules.max_facts_lag_seconds
        await self.follower.facts.require_fresh(Judged(through, *newest, lag))

    async def _summary_at(self, size: int) -> Summary:
        """Facts and rules as they are at a size that is stored."""
        ladder, copy = self.follower.ladder, self.follower.copy
        kinds = (bytes((CHAIN_FACTS_KIND,)), bytes((RULES_KIND,)))
        since = (entry for piece in copy.pieces(size, copy.size) for entry in piece)
        if not any(entry[:1] in kinds for entry in since):
            assert ladder.head.summary is not None
            return ladder.head.summary
        machine = await ladder.at(size)
        try:
            assert machine.summary is not None
            return machine.summary
        finally:
            machine.close()

    async def _judge_statement(self, statement: Statement) -> Signed:
        own, lines = await self.computed(
            statement.campaign,
            statement.sequence,
            statement.tree_size,
            is_final=statement.is_final,
        )
        compare_statement(own, statement)
        self.keep(own.statement, lines)
        return await self.desk.sign(own.statement)

    # Computing ---------------------------------------------------------------------------------

    async def computed(
        self, campaign: int, sequence: int, size: int, *, is_final: bool
    ) -> tuple[Computed, list[Line]]:
        """What a campaign owes over the first ``size`` entries, by the reference machine."""
        ladder = self.follower.ladder
        if ladder.head.size == size:
            return await ladder.head.compute(campaign, sequence, is_final=is_final)
        machine = await ladder.at(size)
        try:
            return await machine.compute(campaign, sequence, is_final=is_final)
        finally:
            machine.close()

    def keep(self, statement: Statement, lines: Sequence[Line]) -> None:
        """Store a statement that was computed here, all lines with their proofs."""
        self.statements.keep(statement, self.desk.domains.digest(statement), lines)

    # What peers ask, with the operator gone -----------------------------------------------------

    async def propose(self, content: Checkpoint | Statement) -> Signed:
        """Sign what an attestor or anybody else proposes, if it is what finishing needs now.

        There is one right proposal at a time: the checkpoint of everything stored, then, once
        that is anchored, each campaign's next statement over it. So nobody can have a sequence
        spent on anything else, and no two attestors sign different ones.

        Raises:
            NotAllowed: the operator is not gone, or something else comes first.
            VerificationFailed: it is not what this attestor computes.
            Conflict: something else was signed under this name; it says what.
        """
        if self.desk.book.signatures(content).get(self.desk.signer.address) is not None:
            return await self.desk.sign(content)
        if isinstance(content, Checkpoint):
            self._require_gone()
            if content.tree_size > self.follower.copy.size:
                raise NotAllowed(
                    "this attestor has not stored so much",
                    field="tree_size",
                    expected=f"at most {self.follower.copy.size}",
                    found=str(content.tree_size),
                )
            head = await self.chain.event_log.head_size(await self.chain.chain.final())
            if content.tree_size <= head:
                # Finishing needs none of these, and judging an old one is a long replay: whoever
                # asks for many could keep the attestor from all else.
                raise NotAllowed(
                    "so much is anchored already",
                    field="tree_size",
                    expected=f"above {head}",
                    found=str(content.tree_size),
                )
            return await self._judge(content, None)
        return await self._propose_statement(content)

    async def _propose_statement(self, statement: Statement) -> Signed:
        standing = await self.chain.standing(statement.campaign)
        compare_order(standing, statement)
        self._require_gone()
        if not self._is_signed_by_a_peer(statement):
            head = await self.chain.event_log.head_size(await self.chain.chain.final())
            size = self.follower.copy.size
            if not head == size == statement.tree_size:
                raise NotAllowed(
                    "a statement is signed over everything stored, once that is anchored",
                    field="tree_size",
                    expected=f"{size}, which is stored here, as anchored size",
                    found=f"{statement.tree_size}, with {head} anchored",
                    action="anchor everything that is stored first",
                )
        return await self._judge_statement(statement)

    def _is_signed_by_a_peer(self, statement: Statement) -> bool:
        """What the operator once had signed is completed, whatever was stored after it."""
        return len(self.desk.book.signatures(statement)) > 0

    def _require_gone(self) -> None:
        if not self.is_operator_gone:
            waited = self._monotonic() - self._heard_at
            raise NotAllowed(
                "the operator is not gone",
                expected=f"no word of it for {self._gone_after:.0f} s",
                found=f"an answer {waited:.0f} s ago",
                action="let it do its work; try again when it is gone",
            )
