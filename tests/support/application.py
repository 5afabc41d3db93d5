"""A client of the real application, in one process with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from scripts.chainless.application import DEPLOYMENT as DEPLOYMENT
from scripts.chainless.application import open_application, open_service

from adtally.api.service import Service
from support.world import World


def running_service(directory: Path, **settings: Any) -> AbstractAsyncContextManager[Service]:
    """The parts behind such an application; ``settings`` replace single ones."""
    chosen = {"max_body_bytes": 200_000} | settings
    return open_service(directory, lambda: World().facts(), **chosen)


@asynccontextmanager
async def running_application(directory: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose log holds the world's facts."""
    opened = open_application(directory, lambda: World().facts(), max_body_bytes=200_000)
    async with opened as app:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client
