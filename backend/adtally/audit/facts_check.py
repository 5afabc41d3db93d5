"""Step 3: every chain facts entry says what the chain says, and nothing is left out between."""

from __future__ import annotations

from collections.abc import Sequence

from adtally.audit.history import ChainHistory
from adtally.audit.ports import ChainSource
from adtally.audit.report import Findings
from adtally.columns.entries import EntryColumns
from adtally.errors import InvalidInput, VerificationFailed
from adtally.events.facts import CHAIN_FACTS_KIND, ChainFacts
from adtally.types import BlockStamp
from adtally.verification.facts_check import check_chain_facts

_KIND = bytes((CHAIN_FACTS_KIND,))


class FactsCollector:
    """Picks the chain facts out of the entries, with their leaf indices."""

    def __init__(self) -> None:
        self.ranges: list[tuple[int, list[ChainFacts]]] = []
        self.malformed: list[tuple[int, InvalidInput]] = []
        self._index = 0

    def add(self, entries: Sequence[bytes]) -> None:
        """Take in the next entries."""
        columns = EntryColumns.of(entries)
        for place, entry in columns.others:
            if entry[:1] == _KIND:
                self._take(self._index + place, entry)
        self._index += len(columns)

    def _take(self, index: int, entry: bytes) -> None:
        try:
            facts = ChainFacts.from_entry(entry)
        except InvalidInput as error:
            self.malformed.append((index, error))
            return
        continues = bool(self.ranges) and facts.part == len(self.ranges[-1][1]) != 0
        if continues and _range(self.ranges[-1][1][0]) == _range(facts):
            self.ranges[-1][1].append(facts)
        else:
            self.ranges.append((index, [facts]))


async def check_facts(
    collector: FactsCollector,
    history: ChainHistory,
    chain: ChainSource,
    first_block: int,
    horizon: BlockStamp,
    findings: Findings,
) -> None:
    """Compare every range with the chain.

    Args:
        first_block: the deployment's; where the first range must start.
        horizon: final block up to which ``history`` reaches; facts beyond it came too early.
    """
    for index, error in collector.malformed:
        findings.differs("facts", error.message, f"entry {index}", error.expected, error.found)
    following = first_block
    for index, parts in collector.ranges:
        facts = parts[0]
        where = f"entry {index} (blocks {facts.first_block} to {facts.last_block})"
        findings.compare("facts", "first block of the range", where, following, facts.first_block)
        following = facts.last_block + 1
        if len(parts) != facts.parts:
            findings.differs("facts", "parts of the range", where, facts.parts, len(parts))
        if facts.last_block > horizon.number:
            expected = f"blocks up to {horizon.number}, the newest final one"
            findings.differs("facts", "facts before finality", where, expected, facts.last_block)
            continue
        await _compare_range(parts, history, chain, where, findings)
    findings.figures.facts_through_block = following - 1 if collector.ranges else None


async def _compare_range(
    parts: Sequence[ChainFacts],
    history: ChainHistory,
    chain: ChainSource,
    where: str,
    findings: Findings,
) -> None:
    facts = parts[0]
    logs = history.between(facts.first_block, facts.last_block)
    block = await chain.block(facts.last_block)
    try:
        check_chain_facts(parts, logs, block, history.fact_contracts)
    except VerificationFailed as error:
        findings.differs("facts", error.message, where, error.expected, error.found)
    else:
        findings.holds("facts")


def _range(facts: ChainFacts) -> tuple[int, int, bytes, int, int]:
    return (
        facts.first_block,
        facts.last_block,
        facts.last_block_hash,
        facts.last_block_timestamp_seconds,
        facts.parts,
    )
