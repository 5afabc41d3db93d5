"""Reading where the log is not open to everybody: a fresh signed grant with every request."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import httpx

from adtally.events.read_grant import ATTESTOR, MAX_LIFETIME_SECONDS, ReadGrant, sign_read_grant
from adtally.types import Hash

_LIFETIME_SECONDS = MAX_LIFETIME_SECONDS // 4


class ReadAuth(httpx.Auth):
    """Signs a grant and signs another before it expires.

    Args:
        domain: of the log (``adtally.events.eip712.log_domain``), which its deployment tells.
        key: a member's event key or an attestor's key; private.
        member: whose key it is; an attestor by default.
        now_seconds: the time, UTC.
    """

    def __init__(
        self,
        domain: Hash,
        key: bytes,
        member: int = ATTESTOR,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._domain = domain
        self._key = key
        self._member = member
        self._now_seconds = now_seconds
        self._grant: ReadGrant | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the header."""
        request.headers["Authorization"] = self._fresh().to_header()
        yield request

    def _fresh(self) -> ReadGrant:
        now = int(self._now_seconds())
        if self._grant is None or self._grant.expires_at_seconds - now < _LIFETIME_SECONDS // 2:
            expires = now + _LIFETIME_SECONDS
            self._grant = sign_read_grant(self._domain, self._key, self._member, expires)
        return self._grant
