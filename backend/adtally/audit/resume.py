"""Going on from an earlier audit, and finding a server that has rewritten what it audited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adtally.audit.chain_events import StatementSubmitted
from adtally.audit.log_reader import ENTRIES_AT_ONCE
from adtally.audit.log_tree import CHUNK
from adtally.audit.ports import AuditMemory, ChainSource, LogSource
from adtally.audit.reading import Reading
from adtally.audit.report import Findings
from adtally.audit.state import AuditState
from adtally.errors import AdtallyError, StorageCorrupt
from adtally.rfc9162 import leaf_hash
from adtally.types import Checkpoint


@dataclass(frozen=True, slots=True)
class Kept:
    """What earlier audits left: the newest audited state, and the one to go on from."""

    audited: AuditState | None
    start: AuditState | None


def choose(
    memory: AuditMemory,
    log_name: str,
    checkpoint: Checkpoint | None,
    submitted: Sequence[StatementSubmitted],
    anchored_sizes: Sequence[int],
    findings: Findings,
) -> Kept:
    """The newest state from which everything asked for can be seen."""
    audited: AuditState | None = None
    largest = 0 if checkpoint is None else checkpoint.tree_size
    for size in memory.sizes():
        try:
            state = AuditState.from_bytes(memory.read(size), log_name)
        except StorageCorrupt as error:
            findings.remark(f"the state kept at size {size} is not used: {error}")
            memory.drop(size)
            continue
        if audited is None and state.is_audited:
            audited = state
        if state.size <= largest and state.replay.fits(submitted, anchored_sizes):
            if audited is None:
                audited = _newest_audited(memory, log_name, below=size)
            return Kept(audited, state)
    if audited is not None:
        findings.remark(
            "everything is replayed from the first entry: what is on chain refers to sizes that "
            "no kept state is below"
        )
    return Kept(audited, None)


def _newest_audited(memory: AuditMemory, log_name: str, below: int) -> AuditState | None:
    for size in memory.sizes():
        if size >= below:
            continue
        try:
            state = AuditState.from_bytes(memory.read(size), log_name)
        except StorageCorrupt:
            continue
        if state.is_audited:
            return state
    return None


async def check_chain_position(
    audited: AuditState | None, chain: ChainSource, findings: Findings
) -> None:
    """The block at which the last audit ended is still the chain's."""
    if audited is None or audited.pinned is None:
        return
    block = await chain.block(audited.pinned.number)
    findings.compare(
        "history",
        "a block that was final in the last audit",
        f"block {audited.pinned.number}",
        audited.pinned.hash,
        None if block is None else block.hash,
    )


async def check_history(
    audited: AuditState | None,
    checkpoint: Checkpoint | None,
    reading: Reading,
    served: LogSource,
    findings: Findings,
) -> None:
    """What an earlier audit has seen is still the log.

    Args:
        served: the server itself, without what was kept of it.
    """
    if audited is None or checkpoint is None:
        return
    where = f"signed checkpoint at size {checkpoint.tree_size}"
    if checkpoint.tree_size < audited.size:
        findings.differs(
            "history",
            "a stale checkpoint: an earlier audit was served a longer log",
            where,
            f"at least {audited.size} entries",
            f"{checkpoint.tree_size} entries",
        )
    elif reading.tree.size >= audited.size:
        root = await reading.root(audited.size)
        own = reading.tree.root() if reading.tree.size == checkpoint.tree_size else None
        if root == audited.root and own in (None, checkpoint.root_hash):
            findings.holds("history")
            return
        if root != audited.root:
            what = f"root hash at tree size {audited.size}, audited before"
            findings.differs("history", what, where, audited.root, root)
    await _name_rewritten(min(audited.size, checkpoint.tree_size), reading, served, findings)


async def _name_rewritten(
    size: int, reading: Reading, served: LogSource, findings: Findings
) -> None:
    """Name the first entry below ``size`` that is served otherwise than it was audited."""
    at = 0
    while at < size:
        end = min(at - at % ENTRIES_AT_ONCE + ENTRIES_AT_ONCE, size)
        try:
            now = await served.entries(at, end)
        except AdtallyError as error:
            expected, found = error.expected or "entries audited before", error.found
            findings.differs("history", error.message, f"entry {at}", expected, found)
            return
        for index, entry in enumerate(now[: end - at], at):
            chunk = index // CHUNK
            if not reading.tree.has_chunk(chunk) and not await reading.bring(chunk):
                return
            audited = reading.tree.leaf(index)
            if audited != leaf_hash(entry):
                findings.differs(
                    "history",
                    "the server has rewritten an entry that an earlier audit saw",
                    f"entry {index}",
                    f"leaf hash 0x{audited.hex()}",
                    f"leaf hash 0x{leaf_hash(entry).hex()}",
                )
                return
        if not now:
            return
        at += len(now)
