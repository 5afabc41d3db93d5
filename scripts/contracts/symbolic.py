"""Symbolic execution: what halmos proves of claim arithmetic and quorums, for every input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scripts.figures import Figure, Part

from .tools import BUILD, ROOT, TOOLS, emptied, environment, failed, need_tools, run, say

TESTS = "tests/contracts/symbolic"
_LOOP_BOUND = 5
"""Rounds of a loop that are followed: more than any of the checks needs."""


def symbolic_part(report: dict[str, Any]) -> Part:
    """Proved and failed checks of halmos' JSON report.

    A check counts as failed as well if the solver gave up, or if a loop was cut off: then it was
    not shown for every input.
    """
    proved: list[str] = []
    not_proved: list[str] = []
    for suite, checks in report["test_results"].items():
        for check in checks:
            name = f"{suite.rpartition(':')[2]}.{check['name'].partition('(')[0]}"
            holds = check["exitcode"] == 0 and not check["num_bounded_loops"]
            (proved if holds else not_proved).append(name)
    problems = [f"not proved: {name}" for name in not_proved]
    if not proved and not not_proved:
        problems.append(f"there is no check_ function in {TESTS}")
    how = "halmos over claim arithmetic and quorums of three, all inputs at once"
    return Part(
        {
            "symbolic.proved": Figure(len(proved), "properties", how),
            "symbolic.failed": Figure(len(not_proved), "properties", "refuted, or solver gave up"),
        },
        {"symbolic_proved": sorted(proved), "symbolic_failed": sorted(not_proved)},
        problems,
    )


def measure_symbolic() -> Part:
    """Prove every ``check_`` function of tests/contracts/symbolic."""
    need_tools("halmos", "z3")
    say("symbolic: compiling and proving")
    work = emptied(BUILD / "symbolic")
    # Sources, tests and scripts alike: only these files and what they import are compiled.
    env = environment(work, src=TESTS, test=TESTS, script=TESTS, via_ir="false")
    report = work / "halmos.json"
    command: list[str | Path] = [
        TOOLS / "halmos",
        "--root",
        ROOT,
        "--function",
        "check_",
        "--no-status",
    ]
    command += ["--forge-build-out", (work / "out").relative_to(ROOT), "--json-output", report]
    # z3 answers the checks about order at once, on which yices, the default, gives up.
    command += ["--solver", "z3", "--solver-timeout-assertion", "60s", "--loop", str(_LOOP_BOUND)]
    done = run(command, env)
    if not report.is_file():
        raise failed("halmos", done)
    return symbolic_part(json.loads(report.read_text()))
