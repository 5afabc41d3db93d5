"""Intake of signed batches by the service's own application: each size, both encodings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.chainless.world import PUBLISHERS

from adtally.client.batch_body import Encoding

from ..load import Traffic, send
from ..sheet import Sheet
from ..stage import Stage

SIZES = {1: 3_200, 10: 3_200, 100: 3_200, 1_000: 640, 10_000: 64}
"""Events of a batch, and how many batches are sent."""

_FEW = 16
"""Publishers at once, where a batch is more than one event."""


def measure(stage: Stage) -> Sheet:
    """Events a second that were on disk, judged, hashed, priced and signed for before their 200."""
    sheet = Sheet()
    with _service(stage, "kernel") as (port, traffic):
        for events, batches in SIZES.items():
            name = f"ingest.binary_{events}"
            _measure(sheet, port, traffic, name, Encoding.BINARY, events, batches)
        _measure_half_load(sheet, port, traffic)
        _measure(sheet, port, traffic, "ingest.ndjson", Encoding.NDJSON, 1_000, 64)
    with _service(stage, "plain") as (port, traffic):
        _measure(sheet, port, traffic, "ingest.plain", Encoding.BINARY, 1_000, 64)
    _put_headlines(sheet)
    return sheet


@contextmanager
def _service(stage: Stage, engine: str) -> Iterator[tuple[int, Traffic]]:
    traffic = Traffic()
    with stage.server("scripts.bench.server", engine) as port:
        # The compiled code is made or loaded at the first batches.
        for events in (1, 10):
            asyncio.run(send(port, traffic.requests(Encoding.BINARY, _FEW, events, _FEW), events))
        yield port, traffic


def _measure(
    sheet: Sheet,
    port: int,
    traffic: Traffic,
    name: str,
    encoding: Encoding,
    events: int,
    batches: int,
) -> None:
    # A publisher's batches come one after the other. With one event in each, what is shared by a
    # commit is as many events as there are publishers: Tessera's load has as many writers, or more.
    publishers = len(PUBLISHERS) if events == 1 else _FEW
    requests = traffic.requests(encoding, batches, events, publishers)
    outcome = asyncio.run(send(port, requests, events))
    how = f"{batches} batches of {events}, {encoding.value}, {publishers} publishers, signed"
    sheet.put(f"{name}.events_per_second", outcome.events_per_second, how)
    sheet.put(f"{name}.p99_ms", outcome.percentile_ms(0.99), how, "ms")


def _measure_half_load(sheet: Sheet, port: int, traffic: Traffic) -> None:
    """Batches of 1,000 at half the rate that was reached with them."""
    rate = sheet.figures["ingest.binary_1000.events_per_second"].value / 2
    requests = traffic.requests(Encoding.BINARY, 320, 1_000, _FEW)
    outcome = asyncio.run(send(port, requests, 1_000, pause_seconds=_FEW * 1_000 / rate))
    how = f"{rate:,.0f} events a second in batches of 1,000"
    sheet.put("ingest.batch_p99_ms", outcome.percentile_ms(0.99), how, "ms")
    sheet.put("ingest.batch_p50_ms", outcome.percentile_ms(0.5), how, "ms")


def _put_headlines(sheet: Sheet) -> None:
    best = max(sheet.figures[f"ingest.binary_{size}.events_per_second"].value for size in SIZES)
    sheet.put("ingest.binary_events_per_second", best, "the best of all sizes of batches")
    ndjson = sheet.figures["ingest.ndjson.events_per_second"].value
    sheet.put("ingest.ndjson_events_per_second", ndjson, "batches of 1,000")
