"""The judge of ``make faults`` judged: it must find every way in which a promise can be broken."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

# scripts/ is no package that is installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from scripts.faults import disk, steps, table
from scripts.faults.book import Book
from scripts.faults.disk import Fault, FaultyFiles, kinds_for
from scripts.faults.oracle import Roots, examine, root_of
from scripts.faults.platter import SECTOR, Platter
from scripts.faults.segments import read_commits
from scripts.faults.traffic import Publisher
from scripts.faults.wire import Answer
from scripts.faults.world import (
    ESCROW_DOMAIN,
    IDENTITY,
    LOG_DOMAIN,
    NOW_MS,
    RECEIPT_KEY,
    world_facts,
)

from adtally.api.schemas import ReceiptOut
from adtally.events.batch import SignedBatch
from adtally.events.eip712 import Receipt, receipt_digest
from adtally.events.record import VERDICT_OFFSET
from adtally.events.signature import sign
from adtally.events.verdict import Verdict
from adtally.log.files import FileLayer
from adtally.log.store import LogStore
from adtally.rfc9162 import tree_root
from adtally.settlement.machine import LogMachine, batch_entries

Commits = list[list[bytes]]


class Log:
    """A small log of two publishers: commits as they would be written, and the promises."""

    def __init__(self) -> None:
        self.book = Book()
        self.commits: Commits = []
        self.batches: list[SignedBatch] = []
        machine = LogMachine(IDENTITY, ESCROW_DOMAIN)
        facts = world_facts(2)
        for each in facts:
            machine.apply_facts(each)
        self.commits.append([each.to_entry() for each in facts])
        publishers = [Publisher(10), Publisher(11)]
        for at in range(6):
            batch = publishers[at % 2].batch(3 + at)
            verdicts = machine.judge_batch(batch, NOW_MS)
            self.commits.append(batch_entries(batch, NOW_MS, verdicts))
            self.batches.append(batch)
            self.book.sending(batch)
            assert self.book.answered(batch, self.answer(batch, verdicts))

    @property
    def entries(self) -> list[bytes]:
        return [entry for commit in self.commits for entry in commit]

    def answer(self, batch: SignedBatch, verdicts: Iterable[Verdict], **changes: object) -> Answer:
        """A receipt for the batch that was committed last; ``changes`` make it a wrong one."""
        size = len(self.entries)
        receipt = Receipt(
            batch.member,
            batch.sequence,
            batch.records_root,
            size - len(batch.records) - 1,
            len(batch.records),
            size,
            tree_root(self.entries),
            1,
        )
        receipt = replace(receipt, **changes)  # type: ignore[arg-type]
        signature = sign(receipt_digest(LOG_DOMAIN, receipt), RECEIPT_KEY)
        document = {
            "receipt": ReceiptOut.of(receipt, signature).model_dump(),
            "verdicts": [verdict.label for verdict in verdicts],
            "replayed": False,
        }
        return Answer(200, json.dumps(document).encode(), None)

    def problems(self, directory: Path) -> str:
        """What the oracle finds in a log of these commits."""
        shutil.rmtree(directory, ignore_errors=True)
        with LogStore.open(directory, segment_bytes=2048) as store:
            for commit in self.commits:
                store.append(commit)
        return "\n".join(examine(directory, self.book).problems)


@pytest.fixture
def log() -> Log:
    return Log()


def changed(entry: bytes, at: int, value: int) -> bytes:
    return entry[:at] + bytes([value]) + entry[at + 1 :]


# ---------------------------------------------------------------- the oracle


def test_oracle__honest_log__finds_nothing(log: Log, tmp_path: Path) -> None:
    assert log.problems(tmp_path) == ""
    findings = examine(tmp_path, log.book)
    assert (findings.tree_size, findings.root_hash) == (len(log.entries), tree_root(log.entries))
    assert findings.frames == len(log.commits)
    assert len(list(tmp_path.glob("segment-*.log"))) > 2


def lose_the_last(log: Log) -> None:
    log.commits.pop()


def lose_one_event(log: Log) -> None:
    log.commits[-1].pop()


def log_one_twice(log: Log) -> None:
    log.commits.append(log.commits[-1])


def swap_two(log: Log) -> None:
    log.commits[-1], log.commits[-2] = log.commits[-2], log.commits[-1]


def join_two_commits(log: Log) -> None:
    log.commits[-2:] = [log.commits[-2] + log.commits[-1]]


def change_a_verdict(log: Log) -> None:
    log.commits[2][1] = changed(log.commits[2][1], VERDICT_OFFSET, Verdict.TOO_OLD)


def change_an_event(log: Log) -> None:
    log.commits[2][1] = changed(log.commits[2][1], 100, 0xEE)


def change_a_fact(log: Log) -> None:
    log.commits[0][-1] = log.commits[0][-2]


def log_what_nobody_sent(log: Log) -> None:
    del log.book.sent[(10, 1)]


def accept_an_event_twice(log: Log) -> None:
    log.commits[3][1] = changed(log.commits[1][1], VERDICT_OFFSET, Verdict.ACCEPTED)


@pytest.mark.parametrize(
    ("break_it", "found"),
    [
        (lose_the_last, "batch (11, 3) has a receipt and is lost"),
        (lose_one_event, "holds other records than were promised"),
        (log_one_twice, "batch (11, 3) is in the log twice"),
        (swap_two, "promised was"),
        (join_two_commits, "is not the end of its commit"),
        (change_a_verdict, "batch (11, 1) holds other verdicts than were answered"),
        (change_a_verdict, "the reference refuses the log"),
        (change_an_event, "batch (11, 1) holds other records than were promised"),
        (change_a_fact, "the receipt's root is no prefix of the log"),
        (log_what_nobody_sent, "batch (10, 1) in the log was never sent so"),
        (accept_an_event_twice, "is accepted twice"),
    ],
)
def test_oracle__broken_promise__is_found(
    log: Log, tmp_path: Path, break_it: Callable[[Log], None], found: str
) -> None:
    break_it(log)
    assert found in log.problems(tmp_path)


def test_oracle__checkpoint_of_another_log__is_found(log: Log, tmp_path: Path) -> None:
    log.book.seen(5, tree_root(log.entries[:5]))
    assert log.problems(tmp_path) == ""
    log.book.seen(6, tree_root(log.entries[:7]))
    assert log.problems(tmp_path) == "the root hash shown at size 6 is not that of the log on disk"


@pytest.mark.parametrize("size", [*range(9), 31, 32, 33, 100])
def test_roots__every_size__are_rfc_9162_s(size: int) -> None:
    leaves = [bytes([at, 1]) for at in range(size)]
    assert root_of(leaves) == tree_root(leaves)
    roots = Roots(range(size + 1))
    for leaf in leaves:
        roots.append(leaf)
    assert roots.found == {at: tree_root(leaves[:at]) for at in range(size + 1)}


def test_read_commits__torn_or_damaged__stops_before_it(log: Log, tmp_path: Path) -> None:
    log.problems(tmp_path)
    commits = read_commits(tmp_path)
    assert [commit.entries for commit in commits] == log.commits
    last = commits[-1]
    data = bytearray(last.path.read_bytes())
    for at in (last.offset, last.offset + 20, last.end - 60, last.end - 1):
        last.path.write_bytes(changed(data, at, data[at] ^ 1))
        assert read_commits(tmp_path) == commits[:-1]
    missing = commits[3].path
    missing.unlink()
    assert all(commit.path < missing for commit in read_commits(tmp_path))


# ---------------------------------------------------------------- the book


def test_book__second_answer_differs__is_a_problem(log: Log) -> None:
    batch, book = log.batches[-1], log.book
    verdicts = book.promised[(batch.member, batch.sequence)].verdicts
    book.answered(batch, log.answer(batch, verdicts, tree_size=len(log.entries) + 1))
    assert "logged anew twice" in book.problems[0]
    assert "two receipts" in book.problems[1]
    book.answered(batch, log.answer(batch, [Verdict.DUPLICATE] * len(verdicts)))
    assert "other verdicts the second time" in book.problems[-1]


def test_book__receipt_for_other_records_or_by_another_key__is_a_problem(log: Log) -> None:
    batch = log.batches[-1]
    verdicts = [Verdict.ACCEPTED] * len(batch.records)
    for change in ({"records_root": bytes(32)}, {"count": 1}, {"sequence": 9}):
        book = Book()
        assert not book.answered(batch, log.answer(batch, verdicts, **change))
        assert len(book.problems) == 1
    forged = log.answer(batch, verdicts).body.replace(b'"signature": "0x', b'"signature": "0x11')
    assert not log.book.answered(batch, Answer(200, forged, None))
    assert log.book.problems


def test_book__no_answer_or_503__promises_nothing(log: Log) -> None:
    book, batch = Book(), log.batches[0]
    assert not book.answered(batch, None)
    assert not book.answered(batch, Answer(503, b"{}", "1"))
    assert (book.problems, book.promised) == ([], {})
    assert not book.answered(batch, Answer(409, b"{}", None))
    assert "refused with 409" in book.problems[0]


# ---------------------------------------------------------------- the disk


def test_disk__every_call_of_the_file_layer__is_a_step_or_a_read() -> None:
    calls = {name for name in vars(FileLayer) if not name.startswith("_")}
    assert calls == disk.WRITE_STEPS | disk.READS
    assert not disk.WRITE_STEPS & disk.READS
    assert {name for name in vars(FaultyFiles) if name in disk.WRITE_STEPS} == disk.WRITE_STEPS


def test_disk__traced_run__names_every_step(tmp_path: Path) -> None:
    files = FaultyFiles(None, tmp_path / "platter", tmp_path / "trace")
    with LogStore.open(tmp_path / "log", files=files, segment_bytes=2048) as store:
        store.append([b"entry"])
    names = (tmp_path / "trace").read_text().split()
    assert names == files.steps
    assert names == [
        "make_directory", "sync_directory", "lock", "open", "sync_directory", "preallocate",
        "fsync", "pwrite", "fdatasync",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [*disk.ERRORS, "short_write_then_enospc"])
def test_disk__error__happens_once_at_its_step(tmp_path: Path, kind: str) -> None:
    files = FaultyFiles(Fault(1, kind), tmp_path / "platter")
    descriptor = files.open(tmp_path / "file", create=True)
    if kind == "short_write_then_enospc":
        assert 0 < files.pwrite(descriptor, b"x" * 100, 0) < 100
        with pytest.raises(OSError, match="injected"):
            files.pwrite(descriptor, b"x", 50)
    else:
        with pytest.raises(OSError, match="injected"):
            files.pwrite(descriptor, b"x" * 100, 0)
        assert (tmp_path / "file").stat().st_size == (100 if kind == "eio_after_effect" else 0)
    assert files.pwrite(descriptor, b"x" * 100, 0) == 100
    files.close(descriptor)


def test_platter__power_lost__only_unsynced_sectors_and_names_may_go(tmp_path: Path) -> None:
    kept, lost, gone = 0, 0, 0
    for seed in range(60):
        directory = tmp_path / str(seed)
        directory.mkdir()
        platter = Platter(directory / "image")
        synced, named = directory / "synced", directory / "named"
        synced.write_bytes(b"a" * 4 * SECTOR)
        platter.opened(synced, created=True)
        platter.synced(synced)
        platter.names_synced()
        named.write_bytes(b"b" * 3 * SECTOR)
        platter.opened(named, created=True)
        synced.write_bytes(b"a" * SECTOR + b"c" * 3 * SECTOR)
        platter.lose_power(random.Random(seed))
        data = synced.read_bytes()
        assert (len(data), data[:SECTOR]) == (4 * SECTOR, b"a" * SECTOR)
        kept += data.count(b"c" * SECTOR)
        lost += data[SECTOR:].count(b"a" * SECTOR)
        gone += not named.exists()
    assert min(kept, lost) > 20
    assert 10 < gone < 50


def test_platter__killed_before_the_sync__next_process_knows_it_is_not_on_disk(
    tmp_path: Path,
) -> None:
    file, image = tmp_path / "file", tmp_path / "image"
    file.write_bytes(b"a" * SECTOR)
    platter = Platter(image)
    platter.opened(file, created=False)
    file.write_bytes(b"b" * SECTOR)
    platter.save()
    outcomes = set()
    for seed in range(20):
        file.write_bytes(b"b" * SECTOR)
        platter.save()
        next_process = Platter(image)
        next_process.opened(file, created=False)
        next_process.lose_power(random.Random(seed))
        outcomes.add(file.read_bytes()[:1])
        assert not image.exists()
    assert outcomes == {b"a", b"b"}


# ---------------------------------------------------------------- what is run, and the report


def test_step_faults__every_step__meets_every_kind() -> None:
    names = ["open", "pwrite", "fdatasync", "pwrite", "fdatasync"]
    planned = [faults[0] for faults in steps.step_faults(names)]
    assert len(planned) == len(set(planned)) == sum(len(kinds_for(name)) for name in names)
    assert {fault.kind for fault in planned if fault.step == 1} >= {*disk.SHORT_WRITES, "erofs"}
    assert {steps.group_of([fault]) for fault in planned} == {
        "kill_step_runs", "power_loss_runs", "disk_error_runs", "short_write_runs",
    }  # fmt: skip
    twice = list(steps.second_losses(names))
    assert {faults[0].step for faults in twice} == {2, 4}
    assert {steps.group_of(faults) for faults in twice} == {"second_loss_runs"}


def test_table__violations_and_what_was_not_run__stand_in_it() -> None:
    figures = {
        "faults.kill_step_runs": {"value": 1_920, "unit": "", "how": ""},
        "faults.kill_step_violations": {"value": 3, "unit": "", "how": ""},
    }
    rendered = table.render({"commit": "abcdef1234567890-dirty", "figures": figures})
    assert "| kill -9 before, within and after every write step | 1,920 | 3 |" in rendered
    assert "| overload | not run | not run |" in rendered
    assert "`abcdef123456` and changes not committed yet" in rendered
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    assert table.replaced(page, "new\n") == f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n"
    with pytest.raises(ValueError, match="once each"):
        table.replaced("nothing", "new")
