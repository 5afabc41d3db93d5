"""Impressions without a task each: uvicorn's HTTP protocol with a short way for the hot path.

A pixel is read, submitted, and written when its batch is on disk, in one callback each; uvicorn's
general way (a task, a request object, messages) costs more than all that. Only plain requests go
this way: HTTP/1.1, GET, kept alive, nothing open on the connection, a genuine token. Everything
else, errors too, goes uvicorn's way to ``HitRoutes``, which answers the same: without this class
the service does the same, slower.
"""

from __future__ import annotations

import asyncio
from functools import partial

from adtally.api.hits import GIF, GIF_HEADERS, HitRoutes, hit_header, query_parameter
from adtally.api.problems import problem_of
from adtally.api.whole_body import WholeBodyProtocol
from adtally.collector.collector import Logged
from adtally.collector.hits import Answer
from adtally.errors import AdtallyError, Overloaded

_PATH = b"/v1/imp?"
_WITH_BODY = frozenset((b"content-length", b"transfer-encoding", b"expect"))
_OK = b"HTTP/1.1 200 OK\r\n"

_Headers = list[tuple[bytes, bytes]]


class _NoEvent:
    """Nobody waits for the rest of a request without a body."""

    def set(self) -> None:
        """Nothing to do."""


class _OpenHit:
    """Stands where uvicorn looks for the request under way."""

    __slots__ = ("disconnected", "keep_alive", "more_body", "response_complete")
    message_event = _NoEvent()

    def __init__(self) -> None:
        self.disconnected = False
        self.keep_alive = True
        self.more_body = True
        self.response_complete = False


class HitProtocol(WholeBodyProtocol):
    """For ``uvicorn.Config(http=HitProtocol)``."""

    def on_headers_complete(self) -> None:
        """Called by the parser when a request's head is there."""
        if not self._takes_hit():
            super().on_headers_complete()

    def _takes_hit(self) -> bool:
        parser, routes = self.parser, self.app
        if (
            not self.url.startswith(_PATH)
            or parser.get_method() != b"GET"
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
            or self.limit_concurrency is not None
            or not isinstance(routes, HitRoutes)
            or any(name in _WITH_BODY for name, _ in self.headers)
        ):
            return False
        query = self.url[len(_PATH) :]
        try:
            visitor = routes.visitor(self.headers, query, self.client)
            event_id, logged = routes.desk.submit_impression(query_parameter(query, b"t="), visitor)
        except Exception:
            # Found again, answered or noted on the other way; nothing was taken.
            return False
        hit = _OpenHit()
        self.cycle = hit  # type: ignore[assignment]
        logged.add_done_callback(partial(self._answer, hit, event_id))
        return True

    def _answer(self, hit: _OpenHit, event_id: bytes, logged: asyncio.Future[Logged]) -> None:
        hit.response_complete = True
        error = None if logged.cancelled() else logged.exception()
        if hit.disconnected or self.transport.is_closing():
            return
        if logged.cancelled() or error is not None:
            self._refuse(hit, error)
        else:
            about = hit_header(Answer(event_id, *logged.result()))
            self._write(hit, _OK, [*GIF_HEADERS, about], GIF)
        if not hit.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def _refuse(self, hit: _OpenHit, error: BaseException | None) -> None:
        refusal = error if isinstance(error, AdtallyError) else Overloaded("the hit was not logged")
        answer = problem_of(refusal)
        status = f"HTTP/1.1 {answer.status_code} \r\n".encode("ascii")
        headers = [*answer.raw_headers, (b"cache-control", b"no-store")]
        self._write(hit, status, headers, bytes(answer.body))

    def _write(self, hit: _OpenHit, status: bytes, headers: _Headers, body: bytes) -> None:
        parts = [status]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"\r\n" if hit.keep_alive else b"connection: close\r\n\r\n")
        parts.append(body)
        self.transport.write(b"".join(parts))
