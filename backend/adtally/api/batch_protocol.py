"""Bodies of batches in one piece: uvicorn's HTTP protocol without its stops on the way.

uvicorn stops reading a connection after every 64 kB until the application has come for them; a
batch of 10,000 events is woken for a dozen times, and its bytes are copied twice more. Bodies of
batches need no such brake: how long they are is announced, and ``BodyBudget`` has room for all of
one before it is read, or refuses it. Everything else goes uvicorn's way, and so do batches whose
length is not announced: without this class the service does the same, slower.
"""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from adtally.api.batches import PATH

_URL = PATH.encode("ascii")


class BatchProtocol(HttpToolsProtocol):
    """For ``uvicorn.Config(http=BatchProtocol)``."""

    _pieces: list[bytes] | None = None
    """Of the body that is being read, if it is a batch's."""

    def on_headers_complete(self) -> None:
        """Called by the parser when a request's head is there."""
        super().on_headers_complete()
        if self._takes_batch():
            self._pieces = []

    def _takes_batch(self) -> bool:
        parser = self.parser
        if self.url != _URL or parser.get_method() != b"POST" or parser.should_upgrade():
            return False
        names = [name for name, _ in self.headers]
        # With both, the length is not what counts.
        return b"content-length" in names and b"transfer-encoding" not in names

    def on_body(self, body: bytes) -> None:
        """Called by the parser for each part of a body."""
        if self._pieces is None:
            super().on_body(body)
        elif self.cycle.response_complete:
            self._pieces.clear()
        else:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a request."""
        pieces, self._pieces = self._pieces, None
        if pieces:
            self.cycle.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)  # type: ignore[assignment]
        super().on_message_complete()
