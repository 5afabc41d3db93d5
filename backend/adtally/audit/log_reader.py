"""Step 1: download the log and compare its tree with every public root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from adtally.audit.chain_events import Anchored
from adtally.audit.deployment import AuditDeployment
from adtally.audit.history import Happened
from adtally.audit.log_tree import CHUNK, LogTree
from adtally.audit.ports import LogSource, Progress
from adtally.audit.report import Findings
from adtally.errors import InvalidInput, NotFound, VerificationFailed
from adtally.log.checkpoint import open_checkpoint
from adtally.types import Checkpoint

ENTRIES_AT_ONCE = CHUNK


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and the note that it came in."""

    checkpoint: Checkpoint
    note: bytes


async def read_checkpoint(
    log: LogSource, deployment: AuditDeployment, findings: Findings
) -> SignedCheckpoint | None:
    """The log's newest checkpoint, or None when it is no honest one."""
    try:
        note = await log.checkpoint_note()
        checkpoint = open_checkpoint(note, [deployment.note_verifier], origin=deployment.log_origin)
    except (InvalidInput, VerificationFailed, NotFound) as error:
        findings.differs(
            "checkpoint", error.message, "signed checkpoint", error.expected, error.found
        )
        return None
    return SignedCheckpoint(checkpoint, note)


async def read_entries(
    log: LogSource, start: int, size: int, findings: Findings, progress: Progress
) -> AsyncIterator[Sequence[bytes]]:
    """The log's entries from ``start`` to ``size``; ends early where the server does."""
    at = start
    while at < size:
        # Up to the end of a bulk file, so that a source never has to join two.
        wanted = min(at - at % ENTRIES_AT_ONCE + ENTRIES_AT_ONCE, size)
        try:
            entries = await log.entries(at, wanted)
        except (InvalidInput, VerificationFailed, NotFound) as error:
            findings.differs("entries", error.message, f"entry {at}", error.expected, error.found)
            return
        if not 1 <= len(entries) <= wanted - at:
            expected = f"1 to {wanted - at} entries"
            where = f"entry {at}"
            findings.differs(
                "entries",
                "the answer is not what was asked for",
                where,
                expected,
                f"{len(entries)} entries",
            )
            return
        findings.holds("entries", len(entries))
        yield entries
        at += len(entries)
        progress("log", at, size)


class RootCheck:
    """Compares roots of the entries read with what was signed and anchored."""

    def __init__(self, tree: LogTree, findings: Findings) -> None:
        self._tree = tree
        self._findings = findings

    def compare_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """The signed checkpoint must be that of the entries served."""
        where = f"signed checkpoint at size {checkpoint.tree_size}"
        return self._compare("checkpoint", checkpoint, where)

    def compare_anchors(self, anchors: Sequence[Happened]) -> None:
        """Every anchor on chain must be a root of these entries; sizes and numbers must grow."""
        size = number = 0
        for each in anchors:
            assert isinstance(each.event, Anchored)
            anchor = each.event
            where = f"anchor {anchor.number}, {each.where}"
            self._findings.compare("anchors", "anchor number", where, number + 1, anchor.number)
            if anchor.tree_size <= size:
                expected = f"more than {size}"
                found = anchor.tree_size
                self._findings.differs("anchors", "anchored size", where, expected, found)
            self._compare("anchors", Checkpoint(anchor.tree_size, anchor.root_hash), where)
            size, number = anchor.tree_size, anchor.number

    def _compare(self, check: str, checkpoint: Checkpoint, where: str) -> bool:
        if checkpoint.tree_size > self._tree.size:
            expected = f"at least {checkpoint.tree_size} entries"
            found = f"{self._tree.size} entries"
            self._findings.differs(
                check, "the log is shorter than was promised", where, expected, found
            )
            return False
        root = self._tree.root(checkpoint.tree_size)
        what = f"root hash at tree size {checkpoint.tree_size}"
        return self._findings.compare(check, what, where, root, checkpoint.root_hash)
