"""Bodies in one piece: uvicorn's HTTP protocol without its stops on the way.

uvicorn stops reading a connection after every 64 kB until the application has come for them, so a
batch of 10,000 events is woken for a dozen times. That brake is what keeps memory flat, so it is
let go for one request at a time, by who has set aside room for all of its body: ``BodyBudget``.
Without this class the service does the same, slower.
"""

from __future__ import annotations

import weakref
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "adtally.whole_body"
"""In the ``extensions`` of a request's scope (ASGI)."""


class WholeBody:
    """How much of a request's body may be kept until all of it is there.

    Args:
        cycle: uvicorn's state of the request.
    """

    __slots__ = ("_cycle", "_granted_bytes")

    def __init__(self, cycle: Any) -> None:
        # The cycle holds the scope, and that holds this: were it held in turn, finished requests
        # would wait for the garbage collector, with what they have left unread of their bodies.
        self._cycle = weakref.ref(cycle)
        self._granted_bytes = 0

    def grant(self, length: int) -> None:
        """There is room for so many bytes: have the application wait for the end."""
        self._granted_bytes = length
        cycle = self._cycle()
        if cycle is not None and cycle.more_body:
            cycle.message_event.clear()

    def withdraw(self) -> None:
        """The room is given back: forget what has come, and keep no more than uvicorn does."""
        self._granted_bytes = 0
        cycle = self._cycle()
        if cycle is not None:
            cycle.body = bytearray()

    def takes(self, body: bytes) -> bool:
        """Keep another part, if there is room for it."""
        cycle = self._cycle()
        if cycle is None or len(cycle.body) + len(body) > self._granted_bytes:
            return False
        cycle.body += body
        return True


def whole_body(scope: Scope) -> WholeBody | None:
    """That of a request; None under another protocol."""
    found: WholeBody | None = scope.get("extensions", {}).get(_EXTENSION)
    return found


class WholeBodyProtocol(HttpToolsProtocol):
    """For ``uvicorn.Config(http=WholeBodyProtocol)``."""

    _whole: WholeBody | None = None
    """Of the request that is being read."""

    def on_headers_complete(self) -> None:
        """Called by the parser when a request's head is there."""
        super().on_headers_complete()
        if self.cycle is None:  # it becomes a WebSocket
            return
        self._whole = WholeBody(self.cycle)
        self.scope["extensions"] = {_EXTENSION: self._whole}  # type: ignore[dict-item]

    def on_body(self, body: bytes) -> None:
        """Called by the parser for each part of a body."""
        if self._whole is None or not self._whole.takes(body):
            super().on_body(body)
