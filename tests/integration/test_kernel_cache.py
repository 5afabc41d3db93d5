"""Compiled code is kept by the sources it was made from: a changed rule is never served from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import adtally

PACKAGE = Path(adtally.__file__).parent


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    copy = tmp_path / "backend"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, copy / "adtally", ignore=ignored)
    return copy


def cache_folder(backend: Path) -> Path:
    """Where a process that runs these sources keeps what it compiles."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    ran = subprocess.run(
        [sys.executable, "-c", "import adtally.kernel, numba; print(numba.config.CACHE_DIR)"],
        env={**environment, "PYTHONPATH": str(backend)},
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(ran.stdout.strip())
    assert folder.is_relative_to(backend)
    return folder


@pytest.mark.parametrize("source", ["kernel/event_table.py", "events/verdict.py"])
def test_cache__source_that_rules_call_changes__is_another_one(backend: Path, source: str) -> None:
    before = cache_folder(backend)
    assert cache_folder(backend) == before
    with (backend / "adtally" / source).open("a") as file:
        file.write("# changed\n")
    assert cache_folder(backend) != before


def test_cache__of_other_sources__is_removed_when_it_is_old(backend: Path) -> None:
    folder = cache_folder(backend)
    others = [folder.with_name(f"compiled-{name}") for name in ("recent", "old")]
    for other in others:
        other.mkdir(parents=True)
    month_ago = time.time() - 31 * 86_400
    os.utime(others[1], (month_ago, month_ago))
    cache_folder(backend)
    assert [other.exists() for other in others] == [True, False]
