"""Whose address counts behind proxies: only what trusted ones have added."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adtally.api.hits import HitRoutes
from adtally.collector.visitors import Visitor
from adtally.errors import InvalidInput

FORGED = b"6.6.6.6, 7.7.7.7"


class Desk:
    """Notes who asks; what becomes of hits is tested with the real one."""

    visitor: Visitor

    async def impression(self, _: bytes, visitor: Visitor) -> Any:
        self.visitor = visitor
        raise InvalidInput("seen")


def seen(trusted_proxies: int, forwarded: list[bytes]) -> str | None:
    desk = Desk()

    async def ask() -> None:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/imp",
            "query_string": b"t=x",
            "headers": [(b"x-forwarded-for", value) for value in forwarded],
            "client": ("10.0.0.1", 999),
        }

        async def send(_: Any) -> None:
            return None

        async def receive() -> Any:
            return {"type": "http.request"}

        routes = HitRoutes(receive, desk, trusted_proxies)  # type: ignore[arg-type]
        await routes(scope, receive, send)

    asyncio.run(ask())
    return desk.visitor.address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, [], "10.0.0.1"),
        (0, [FORGED], "10.0.0.1"),
        (1, [b"9.9.9.9"], "9.9.9.9"),
        (1, [FORGED, b"9.9.9.9"], "9.9.9.9"),
        (1, [FORGED + b", 9.9.9.9"], "9.9.9.9"),
        (2, [FORGED, b"9.9.9.9", b"10.0.0.2"], "9.9.9.9"),
        (2, [b"10.0.0.2"], None),
        (1, [], ""),
    ],
)
def test_address__behind_proxies__is_what_the_outermost_trusted_one_saw(
    proxies: int, forwarded: list[bytes], address: str | None
) -> None:
    assert seen(proxies, forwarded) == address
