"""One pass over the log: its entries go into the tree, the facts and the replay, in step."""

from __future__ import annotations

from collections.abc import Sequence

from adtally.audit.facts_check import FactsCollector
from adtally.audit.log_reader import read_entries
from adtally.audit.log_tree import CHUNK, LogTree
from adtally.audit.ports import LogSource, Progress
from adtally.audit.replay import Replay
from adtally.audit.report import Findings
from adtally.audit.state import AuditState
from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import PLAIN_HASHING, Hashing
from adtally.errors import InvalidInput, NotFound, VerificationFailed
from adtally.events.batch import ENVELOPE_KIND
from adtally.events.correction import CORRECTION_KIND, Correction
from adtally.types import BlockStamp, Hash
from adtally.verification.facts_lag import JudgedTrace

STATE_EVERY = 4 * 1024 * 1024
"""Entries after which a long audit writes down where it is."""

_ENVELOPE = bytes((ENVELOPE_KIND,))
_CORRECTION = bytes((CORRECTION_KIND,))


class Reading:
    """Takes in a log's entries, from the first one or from where another audit ended.

    Args:
        log_name: what states are filed under.
        tree: of the log; the replay looks up leaves in it.
        hashing: computes leaf hashes many at a time.
    """

    def __init__(
        self,
        log: LogSource,
        log_name: str,
        tree: LogTree,
        replay: Replay,
        findings: Findings,
        hashing: Hashing = PLAIN_HASHING,
    ) -> None:
        self._hashing = hashing
        self._log = log
        self._log_name = log_name
        self._findings = findings
        self.tree = tree
        self.replay = replay
        self.facts = FactsCollector()
        self.trace = JudgedTrace()
        self.plain: list[tuple[int, bytes]] = []
        """Every entry that is neither envelope nor record, with its leaf index."""

    def resume(self, state: AuditState) -> None:
        """Go on from a state; raises AdtallyError when it is not one of this log."""
        self.replay.resume(state.replay, state.facts)
        self.tree.load(state.chunk_roots, state.open_leaves, dict(state.roots))
        self.facts.add(state.facts)
        self.trace.load(state.judged, state.facts)
        self.plain = list(state.facts)
        self._findings.holds("entries", state.size)

    async def read(self, size: int, progress: Progress) -> None:
        """Take in everything up to ``size``, or as far as the source goes."""
        async for entries in read_entries(
            self._log, self.tree.size, size, self._findings, progress
        ):
            await self._take(entries)

    async def _take(self, read: Sequence[bytes]) -> None:
        start = self.tree.size
        entries = EntryColumns.of(read)
        others = [(start + place, each) for place, each in entries.others]
        self.tree.append_packed(entries.leaf_hashes(self._hashing).tobytes())
        self.facts.add(others)
        self.trace.add(others)
        self.plain += [each for each in others if each[1][:1] != _ENVELOPE]
        done = 0
        for index, entry in others:
            # A correction is checked against an older leaf, which may be in no memory.
            chunk = _corrected_chunk(entry)
            if chunk is not None and not self.tree.has_chunk(chunk):
                self.replay.feed(entries[done : index - start])
                done = index - start
                await self.bring(chunk)
        self.replay.feed(entries[done:] if done else entries)

    async def bring(self, chunk: int) -> bool:
        """Have an older chunk's leaves at hand; False, with a discrepancy, where it can't be."""
        if self.tree.has_chunk(chunk):
            return True
        entries = EntryColumns.of(await self.older(chunk * CHUNK, (chunk + 1) * CHUNK))
        if self.tree.bring(chunk, entries.leaf_hashes(self._hashing).tobytes()):
            return True
        self._findings.differs(
            "history",
            "entries are not those that were read before",
            f"entries {chunk * CHUNK} to {(chunk + 1) * CHUNK - 1}",
            f"subtree root {self.tree.chunk_roots[chunk].hex()}",
            "another one",
        )
        return False

    async def older(self, start: int, end: int) -> list[bytes]:
        """Entries that were taken in before; fewer where the source does not go so far."""
        found: list[bytes] = []
        while start + len(found) < end:
            try:
                more = await self._log.entries(start + len(found), end)
            except (InvalidInput, NotFound, VerificationFailed):
                break
            if not more:
                break
            found += more
        return found[: end - start]

    async def root(self, size: int) -> Hash | None:
        """Root at any size that was read; None, with a discrepancy, where it can't be told."""
        if size not in self.tree.roots and size % CHUNK and not await self.bring(size // CHUNK):
            return None
        return self.tree.root(size)

    def state(self, note: bytes, pinned: BlockStamp | None) -> AuditState | None:
        """Where the audit is; None where no other could go on from here."""
        replay = self.replay.state()
        if replay is None or replay.machine.size != self.tree.size:
            return None
        return AuditState(
            log=self._log_name,
            root=self.tree.root(),
            note=note,
            pinned=pinned,
            chunk_roots=tuple(self.tree.chunk_roots),
            open_leaves=self.tree.open_leaves,
            roots=dict(self.tree.roots),
            facts=tuple(self.plain),
            judged=tuple(self.trace.stretches),
            replay=replay,
        )


def _corrected_chunk(entry: bytes) -> int | None:
    if entry[:1] != _CORRECTION:
        return None
    try:
        return Correction.from_entry(entry).index // CHUNK
    except InvalidInput:
        return None
