"""One flipped bit in committed bytes: it is refused by name, and never served."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from adtally.errors import StorageCorrupt
from adtally.events.batch import SignedBatch
from adtally.log.store import LogStore

from .book import Book
from .lives import SEGMENT_BYTES, Launcher, Life
from .segments import Commit, read_bundle, read_commits
from .wire import batch_request
from .workers import Outcome


async def at_rest(launcher: Launcher, directory: Path, template: Path, seeds: range) -> Outcome:
    """A bit flips while the service is down; it must not start, and must leave the file alone."""
    outcome = Outcome()
    life = await _sound_life(launcher, directory / "sound", template)
    await life.kill()
    for seed in seeds:
        data = directory / f"{seed}"
        shutil.copytree(template, data)
        commits = read_commits(data / "log")
        path, flipped = _flip(commits, random.Random(f"at rest {seed}"))
        life = await launcher.start(data)
        await life.kill()
        what = f"bit flipped in {path.name}, seed {seed}"
        refused = life.refused or {}
        if (refused.get("refused"), refused.get("field")) != (StorageCorrupt.code, path.name):
            outcome.problems.append(f"{what}: not refused by name but {life.refused}")
        if path.read_bytes() != flipped:
            outcome.problems.append(f"{what}: the damaged file was changed")
        shutil.rmtree(data)
        outcome.counts["flipped_bit_runs"] += 1
    return outcome


async def while_running(
    launcher: Launcher,
    directory: Path,
    template: Path,
    batches: Sequence[SignedBatch],
    promised: Book,
    seeds: range,
) -> Outcome:
    """A bit flips under a running service; entries and receipts are right or are refused."""
    outcome = Outcome()
    data = directory / "data"
    book = copy.deepcopy(promised)
    life = await _sound_life(launcher, data, template)
    commits = read_commits(data / "log")
    client = life.client()
    for seed in seeds:
        chance = random.Random(f"running {seed}")
        path, _ = _flip(commits, chance)
        refused = 0
        for commit in commits:
            end = commit.first_index + len(commit.entries)
            asked = f"/v1/log/entries?start={commit.first_index}&end={end}"
            answer = await client.get(asked)
            if answer is not None and answer.status == 200:
                if read_bundle(answer.body) != commit.entries:
                    outcome.problems.append(f"seed {seed}: changed entries were served")
            else:
                refused += 1
        if refused != 1:
            outcome.problems.append(f"seed {seed}: {refused} commits were refused, not one")
        for batch in batches:
            answer = await client.request(batch_request(batch))
            if answer is not None and answer.status == 200:
                book.answered(batch, answer)
        _write_back(path, commits, data, template)
        outcome.counts["flipped_bit_runs"] += 1
    if not life.is_alive:
        outcome.problems.append("the service died of reading a damaged file")
    client.close()
    await life.kill()
    outcome.problems += book.problems
    return outcome


async def _sound_life(launcher: Launcher, data: Path, template: Path) -> Life:
    """A life over an undamaged copy: it must serve, or every refusal would mean nothing."""
    shutil.copytree(template, data)
    life = await launcher.start(data)
    if life.port is None:
        raise RuntimeError(f"the undamaged log is refused: {life.refused}")
    return life


async def every_bit(
    _: Launcher, directory: Path, template: Path, share: int, shares: int
) -> Outcome:
    """Every bit of the last commit, where damage is hardest to tell from a torn append.

    The store alone is opened, in this process: there are too many for a service each.
    """
    log = directory / "log"
    shutil.copytree(template / "log", log)
    outcome = Outcome()
    LogStore.open(log, segment_bytes=SEGMENT_BYTES).close()
    last = read_commits(log)[-1]
    sound = last.path.read_bytes()
    for bit in range(8 * last.offset + share, 8 * last.end, shares):
        changed = bytearray(sound)
        changed[bit // 8] ^= 1 << bit % 8
        last.path.write_bytes(changed)
        try:
            LogStore.open(log, segment_bytes=SEGMENT_BYTES).close()
        except StorageCorrupt as error:
            if error.field != last.path.name:
                outcome.problems.append(f"bit {bit}: blamed on {error.field}")
        else:
            outcome.problems.append(f"bit {bit} of {last.path.name}: not refused")
        outcome.counts["flipped_bit_store_runs"] += 1
    return outcome


def _flip(commits: Sequence[Commit], chance: random.Random) -> tuple[Path, bytes]:
    """Flip a bit of a commit; the file's path, and what it holds now."""
    commit = chance.choice(commits)
    changed = bytearray(commit.path.read_bytes())
    bit = chance.randrange(8 * commit.offset, 8 * commit.end)
    changed[bit // 8] ^= 1 << bit % 8
    # In place: a running service keeps the file open.
    with commit.path.open("r+b") as file:
        file.write(changed)
    return commit.path, bytes(changed)


def _write_back(path: Path, commits: Sequence[Commit], data: Path, template: Path) -> None:
    """Undo a flip within what was committed."""
    end = max(commit.end for commit in commits if commit.path == path)
    sound = (template / "log" / path.name).read_bytes()[:end]
    with (data / "log" / path.name).open("r+b") as file:
        file.write(sound)
