"""Is everything that was promised on disk, once, where it was promised?

The judge of every run. It reads the raw segment files with a reader of its own, hashes with
hashlib, and gives verdicts with the plain reference machine, signatures verified; the service's
store, tree, kernel and sequencer have no part in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from adtally.errors import AdtallyError
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.record import RECORD_KIND, VERDICT_OFFSET
from adtally.events.verdict import Verdict
from adtally.settlement.machine import LogMachine
from adtally.types import Hash

from .book import BatchName, Book
from .segments import read_commits
from .world import ESCROW_DOMAIN, IDENTITY

_PUBLISHER, _ID = slice(8, 12), slice(20, 36)
_TYPE = 1


@dataclass(frozen=True, slots=True)
class Findings:
    """What a log on disk holds, and what is wrong with it."""

    problems: list[str]
    entries: Sequence[bytes]
    root_hash: Hash
    machine: LogMachine
    frames: int

    @property
    def tree_size(self) -> int:
        return len(self.entries)


class Roots:
    """Root hashes of a growing tree (RFC 9162, 2.1.1) at the sizes that are asked for."""

    def __init__(self, wanted: Iterable[int]) -> None:
        self.found: dict[int, Hash] = {}
        self.size = 0
        self._wanted = set(wanted)
        self._peaks: list[tuple[int, Hash]] = []
        self._note()

    def append(self, entry: bytes) -> None:
        """Add a leaf."""
        width, node = 1, hashlib.sha256(b"\x00" + entry).digest()
        while self._peaks and self._peaks[-1][0] == width:
            node = hashlib.sha256(b"\x01" + self._peaks.pop()[1] + node).digest()
            width *= 2
        self._peaks.append((width, node))
        self.size += 1
        self._note()

    def root(self) -> Hash:
        """Of all leaves so far."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        *others, (_, node) = self._peaks
        for _, left in reversed(others):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node

    def _note(self) -> None:
        if self.size in self._wanted:
            self.found[self.size] = self.root()


def root_of(entries: Sequence[bytes]) -> Hash:
    """Root hash over entries."""
    roots = Roots(())
    for entry in entries:
        roots.append(entry)
    return roots.root()


def examine(log_directory: Path, book: Book) -> Findings:
    """Hold a log on disk against everything that was promised about it."""
    commits = read_commits(log_directory)
    entries = [entry for commit in commits for entry in commit.entries]
    ends = {commit.first_index + len(commit.entries) for commit in commits}
    problems = list(book.problems)
    promises = book.promised.values()
    roots = Roots({each.receipt.tree_size for each in promises} | book.checkpoints.keys())
    for entry in entries:
        roots.append(entry)
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN)
    problems += _replay_problems(machine, entries)
    logged = _logged_batches(entries, problems)
    problems += _promise_problems(book, entries, logged, ends, roots)
    problems += _origin_problems(book, entries, logged)
    problems += _twice(entries)
    for size, root in book.checkpoints.items():
        if roots.found.get(size) != root:
            problems.append(f"the root hash shown at size {size} is not that of the log on disk")
    return Findings(problems, entries, roots.root(), machine, len(commits))


def _replay_problems(machine: LogMachine, entries: Sequence[bytes]) -> list[str]:
    try:
        for entry in entries:
            machine.apply(entry)
        machine.require_complete()
    except AdtallyError as error:
        return [f"the reference refuses the log: {error}"]
    return []


def _logged_batches(
    entries: Sequence[bytes], problems: list[str]
) -> dict[BatchName, tuple[int, Envelope]]:
    """Leaf index and envelope of each batch in the log; one that is there twice is a problem."""
    logged: dict[BatchName, tuple[int, Envelope]] = {}
    for index, entry in enumerate(entries):
        if entry[0] == ENVELOPE_KIND:
            envelope = Envelope.from_entry(entry)
            name = (envelope.member, envelope.sequence)
            if name in logged:
                problems.append(f"batch {name} is in the log twice: {logged[name][0]}, {index}")
            logged[name] = (index, envelope)
    return logged


def _promise_problems(
    book: Book,
    entries: Sequence[bytes],
    logged: dict[BatchName, tuple[int, Envelope]],
    ends: set[int],
    roots: Roots,
) -> list[str]:
    problems = []
    for name, promise in book.promised.items():
        receipt = promise.receipt
        if name not in logged:
            problems.append(f"batch {name} has a receipt and is lost")
            continue
        index, envelope = logged[name]
        if (index, envelope.count) != (receipt.first_index, receipt.count):
            problems.append(
                f"batch {name} stands at {index} with {envelope.count} events, promised was "
                f"{receipt.first_index} with {receipt.count}"
            )
        records = entries[index + 1 : index + 1 + envelope.count]
        if _unjudged_root(records) != receipt.records_root:
            problems.append(f"batch {name} holds other records than were promised")
        verdicts = [Verdict(record[VERDICT_OFFSET]) for record in records]
        if verdicts != list(promise.verdicts):
            problems.append(f"batch {name} holds other verdicts than were answered")
        if receipt.tree_size not in ends or receipt.tree_size <= index + envelope.count:
            problems.append(f"batch {name}: {receipt.tree_size} is not the end of its commit")
        if roots.found.get(receipt.tree_size) != receipt.root_hash:
            problems.append(f"batch {name}: the receipt's root is no prefix of the log")
    return problems


def _origin_problems(
    book: Book, entries: Sequence[bytes], logged: dict[BatchName, tuple[int, Envelope]]
) -> list[str]:
    """The log must hold nothing but what was sent, byte for byte."""
    problems = []
    for name, (index, envelope) in logged.items():
        root = _unjudged_root(entries[index + 1 : index + 1 + envelope.count])
        found = (envelope.count, root, envelope.signature)
        if found not in [tuple(sent) for sent in book.sent.get(name, [])]:
            problems.append(f"batch {name} in the log was never sent so")
    return problems


def _twice(entries: Sequence[bytes]) -> list[str]:
    """An event counts once: publisher, type and id of accepted records are unique."""
    seen: set[tuple[bytes, int, bytes]] = set()
    problems = []
    for index, entry in enumerate(entries):
        if entry[0] == RECORD_KIND and entry[VERDICT_OFFSET] == Verdict.ACCEPTED:
            key = (entry[_PUBLISHER], entry[_TYPE], entry[_ID])
            if key in seen:
                problems.append(f"the event at index {index} is accepted twice")
            seen.add(key)
    return problems


def _unjudged_root(records: Sequence[bytes]) -> Hash:
    """Root over records with the verdict byte zero, as they were signed."""
    return root_of([each[:VERDICT_OFFSET] + b"\0" + each[VERDICT_OFFSET + 1 :] for each in records])
