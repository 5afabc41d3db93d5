"""The naive way, over the same HTTP: see ``scripts/bench/naive.py``."""

from __future__ import annotations

import asyncio

from ..load import naive_requests, send
from ..sheet import Sheet
from ..stage import Stage

_HOW = "FastAPI, Pydantic, a row an event by SQLAlchemy's ORM in SQLite, "


def measure(stage: Stage) -> Sheet:
    """Events a second that are committed to SQLite."""
    sheet = Sheet()
    batches, singles = naive_requests(64, 1_000), naive_requests(1_600, 1)
    with stage.server("scripts.bench.naive") as port:
        outcome = asyncio.run(send(port, batches, 1_000))
        single = asyncio.run(send(port, singles, 1))
    sheet.put("naive.events_per_second", outcome.events_per_second, _HOW + "1,000 a request")
    sheet.put("naive.single_events_per_second", single.events_per_second, _HOW + "one a request")
    return sheet
