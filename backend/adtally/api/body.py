"""Reads a request body up to a bound, so that no client can fill the memory."""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adtally.errors import TooLarge


class BodyLimit:
    """Cuts every request's body off above a limit: what frameworks read whole is bounded, too.

    A body that is announced as too long, or becomes it, is answered as ``read_body`` answers it;
    where the framework reads (JSON documents), the reading ends in a 400.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit_bytes:
                raise _too_large(self._limit_bytes, f"more than {self._limit_bytes} bytes")
            return message

        await self._app(scope, bounded, send)


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
