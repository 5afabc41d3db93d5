"""The report: figures under dotted names, and who measured them where."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

Json = dict[str, Any]


class Figure(NamedTuple):
    """A measured number; ``how`` says in one line what was done to get it."""

    value: int | float
    unit: str
    how: str


Figures = dict[str, Figure]


class Part(NamedTuple):
    """What one part of the work found.

    ``details`` are further keys of the report. ``problems`` are what must not be: a failing test,
    a figure that is missing, a finding that nobody explained.
    """

    figures: Figures
    details: Json
    problems: list[str]


def report_json(parts: list[Part], commit: str) -> Json:
    """The report of all parts; no two of them may have a figure of the same name."""
    figures: Json = {}
    details: Json = {}
    for part in parts:
        twice = figures.keys() & part.figures.keys()
        if twice:
            raise ValueError(f"two parts have the figures {sorted(twice)}")
        figures |= {name: figure._asdict() for name, figure in part.figures.items()}
        details |= part.details
    return {
        "machine": machine(),
        "commit": commit,
        "figures": dict(sorted(figures.items())),
        "problems": [problem for part in parts for problem in part.problems],
        **details,
    }


def write_json(path: Path, value: object) -> None:
    """Write the file; it is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    temporary.replace(path)


def machine() -> Json:
    """The machine that it ran on."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def commit(root: Path) -> str:
    """The checkout's commit, with ``-dirty`` if files differ from it; else ``unknown``."""

    def git(*words: str) -> str:
        try:
            done = subprocess.run(
                ["git", *words], cwd=root, capture_output=True, text=True, check=False, timeout=30
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip()

    head = git("rev-parse", "HEAD")
    if not head:
        return "unknown"
    is_dirty = bool(git("status", "--porcelain", "--", "backend", "contracts", "tests/contracts"))
    return f"{head}-dirty" if is_dirty else head
