"""The service's own HTTP application, sequencer and log in a process of its own; no chain, no jobs.

python -m scripts.bench.server DIRECTORY ENGINE CPU      prints its port, serves until it is killed
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvloop
from scripts.chainless.application import open_application
from scripts.chainless.world import world_facts

from adtally.config import Settings

from .serving import serve_on_free_port


async def serve(directory: Path, engine: str) -> None:
    """Run the application on a free port, which is printed."""
    opened = open_application(
        directory,
        world_facts,
        max_body_bytes=2**24,
        engine=engine,
        trusted_proxies=1,
        dedupe_ready_bytes=Settings.model_fields["dedupe_ready_bytes"].default,
    )
    async with opened as application:
        await serve_on_free_port(application)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2]))
