"""An attestor: follows the public log, recomputes everything, signs only what it computed itself.

It trusts nobody: entries come from the operator, but every signature, verdict and sequence is
checked again, facts are compared with the chain, and statements are built from its own state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from adtally.attestation.requests import Answer, AttestationRequest
from adtally.attestation.signing_record import SigningRecord
from adtally.errors import (
    AdtallyError,
    ChainError,
    ChainUnavailable,
    Overloaded,
    VerificationFailed,
)
from adtally.events.eip712 import checkpoint_digest, log_domain, statement_digest
from adtally.events.facts import CHAIN_FACTS_KIND, ChainFacts, ContractCode
from adtally.events.signature import sign
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine
from adtally.types import Address, BlockStamp, ChainLog, Checkpoint, Hash, LogIdentity, Statement
from adtally.verification.facts_check import check_chain_facts


class EntrySource(Protocol):
    """Where log entries come from: the operator's public endpoint, or a copy of the log."""

    async def entries(self, start: int, end: int) -> list[bytes]:
        """Entries ``start`` to ``end`` (exclusive), or fewer from ``start`` on, at least one."""


class ChainView(Protocol):
    """The attestor's own view of the chain."""

    async def final(self) -> BlockStamp | None:
        """The newest final block."""

    async def block(self, number: int) -> BlockStamp | None:
        """The block with this number."""

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        """All logs of these contracts in these blocks."""


class EscrowView(Protocol):
    """The attestor's own view of what is settled."""

    async def latest_statement(self, campaign: int) -> tuple[int, int]:
        """Sequence and tree size of the campaign's latest statement at a final block; zeros if
        there is none yet.
        """


class Attestor:
    """One attestor's state and judgement.

    Args:
        identity: of the log.
        escrow_domain: EIP-712 domain separator of the escrow.
        contracts: addresses whose logs are facts.
        first_block: the deployment block, where chain facts must start.
        private_key: the attestor's key.
        record: what it has signed before.
        escrow: where statements stand.
    """

    def __init__(
        self,
        *,
        identity: LogIdentity,
        escrow_domain: Hash,
        contracts: Mapping[Address, ContractCode],
        first_block: int,
        private_key: bytes,
        record: SigningRecord,
        log: EntrySource,
        chain: ChainView,
        escrow: EscrowView,
    ) -> None:
        self._new_machine: Callable[[MerkleTree], LogMachine] = lambda tree: LogMachine(
            identity, escrow_domain, leaves=tree
        )
        self._log_domain = log_domain(identity)
        self._escrow_domain = escrow_domain
        self._contracts = contracts
        self._first_block = first_block
        self._key = private_key
        self._record = record
        self._log = log
        self._chain = chain
        self._escrow = escrow
        self._restart()

    @property
    def size(self) -> int:
        """How many entries it has verified."""
        return self._machine.size

    async def answer(self, request: AttestationRequest) -> Answer:
        """Verify up to the request's size, recompute what is asked, and sign or refuse.

        Raises:
            ChainUnavailable, Overloaded: it can't tell yet; ask again later.
        """
        if request.statement is not None:
            try:
                await self._compare_order(request.statement)
            except VerificationFailed as error:
                return Answer(request.id, refusal=str(error))
        try:
            await self._advance(request.checkpoint.tree_size)
            self._machine.require_complete()
            self._compare_root(request.checkpoint)
            if request.statement is None:
                return Answer(request.id, signature=self._sign_checkpoint(request.checkpoint))
            self._compare_statement(request.statement)
            return Answer(request.id, signature=self._sign_statement(request.statement))
        except (ChainError, Overloaded):
            self._restart()
            raise
        except AdtallyError as error:
            self._restart()
            return Answer(request.id, refusal=str(error))

    # Following ---------------------------------------------------------------------------------

    def _restart(self) -> None:
        self._tree = MerkleTree()
        self._machine = self._new_machine(self._tree)
        self._facts_parts: list[ChainFacts] = []

    async def _advance(self, size: int) -> None:
        if size < self._machine.size:
            # An older request than one answered before: replay from the start.
            self._restart()
        while self._machine.size < size:
            entries = await self._log.entries(self._machine.size, size)
            # First: a correction is checked against the leaves before it.
            self._tree.append([leaf_hash(entry) for entry in entries])
            for entry in entries:
                if entry[:1] == bytes((CHAIN_FACTS_KIND,)):
                    await self._check_facts(ChainFacts.from_entry(entry))
                self._machine.apply(entry)

    async def _check_facts(self, facts: ChainFacts) -> None:
        if self._machine.facts.last_block is None and facts.first_block != self._first_block:
            raise VerificationFailed(
                "chain facts don't start at the deployment",
                field="facts",
                expected=f"block {self._first_block}",
                found=f"block {facts.first_block}",
            )
        self._facts_parts.append(facts)
        if facts.part + 1 < facts.parts:
            return
        parts, self._facts_parts = self._facts_parts, []
        final = await self._chain.final()
        if final is None or final.number < facts.last_block:
            # Perhaps only this attestor's node is behind: no reason to refuse, none to sign yet.
            raise ChainUnavailable(
                "chain facts are ahead of what this node calls final",
                expected=f"at most block {final.number if final else 'none'}",
                found=f"block {facts.last_block}",
                action="wait for the node; if it is in step, the operator's facts are wrong",
            )
        check_chain_facts(
            parts,
            await self._chain.logs(facts.first_block, facts.last_block, list(self._contracts)),
            await self._chain.block(facts.last_block),
            self._contracts,
        )

    # Comparing and signing ---------------------------------------------------------------------

    def _compare_root(self, checkpoint: Checkpoint) -> None:
        root = self._tree.root(checkpoint.tree_size)
        if root != checkpoint.root_hash:
            raise VerificationFailed(
                f"the root hash at size {checkpoint.tree_size} is not that of the entries",
                field="root_hash",
                expected=root.hex(),
                found=checkpoint.root_hash.hex(),
            )

    async def _compare_order(self, asked: Statement) -> None:
        """A sequence is signed once. So it must not be spent on what the escrow can never take, or
        on what says nothing new: an operator could keep earned money from being stated that way.
        """
        sequence, tree_size = await self._escrow.latest_statement(asked.campaign)
        if asked.sequence <= sequence:
            return  # It stands already: another signature changes nothing.
        if asked.sequence > sequence + 1:
            raise ChainUnavailable(
                "the statement is ahead of what this node calls final",
                expected=f"sequence {sequence + 1} of campaign {asked.campaign}",
                found=f"sequence {asked.sequence}",
                action="wait until the one before is settled; it is signed only after that",
            )
        if asked.tree_size < tree_size or (asked.tree_size == tree_size and not asked.is_final):
            raise VerificationFailed(
                "the statement covers nothing that the one before did not",
                field="tree_size",
                expected=f"above {tree_size}",
                found=str(asked.tree_size),
            )

    def _compare_statement(self, asked: Statement) -> None:
        own, _ = self._machine.statement(asked.campaign, asked.sequence, is_final=asked.is_final)
        for field in Statement.__slots__:
            if getattr(own, field) != getattr(asked, field):
                raise VerificationFailed(
                    f"the statement is not what the log gives at size {asked.tree_size}",
                    field=field,
                    expected=str(getattr(own, field)),
                    found=str(getattr(asked, field)),
                )
        if asked.is_final and not self._machine.may_be_final(asked.campaign):
            raise VerificationFailed(
                "the statement is final too early",
                field="is_final",
                expected="an entry past the campaign's correction window before the tree size",
                found=f"last received at {self._machine.last_received_at_ms} ms",
            )

    def _sign_checkpoint(self, checkpoint: Checkpoint) -> bytes:
        digest = checkpoint_digest(self._log_domain, checkpoint)
        self._record.note(f"checkpoint/{checkpoint.tree_size}", digest)
        return sign(digest, self._key)

    def _sign_statement(self, statement: Statement) -> bytes:
        digest = statement_digest(self._escrow_domain, statement)
        self._record.note(f"statement/{statement.campaign}/{statement.sequence}", digest)
        return sign(digest, self._key)
