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
        "machine": machine(Path(__file__).parent),
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


def machine(directory: Path) -> Json:
    """The machine that it ran on, and what kind of disk ``directory`` is on; no names, no paths."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)),
        "cpu": _cpu_model(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "filesystem": filesystem(_read("/proc/self/mountinfo"), os.stat(directory).st_dev),
        "disk": _disk(os.stat(directory).st_dev),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or "unknown"


def filesystem(mountinfo: str, device: int) -> str:
    """The type of the file system on a device, out of Linux's /proc/self/mountinfo."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2:3] == [wanted]:
            return source.split()[0]
    return "unknown"


def _disk(device: int) -> str:
    """How the disk is attached; whether it turns only where the disk itself can be asked."""
    path = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    disk = path.parent if (path / "partition").exists() else path
    virtual = {"vd": "virtio", "xvd": "Xen"}
    for start, kind in virtual.items():
        if disk.name.startswith(start):
            return kind
    real = {"nvme": "NVMe", "sd": "SCSI or SATA", "md": "RAID"}
    kind = next((real[start] for start in real if disk.name.startswith(start)), "unknown")
    turns = {"0": ", solid state", "1": ", rotational"}
    return kind + turns.get(_read(disk / "queue" / "rotational").strip(), "")


def _read(path: str | Path) -> str:
    """A file of the system's; nothing where there is none."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


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
