"""Where the tools are, the environment they want, and running them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from adtally.chain.node_tools import node_binary, node_modules

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "contracts"
TOOLS = BUILD / "venv" / "bin"
"""slither and halmos, in an environment of their own: they want an older web3 than adtally."""

Environment = dict[str, str]


class ToolFailed(Exception):
    """A tool could not do its work; says which, and the end of what it printed."""


def say(line: str) -> None:
    """Progress, seen at once also through a pipe."""
    print(line, flush=True)


def forge_binary() -> Path:
    """The native forge of this platform, as npm brought it.

    Raises:
        ToolFailed: npm brought none.
    """
    system = {"Windows": "win32"}.get(platform.system(), platform.system().lower())
    machine = platform.machine().lower()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    suffix = ".exe" if system == "win32" else ""
    binary = (
        node_modules(ROOT) / "@foundry-rs" / f"forge-{system}-{arch}" / "bin" / f"forge{suffix}"
    )
    if not binary.is_file():
        raise ToolFailed(f"no forge at {binary}: cd hardhat-local && npm ci")
    return binary


def environment(work: Path, **settings: str) -> Environment:
    """Environment for forge and what calls it; everything it writes goes under ``work``.

    ``settings`` are Foundry's, without their prefix: ``via_ir="false"``. Settings of the caller's
    own environment are dropped, so that a figure means the same everywhere.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("FOUNDRY_")}
    path = os.pathsep.join((str(TOOLS), str(forge_binary().parent), own.get("PATH", "")))
    chosen = {
        "OUT": str(work / "out"),
        "CACHE_PATH": str(work / "cache"),
        "FUZZ_FAILURE_PERSIST_DIR": str(work / "failures" / "fuzz"),
        "INVARIANT_FAILURE_PERSIST_DIR": str(work / "failures" / "invariant"),
        "LINT_LINT_ON_BUILD": "false",
        "DISABLE_NIGHTLY_WARNING": "true",
    } | {name.upper(): value for name, value in settings.items()}
    return own | {
        "PATH": path,
        "ADTALLY_NODE": node_binary(),
        "NO_COLOR": "1",
        **{f"FOUNDRY_{name}": value for name, value in chosen.items()},
    }


def run(
    command: list[str | Path],
    env: Environment,
    *,
    cwd: Path = ROOT,
    timeout_seconds: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run to the end, output captured; the exit status is the caller's to judge.

    Raises:
        subprocess.TimeoutExpired: it took longer; it was killed.
    """
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_seconds,
        check=False,
    )


def failed(what: str, done: subprocess.CompletedProcess[str]) -> ToolFailed:
    """The error for a run that did not do its work."""
    tail = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}".strip()
    return ToolFailed(f"{what} failed (exit status {done.returncode}):\n{tail}")


def failing_lines(output: str) -> list[str]:
    """Each ``[FAIL...]`` line of what forge printed, once."""
    return sorted({line for line in output.splitlines() if line.startswith("[FAIL")})


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it: what an earlier run left would be read as this one's."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def need_tools(*names: str) -> None:
    """Raises ToolFailed if one of the tools is not installed."""
    for name in names:
        if not (TOOLS / name).exists():
            raise ToolFailed(f"{name} is not installed in {TOOLS.parent}: run make contracts")


def python() -> str:
    """The interpreter that runs this."""
    return sys.executable
