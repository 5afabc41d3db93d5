"""Holds the log's chain facts beside the attestor's own node: contents, and how late they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from adtally.attestation.reference_state import Summary
from adtally.errors import ChainUnavailable, VerificationFailed
from adtally.events.facts import CHAIN_FACTS_KIND, ChainFacts, ContractCode
from adtally.types import Address, BlockStamp, ChainLog
from adtally.verification.facts_check import check_chain_facts, watched_logs
from adtally.verification.facts_lag import Judged


class ChainView(Protocol):
    """The attestor's own view of the chain."""

    async def final(self) -> BlockStamp | None:
        """The newest final block."""

    async def block(self, number: int) -> BlockStamp | None:
        """The block with this number."""

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        """All logs of these contracts in these blocks."""


class FactsDesk:
    """Compares facts with a node.

    Args:
        contracts: addresses whose logs are facts.
        first_block: the deployment block, where chain facts must start.
    """

    def __init__(
        self, chain: ChainView, contracts: Mapping[Address, ContractCode], first_block: int
    ) -> None:
        self._chain = chain
        self._contracts = contracts
        self._first_block = first_block
        self._looked: tuple[int, int, int | None] = (-1, -1, None)
        """Behind which block was looked, up to which, and the time of the first change found."""

    async def check(self, entries: Sequence[bytes], before: Summary) -> None:
        """Check all facts among entries that follow a complete log, and end in one.

        Args:
            before: where the machine stands before them.

        Raises:
            VerificationFailed: they contradict the chain.
            ChainUnavailable: this node can't tell yet.
        """
        parts: list[ChainFacts] = []
        last_block = before.facts_block
        for entry in entries:
            if entry[:1] != bytes((CHAIN_FACTS_KIND,)):
                continue
            facts = ChainFacts.from_entry(entry)
            parts.append(facts)
            if facts.part + 1 == facts.parts:
                await self._compare(parts, is_first=last_block is None)
                parts, last_block = [], facts.last_block

    async def _compare(self, parts: list[ChainFacts], *, is_first: bool) -> None:
        facts = parts[0]
        if is_first and facts.first_block != self._first_block:
            raise VerificationFailed(
                "chain facts don't start at the deployment",
                field="facts",
                expected=f"block {self._first_block}",
                found=f"block {facts.first_block}",
            )
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

    async def require_fresh(self, judged: Judged) -> None:
        """Check that no change on chain that is too old for what was judged is still missing.

        Args:
            judged: the newest envelope or correction, and the facts that stand in the log now.

        Raises:
            VerificationFailed: one is missing (``docs/spec/facts.md``, How old facts may be).
        """
        changed_at = await self._first_change_after(judged)
        if changed_at is not None and judged.is_late_for(changed_at):
            raise VerificationFailed(
                "a change on chain has been left out of the log for too long",
                field="facts_lag",
                expected=f"facts at most {judged.max_lag_seconds} s after their block's time",
                found=f"entry {judged.index}, received {judged.at_ms // 1000 - changed_at} s "
                f"after a change behind block {judged.through_block}",
            )

    async def _first_change_after(self, judged: Judged) -> int | None:
        """Time of the first block behind ``through_block`` that holds a fact, if one is old
        enough to matter.
        """
        through = judged.through_block
        following = await self._chain.block(through + 1)
        if following is None or not judged.is_late_for(following.timestamp_seconds):
            return None
        final = await self._chain.final()
        behind, looked_to, found = self._looked
        if behind != through:
            looked_to, found = through, None
        if found is None and final is not None and final.number > looked_to:
            logs = await self._chain.logs(looked_to + 1, final.number, list(self._contracts))
            watched = watched_logs(logs, self._contracts)
            if watched:
                block = await self._chain.block(watched[0].block_number)
                found = None if block is None else block.timestamp_seconds
            looked_to = final.number
        self._looked = (through, looked_to, found)
        return found
