"""Measures the Merkle tree on disk: ``python -m scripts.bench.stored_tree [leaves]``.

Appends with the kernel's hashes, what an append costs besides hashing, the root after each, proofs
of random leaves, opening again, verifying, and memory. Machines differ: compare within a run.
Times are given in CPU time too, so that a busy machine can be told from a slow tree.
"""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from adtally.kernel.sha256 import packed_parents
from adtally.log.merkle import Parents
from adtally.log.stored_tree import StoredTree
from adtally.rfc9162 import HASH_SIZE

DIRECTORY = Path(__file__).resolve().parents[2] / "build" / "bench" / "tree"
BATCHES = (100, 1_000, 20_000)
POOL = np.random.default_rng(1).integers(0, 256, (40_000, HASH_SIZE), np.uint8).tobytes()


def main() -> None:
    leaves = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    packed_parents(bytes(64 * HASH_SIZE))
    for batch in BATCHES:
        measure_appends(batch, min(leaves, 10_000 * batch))
    measure_large(leaves)
    shutil.rmtree(DIRECTORY)


def no_hashing(children: bytes | memoryview) -> bytes:
    """Zeros for hashes: what is left is the tree's own cost."""
    return bytes(len(children) // 2)


def new_tree(parents: Parents) -> StoredTree:
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    return StoredTree.open(DIRECTORY, parents=parents)


def grow(tree: StoredTree, batch: int, leaves: int) -> tuple[float, float]:
    """Seconds, and seconds of CPU, to add so many leaves and have the root after each append."""
    start, busy = time.perf_counter(), time.thread_time()
    for number in range(leaves // batch):
        at = number % 19_001 * HASH_SIZE
        tree.append_packed(POOL[at : at + batch * HASH_SIZE])
        tree.root()
    return time.perf_counter() - start, time.thread_time() - busy


def measure_appends(batch: int, leaves: int) -> None:
    spent, busy = grow(new_tree(packed_parents), batch, leaves)
    _, besides = grow(new_tree(no_hashing), batch, leaves)
    show(f"append and root, {batch} at a time", spent / leaves * 1e9, "ns a leaf")
    show("  of CPU", busy / leaves * 1e9, "ns a leaf")
    show("  of CPU besides hashing nodes in bulk", besides / leaves * 1e9, "ns a leaf")


def measure_large(leaves: int) -> None:
    before = anonymous_kib()
    tree = new_tree(packed_parents)
    show(f"append {leaves} leaves, 5,000 at a time", grow(tree, 5_000, leaves)[0], "s")
    show("anonymous memory grew by", anonymous_kib() - before, "KiB")
    show("sync", seconds(tree.sync), "s")
    chance = random.Random(1)
    size, root = tree.size, tree.root()
    old = [chance.randint(1, size) for _ in range(5_000)]
    percentiles("root of the newest size", [lambda: tree._right_border(size)[-1]] * 1_000)
    percentiles("root of an old size", [lambda at=at: tree.root(at) for at in old])
    percentiles(
        "inclusion proof, newest size",
        [lambda at=at: tree.inclusion_proof(at - 1) for at in old],
    )
    percentiles(
        "inclusion proof, old size",
        [lambda at=at: tree.inclusion_proof(chance.randrange(at), at) for at in old],
    )
    percentiles(
        "consistency proof, old to newest", [lambda at=at: tree.consistency_proof(at) for at in old]
    )
    tree.close()
    start = time.perf_counter()
    tree = StoredTree.open(DIRECTORY, size, root=root, parents=packed_parents)
    show("open", (time.perf_counter() - start) * 1e3, "ms")
    show("verify", seconds(tree.verify), "s")
    show("anonymous memory grew by", anonymous_kib() - before, "KiB")
    tree.close()


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def percentiles(what: str, calls: list[Callable[[], object]]) -> None:
    times, busy = [], []
    for call in calls:
        before = time.thread_time()
        times.append(seconds(call))
        busy.append(time.thread_time() - before)
    for name, share in (("p50", 50), ("p99", 99)):
        at = len(calls) * share // 100
        show(f"{what}, {name}", sorted(times)[at] * 1e6, "us")
        show(f"  of CPU, {name}", sorted(busy)[at] * 1e6, "us")


def anonymous_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def show(what: str, value: float, unit: str) -> None:
    print(f"{what:48} {value:10,.1f} {unit}")


if __name__ == "__main__":
    main()
