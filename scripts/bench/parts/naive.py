"""The naive way, over the same HTTP: see ``scripts/bench/naive.py``."""

from __future__ import annotations

import asyncio

from ..load import naive_requests, send
from ..sheet import Sheet
from ..stage import Stage

_HOW = "FastAPI, Pydantic, a row an event by SQLAlchemy's ORM in SQLite, batches of 1,000"


def measure(stage: Stage) -> Sheet:
    """Events a second that are committed to SQLite."""
    sheet = Sheet()
    requests = naive_requests(64, 1_000)
    with stage.server("scripts.bench.naive") as port:
        outcome = asyncio.run(send(port, requests, 1_000))
    sheet.put("naive.events_per_second", outcome.events_per_second, _HOW)
    return sheet
