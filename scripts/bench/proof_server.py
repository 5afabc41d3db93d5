"""The service's own HTTP application over a tree of so many made-up leaves; no chain, no jobs.

python -m scripts.bench.proof_server DIRECTORY LEAVES CPU      prints its port, serves until killed

The tree is the service's (``adtally.log.stored_tree``), its files on disk. Only its leaves are
random hashes instead of those of records, which proofs can't tell.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import uvloop
from scripts.chainless.application import open_service
from scripts.chainless.world import world_facts

from adtally.api.application import create_application
from adtally.kernel.sha256 import packed_parents
from adtally.log.stored_tree import StoredTree
from adtally.rfc9162 import HASH_SIZE

from .serving import serve_on_free_port

_AT_ONCE = 100_000


def grown(directory: Path, leaves: int) -> StoredTree:
    """A synced tree of random leaf hashes."""
    tree = StoredTree.open(directory, parents=packed_parents)
    random = np.random.default_rng(1)
    for start in range(0, leaves, _AT_ONCE):
        count = min(_AT_ONCE, leaves - start)
        tree.append_packed(random.bytes(count * HASH_SIZE))
    tree.sync()
    return tree


async def serve(directory: Path, leaves: int) -> None:
    """Run the application on a free port, which is printed once the tree stands."""
    async with open_service(directory, world_facts) as service:
        with grown(directory / "made-tree", leaves) as tree:
            service.sequencer.tree = tree
            application = create_application(service, with_virtual_clock=True)
            await serve_on_free_port(application)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[3])})
    uvloop.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
