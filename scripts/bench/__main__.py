"""Measures intake: ``python -m scripts.bench``, or ``make bench``; build/bench/report.json.

The server has one core, the load another. Every rate is of events that were on disk, judged, hashed
into the tree, priced and signed for before their 200. Machines differ: compare ratios of one run.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.figures import Figure, Figures, Part, commit, report_json, write_json

from adtally.client.batch_body import Encoding

from .hits import CONNECTIONS, pixel_requests, send_hits
from .limits import hash_rates, sync_rate
from .load import Traffic, naive_requests, send

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
SIZES = {1: 3_200, 10: 3_200, 100: 3_200, 1_000: 640, 10_000: 64}
"""Events of a batch, and how many batches are sent."""
HITS = 100_000


def main() -> int:
    BUILD.mkdir(parents=True, exist_ok=True)
    figures: Figures = {}
    _measure_limits(figures)
    with _server("scripts.bench.server", "kernel") as port:
        _measure_binary(figures, port)
        _measure_half_load(figures, port)
        _measure(figures, port, "ingest.ndjson", Encoding.NDJSON, 1_000, 64)
    with _server("scripts.bench.server", "kernel") as port:
        _measure_hits(figures, port)
    with _server("scripts.bench.server", "plain") as port:
        _measure(figures, port, "ingest.plain", Encoding.BINARY, 1_000, 64)
    with _server("scripts.bench.naive") as port:
        outcome = asyncio.run(send(port, naive_requests(64, 1_000), 1_000))
        how = "FastAPI, Pydantic, a row an event by SQLAlchemy's ORM in SQLite, batches of 1,000"
        _put(figures, "naive.events_per_second", outcome.events_per_second, how)
    _put_ratios(figures)
    report = report_json([Part(figures, {}, [])], commit(ROOT))
    write_json(BUILD / "report.json", report)
    print(f"written: {BUILD / 'report.json'}")
    return 0


def _measure_limits(figures: Figures) -> None:
    openssl, lanes = hash_rates()
    _put(figures, "limit.sha256_per_second", openssl, "113 bytes each, hashlib, one core")
    _put(figures, "limit.sha256_lanes_per_second", lanes, "the same by the kernel")
    _put(figures, "limit.fdatasync_per_second", sync_rate(BUILD), "114,000 bytes each")


def _measure_binary(figures: Figures, port: int) -> None:
    for events, batches in SIZES.items():
        name = f"ingest.binary_{events}"
        _measure(figures, port, name, Encoding.BINARY, events, batches)
    best = max(figures[f"ingest.binary_{events}.events_per_second"].value for events in SIZES)
    _put(figures, "ingest.binary_events_per_second", best, "the best of all sizes of batches")


def _measure(
    figures: Figures, port: int, name: str, encoding: Encoding, events: int, batches: int
) -> None:
    outcome = asyncio.run(send(port, TRAFFIC.requests(encoding, batches, events), events))
    how = f"{batches} batches of {events}, {encoding.value}, 16 publishers, signed"
    _put(figures, f"{name}.events_per_second", outcome.events_per_second, how)
    _put(figures, f"{name}.p99_ms", outcome.percentile_ms(0.99), how, "ms")


def _measure_half_load(figures: Figures, port: int) -> None:
    """Batches of 1,000 at half the rate that was reached with them."""
    rate = figures["ingest.binary_1000.events_per_second"].value / 2
    requests = TRAFFIC.requests(Encoding.BINARY, 320, 1_000)
    outcome = asyncio.run(send(port, requests, 1_000, pause_seconds=16 * 1_000 / rate))
    how = f"{rate:,.0f} events a second in batches of 1,000"
    _put(figures, "ingest.batch_p99_ms", outcome.percentile_ms(0.99), how, "ms")
    _put(figures, "ingest.batch_p50_ms", outcome.percentile_ms(0.5), how, "ms")


def _measure_hits(figures: Figures, port: int) -> None:
    """Single hits: as many as go, then half of that rate for the latency."""
    send_hits(port, pixel_requests(5_000))
    outcome = send_hits(port, pixel_requests(HITS))
    how = f"{HITS:,} pixels, {CONNECTIONS} connections, a token and a person each"
    _put(figures, "ingest.hits_per_second", outcome.events_per_second, how)
    rate = outcome.events_per_second / 2
    outcome = send_hits(port, pixel_requests(HITS), rate=rate)
    how = f"{rate:,.0f} hits a second over {CONNECTIONS} connections"
    _put(figures, "ingest.hit_p50_ms", outcome.percentile_ms(0.5), how, "ms")
    _put(figures, "ingest.hit_p99_ms", outcome.percentile_ms(0.99), how, "ms")


def _put_ratios(figures: Figures) -> None:
    binary = figures["ingest.binary_events_per_second"].value
    ndjson = figures["ingest.ndjson.events_per_second"].value
    _put(figures, "ingest.ndjson_events_per_second", ndjson, "batches of 1,000")
    for name, other in (
        ("ingest.ratio_naive", "naive.events_per_second"),
        ("ingest.ratio_plain", "ingest.plain.events_per_second"),
        ("ingest.ratio_sha256_limit", "limit.sha256_per_second"),
    ):
        _put(figures, name, binary / figures[other].value, f"to {other}", "x")


def _put(figures: Figures, name: str, value: float, how: str, unit: str = "1/s") -> None:
    rounded = round(value) if value >= 1_000 else round(value, 2)
    figures[name] = Figure(rounded, unit, how)
    print(f"{name} = {rounded:,} {unit}", flush=True)


TRAFFIC = Traffic()


@contextmanager
def _server(module: str, *arguments: str) -> Iterator[int]:
    """A fresh server on the first core; gives its port."""
    os.sched_setaffinity(0, {_cores()[-1]})
    TRAFFIC.reset()
    directory = BUILD / "data"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    command = [sys.executable, "-m", module, str(directory), *arguments, str(_cores()[0])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        port = int(process.stdout.readline()) if process.stdout else 0
        if module.endswith(".server"):
            # The compiled code is made or loaded at the first batch.
            asyncio.run(send(port, TRAFFIC.requests(Encoding.BINARY, 16, 10), 10))
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _cores() -> list[int]:
    return sorted(CORES)


CORES = os.sched_getaffinity(0)

if __name__ == "__main__":
    started = time.monotonic()
    status = main()
    print(f"{time.monotonic() - started:.0f} s")
    sys.exit(status)
