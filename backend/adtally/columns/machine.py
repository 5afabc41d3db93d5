"""The log as a state machine, replayed in runs of whole batches.

Facts, corrections and envelopes are applied one by one, as ``LogMachine`` does; the records
between two of the first kind are judged together, as many batches at once as fit a run. What is
wrong is named as the reference names it: the same entry, expected and found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from adtally.columns.engine import ColumnEngine, refuse_malformed
from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import PLAIN_HASHING, Hashes, Hashing, tree_roots
from adtally.columns.rows import Numbers, RecordColumns, SignedRows, first_malformed, unjudged_rows
from adtally.errors import AdtallyError
from adtally.events.batch import ENVELOPE_KIND, Envelope, SignedBatch
from adtally.events.record import RECORD_SIZE
from adtally.events.record_columns import RecordRows
from adtally.events.verdict import Verdicts
from adtally.settlement.corrections import Leaves
from adtally.settlement.machine import FactsEntry, LogMachine, MachineDump, OpenBatch
from adtally.types import Hash, LogIdentity
from adtally.verification.fact_state import MemberFacts
from adtally.verification.rule_set import RuleSet

RUN_RECORDS = 1 << 15
"""Records that are judged together: enough to make array expressions cheap, and few enough for
their columns to stay in a core's cache. A batch is never cut, so a run may be one batch longer."""
_ENVELOPE = bytes((ENVELOPE_KIND,))
_NO_ROWS: RecordRows = np.empty((0, RECORD_SIZE), np.uint8)


@dataclass(slots=True)
class _Run:
    """Whole batches that wait to be judged."""

    index: int = 0
    """Leaf index of the first one's envelope."""
    envelopes: list[Envelope] = field(default_factory=list)
    records: int = 0


@dataclass(slots=True)
class _Admitted:
    """Batches of a run that could be sent then, as ``ColumnEngine.trial`` takes them."""

    batches: list[tuple[int, int, MemberFacts]] = field(default_factory=list)
    rules: RuleSet | None = None
    refusal: AdtallyError | None = None
    """Why the one behind them could not."""


class ColumnMachine(LogMachine):
    """Applies entries in log order; ``take`` is the fast way, all else is as in ``LogMachine``.

    After an error nothing more may be applied: booked are then the batches before the one at
    fault.

    Args:
        hashing: computes leaf and node hashes; see ``hashing.checked``.
        run_records: records to judge together.
    """

    def __init__(
        self,
        identity: LogIdentity,
        escrow_domain: Hash,
        *,
        verify_signatures: bool = True,
        leaves: Leaves | None = None,
        hashing: Hashing = PLAIN_HASHING,
        run_records: int = RUN_RECORDS,
    ) -> None:
        super().__init__(
            identity,
            escrow_domain,
            verify_signatures=verify_signatures,
            leaves=leaves,
            engine=lambda facts: ColumnEngine(facts, hashing),
        )
        self._run_records = run_records
        self._run = _Run()
        self._rows = _NO_ROWS
        """Records that are not judged yet: the run's, then those of the open batch."""
        self._open_index = self._missing = 0
        self._facts_entries: list[tuple[int, bytes]] = []

    @property
    def _columns(self) -> ColumnEngine:
        assert isinstance(self._engine, ColumnEngine), "made above"
        return self._engine

    # Replay ------------------------------------------------------------------------------------

    def take(self, entries: EntryColumns) -> None:
        """Apply the next entries; raises as ``LogMachine.apply`` does for the first at fault.

        They may begin and end anywhere, also within a batch; ``size`` is then behind the last.
        """
        first, place = self.size, 0
        rest = entries.rows
        self._rows = np.concatenate((self._rows, rest)) if len(self._rows) else rest
        for other, entry in entries.others:
            self._take_records(first + place, other - place)
            self._take_other(first + other, entry)
            place = other + 1
        self._take_records(first + place, len(entries) - place)
        self._judge_run()
        self._check_open_records()
        # A copy, or all entries of the call would stay in memory with it.
        self._rows = self._rows[: self._open_records()].copy()
        self.size = first + len(entries)

    def apply(self, entry: bytes) -> None:
        """Take in the next logged entry; see ``take``."""
        self.take(EntryColumns.of([entry]))

    def apply_batch(self, envelope: bytes, records: Sequence[bytes]) -> None:
        """Take in an envelope and all of its records at once; raises as ``take``."""
        count = Envelope.from_entry(envelope).count
        if count != len(records):
            super().apply_batch(envelope, records)
        self.take(EntryColumns.of([envelope, *records]))

    def apply_facts(self, facts: FactsEntry) -> None:
        """As ``LogMachine.apply_facts``; keeps the entry for a dump."""
        super().apply_facts(facts)
        self._facts_entries.append((self.size - 1, facts.to_entry()))

    def _take_records(self, index: int, number: int) -> None:
        """The next records stand at ``index``."""
        while number:
            if self._open is None:
                self._judge_run()
                self._apply_alone(index, self._rows[0].tobytes())
            part = min(number, self._missing)
            self._missing -= part
            index += part
            number -= part
            if not self._missing:
                self._close_batch()

    def _close_batch(self) -> None:
        assert self._open is not None, "its last record was read"
        if not self._run.envelopes:
            self._run.index = self._open_index
        self._run.envelopes.append(self._open.envelope)
        self._run.records += self._open.envelope.count
        self._open = None
        if self._run.records >= self._run_records:
            self._judge_run()

    def _take_other(self, index: int, entry: bytes) -> None:
        if self._open is not None:
            # A record is missing here. What comes before it is at fault first.
            self._judge_run()
            self._check_open_records()
            self._apply_alone(index, entry)
        elif entry[:1] == _ENVELOPE and (envelope := self._envelope(entry)) is not None:
            self._open = OpenBatch(envelope, [])
            self._open_index, self._missing = index, envelope.count
        else:
            self._judge_run()
            self._apply_alone(index, entry)

    def _envelope(self, entry: bytes) -> Envelope | None:
        """The envelope, unless something is wrong with it."""
        waiting = self._run.envelopes
        newest_ms = waiting[-1].received_at_ms if waiting else self.last_received_at_ms
        try:
            envelope = Envelope.from_entry(entry)
        except AdtallyError:
            return None
        return envelope if envelope.received_at_ms >= newest_ms else None

    def _apply_alone(self, index: int, entry: bytes) -> None:
        """Facts, or an entry that can't stand here: the reference says why."""
        self.size = index
        super().apply(entry)

    def _open_records(self) -> int:
        return 0 if self._open is None else self._open.envelope.count - self._missing

    def _check_open_records(self) -> None:
        number = self._open_records()
        malformed = first_malformed(RecordColumns(self._rows[:number]))
        if malformed < number:
            self._refuse_record(self._open_index + 1 + malformed, self._rows[malformed])

    # Runs --------------------------------------------------------------------------------------

    def _judge_run(self) -> None:
        """Judge the batches that wait; the first at fault is named, those before it are booked."""
        run, self._run = self._run, _Run()
        if not run.envelopes:
            return
        rows, self._rows = self._rows[: run.records], self._rows[run.records :]
        counts = np.array([envelope.count for envelope in run.envelopes], np.int64)
        ends = np.cumsum(counts)
        columns = RecordColumns(rows)
        malformed = first_malformed(columns)
        sound = run.envelopes[: int(np.searchsorted(ends, malformed, side="right"))]
        hashing = self._columns.hashing
        leaves = hashing.leaves(unjudged_rows(rows))
        roots = tree_roots(leaves, counts, hashing)
        admitted = self._admit_all(sound, rows, leaves, roots)
        number = len(admitted.batches)
        if admitted.rules is not None:
            self._judge(run, columns, leaves, ends, admitted)
        if admitted.refusal is not None:
            self.size = int(run.index + ends[number] + number)
            raise self._placed(admitted.refusal)
        if malformed < len(rows):
            self._refuse_record(run.index + malformed + number + 1, rows[malformed])
        self.size = run.index + run.records + number

    def _admit_all(
        self, envelopes: Sequence[Envelope], rows: RecordRows, leaves: Hashes, roots: Hashes
    ) -> _Admitted:
        """Check who sent the batches, in order, up to the first that may not stand there."""
        admitted, at = _Admitted(), 0
        for envelope, root in zip(envelopes, roots, strict=False):
            end = at + envelope.count
            batch = SignedBatch(
                self.identity.chain_id,
                envelope.member,
                envelope.sequence,
                envelope.signer,
                envelope.signature,
                SignedRows(rows[at:end], leaves[at:end], root.tobytes()),
            )
            try:
                sender, admitted.rules = self._admit(batch, envelope.received_at_ms)
            except AdtallyError as error:
                admitted.refusal = error
                break
            admitted.batches.append((envelope.count, envelope.received_at_ms, sender))
            self._next_sequence[envelope.member] = envelope.sequence + 1
            at = end
        return admitted

    def _judge(
        self,
        run: _Run,
        columns: RecordColumns,
        leaves: Hashes,
        ends: Numbers,
        admitted: _Admitted,
    ) -> None:
        """Check the verdicts of admitted batches and book those before the first wrong one."""
        assert admitted.rules is not None, "there is an admitted batch"
        number = len(admitted.batches)
        end = int(ends[number - 1])
        columns = columns.first(end)
        trial = self._columns.trial(columns, leaves[:end], admitted.batches, admitted.rules)
        logged = columns.verdict
        expected = trial.expected(logged)
        wrong = np.flatnonzero(expected != logged)
        if not len(wrong):
            trial.book(logged)
            self.last_received_at_ms = run.envelopes[number - 1].received_at_ms
            return
        at = int(np.searchsorted(ends, wrong[0], side="right"))
        begin, end = int(ends[at] - run.envelopes[at].count), int(ends[at])
        trial.book(logged[:begin])
        for envelope in reversed(run.envelopes[at:number]):
            self._next_sequence[envelope.member] = envelope.sequence
        if at:
            self.last_received_at_ms = run.envelopes[at - 1].received_at_ms
        self.size = run.index + end + at
        try:
            self._refuse_verdicts(
                self.size - run.envelopes[at].count + 1,
                Verdicts(expected[begin:end].tobytes()),
                Verdicts(logged[begin:end].tobytes()),
            )
        except AdtallyError as error:
            raise self._placed(error) from None

    def _refuse_record(self, index: int, row: RecordRows) -> None:
        self.size = index
        try:
            refuse_malformed(row)
        except AdtallyError as error:
            raise self._placed(error) from None

    def _placed(self, error: AdtallyError) -> AdtallyError:
        error.message = f"entry {self.size}: {error.message}"
        return error

    # Putting aside -----------------------------------------------------------------------------

    @property
    def facts_entries(self) -> Sequence[tuple[int, bytes]]:
        """Leaf index and bytes of all entries so far that are neither envelope nor record."""
        return self._facts_entries

    def load(self, dump: MachineDump, entries: Iterable[tuple[int, bytes]]) -> None:
        """As ``LogMachine.load``."""
        self._facts_entries = list(entries)
        super().load(dump, self._facts_entries)
