"""Reads a request body up to a bound, so that no client can fill the memory."""

from __future__ import annotations

from fastapi import Request

from adtally.errors import TooLarge


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: announced or actual length is over the limit; the rest is not read.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise _too_large(limit_bytes, f"{announced} bytes announced")
    pieces = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit_bytes:
            raise _too_large(limit_bytes, f"more than {limit_bytes} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _too_large(limit_bytes: int, found: str) -> TooLarge:
    return TooLarge(
        "the request body is too large",
        field="body",
        expected=f"at most {limit_bytes} bytes",
        found=found,
        action="split the batch, or send it as binary",
    )
