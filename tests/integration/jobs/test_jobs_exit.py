"""A broken invariant ends the process there and then."""

from __future__ import annotations

import subprocess
import sys

from adtally.jobs.runner import EXIT_INVARIANT_BROKEN

_PROGRAM = """
import asyncio
from adtally.errors import InvariantBroken
from adtally.jobs.runner import JobRunner

async def reconcile():
    raise InvariantBroken("claimed: books 1, chain 2")

async def main():
    await JobRunner({"reconcile": reconcile}).start()
    print("still alive")

asyncio.run(main())
"""


def test_runner__invariant_broken_by_default__exits_with_its_own_code() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert ended.returncode == EXIT_INVARIANT_BROKEN
    assert "still alive" not in ended.stdout
    assert "claimed: books 1, chain 2" in ended.stderr
