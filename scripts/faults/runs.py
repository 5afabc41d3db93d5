"""One run: lives over a faulty disk, then honest ones, and what must be true after each."""

from __future__ import annotations

import base64
import copy
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from adtally.api.schemas import CampaignOut
from adtally.errors import StorageFull
from adtally.events.batch import SignedBatch

from .book import Book
from .disk import KILLS, NO_ROOM, POWER_LOSSES, Fault
from .oracle import Findings, examine
from .segments import read_bundle
from .wire import Answer, Connection, batch_request
from .world import CAMPAIGN


class Client(Protocol):
    """Sends requests to one life; None when there is no answer."""

    async def request(self, request: bytes) -> Answer | None: ...

    async def get(self, path: str) -> Answer | None: ...

    def close(self) -> None: ...


class AnyLife(Protocol):
    """One life of the service, in a process of its own or not."""

    @property
    def is_alive(self) -> bool: ...

    def client(self) -> Client | Connection: ...

    async def kill(self) -> None: ...

    async def was_killed(self) -> bool: ...

    async def has_failed_by_itself(self) -> bool: ...


class Starter(Protocol):
    """Starts lives."""

    async def start(
        self, directory: Path, *, fault: Fault | None = None, trace: bool = False
    ) -> AnyLife: ...


@dataclass(frozen=True)
class Scenario:
    """What is done in a run.

    Attributes:
        batches: sent one after the other, so that every run has the same write steps.
        template: data directory to start from; None for an empty one.
        book: what was promised about the template.
    """

    name: str
    batches: Sequence[SignedBatch]
    template: Path | None = None
    before: Sequence[SignedBatch] = ()
    book: Book = field(default_factory=Book)


async def write_steps(starter: Starter, scenario: Scenario, directory: Path) -> list[str]:
    """The names of the write steps of an undisturbed run, in order."""
    book = _prepare(scenario, directory)
    life = await starter.start(directory, trace=True)
    problems = (await send_all(life.client(), scenario.batches, book)).problems
    await life.kill()
    problems += examine(directory / "log", book).problems
    if problems or len(book.promised) != len(scenario.before) + len(scenario.batches):
        raise RuntimeError(f"the run without a fault went wrong: {problems}")
    return (directory / "trace").read_text().split()


async def run_faults(
    starter: Starter, scenario: Scenario, faults: Sequence[Fault], directory: Path
) -> list[str]:
    """A life for each fault, then two honest ones; returns what was wrong."""
    book = _prepare(scenario, directory)
    problems: list[str] = []
    for fault in faults:
        life = await starter.start(directory, fault=fault)
        sending = await send_all(life.client(), scenario.batches, book)
        problems += sending.problems + await _end_problems(life, fault, sending)
        await life.kill()
        problems += examine(directory / "log", book).problems
    everything = [*scenario.before, *scenario.batches]
    problems += await honest_life(starter, directory, everything, book)
    problems += await honest_life(starter, directory, [], book)
    shutil.rmtree(directory)
    return sorted(set(problems))


def _prepare(scenario: Scenario, directory: Path) -> Book:
    if scenario.template is not None:
        shutil.copytree(scenario.template, directory)
    return copy.deepcopy(scenario.book)


@dataclass
class Sending:
    """What came of sending batches one after the other.

    Attributes:
        problems: it took one more after it had said that its log can't be written.
        has_failed: it said so.
        was_full: it said that there is no room on disk, which may pass.
    """

    problems: list[str] = field(default_factory=list)
    has_failed: bool = False
    was_full: bool = False


async def send_all(client: Client, batches: Sequence[SignedBatch], book: Book) -> Sending:
    """Send batches in order until the service is gone."""
    sending = Sending()
    for batch in batches:
        book.sending(batch)
        answer = await client.request(batch_request(batch))
        if answer is None:
            break
        if book.answered(batch, answer) and sending.has_failed:
            sending.problems.append("a batch was taken after the log had failed")
        if answer.status == 503:
            is_full = json.loads(answer.body)["code"] == StorageFull.code
            sending.was_full |= is_full
            sending.has_failed |= not is_full
    client.close()
    return sending


async def _end_problems(life: AnyLife, fault: Fault, sending: Sending) -> list[str]:
    """Did the life end as this fault must end it?"""
    if fault.kind in (*KILLS, *POWER_LOSSES):
        return [] if await life.was_killed() else [f"{fault}: it never happened"]
    if fault.kind == "short_write":
        return [] if life.is_alive else [f"{fault}: the service stopped"]
    if fault.kind in NO_ROOM and sending.was_full and not sending.has_failed and life.is_alive:
        # Refused before anything was judged: nothing in memory is ahead of the disk.
        return []
    return [] if await life.has_failed_by_itself() else [f"{fault}: the service went on"]


async def honest_life(
    starter: Starter, directory: Path, batches: Sequence[SignedBatch], book: Book
) -> list[str]:
    """A life on a sound disk: all batches get receipts, and what it shows is the oracle's."""
    life = await starter.start(directory)
    client = life.client()
    problems = (await send_all(client, batches, book)).problems
    problems += [
        f"batch {(batch.member, batch.sequence)} got no receipt on a sound disk"
        for batch in batches
        if (batch.member, batch.sequence) not in book.promised
    ]
    shown = await Shown.of(client, book)
    client.close()
    await life.kill()
    findings = examine(directory / "log", book)
    return problems + findings.problems + shown.problems(findings)


@dataclass(frozen=True)
class Shown:
    """What a running service says about its log; of the entries, the first page."""

    tree_size: int
    root_hash: bytes
    campaign: object
    entries: Sequence[bytes]

    @staticmethod
    async def of(client: Client, book: Book) -> Shown:
        """Ask, and note the checkpoint in the book."""
        note = await client.get("/v1/log/checkpoint")
        campaign = await client.get(f"/v1/campaigns/{CAMPAIGN}")
        page = await client.get("/v1/log/entries?start=0")
        answers = [each for each in (note, campaign, page) if each and each.status == 200]
        if note is None or campaign is None or page is None or len(answers) < 3:
            return Shown(-1, b"", None, ())
        _, size, root, *_ = note.body.decode().split("\n")
        shown = Shown(
            int(size), base64.b64decode(root), json.loads(campaign.body), read_bundle(page.body)
        )
        book.seen(shown.tree_size, shown.root_hash)
        return shown

    def problems(self, findings: Findings) -> list[str]:
        """How it differs from an independent rebuild."""
        if self.tree_size < 0:
            return ["the service does not serve on a sound disk"]
        problems = []
        if (self.tree_size, self.root_hash) != (findings.tree_size, findings.root_hash):
            problems.append(
                f"size {self.tree_size} and root {self.root_hash.hex()} are shown, a rebuild gives "
                f"{findings.tree_size} and {findings.root_hash.hex()}"
            )
        if not self.entries or self.entries != findings.entries[: len(self.entries)]:
            problems.append("the entries served are not those on disk")
        if self.campaign != _campaign(findings):
            problems.append("the accruals shown are not those of the reference")
        return problems


def _campaign(findings: Findings) -> object:
    facts = findings.machine.facts.campaigns.get(CAMPAIGN)
    if facts is None:
        return None
    document = CampaignOut.of(facts, findings.machine.accruals.lines(CAMPAIGN))
    return json.loads(document.model_dump_json())
