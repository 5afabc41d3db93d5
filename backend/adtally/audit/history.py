"""The chain's side of the story: every log of our contracts, decoded, in chain order."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from adtally.audit.chain_events import AuditedEvent, Contract, decode_event
from adtally.audit.deployment import AuditDeployment
from adtally.audit.ports import ChainSource, Progress
from adtally.audit.report import Findings
from adtally.errors import InvalidInput
from adtally.events.facts import ContractCode, FactLog
from adtally.types import Address, BlockStamp, ChainLog
from adtally.verification.chain_logs import FactChange, decode_log, is_watched

BLOCKS_AT_ONCE = 10_000
"""Nodes bound the range of one eth_getLogs."""

FACT_CODES = {
    Contract.MEMBERSHIP: ContractCode.MEMBERSHIP,
    Contract.CAMPAIGN_ESCROW: ContractCode.CAMPAIGN_ESCROW,
}


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened on chain, and when."""

    event: AuditedEvent | FactChange
    log: ChainLog
    timestamp_seconds: int

    @property
    def where(self) -> str:
        return f"transaction 0x{self.log.transaction_hash.hex()} (block {self.log.block_number})"


class ChainHistory:
    """All logs of our contracts from the deployment to a block."""

    def __init__(self, deployment: AuditDeployment, logs: list[ChainLog]) -> None:
        self._contracts = {address: each for each, address in deployment.contracts.items()}
        self.logs = sorted(logs, key=lambda log: (log.block_number, log.log_index))
        self._blocks = [log.block_number for log in self.logs]

    @property
    def fact_contracts(self) -> dict[Address, ContractCode]:
        """Addresses whose logs can be facts."""
        return {
            address: FACT_CODES[each]
            for address, each in self._contracts.items()
            if each in FACT_CODES
        }

    def between(self, first: int, last: int) -> list[ChainLog]:
        """Logs of blocks ``first`` to ``last``."""
        return self.logs[bisect_left(self._blocks, first) : bisect_left(self._blocks, last + 1)]

    def watched_blocks(self) -> list[int]:
        """Numbers of the blocks that hold facts, ascending."""
        contracts = self.fact_contracts
        return sorted(
            {
                log.block_number
                for log in self.logs
                if log.address in contracts and is_watched(contracts[log.address], log.topics)
            }
        )

    def events(self, log: ChainLog) -> list[AuditedEvent | FactChange]:
        """What a log says: to the audit, and as a fact; both for a few.

        Raises:
            InvalidInput: it is of an event of ours but does not decode.
        """
        contract = self._contracts[log.address]
        event = decode_event(contract, log)
        found: list[AuditedEvent | FactChange] = [] if event is None else [event]
        code = FACT_CODES.get(contract)
        if code is not None and is_watched(code, log.topics):
            place = (log.block_number, log.log_index)
            found.append(decode_log(FactLog(*place, code, log.topics, log.data)))
        return found


async def read_history(
    chain: ChainSource, deployment: AuditDeployment, last: int, progress: Progress
) -> ChainHistory:
    """Fetch all logs of our contracts up to block ``last``."""
    addresses = list(deployment.contracts.values())
    logs: list[ChainLog] = []
    first = deployment.block_number
    while first <= last:
        end = min(first + BLOCKS_AT_ONCE - 1, last)
        logs += await chain.logs(first, end, addresses)
        progress("chain", end - deployment.block_number + 1, last - deployment.block_number + 1)
        first = end + 1
    return ChainHistory(deployment, logs)


async def read_events(
    chain: ChainSource, history: ChainHistory, pinned: BlockStamp, findings: Findings
) -> list[Happened]:
    """Everything that happened up to the pinned block, with block times.

    A log whose block is not the chain's block of that number, and one that does not decode, are
    discrepancies and left out.
    """
    happened: list[Happened] = []
    block: BlockStamp | None = None
    for log in history.between(0, pinned.number):
        try:
            events = history.events(log)
        except InvalidInput as error:
            findings.differs("chain", error.message, str(error.field), error.expected, error.found)
            continue
        if not events:
            continue
        if block is None or block.number != log.block_number:
            block = await chain.block(log.block_number)
        if block is None or block.hash != log.block_hash:
            where = f"block {log.block_number}"
            found = "no such block" if block is None else block.hash
            findings.differs("chain", "block of a log", where, log.block_hash, found)
            block = None
            continue
        happened += [Happened(event, log, block.timestamp_seconds) for event in events]
    findings.holds("chain", len(happened))
    return happened
