"""Forge: its test results, and the figures in them (gas, fuzz runs, invariants, sizes)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from scripts.figures import Figure, Figures, Part

from .tools import BUILD, ROOT, Environment, ToolFailed, environment, failed, forge_binary, run, say

GAS_TESTS = "tests/contracts/gas/**"
GAS_NAMES = (
    "anchor_1m_3sig",
    "anchor_1g_3sig",
    "settle",
    "claim_first",
    "claim_repeat",
    "claim_many_line_first",
    "claim_many_line_repeat",
    "fund",
    "refund",
    "breach_proof",
)
"""Figures that must be there; the gas tests may log more."""

_LOGGED = re.compile(r"([a-z][a-z0-9_]*): (\d+)")


class Outcome(NamedTuple):
    """One test. ``runs`` is 1 for a plain one; ``calls`` is 0 unless it is an invariant."""

    path: str
    suite: str
    name: str
    kind: str
    passed: bool
    runs: int
    calls: int
    logs: tuple[str, ...]
    reason: str


def parse_outcomes(text: str) -> list[Outcome]:
    """The tests in what ``forge test --json`` printed.

    Raises:
        ToolFailed: that is no such output.
    """
    try:
        suites = json.loads(text)
        return [
            _outcome(label, name, test)
            for label, suite in suites.items()
            for name, test in suite["test_results"].items()
        ]
    except (ValueError, AttributeError, KeyError, TypeError) as problem:
        raise ToolFailed(f"no test results of forge ({problem!r}): {text[:300]!r}") from problem


def _outcome(label: str, name: str, test: dict[str, object]) -> Outcome:
    path, _, suite = label.rpartition(":")
    kinds = test["kind"]
    if not isinstance(kinds, dict) or len(kinds) != 1:
        raise KeyError(f"kind of {label} {name}")
    kind, numbers = next(iter(kinds.items()))
    logs = test["decoded_logs"]
    return Outcome(
        path=path,
        suite=suite,
        name=name,
        kind=str(kind).lower(),
        passed=test["status"] == "Success",
        runs=int(numbers.get("runs", 1)),
        calls=int(numbers.get("calls", 0)),
        logs=tuple(str(line) for line in logs) if isinstance(logs, list) else (),
        reason=str(test.get("reason") or ""),
    )


def failures(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each failing test."""
    return [
        f"test fails: {test.suite}.{test.name}: {test.reason or 'no reason given'}"
        for test in outcomes
        if not test.passed
    ]


# ---------------------------------------------------------------- gas


def gas_part(outcomes: list[Outcome]) -> Part:
    """The figures that the gas tests logged; one that is missing or logged twice is a problem."""
    found: dict[str, int] = {}
    problems = failures(outcomes)
    for test in outcomes:
        for line in test.logs:
            match = _LOGGED.fullmatch(line)
            if match is None:
                continue
            name, value = match[1], int(match[2])
            if name in found:
                problems.append(f"gas.{name} is logged twice: {found[name]} and {value}")
            found[name] = value
    problems += [f"gas.{name} is not logged" for name in GAS_NAMES if name not in found]
    how = "whole transaction on warm state: 21,000, calldata, execution; at least EIP-7623's floor"
    figures = {f"gas.{name}": Figure(value, "gas", how) for name, value in found.items()}
    return Part(figures, {}, problems)


def measure_gas() -> Part:
    """Run the gas tests and measure the contracts' sizes, both as they are deployed."""
    env = environment(BUILD / "forge")
    say("gas: compiling and measuring")
    gas = gas_part(forge_test(env, GAS_TESTS, "-vv"))
    sizes = size_figures(BUILD / "forge" / "out", ROOT / "contracts")
    return Part(gas.figures | sizes, {}, gas.problems)


def size_figures(out: Path, contracts: Path) -> Figures:
    """Deployed bytes of every contract that stands directly in ``contracts`` (limit 24,576).

    Raises:
        ToolFailed: forge's output folder has none of them.
    """
    figures: Figures = {}
    for source in sorted(contracts.glob("*.sol")):
        artifact = out / source.name / f"{source.stem}.json"
        if not artifact.is_file():
            raise ToolFailed(f"forge has not built {source.name}")
        code = json.loads(artifact.read_text())["deployedBytecode"]["object"]
        size_bytes = len(code.removeprefix("0x")) // 2
        # An abstract contract has no code.
        if size_bytes:
            figures[f"size.{source.stem}_bytes"] = Figure(
                size_bytes, "bytes", "deployed code; the EVM's limit is 24,576"
            )
    return figures


# ---------------------------------------------------------------- fuzz and invariants


def depth_part(outcomes: list[Outcome]) -> Part:
    """How hard fuzz and invariant tests tried, and what they broke."""
    fuzz = [test for test in outcomes if test.kind == "fuzz"]
    invariants = [test for test in outcomes if test.kind == "invariant"]
    problems = failures(outcomes)
    problems += [
        f"there is no {name} test" for name, tests in _named(fuzz, invariants) if not tests
    ]
    broken = sum(not test.passed for test in invariants)
    each = f"least of {len(invariants)} invariants"
    figures = {
        "tests.total": Figure(len(outcomes), "tests", "unit, fuzz and invariant tests"),
        "tests.failed": Figure(sum(not test.passed for test in outcomes), "tests", "of those"),
        "fuzz.runs": Figure(_least(fuzz, "runs"), "runs", f"least of {len(fuzz)} fuzz tests"),
        "invariants.runs": Figure(_least(invariants, "runs"), "sequences", each),
        "invariants.calls": Figure(
            _least(invariants, "calls"), "calls", f"{each}; each is checked after every call"
        ),
        "invariants.violations": Figure(broken, "invariants", "invariants that failed"),
    }
    return Part(figures, {}, problems)


def _named(fuzz: list[Outcome], invariants: list[Outcome]) -> list[tuple[str, list[Outcome]]]:
    return [("fuzz", fuzz), ("invariant", invariants)]


def _least(outcomes: list[Outcome], field: str) -> int:
    return min((int(getattr(test, field)) for test in outcomes), default=0)


def measure_depth(profile: str) -> Part:
    """Run every test but those of gas under Foundry's ``profile``, a file at a time."""
    env = environment(BUILD / "forge", profile=profile)
    say("tests: compiling")
    paths = [path for path in test_paths(env) if "/gas/" not in path]
    outcomes: list[Outcome] = []
    for number, path in enumerate(paths, start=1):
        started = time.monotonic()
        found = forge_test(env, path)
        outcomes += found
        broken = sum(not test.passed for test in found)
        say(
            f"tests: {number}/{len(paths)} {path}: {len(found) - broken} passed, {broken} failed, "
            f"{time.monotonic() - started:.0f} s"
        )
    return depth_part(outcomes)


def test_paths(env: Environment) -> list[str]:
    """The files that have tests, in order."""
    done = run([forge_binary(), "test", "--list", "--json"], env)
    if done.returncode != 0:
        raise failed("forge test --list", done)
    listed: dict[str, object] = json.loads(done.stdout)
    return sorted(listed)


def forge_test(env: Environment, pattern: str, *options: str) -> list[Outcome]:
    """Run the tests of the files that match.

    Raises:
        ToolFailed: they don't compile, or there are none.
    """
    done = run([forge_binary(), "test", "--json", "--match-path", pattern, *options], env)
    if not done.stdout.lstrip().startswith("{"):
        raise failed(f"forge test {pattern}", done)
    outcomes = parse_outcomes(done.stdout)
    if not outcomes:
        raise ToolFailed(f"there is no test in {pattern}")
    return outcomes
