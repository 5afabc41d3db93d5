"""The least an HTTP server in Python can do: a bare ASGI application under uvicorn.

It reads the body, and answers it with the picture of a tracking pixel.

    python -m scripts.bench.raw_http DIRECTORY CPU
"""

from __future__ import annotations

import os
import sys
from typing import Any

import uvloop

from .serving import serve_on_free_port

# The transparent pixel of 43 bytes that trackers answer with.
GIF = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"image/gif"), (b"content-length", b"%d" % len(GIF))],
}
_BODY = {"type": "http.response.body", "body": GIF}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer any request, once its body is there."""
    parts = []
    more = scope["method"] == "POST"
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    b"".join(parts)
    await send(_START)
    await send(_BODY)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[2])})
    uvloop.run(serve_on_free_port(application))
