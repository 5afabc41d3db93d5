"""Reads request bodies up to bounds, so that no client, and no crowd of them, fills the memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adtally.api.whole_body import whole_body
from adtally.errors import InvalidInput, Overloaded, TooLarge

TOTAL_BYTES = 256 * 2**20
READ_SECONDS = 30


class BodyLimit:
    """Cuts every request's body off above a limit: what frameworks read whole is bounded, too.

    Where the framework reads (JSON documents), the reading ends in a 400.
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


class BodyBudget:
    """What all bodies together may take that are being read or wait for their answer.

    However many clients send at once, memory stays flat: who finds no room is told to come again.

    Args:
        limit_bytes: of one body.
        total_bytes: of all.
    """

    def __init__(self, limit_bytes: int, total_bytes: int = TOTAL_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._left_bytes = max(total_bytes, limit_bytes)

    @asynccontextmanager
    async def body(self, scope: Scope, receive: Receive) -> AsyncIterator[bytes]:
        """The whole body; its room is given back at the end of the block.

        Raises:
            TooLarge: announced or actual length is over the limit; the rest is not read.
            Overloaded: there is no room for it.
            InvalidInput: it did not arrive within ``READ_SECONDS``, or its sender has gone.
        """
        taken = 0
        whole = whole_body(scope)
        try:
            announced = dict(scope["headers"]).get(b"content-length", b"").strip()
            if announced.isdigit():
                taken = self._take(0, int(announced), f"{int(announced)} bytes announced")
                if whole is not None:
                    whole.grant(taken)
            pieces: list[bytes] = []
            size, more = 0, True
            async with _timely():
                while more:
                    message = await receive()
                    pieces.append(_piece(message))
                    size += len(pieces[-1])
                    taken += self._take(taken, size, f"more than {self._limit_bytes} bytes")
                    more = message.get("more_body", False)
            yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            if whole is not None:
                whole.withdraw()
            self._left_bytes += taken

    def _take(self, taken: int, size: int, found: str) -> int:
        """Take what ``size`` needs beyond ``taken``; returns how much that was."""
        if size > self._limit_bytes:
            raise _too_large(self._limit_bytes, found)
        more = max(size - taken, 0)
        if more > self._left_bytes:
            raise Overloaded("too many bodies are being read")
        self._left_bytes -= more
        return more


@asynccontextmanager
async def _timely() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(READ_SECONDS):
            yield
    except TimeoutError:
        raise InvalidInput(
            "the request body came too slowly",
            field="body",
            expected=f"all of it within {READ_SECONDS} s",
            action="send smaller batches",
        ) from None


def _piece(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise InvalidInput("the sender has gone", field="body", expected="all of the body")
    piece: bytes = message.get("body", b"")
    return piece


def _too_large(limit_bytes: int, found: str) -> TooLarge:
    return TooLarge(
        "the request body is too large",
        field="body",
        expected=f"at most {limit_bytes} bytes",
        found=found,
        action="send less at once: split a batch, or send it as binary",
    )
