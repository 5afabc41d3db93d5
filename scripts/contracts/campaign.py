"""The mutation campaign: tries every mutant, remembers outcomes, sums up."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from scripts.figures import Figure, Part

from .mutants import Accepted, Mutant, diff, line_of, parse_accepted, read_mutants, reason_for
from .shard import Shard
from .static import build_with_ast
from .tools import BUILD, ROOT, TOOLS, emptied, environment, failed, need_tools, run, say

GOAL_PERCENT = 95
WORK = BUILD / "mutation"
STATE = WORK / "outcomes.jsonl"
ACCEPTED = Path(__file__).with_name("survivors.toml")
_REPORT_SECONDS = 30


class Summary(NamedTuple):
    """``total`` counts the mutants that compile, change the code and were tried."""

    total: int
    caught: int
    equivalent: int
    broken: int
    untested: int
    survivors: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Shape of build/contracts/mutation.json."""
        return dict(self._asdict())

    def percent(self) -> float:
        """Caught of total, rounded down to a hundredth."""
        return self.caught * 10_000 // self.total / 100 if self.total else 0.0


def mutation_part(saved: dict[str, Any]) -> Part:
    """The figures of an earlier campaign, for the report."""
    how = f"Slither's mutators, fast tests, then short invariants; at {saved['commit'][:12]}"
    survivors = f"{len(saved['survivors'])} survivors are listed in mutation.json"
    return Part(
        {
            "mutants.total": Figure(saved["total"], "mutants", how),
            "mutants.caught": Figure(saved["caught"], "mutants", survivors),
            "mutants.untested": Figure(saved["untested"], "mutants", "of a campaign not finished"),
        },
        {},
        [],
    )


class Outcomes:
    """What was found before, in a file that survives a break.

    A mutant that was caught stays so while its own file is the same: tests are only added. One that
    survived is tried again once any contract or test has changed.
    """

    def __init__(self, path: Path, tree: str) -> None:
        self._path, self._tree = path, tree
        self._lock = threading.Lock()
        self.known: dict[str, str] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            key, verdict, at = json.loads(line)
            self.known.pop(key, None)
            if verdict != "survived" or at == tree:
                self.known[key] = verdict

    def add(self, mutant: Mutant, verdict: str) -> None:
        """Remember an outcome; a line of its own, written at once."""
        with self._lock:
            self.known[mutant.key] = verdict
            with self._path.open("a") as file:
                file.write(json.dumps([mutant.key, verdict, self._tree]) + "\n")


def tree_digest(root: Path) -> str:
    """Of all contracts and Solidity tests."""
    digest = hashlib.sha256()
    for name in ("contracts", "tests/contracts"):
        for path in sorted((root / name).rglob("*.sol")):
            digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def summarize(
    mutants: Iterable[Mutant],
    known: dict[str, str],
    sources: dict[str, bytes],
    accepted: list[Accepted],
) -> Summary:
    """Count outcomes; survivors in the order of their place."""
    counts: Counter[str] = Counter()
    survivors = []
    for mutant in mutants:
        verdict = known.get(mutant.key, "untested")
        counts[verdict] += 1
        if verdict == "survived":
            source = sources[mutant.file]
            survivors.append(
                {
                    "file": mutant.file,
                    "line": line_of(source, mutant),
                    "mutator": mutant.mutator,
                    "diff": diff(source, mutant),
                    "reason": reason_for(source, mutant, accepted),
                }
            )
    return Summary(
        total=counts["caught"] + counts["survived"],
        caught=counts["caught"],
        equivalent=counts["equivalent"],
        broken=counts["broken"],
        untested=counts["untested"],
        survivors=sorted(survivors, key=lambda one: (one["file"], one["line"], one["diff"])),
    )


def run_campaign(
    *, processes: int, seconds: float | None, files: list[str] | None, fresh: bool
) -> Summary:
    """Try what is not known yet, for at most ``seconds``; then sum up all that is known.

    Raises:
        ToolFailed: the mutants can't be listed, or the tests fail without any mutation.
    """
    need_tools("slither")
    WORK.mkdir(parents=True, exist_ok=True)
    if fresh:
        STATE.unlink(missing_ok=True)
    say("mutation: listing the mutants")
    listed = list_mutants()
    sources = {name: (ROOT / name).read_bytes() for name in {change["file"] for change in listed}}
    mutants = [
        mutant
        for mutant in read_mutants(listed, sources)
        if not files or any(mutant.file.endswith(name) for name in files)
    ]
    outcomes = Outcomes(STATE, tree_digest(ROOT))
    left = [mutant for mutant in mutants if mutant.key not in outcomes.known]
    say(f"mutation: {len(mutants)} mutants, {len(left)} to try, {processes} processes")
    if left:
        _Runner(outcomes, left, seconds).run(processes)
    accepted = parse_accepted(ACCEPTED.read_text()) if ACCEPTED.exists() else []
    return summarize(mutants, outcomes.known, sources, accepted)


def list_mutants() -> list[dict[str, Any]]:
    """What Slither's mutators find in the contracts. Raises ToolFailed."""
    work = emptied(WORK / "list")
    build_with_ast(work)
    output = work / "mutants.json"
    script = Path(__file__).with_name("list_mutants.py")
    done = run([TOOLS / "python", script, work / "out", output], environment(work))
    if done.returncode != 0:
        raise failed("list_mutants.py", done)
    for line in done.stdout.splitlines():
        if " failed on " in line:
            say(f"mutation: {line}")
    found: list[dict[str, Any]] = json.loads(output.read_text())
    return found


class _Runner:
    """Hands mutants to shards until none is left or time is over."""

    def __init__(self, outcomes: Outcomes, left: list[Mutant], seconds: float | None) -> None:
        self._outcomes, self._left = outcomes, list(reversed(left))
        self._all = len(left)
        self._counts: Counter[str] = Counter()
        self._started = self._told = time.monotonic()
        self._deadline = None if seconds is None else self._started + seconds
        self._lock = threading.Lock()

    def run(self, processes: int) -> None:
        with ThreadPoolExecutor(processes) as pool:
            running = [pool.submit(self._work, number) for number in range(processes)]
            try:
                for shard in running:
                    shard.result()
            except BaseException:
                # The others stop after their mutant.
                self._left.clear()
                raise

    def _work(self, number: int) -> None:
        with Shard(WORK / f"shard-{number}") as shard:
            shard.check_baseline()
            say(f"mutation: the tests pass in shard {number}")
            while (mutant := self._next()) is not None:
                verdict = shard.attempt(mutant)
                self._outcomes.add(mutant, verdict)
                self._tell(verdict)

    def _next(self) -> Mutant | None:
        if self._deadline is not None and time.monotonic() > self._deadline:
            return None
        with self._lock:
            return self._left.pop() if self._left else None

    def _tell(self, verdict: str) -> None:
        with self._lock:
            self._counts[verdict] += 1
            now = time.monotonic()
            if now - self._told < _REPORT_SECONDS:
                return
            self._told = now
            done = sum(self._counts.values())
            minutes = (now - self._started) / done * (self._all - done) / 60
            counts = ", ".join(f"{count} {name}" for name, count in sorted(self._counts.items()))
            say(f"mutation: {done}/{self._all}: {counts}; about {minutes:.0f} min left")
