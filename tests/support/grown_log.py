"""The real application on a log with many records, in one process with its client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from scripts.bench.load import Traffic
from scripts.chainless.application import open_service
from scripts.chainless.world import PUBLISHERS, world_facts

from adtally.api.application import create_application
from adtally.api.service import Service


@dataclass
class GrownLog:
    """A running service, a client of it, and how its log grows."""

    service: Service
    client: httpx.AsyncClient
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def size(self) -> int:
        return self.service.sequencer.tree.size

    async def grow(self, entries: int) -> None:
        """Add so many entries (at least 2): batches of up to 10,000 records."""
        while entries:
            # An envelope is an entry as well, and none may be left over for it alone.
            events = min(entries - 1, 10_000)
            if entries - 1 - events == 1:
                events -= 1
            (batch,) = self.traffic.batches(PUBLISHERS[0], 1, events)
            await self.service.sequencer.submit(batch)
            entries -= 1 + events

    async def grow_to(self, size: int) -> None:
        await self.grow(size - self.size)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(f"/v1/log/{path}", headers=headers)


@asynccontextmanager
async def grown_log(directory: Path, size: int = 0, **settings: Any) -> AsyncIterator[GrownLog]:
    """A log of ``size`` entries (by default of facts alone), under some other settings."""
    async with open_service(directory, world_facts, **settings) as service:
        app = create_application(service, with_virtual_clock=True)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            log = GrownLog(service, client)
            if size:
                await log.grow_to(size)
            yield log
