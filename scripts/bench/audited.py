"""The whole audit against a server of the bench: its log over HTTP, its chain on paper."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from eth_abi import encode
from scripts.chainless.application import DEPLOYMENT
from scripts.chainless.facts import CHAIN_ID, ESCROW, FLIGHT_START, MEMBERSHIP
from scripts.chainless.world import world_facts

from adtally.audit.audit import AuditExtras, run_audit
from adtally.audit.deployment import AuditDeployment
from adtally.audit.report import AuditReport
from adtally.client.file_log import FileLog, open_pages
from adtally.client.log_cache import CachedFiles, StateFolder
from adtally.client.log_files import find_files
from adtally.columns.hashing import Hashing, checked
from adtally.events.facts import ChainFacts, ContractCode
from adtally.kernel.sha256 import leaf_hashes, node_hashes
from adtally.types import Address, BlockStamp, ChainLog, Hash

_ADDRESSES = {ContractCode.MEMBERSHIP: MEMBERSHIP, ContractCode.CAMPAIGN_ESCROW: ESCROW}
_FUNDED = 10**26
_LANES = checked(Hashing(leaf_hashes, node_hashes))


class PaperChain:
    """What a node would say of the bench's world: members, one campaign, nothing settled yet."""

    def __init__(self) -> None:
        facts = [each for each in world_facts() if isinstance(each, ChainFacts)]
        self._last = BlockStamp(facts[-1].last_block, facts[-1].last_block_hash, FLIGHT_START)
        self._logs = [
            ChainLog(
                log.block_number,
                self._hash(log.block_number),
                hashlib.sha256(b"%d/%d" % (log.block_number, log.log_index)).digest(),
                log.log_index,
                _ADDRESSES[log.contract],
                log.topics,
                log.data,
            )
            for each in facts
            for log in each.logs
        ]

    def _hash(self, number: int) -> Hash:
        last = self._last
        return last.hash if number == last.number else hashlib.sha256(b"%d" % number).digest()

    async def chain_id(self) -> int:
        return CHAIN_ID

    async def genesis_hash(self) -> Hash:
        return DEPLOYMENT.genesis_hash

    async def final(self) -> BlockStamp | None:
        return self._last

    async def block(self, number: int) -> BlockStamp | None:
        return BlockStamp(number, self._hash(number), FLIGHT_START)

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        return [log for log in self._logs if first <= log.block_number <= last]

    async def call(self, to: Address, data: bytes, at: BlockStamp | None = None) -> bytes:
        return encode(["uint256"], [_FUNDED])


def audit_over_http(port: int, folder: Path) -> tuple[AuditReport, float]:
    """Audit the server's log from its first entry; the report, and seconds from start to verdict.

    Args:
        folder: gets downloads and state, as ``adtally audit`` keeps them.
    """
    return asyncio.run(_audit(f"http://127.0.0.1:{port}", folder))


async def _audit(address: str, folder: Path) -> tuple[AuditReport, float]:
    chain = PaperChain()
    started = time.perf_counter()
    files = await find_files(address)
    spoiled: list[str] = []
    log = FileLog(CachedFiles(files, folder / "files", spoiled.append), open_pages(files))
    try:
        deployment = AuditDeployment.from_json(await log.deployment())
        log.verifier = deployment.note_verifier
        extras = AuditExtras(memory=StateFolder(folder / "states"), hashing=_LANES)
        report = await run_audit(log, chain, deployment, extras=extras)
    finally:
        await log.close()
    return report, time.perf_counter() - started
