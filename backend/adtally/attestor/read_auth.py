"""An attestor reads a log that is not open to everybody: with a grant that its own signer makes.

Sent only where a service asks for it, for whoever has the header can read in the signer's name.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable

import httpx

from adtally.attestor.signers import AttestorSigner
from adtally.events.attested import read_grant_message
from adtally.events.read_grant import ATTESTOR, MAX_LIFETIME_SECONDS, ReadGrant
from adtally.types import LogIdentity

_LIFETIME_SECONDS = MAX_LIFETIME_SECONDS // 4


class AttestorReadAuth(httpx.Auth):
    """Signs a grant when a service first refuses, and another before it expires."""

    def __init__(
        self,
        identity: LogIdentity,
        signer: AttestorSigner,
        now_seconds: Callable[[], float] = time.time,
    ) -> None:
        self._identity = identity
        self._signer = signer
        self._now_seconds = now_seconds
        self._grant: ReadGrant | None = None

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the header, from the first refusal on."""
        if self._grant is not None:
            request.headers["Authorization"] = (await self._fresh()).to_header()
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and self._grant is None:
            request.headers["Authorization"] = (await self._fresh()).to_header()
            yield request

    async def _fresh(self) -> ReadGrant:
        now = int(self._now_seconds())
        if self._grant is None or self._grant.expires_at_seconds - now < _LIFETIME_SECONDS // 2:
            expires = now + _LIFETIME_SECONDS
            address = self._signer.address
            message = read_grant_message(self._identity, address, ATTESTOR, expires)
            signature = await self._signer.sign(message)
            self._grant = ReadGrant(ATTESTOR, expires, address, signature)
        return self._grant
