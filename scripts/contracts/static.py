"""Slither's findings in contracts/ that nobody has explained.

A finding is explained beside the code: a ``// slither-disable-next-line <detector>`` under a
comment that says why. Few detectors are left out altogether; slither.toml says which and why.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from scripts.figures import Figure, Part

from .tools import (
    BUILD,
    TOOLS,
    ToolFailed,
    emptied,
    environment,
    failed,
    forge_binary,
    need_tools,
    run,
    say,
)

CONFIGURATION = Path(__file__).with_name("slither.toml")


class Finding(NamedTuple):
    """``line`` is the first one of the first element that it is about."""

    detector: str
    impact: str
    file: str
    line: int
    text: str


class Exclusion(NamedTuple):
    """A detector's findings that are left out: in files whose path begins with ``path``, and if
    the regular expression ``text`` matches all of the finding's text, one line."""

    detector: str
    path: str
    text: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is left out."""
        return (
            finding.detector == self.detector
            and finding.file.startswith(self.path)
            and re.fullmatch(self.text, finding.text) is not None
        )


def parse_findings(report: dict[str, Any]) -> list[Finding]:
    """The findings of Slither's JSON report, sorted.

    Raises:
        ToolFailed: it says that the analysis failed.
    """
    if not report.get("success"):
        raise ToolFailed(f"slither: {report.get('error')}")
    found = []
    for result in report["results"].get("detectors", []):
        place = result["elements"][0]["source_mapping"] if result["elements"] else {}
        found.append(
            Finding(
                detector=result["check"],
                impact=result["impact"],
                file=place.get("filename_relative", ""),
                line=min(place.get("lines") or [0]),
                text=" ".join(result["description"].split()),
            )
        )
    return sorted(found, key=lambda one: (one.file, one.line, one.detector, one.text))


def parse_exclusions(text: str) -> list[Exclusion]:
    """The exclusions of slither.toml, each with a reason.

    Raises:
        ToolFailed: one has none.
    """
    exclusions = []
    for entry in tomllib.loads(text).get("excluded", []):
        if not str(entry.get("reason", "")).strip():
            raise ToolFailed(f"slither.toml: {entry.get('detector')} is excluded without a reason")
        path, text = entry.get("path", "contracts/"), entry.get("text", ".*")
        exclusions.append(Exclusion(entry["detector"], path, text, entry["reason"]))
    return exclusions


def unexplained(findings: list[Finding], exclusions: list[Exclusion]) -> list[Finding]:
    """The findings in contracts/ that no exclusion is for."""
    return [
        finding
        for finding in findings
        if finding.file.startswith("contracts/")
        and not any(one.covers(finding) for one in exclusions)
    ]


def static_part(findings: list[Finding], exclusions: list[Exclusion]) -> Part:
    """The number of unexplained findings, of every impact."""
    left = unexplained(findings, exclusions)
    detectors = len({one.detector for one in exclusions})
    how = f"findings of every impact without explanation; {detectors} detectors in slither.toml"
    return Part(
        {"slither.unexplained": Figure(len(left), "findings", how)},
        {"slither_findings": [one._asdict() for one in left]},
        [f"slither: {one.file}:{one.line}: {one.detector}: {one.text}" for one in left],
    )


def measure_static() -> Part:
    """Compile contracts/ alone and analyse it."""
    need_tools("slither")
    say("slither: compiling contracts/ and analysing it")
    work = emptied(BUILD / "slither")
    build_with_ast(work)
    report = work / "slither.json"
    done = run([TOOLS / "slither", ".", *existing_build(work), "--json", report], environment(work))
    if not report.is_file():
        raise failed("slither", done)
    findings = parse_findings(json.loads(report.read_text()))
    return static_part(findings, parse_exclusions(CONFIGURATION.read_text()))


def build_with_ast(work: Path) -> None:
    """Compile contracts/ (no tests) with the syntax trees that Slither reads."""
    command: list[str | Path] = [forge_binary(), "build", "contracts", "--ast", "--build-info"]
    command += ["--build-info-path", work / "out" / "build-info"]
    done = run(command, environment(work))
    if done.returncode != 0:
        raise failed("forge build", done)


def existing_build(work: Path) -> list[str | Path]:
    """Slither's options to read what ``build_with_ast`` made."""
    framework = ["--compile-force-framework", "Foundry", "--ignore-compile"]
    return [*framework, "--foundry-out-directory", work / "out"]
