"""The limit of HTTP: a bare ASGI application that answers, and one that reads 1,000 records."""

from __future__ import annotations

import os
from itertools import repeat

from adtally.events.record import RECORD_SIZE

from ..closed_loop import Rate, closed_loop
from ..sheet import Sheet
from ..stage import Stage

_CONNECTIONS = 64
_HITS = 100_000
_BODIES = 4_000
_EVENTS = 1_000
_GET = b"GET /v1/imp?t=0 HTTP/1.1\r\nhost: bench\r\n\r\n"


def measure(stage: Stage) -> Sheet:
    """Requests a second of one core, with nothing behind them."""
    sheet = Sheet()
    body = os.urandom(_EVENTS * RECORD_SIZE)
    post = b"POST /v1/batches HTTP/1.1\r\nhost: bench\r\ncontent-length: %d\r\n\r\n" % len(body)
    with stage.server("scripts.bench.raw_http") as port:
        hits = _rate(port, _GET, _HITS)
        bodies = _rate(port, post + body, _BODIES)
    how = f"a bare ASGI application under uvicorn answers a GIF; {_load(hits)}"
    sheet.put("limit.http_requests_per_second", hits.per_second, how)
    how = f"the same reads bodies of {_EVENTS:,} records of {RECORD_SIZE} bytes; {_load(bodies)}"
    sheet.put("limit.http_body_events_per_second", bodies.per_second * _EVENTS, how)
    return sheet


def _rate(port: int, request: bytes, number: int) -> Rate:
    each = number // _CONNECTIONS
    return closed_loop(port, [repeat(request, each) for _ in range(_CONNECTIONS)])


def _load(rate: Rate) -> str:
    return f"{_CONNECTIONS} connections, the load's core {rate.load_share:.0%} busy"
