"""Step 1: download the log, rebuild its Merkle tree, compare it with every public root."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from adtally.audit.chain_events import Anchored
from adtally.audit.deployment import AuditDeployment
from adtally.audit.history import Happened
from adtally.audit.ports import LogSource, Progress
from adtally.audit.report import Findings
from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import PLAIN_HASHING, Hashing
from adtally.errors import InvalidInput, NotFound, VerificationFailed
from adtally.log.checkpoint import open_checkpoint
from adtally.log.merkle import MerkleTree
from adtally.types import Checkpoint, Hash

ENTRIES_AT_ONCE = 16_384


async def read_checkpoint(
    log: LogSource, deployment: AuditDeployment, findings: Findings
) -> Checkpoint | None:
    """The log's newest checkpoint, or None when it is no honest one."""
    try:
        note = await log.checkpoint_note()
        checkpoint = open_checkpoint(note, [deployment.note_verifier], origin=deployment.log_origin)
    except (InvalidInput, VerificationFailed, NotFound) as error:
        findings.differs(
            "checkpoint", error.message, "signed checkpoint", error.expected, error.found
        )
        return None
    return checkpoint


async def read_entries(
    log: LogSource, size: int, findings: Findings, progress: Progress
) -> AsyncIterator[list[bytes]]:
    """The log's entries from 0 to ``size``; ends early where the server does."""
    at = 0
    while at < size:
        wanted = min(at + ENTRIES_AT_ONCE, size)
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
    """Builds the tree from the entries and compares its roots.

    Args:
        hashing: computes leaf and node hashes many at a time.
    """

    def __init__(self, findings: Findings, hashing: Hashing = PLAIN_HASHING) -> None:
        self._tree = MerkleTree(hashing.parents)
        self._hashing = hashing
        self._findings = findings

    @property
    def size(self) -> int:
        return self._tree.size

    def leaf(self, index: int) -> Hash:
        """Hash of the leaf at ``index``; raises InvalidInput outside the tree."""
        return self._tree.leaf(index)

    def add(self, entries: Sequence[bytes]) -> None:
        """Take in the next entries; fastest as EntryColumns."""
        hashes = EntryColumns.of(entries).leaf_hashes(self._hashing)
        self._tree.append_packed(hashes.tobytes())

    def compare_checkpoint(self, checkpoint: Checkpoint) -> None:
        """The signed checkpoint must be that of the entries served."""
        self._compare("checkpoint", checkpoint, f"signed checkpoint at size {checkpoint.tree_size}")

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

    def root(self) -> bytes:
        """Root hash of everything taken in."""
        return self._tree.root()

    def _compare(self, check: str, checkpoint: Checkpoint, where: str) -> None:
        if checkpoint.tree_size > self._tree.size:
            expected = f"at least {checkpoint.tree_size} entries"
            found = f"{self._tree.size} entries"
            self._findings.differs(
                check, "the log is shorter than was promised", where, expected, found
            )
            return
        root = self._tree.root(checkpoint.tree_size)
        what = f"root hash at tree size {checkpoint.tree_size}"
        self._findings.compare(check, what, where, root, checkpoint.root_hash)
