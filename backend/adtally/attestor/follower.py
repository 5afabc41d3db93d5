"""Follows the log: every piece is proven under a signed checkpoint, judged, and only then stored.

A piece that is wrong changes nothing: it was applied by a fork of the machine, and neither entries
nor tree have seen it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from adtally.attestation.judgement import compare_root, whole_entries
from adtally.attestor.facts_desk import FactsDesk
from adtally.attestor.ladder import MachineLadder, older_leaves
from adtally.attestor.log_copy import PIECE_ENTRIES, LogCopy
from adtally.attestor.sources import LogSource
from adtally.chain.files import write_atomically
from adtally.errors import Conflict, VerificationFailed
from adtally.events.facts import RULES_KIND, RulesFacts
from adtally.log.bundle import encode_bundle
from adtally.log.checkpoint import NoteVerifier, open_checkpoint
from adtally.log.proof import verify_consistency
from adtally.types import Checkpoint

logger = logging.getLogger(__name__)

MAX_PIECE_ENTRIES = 4 * PIECE_ENTRIES
"""More than the longest batch, or range of facts, that the format allows in one commit."""


class LogFollower:
    """Keeps a copy of the log and a machine in step with what the operator signs.

    Args:
        folder: gets the newest note, and both notes when the operator has signed two logs.
        verifier: the log's checkpoint key.
    """

    def __init__(
        self,
        copy: LogCopy,
        ladder: MachineLadder,
        facts: FactsDesk,
        folder: Path,
        verifier: NoteVerifier,
        origin: str,
    ) -> None:
        self.copy = copy
        self.ladder = ladder
        self.facts = facts
        self._folder = folder
        self._verifier = verifier
        self._origin = origin

    @property
    def note(self) -> bytes | None:
        """The operator's newest note of which every entry is verified and stored."""
        path = self._folder / "checkpoint"
        return path.read_bytes() if path.exists() else None

    async def read_tip(self, source: LogSource) -> tuple[bytes, Checkpoint]:
        """The source's newest checkpoint, signed by the log's key and no fork of what is stored.

        Raises:
            SourceFailed: it gives none.
            VerificationFailed, InvalidInput: it is not signed by the log's key.
            Conflict: the operator has signed another log; both notes are kept as evidence.
        """
        note = await source.checkpoint_note()
        tip = open_checkpoint(note, [self._verifier], origin=self._origin)
        if 0 < tip.tree_size <= self.copy.size:
            own = self.copy.checkpoint(tip.tree_size)
            if own != tip:
                raise self._fork(note, own, tip)
        return note, tip

    async def follow(self, source: LogSource, note: bytes, tip: Checkpoint) -> None:
        """Verify and store everything that a checkpoint covers, which ``read_tip`` gave."""
        await self.advance(source, tip.tree_size, tip, note)

    async def advance(self, source: LogSource, target: int, tip: Checkpoint, note: bytes) -> None:
        """Verify and store up to ``target`` entries, which ``tip`` covers.

        Raises:
            SourceFailed, ChainUnavailable: it can't go on now.
            AdtallyError: the next entries are wrong; what was stored before them stands.
        """
        while self.copy.size < target:
            await self._take_piece(source, target, tip, note)
        # At once: should the operator vanish now, nobody could sign another note for this size.
        if self.copy.size == tip.tree_size and note != self.note:
            write_atomically(self._folder / "checkpoint", note)

    async def _take_piece(
        self, source: LogSource, target: int, tip: Checkpoint, note: bytes
    ) -> None:
        start, count = self.copy.size, PIECE_ENTRIES
        while True:
            end = min(start + count, target)
            entries = await source.entries(start, end)
            whole = whole_entries(entries)
            if whole > 0:
                break
            if end == target or count >= MAX_PIECE_ENTRIES:
                raise VerificationFailed(
                    f"the log is cut inside a batch or a range of facts at size {end}",
                    field="tree_size",
                    expected="the end of a group commit",
                    found=str(end),
                )
            count *= 2
        await self._verify_and_store(source, entries[:whole], tip, note)

    async def _verify_and_store(
        self, source: LogSource, entries: list[bytes], tip: Checkpoint, note: bytes
    ) -> None:
        head = self.ladder.head
        assert head.summary is not None
        machine = await head.fork()
        try:
            await self.facts.check(entries, head.summary)
            older = older_leaves(self.copy, entries, head.size)
            summary = await machine.apply(encode_bundle(entries), older)
            reached = Checkpoint(summary.size, summary.root)
            await self._require_under(source, reached, tip, note)
            await asyncio.to_thread(self.copy.append, entries)
        except BaseException:
            machine.close()
            raise
        assert self.copy.checkpoint() == reached, "tree and machine hash the same entries"
        await self.ladder.push(machine)
        self._publish_rules(entries)

    async def _require_under(
        self, source: LogSource, reached: Checkpoint, tip: Checkpoint, note: bytes
    ) -> None:
        """What was reached must be a beginning of what the operator has signed."""
        if reached.tree_size == tip.tree_size:
            if self.copy.size and reached.root_hash != tip.root_hash:
                await self._require_honest_beginning(source, tip, note)
            compare_root(reached.root_hash, tip)
            return
        proof = await source.consistency_proof(reached.tree_size, tip.tree_size)
        verify_consistency(
            reached.tree_size, tip.tree_size, reached.root_hash, tip.root_hash, proof
        )

    async def _require_honest_beginning(
        self, source: LogSource, tip: Checkpoint, note: bytes
    ) -> None:
        """Tell a forked log, whose beginning is not ours, from wrong entries."""
        own = self.copy.checkpoint()
        proof = await source.consistency_proof(own.tree_size, tip.tree_size)
        try:
            verify_consistency(own.tree_size, tip.tree_size, own.root_hash, tip.root_hash, proof)
        except VerificationFailed:
            raise self._fork(note, own, tip) from None

    def _fork(self, note: bytes, own: Checkpoint, tip: Checkpoint) -> Conflict:
        evidence = self._folder / "forks"
        evidence.mkdir(exist_ok=True)
        write_atomically(evidence / f"{tip.tree_size}-{tip.root_hash.hex()[:16]}", note)
        if self.note is not None:
            write_atomically(evidence / f"ours-at-{tip.tree_size}", self.note)
        return Conflict(
            "the operator has signed two logs that can't be one",
            field="checkpoint",
            expected=f"an extension of size {own.tree_size}, root {own.root_hash.hex()}",
            found=f"size {tip.tree_size}, root {tip.root_hash.hex()}",
            action=f"both notes are kept in {evidence}: show them to the other members",
        )

    def _publish_rules(self, entries: Sequence[bytes]) -> None:
        for entry in entries:
            if entry[:1] == bytes((RULES_KIND,)):
                rules = RulesFacts.from_entry(entry).rules_json
                keep_rules(self._folder / "rules", rules)


def keep_rules(folder: Path, rules_json: bytes) -> None:
    """A rule set under its SHA-256, as it stands in the log."""
    path = folder / f"{hashlib.sha256(rules_json).hexdigest()}.json"
    if not path.exists():
        write_atomically(path, rules_json)
