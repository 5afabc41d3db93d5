"""Branch and line coverage of contracts/ by the tests, from Forge's LCOV report."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from scripts.figures import Figure, Part

from .tools import BUILD, environment, failed, failing_lines, forge_binary, run, say

GOAL_PERCENT = 98
_INSIDE = "contracts/"
_OUTSIDE = "contracts/mocks/"
_TOO_DEEP = "Stack too deep. Try compiling"


class Coverage(NamedTuple):
    """Totals, and what was missed as ``file:line``; a branch's path follows, from 0."""

    branches_hit: int
    branches_found: int
    lines_hit: int
    lines_found: int
    missed_branches: list[str]
    missed_lines: list[str]


def parse_lcov(text: str) -> Coverage:
    """Sum up a tracefile (``man geninfo``, FILES) over contracts/ without the mocks."""
    source = ""
    branches: dict[str, bool] = {}
    lines: dict[str, bool] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(":")
        if kind == "SF":
            source = rest if rest.startswith(_INSIDE) and not rest.startswith(_OUTSIDE) else ""
        elif not source:
            continue
        elif kind == "DA":
            number, count = rest.split(",")[:2]
            key = f"{source}:{number}"
            lines[key] = lines.get(key, False) or count != "0"
        elif kind == "BRDA":
            number, block, path, taken = rest.split(",")
            # Blocks are only numbered to tell branches of one line apart.
            key = f"{source}:{number} block {block} path {path}"
            branches[key] = branches.get(key, False) or taken not in ("-", "0")
    return Coverage(
        branches_hit=sum(branches.values()),
        branches_found=len(branches),
        lines_hit=sum(lines.values()),
        lines_found=len(lines),
        missed_branches=[key for key, hit in branches.items() if not hit],
        missed_lines=[key for key, hit in lines.items() if not hit],
    )


def coverage_part(coverage: Coverage, how: str) -> Part:
    """Figures in percent, rounded down to a hundredth."""
    branches = _percent(coverage.branches_hit, coverage.branches_found)
    lines = _percent(coverage.lines_hit, coverage.lines_found)
    problems = []
    if branches < GOAL_PERCENT:
        problems.append(f"branch coverage is {branches} %, the goal is {GOAL_PERCENT} %")
    return Part(
        {
            "coverage.branches": Figure(
                branches, "%", f"{coverage.branches_hit} of {coverage.branches_found}; {how}"
            ),
            "coverage.lines": Figure(
                lines, "%", f"{coverage.lines_hit} of {coverage.lines_found}; {how}"
            ),
        },
        {
            "missed_branches": coverage.missed_branches,
            "missed_lines": coverage.missed_lines,
        },
        problems,
    )


def _percent(hit: int, found: int) -> float:
    return hit * 10_000 // found / 100 if found else 0.0


def measure_coverage() -> Part:
    """Run the tests (short profile, without those of gas) with counters in the code.

    Forge turns optimizer and IR off for that; if a function has too many variables for the legacy
    code generator, it is done once more through the IR, whose branch positions are less exact.
    """
    how = "forge coverage over contracts/ without mocks"
    say("coverage: compiling without optimizer, running the tests")
    found = _lcov()
    if found is None:
        say("coverage: stack too deep without IR, once more with --ir-minimum")
        found = _lcov("--ir-minimum")
        how += ", through minimal IR"
    text, broken = found or ("", [])
    part = coverage_part(parse_lcov(text), how)
    for key in part.details["missed_branches"]:
        say(f"coverage: missed branch {key}")
    return part._replace(problems=part.problems + [f"coverage: {line}" for line in broken])


def _lcov(*options: str) -> tuple[str, list[str]] | None:
    """The tracefile and a line per failing test; None if the code does not compile without the IR.

    Raises:
        ToolFailed: there is no tracefile.
    """
    work = BUILD / "coverage"
    path = work / "lcov.info"
    work.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    command: list[str | Path] = [forge_binary(), "coverage", "--report", "lcov"]
    # Ceilings of gas only hold for optimized code.
    command += ["--report-file", path, "--no-match-path", "tests/contracts/gas/**", *options]
    done = run(command, environment(work))
    if not path.is_file():
        if not options and _TOO_DEEP in done.stdout + done.stderr:
            return None
        raise failed("forge coverage", done)
    return path.read_text(), failing_lines(done.stdout)
