"""JSON-RPC over HTTP: one small client with timeouts.

Everything that is no answer becomes ``ChainUnavailable``; an answer that is an error becomes
``RpcError``, whose meaning differs from node to node (``adtally.chain.reverts`` reads it).
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from typing import Any

import httpx

from adtally.errors import ChainUnavailable

# Node's HTTP server closes connections that were idle for 5 s; never use one that is about to be.
_LIMITS = httpx.Limits(max_connections=20, max_keepalive_connections=20, keepalive_expiry=2.0)


class RpcError(Exception):
    """The node answered with a JSON-RPC error object."""

    def __init__(self, method: str, code: int, message: str, data: object) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.method = method
        self.code = code
        self.message = message
        self.data = data


class JsonRpc:
    """A JSON-RPC endpoint. Values go in and out as JSON-RPC has them (0x hex strings)."""

    def __init__(self, url: str, *, timeout_seconds: float = 10.0) -> None:
        self.url = url
        self._timeout = timeout_seconds
        self._ids = itertools.count(1)
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def request(self, method: str, *params: object) -> Any:
        """One call's result.

        Raises:
            ChainUnavailable: no answer in time, or not a JSON-RPC answer.
            RpcError: the node says no.
        """
        (result,) = await self.batch([(method, params)])
        if isinstance(result, RpcError):
            raise result
        return result

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        """Results in order of the calls, each a result or an ``RpcError`` (not raised)."""
        bodies = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
            for method, params in calls
        ]
        answer = await self._post(bodies[0] if len(bodies) == 1 else bodies)
        answers = answer if isinstance(answer, list) else [answer]
        by_id = {item.get("id"): item for item in answers if isinstance(item, dict)}
        return [
            self._result(body["method"], by_id.get(body["id"]))  # type: ignore[arg-type]
            for body in bodies
        ]

    def _result(self, method: str, answer: dict[str, Any] | None) -> Any:
        if answer is None or ("result" not in answer and "error" not in answer):
            raise self._nonsense(method, "an answer without result or error")
        error = answer.get("error")
        if error is None:
            return answer.get("result")
        if not isinstance(error, dict):
            raise self._nonsense(method, f"error {error!r}")
        return RpcError(
            method, int(error.get("code", 0)), str(error.get("message", "")), error.get("data")
        )

    async def _post(self, body: object) -> Any:
        client = self._open_client()
        try:
            response = await client.post(self.url, json=body)
            return response.json()
        except httpx.HTTPError as error:
            raise ChainUnavailable(
                "the chain's RPC endpoint did not answer",
                expected=f"an answer from {self.url} within {self._timeout:g} s",
                found=str(error) or type(error).__name__,
                action="start the node, or correct rpc_url; the work resumes by itself",
            ) from None
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise self._nonsense("request", f"HTTP {response.status_code}, no JSON") from None

    def _nonsense(self, method: str, found: str) -> ChainUnavailable:
        return ChainUnavailable(
            "the chain's RPC endpoint answered nonsense",
            expected=f"a JSON-RPC 2.0 answer to {method} from {self.url}",
            found=found,
            action="check that rpc_url is an Ethereum JSON-RPC endpoint",
        )

    def _open_client(self) -> httpx.AsyncClient:
        # Connections belong to one event loop; a new loop needs new ones.
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client = httpx.AsyncClient(timeout=self._timeout, trust_env=False, limits=_LIMITS)
            self._loop = loop
        return self._client

    async def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
