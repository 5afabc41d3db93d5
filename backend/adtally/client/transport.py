"""HTTP to one service, asked again until it answers.

Every request of the API can be sent twice: reads change nothing, a batch is known by its member
and sequence, an attestation by its request and attestor, and the rest states facts. So a lost
connection or a 503 is no error here until the deadline has passed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

import httpx
import msgspec

from adtally.client.problems import error_from_response, retry_after_seconds
from adtally.errors import AdtallyError, InvalidInput
from adtally.log.canonical_json import require_shallow

Params = Mapping[str, str | int]

MAX_ANSWER_BYTES = 512 * 2**20
"""Far above any honest answer; whoever answers must not be able to fill the memory of who asks."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to ask again, in seconds of real time; delays double up to the maximum.

    A server may be silent for ``request_timeout_seconds``, and take ``answer_timeout_seconds`` for
    one answer in all: drop by drop it could else keep whoever asks for ever.
    """

    deadline_seconds: float = 60.0
    first_delay_seconds: float = 0.05
    max_delay_seconds: float = 1.0
    request_timeout_seconds: float = 30.0
    answer_timeout_seconds: float = 600.0


_FRAMING = (b"content-encoding", b"content-length", b"transfer-encoding")

NO_RETRY = RetryPolicy(deadline_seconds=0.0)


class Transport:
    """Requests under one base address; an async context manager.

    Args:
        base_url: of the service.
        retry: how long to ask again.
        auth: who reads, where the log is not open to everybody (``adtally.client.read_auth``).
    """

    def __init__(
        self, base_url: str, retry: RetryPolicy | None = None, auth: httpx.Auth | None = None
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.retry = retry or RetryPolicy()
        self._http = httpx.AsyncClient(
            base_url=f"{self.base_url}/v1",
            timeout=self.retry.request_timeout_seconds,
            trust_env=False,
            auth=auth,
        )

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, params: Params | None = None) -> httpx.Response:
        """The 2xx response; raises the typed error of a problem document."""
        return await self.send(self._http.build_request("GET", path, params=params))

    async def get_json(self, path: str, params: Params | None = None) -> object:
        return decode_json(await self.get(path, params))

    async def post(self, path: str, body: bytes, content_type: str) -> httpx.Response:
        """The 2xx response; raises the typed error of a problem document."""
        request = self._http.build_request(
            "POST", path, content=body, headers={"content-type": content_type}
        )
        return await self.send(request)

    async def post_json(self, path: str, document: object) -> object:
        body = msgspec.json.encode(document)
        return decode_json(await self.post(path, body, "application/json"))

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send until answered or the deadline has passed.

        Raises:
            AdtallyError: the typed error of the answer, or the service can't be reached.
        """
        deadline = time.monotonic() + self.retry.deadline_seconds
        delay = self.retry.first_delay_seconds
        while True:
            wait = delay
            try:
                async with asyncio.timeout(self.retry.answer_timeout_seconds):
                    response = await self._answer(request)
            except (httpx.RequestError, TimeoutError) as error:
                refused: AdtallyError = _unreachable(request, error)
            else:
                if response.is_success:
                    return response
                refused = error_from_response(response)
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    raise refused
                wait = max(delay, float(retry_after_seconds(response)))
            if time.monotonic() + wait > deadline:
                raise refused
            await asyncio.sleep(wait)
            delay = min(delay * 2, self.retry.max_delay_seconds)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        """The whole answer, decompressed as it comes; raises AdtallyError where it has no end."""
        response = await self._http.send(request, stream=True)
        try:
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MAX_ANSWER_BYTES:
                    raise AdtallyError(
                        "the answer is too large",
                        expected=f"at most {MAX_ANSWER_BYTES} bytes from {request.url}",
                        found="more",
                        action="ask elsewhere: no honest service answers that much at once",
                    )
        finally:
            await response.aclose()
        headers = [each for each in response.headers.raw if each[0].lower() not in _FRAMING]
        return httpx.Response(
            response.status_code, headers=headers, content=bytes(content), request=request
        )


def decode_json(response: httpx.Response) -> object:
    """The JSON body; raises AdtallyError where it is none."""
    try:
        require_shallow(response.content)
        return msgspec.json.decode(response.content)
    except (msgspec.DecodeError, InvalidInput) as error:
        raise AdtallyError(
            f"{response.request.url} did not answer JSON",
            expected="a JSON document",
            found=str(error),
        ) from None


def _unreachable(request: httpx.Request, error: Exception) -> AdtallyError:
    return AdtallyError(
        "the service does not answer",
        expected=f"an answer from {request.url}",
        found=f"{type(error).__name__}: {error}",
        action="check the address and that the service is running (adtally up)",
    )
