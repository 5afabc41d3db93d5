"""A process that only steps the operator's outbox, made to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from adtally.chain.connection import Chain
from adtally.chain.deployment import Deployment
from adtally.storage.database import Database
from support.chain_site import ChainSite
from support.outbox_runs import Office


async def main(folder: Path, url: str) -> None:
    deployment = Deployment.load(folder / "deployment.json")
    site = ChainSite(Chain(url, deployment.finality), deployment)
    office = Office(site, Database(f"sqlite+aiosqlite:///{folder / 'control.sqlite3'}"))
    print("up", flush=True)
    while True:
        await office.outbox.step()
        await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
