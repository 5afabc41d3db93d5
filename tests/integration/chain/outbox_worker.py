"""Runs the operator's outbox in one forked process after the other, each killed with -9.

Reads one line per life from stdin, how many milliseconds it may last; answers each with a line.
Forking spares every life the imports.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.storage.database import Database
from support.chain_site import ChainSite
from support.outbox_runs import Office


async def live(folder: Path, url: str) -> None:
    deployment = Deployment.load(folder / "deployment.json")
    site = ChainSite(Chain(url, deployment.finality), deployment)
    office = Office(site, Database(f"sqlite+aiosqlite:///{folder / 'control.sqlite3'}"))
    while True:
        await office.outbox.step()
        await asyncio.sleep(0.002)


def main(folder: Path, url: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(live(folder, url))
        time.sleep(int(line) / 1000)
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        # Killed by us, or it ended by itself: that would be an error.
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
