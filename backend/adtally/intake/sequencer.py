"""The one writer: takes batches and facts in order, judges, makes durable, then answers.

Everything that changes the log passes through one queue and one task. A group of waiting jobs is
judged, written as one frame and synced once (group commit); only then does anybody get an answer.

Room on disk for a whole group is taken before it is judged. Without it batches are refused until
there is some, and all else goes on. If the disk refuses later, the state in memory is ahead of the
log: the sequencer stops for good, and a restart replays the log.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from adtally.errors import (
    AdtallyError,
    Conflict,
    InvariantBroken,
    Overloaded,
    StorageCorrupt,
    StorageFull,
)
from adtally.events.batch import ENVELOPE_KIND, Envelope, SignedBatch
from adtally.events.facts import RULES_KIND, RulesFacts
from adtally.events.record import RECORD_KIND, VERDICT_OFFSET, clear_verdict
from adtally.events.verdict import Verdicts
from adtally.intake.clock import Clock
from adtally.intake.fair_queue import FairQueue
from adtally.intake.group import (
    BatchEntries,
    Commit,
    FactsEntries,
    LoggedBatch,
    LoggedEntries,
    logged_leaf_hashes,
    split_bundle,
)
from adtally.intake.receipts import BatchIndex, BatchResult, ReceiptIssuer
from adtally.intake.snapshot import Snapshot
from adtally.kernel.records import RecordArray
from adtally.kernel.sha256 import packed_parents
from adtally.log.merkle import MerkleTree
from adtally.log.store import LogStore
from adtally.rfc9162 import leaf_hash, tree_root
from adtally.settlement.machine import FactsEntry, LogMachine, batch_envelope
from adtally.types import Checkpoint

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_GROUP_EVENTS = 20_000
MAX_GROUP_BYTES = 4 * 2**20
ROOM_BYTES = 2 * MAX_GROUP_BYTES
"""On disk before a group is judged: what it holds at most, with the job that makes it full."""
_ROOM_RETRY_SECONDS = 1.0


@dataclass(slots=True)
class _Job:
    """Something for the writer to do; ``answer`` is set after the group commit."""

    future: asyncio.Future[Any]
    batch: SignedBatch | None = None
    facts: Callable[[int], Sequence[FactsEntry]] | None = None
    read: Callable[[LogMachine], Any] | None = None
    answer: Callable[[], Any] | None = None


@dataclass(slots=True)
class _Group:
    """Jobs that share one commit, and what they add."""

    commit: Commit
    jobs: list[_Job] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        commit = self.commit
        return commit.count >= MAX_GROUP_EVENTS or commit.bundle_bytes >= MAX_GROUP_BYTES


class Keeper(Protocol):
    """Is told when the state is that of a size of the log, with nothing on its way."""

    def committed(self) -> None:
        """A group is durable and answered."""

    async def stopped(self) -> None:
        """The sequencer has stopped in order: nothing will change any more."""


class Sequencer:
    """Owns the log's state; see the module's docstring.

    Args:
        store: opened segment store; replayed by ``recover``.
        machine: fresh state machine.
        clock: gives received-at.
        receipt_key: private key that signs receipts.
        on_failure: called once when the log can't be written any more.
        tree: empty, or with the leaves of the snapshot that ``recover`` gets; by default one in
            memory.
    """

    def __init__(
        self,
        store: LogStore,
        machine: LogMachine,
        clock: Clock,
        receipt_key: bytes,
        on_failure: Callable[[], None] = lambda: None,
        tree: MerkleTree | None = None,
    ) -> None:
        self.store = store
        self.machine = machine
        self.tree = MerkleTree(packed_parents) if tree is None else tree
        machine.leaves = self.tree
        self.failure: BaseException | None = None
        self.keeper: Keeper | None = None
        self._clock = clock
        self._on_failure = on_failure
        self._batches = BatchIndex()
        self._facts: list[tuple[int, bytes]] = []
        self._issuer = ReceiptIssuer(machine.identity, receipt_key, self.tree)
        self._queue: FairQueue[_Job] = FairQueue()
        self._is_stopping = False
        self._full: str | None = None
        self._room_tried_at = -math.inf
        self._task: asyncio.Task[None] | None = None
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-writer")

    # Life --------------------------------------------------------------------------------------

    def recover(self, snapshot: Snapshot | None = None) -> None:
        """Replay the store into machine, tree and receipts.

        Args:
            snapshot: what the log's first entries come to; the tree has them already. Only the
                rest is replayed.

        Raises:
            VerificationFailed, InvalidInput: the log on disk is not one this code wrote.
            StorageCorrupt: log and tree are not of one piece.
        """
        if snapshot is not None:
            self._facts = list(snapshot.facts)
            self._batches = snapshot.batches
            self.machine.load(snapshot.machine, snapshot.facts)
            self._check_joint()
        for bundle in self.store.payloads(self.tree.size):
            self._replay(list(split_bundle(bundle)))
        self.machine.require_complete()
        if not self.tree.size == self.machine.size == self.store.size:
            raise InvariantBroken(
                f"after recovery tree {self.tree.size}, machine {self.machine.size} and store "
                f"{self.store.size} differ in size"
            )

    def _check_joint(self) -> None:
        """The newest leaf of the tree is the entry that the log has there."""
        last = self.tree.size - 1
        if last >= 0 and leaf_hash(self.store.entry(last)) != self.tree.leaf(last):
            raise StorageCorrupt(
                "the log is not the one that its tree was made from",
                expected=f"leaf hash {self.tree.leaf(last).hex()} at index {last}",
                found=leaf_hash(self.store.entry(last)).hex(),
            )

    def _replay(self, commit: Sequence[LoggedEntries]) -> None:
        index = self.tree.size
        # First: a correction is checked against the leaves before it.
        self.tree.append_packed(logged_leaf_hashes(commit))
        for part in commit:
            if isinstance(part, LoggedBatch):
                self.machine.apply_batch(part.envelope, part.records)
                self._note_entry(part.envelope, index)
            else:
                for offset, entry in enumerate(part.entries):
                    self.machine.apply(entry)
                    self._note_entry(entry, index + offset)
            index += len(part)

    def snapshot(self) -> Snapshot:
        """All that is known now, when nothing is on its way; its arrays go on changing."""
        return Snapshot(
            self.machine.identity,
            self.tree.root(),
            self.machine.dump(),
            self._facts,
            self._batches,
            self.store.point(),
        )

    def start(self) -> None:
        """Begin to take jobs; call from the running event loop."""
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        """Finish what is waiting, then close the store."""
        if self._task is not None:
            self._is_stopping = True
            self._queue.put_own(_Job(asyncio.get_running_loop().create_future()))
            await asyncio.gather(self._task, return_exceptions=True)
        if self.failure is None and self.keeper is not None:
            await self.keeper.stopped()
        self.failure = self.failure or asyncio.CancelledError("the sequencer was stopped")
        self._writer.shutdown()
        self.store.close()

    # What others may ask -----------------------------------------------------------------------

    async def submit(self, batch: SignedBatch) -> BatchResult:
        """Log a batch; returns after its bytes are on disk.

        Raises:
            NotAllowed, Conflict, VerificationFailed, InvalidInput: refused as a whole, nothing of
                it was logged.
            Overloaded: too much is waiting; nothing of it was taken.
            StorageFull: the disk has no room; nothing of it was taken.
        """
        job = self._job()
        job.batch = batch
        self._queue.put(batch.member, len(batch.records), job)
        future = job.future
        # A refusal's traceback holds this frame: nothing in it may lead back to the refusal.
        del job, batch
        try:
            result: BatchResult = await future
        finally:
            del future
        return result

    async def enter_facts(self, make: Callable[[int], Sequence[FactsEntry]]) -> int:
        """Log facts or corrections; ``make`` gets recorded-at (ms) and returns entries, maybe none.

        Returns the tree size after they are durable. Raises what ``make`` or
        ``LogMachine.apply_facts`` raises; nothing was logged then.
        """
        job = self._job()
        job.facts = make
        self._queue.put_own(job)
        size: int = await job.future
        return size

    async def read(self, read: Callable[[LogMachine], T]) -> T:
        """Run ``read`` on the machine at a moment when all it has taken in is durable."""
        job = self._job()
        job.read = read
        self._queue.put_own(job)
        result: T = await job.future
        return result

    @property
    def facts_entries(self) -> Sequence[tuple[int, bytes]]:
        """Everything in the log that is neither envelope nor record: leaf index and bytes, in
        order. It only grows, so a copy of what is there may be read by any thread.
        """
        return self._facts

    def checkpoint(self, tree_size: int | None = None) -> Checkpoint:
        """The checkpoint at a durable size, by default the newest."""
        size = self.tree.size if tree_size is None else tree_size
        return Checkpoint(size, self.tree.root(size))

    def rule_sets(self) -> list[bytes]:
        """The JSON of every rule set in the log, in order; durable ones only."""
        size = self.tree.size
        return [
            RulesFacts.from_entry(entry).rules_json
            for index, entry in self._facts
            if index < size and entry[0] == RULES_KIND
        ]

    # The writer --------------------------------------------------------------------------------

    def _job(self) -> _Job:
        if self.failure is not None:
            raise Overloaded("the log can't be written; the service is stopping")
        return _Job(asyncio.get_running_loop().create_future())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._queue.wait()
            group = _Group(Commit(self.store.size))
            try:
                await self._take_room(loop)
                self._prepare(group)
                if group.commit.count:
                    # A thread of its own: reports may keep all the shared ones busy.
                    writing = loop.run_in_executor(self._writer, self._write, group.commit)
                    self.tree.append_packed(await writing)
            except BaseException as error:
                self._fail(group, error)
                raise
            for job in group.jobs:
                _answer(job)
            if self.keeper is not None and group.commit.count:
                self.keeper.committed()
            if self._is_stopping and self._queue.is_empty:
                return

    async def _take_room(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have room on disk for a group, or note why there is none."""
        if self.store.has_room(ROOM_BYTES):
            self._full = None
        elif self._full is None or loop.time() >= self._room_tried_at + _ROOM_RETRY_SECONDS:
            self._room_tried_at = loop.time()
            try:
                await loop.run_in_executor(self._writer, self.store.take_room, ROOM_BYTES)
                self._full = None
            except StorageFull as error:
                if self._full is None:
                    logger.error("no batch is taken until there is room on disk: %s", error)
                self._full = error.found

    def _prepare(self, group: _Group) -> None:
        """Judge as many waiting jobs as fit one commit."""
        while not group.is_full and (job := self._queue.get()) is not None:
            self._take(job, group)

    def _take(self, job: _Job, group: _Group) -> None:
        if job.future.cancelled():
            return
        try:
            if job.batch is not None:
                self._take_batch(job, job.batch, group)
            elif job.facts is not None:
                self._take_facts(job, job.facts, group)
            elif job.read is not None:
                self._take_read(job, job.read)
        except AdtallyError as error:
            # Its traceback would hold the job, and so the batch, until the garbage collector runs.
            job.future.set_exception(error.with_traceback(None))
        except BaseException:
            # It stops everything; whoever waits for this job is told as well.
            group.jobs.append(job)
            raise
        else:
            group.jobs.append(job)

    def _take_batch(self, job: _Job, batch: SignedBatch, group: _Group) -> None:
        if batch.sequence < self.machine.next_sequence(batch.member):
            # Perhaps in this very group: its receipt can be told only after the commit.
            job.answer = lambda: self._replayed(batch)
            return
        self._require_room()
        received_at_ms = self._received_at_ms()
        # Encoded first: what can't be encoded must not be judged either.
        envelope = batch_envelope(batch, received_at_ms)
        entry, records = envelope.to_entry(), RecordArray.of(batch.records)
        verdicts = self.machine.judge_batch(batch, received_at_ms)
        index = group.commit.add(BatchEntries(entry, records, verdicts))
        self._batches.add_batch(batch.member, index)
        promise, root = self._batches.promise_seconds(index), batch.records_root
        job.answer = lambda: self._issuer.issue(
            envelope, root, verdicts, index, self.store.size, promise, replayed=False
        )

    def _take_facts(
        self, job: _Job, make: Callable[[int], Sequence[FactsEntry]], group: _Group
    ) -> None:
        self._require_room()
        # Encoded first: what can't be encoded must not be applied either.
        made = [(facts, facts.to_entry()) for facts in make(self._received_at_ms())]
        for number, (facts, entry) in enumerate(made):
            try:
                self.machine.apply_facts(facts)
            except AdtallyError as error:
                if number == 0:
                    raise
                raise InvariantBroken(f"facts half entered: {error}") from error
            self._note_entry(entry, group.commit.add(FactsEntries([entry])))
        job.answer = lambda: self.store.size

    def _take_read(self, job: _Job, read: Callable[[LogMachine], Any]) -> None:
        # Evaluated here, where the machine is exactly at the end of the group so far, and
        # answered after the commit, when that much is durable. It changes nothing, so a bug in it
        # is its own affair.
        try:
            result = read(self.machine)
        except Exception as error:
            job.future.set_exception(error)
            return
        job.answer = lambda: result

    def _require_room(self) -> None:
        if self._full is not None:
            raise StorageFull(self._full)

    def _received_at_ms(self) -> int:
        return max(self._clock.now_ms(), self.machine.last_received_at_ms)

    def _note_entry(self, entry: bytes, index: int) -> None:
        if entry[0] == RECORD_KIND:
            return
        if entry[0] == ENVELOPE_KIND:
            self._batches.add_batch(Envelope.from_entry(entry).member, index)
            return
        self._facts.append((index, entry))
        if self.machine.rules is not None and entry[0] == RULES_KIND:
            self._batches.add_promise(index, self.machine.rules.anchor_promise_seconds)

    def _write(self, commit: Commit) -> bytes:
        """Runs in a thread: make durable; returns the leaf hashes."""
        frame, hashes = commit.laid_out()
        self.store.append_frame(frame, commit.count)
        return hashes

    def _replayed(self, batch: SignedBatch) -> BatchResult:
        index = self._batches.first_index(batch.member, batch.sequence)
        envelope = Envelope.from_entry(self.store.entry(index))
        records = self.store.entries(index + 1, index + 1 + envelope.count)
        result = self._issuer.issue(
            envelope,
            tree_root([clear_verdict(record) for record in records]),
            Verdicts(record[VERDICT_OFFSET] for record in records),
            index,
            self.store.commit_end(index),
            self._batches.promise_seconds(index),
            replayed=True,
        )
        if result.receipt.records_root != batch.records_root:
            raise Conflict(
                "another batch was logged under this member and sequence",
                field="sequence",
                expected=f"records with tree root {result.receipt.records_root.hex()}",
                found=batch.records_root.hex(),
                action=f"send new events as sequence {self.machine.next_sequence(batch.member)}",
            )
        return result

    def _fail(self, group: _Group, error: BaseException) -> None:
        self.failure = error
        if not isinstance(error, asyncio.CancelledError):
            logger.critical("the log can't be written, stopping: %s", error)
        waiting = list(group.jobs)
        while (job := self._queue.get()) is not None:
            waiting.append(job)
        for unanswered in waiting:
            if not unanswered.future.done():
                unanswered.future.set_exception(Overloaded("the log can't be written"))
        self._on_failure()


def _answer(job: _Job) -> None:
    if job.future.done() or job.answer is None:
        return
    try:
        job.future.set_result(job.answer())
    except Exception as error:
        # What is logged is logged: an answer that fails is asked for again, and the others of
        # the group get theirs.
        job.future.set_exception(error)
