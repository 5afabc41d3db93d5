"""Which chain logs are facts, and whether a facts entry says what the chain says.

Intake builds chain facts with ``watched_logs``; attestors and auditors compare with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adtally.errors import VerificationFailed
from adtally.events.facts import ChainFacts, ContractCode, FactLog
from adtally.types import Address, BlockStamp, ChainLog
from adtally.verification.chain_logs import is_watched


def watched_logs(
    logs: Sequence[ChainLog], contracts: Mapping[Address, ContractCode]
) -> tuple[FactLog, ...]:
    """The logs that are facts, in chain order, as they stand in a facts entry."""
    return tuple(
        FactLog(log.block_number, log.log_index, contracts[log.address], log.topics, log.data)
        for log in sorted(logs, key=lambda log: (log.block_number, log.log_index))
        if log.address in contracts and is_watched(contracts[log.address], log.topics)
    )


def check_chain_facts(
    parts: Sequence[ChainFacts],
    logs: Sequence[ChainLog],
    last_block: BlockStamp | None,
    contracts: Mapping[Address, ContractCode],
) -> None:
    """Compare all parts of one block range with what the chain says of it.

    Args:
        parts: the entries of the range, in log order, complete.
        logs: the chain's logs of our contracts in that range.
        last_block: the chain's block at the range's end, None if it has none.

    Raises:
        VerificationFailed: naming the first difference.
    """
    facts = parts[0]
    where = f"blocks {facts.first_block} to {facts.last_block}"
    if last_block is None or last_block.hash != facts.last_block_hash:
        found = "no such block" if last_block is None else last_block.hash.hex()
        raise _differs(f"hash of block {facts.last_block}", found, facts.last_block_hash.hex())
    if last_block.timestamp_seconds != facts.last_block_timestamp_seconds:
        raise _differs(
            f"timestamp of block {facts.last_block}",
            str(last_block.timestamp_seconds),
            str(facts.last_block_timestamp_seconds),
        )
    on_chain = watched_logs(logs, contracts)
    in_log = tuple(log for part in parts for log in part.logs)
    for there, here in zip(on_chain, in_log, strict=False):
        if there != here:
            raise _differs(
                f"log {there.log_index} of block {there.block_number}", str(there), str(here)
            )
    if len(on_chain) != len(in_log):
        raise _differs(f"number of logs in {where}", str(len(on_chain)), str(len(in_log)))


def _differs(what: str, expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(
        f"chain facts contradict the chain: {what}", field="facts", expected=expected, found=found
    )
