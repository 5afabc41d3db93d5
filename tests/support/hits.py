"""Somebody who serves ads in the world: slots, tokens, and what a browser does with them."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from adtally.api.application import create_application
from adtally.api.service import Service
from adtally.client.hits import SlotMint
from adtally.events.eip712 import declaration_digest
from adtally.events.facts import Declaration, DeclarationKind
from adtally.events.hit_tokens import HIT_KIND, Slot, mint_token
from adtally.events.record import AdEvent, new_event_id
from adtally.events.signature import address_of, sign
from support.application import running_service
from support.world import (
    ADVERTISER,
    ALICE,
    CAMPAIGN,
    CREATIVE,
    FLIGHT_START,
    LOG_DOMAIN,
    NOON_MS,
    PLACEMENT,
    key_of,
)

SLOT = Slot(CAMPAIGN, ALICE, PLACEMENT, CREATIVE)
LANDING = "https://shop.example/shoes?color=red#top"
BROWSER = {
    "user-agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
    "(KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36"
}
_HIT = re.compile(r'([a-z_]+);id="([0-9a-f-]{36})";index=(\d+)\Z')


class Hit(NamedTuple):
    """The answer's ``Adtally-Hit``."""

    verdict: str
    event_id: bytes
    index: int


def hit_of(answer: httpx.Response) -> Hit:
    match = _HIT.match(answer.headers["adtally-hit"])
    assert match, answer.headers
    return Hit(match[1], bytes.fromhex(match[2].replace("-", "")), int(match[3]))


@dataclass
class Scene:
    """A running service and a client of it; tokens are minted for Alice's slot by default."""

    service: Service
    api: httpx.AsyncClient

    def mint(self, slot: Slot = SLOT) -> SlotMint:
        return SlotMint(slot, self.service.hits.keys.slot_key(slot.packed()))

    def token(self, at_ms: int = NOON_MS, slot: Slot = SLOT, country: str = "DE") -> str:
        key = self.service.hits.keys.slot_key(slot.packed())
        event_id = new_event_id(at_ms, secrets.token_bytes(10))
        return mint_token(key, HIT_KIND, slot.packed(), event_id, country).text

    async def get(self, name: str, token: str, **more: Any) -> httpx.Response:
        params = {"t": token} | more.pop("params", {})
        headers = BROWSER | more.pop("headers", {})
        return await self.api.get(f"/v1/{name}", params=params, headers=headers, **more)

    async def hit(self, name: str, token: str, **more: Any) -> Hit:
        answer = await self.get(name, token, **more)
        assert answer.status_code in (200, 302), answer.text
        return hit_of(answer)

    def event(self, index: int) -> AdEvent:
        """The record at a leaf index, as it stands on disk."""
        return AdEvent.from_record(self.service.sequencer.store.entry(index))

    @property
    def size(self) -> int:
        return self.service.sequencer.store.size

    async def declare(self, kind: DeclarationKind, detail: str, **fields: Any) -> None:
        """A newer declaration of the creative (or of what ``fields`` say)."""
        said = {"member": ADVERTISER, "campaign": CAMPAIGN, "publisher": 0, "item": CREATIVE}
        said |= {"active": True, "at_ms": FLIGHT_START * 1000 + self.size} | fields
        key = key_of(said["member"])
        parts = (
            *(kind, said["active"], said["member"], said["campaign"], said["publisher"]),
            *(said["item"], said["at_ms"]),
        )
        digest = declaration_digest(LOG_DOMAIN, address_of(key), *parts, detail)
        signature = sign(digest, key)
        await self.service.sequencer.enter_facts(
            lambda at: [Declaration(at, *parts, address_of(key), signature, detail)]
        )

    def set_clock(self, now_ms: int) -> None:
        self.service.clock.set(now_ms)  # type: ignore[attr-defined]


@asynccontextmanager
async def running_scene(directory: Path, **settings: Any) -> AsyncIterator[Scene]:
    """The real application with its sequencer and log; the creative has a landing page."""
    async with running_service(directory, **settings) as service:
        app = create_application(service, with_virtual_clock=True)
        transport = httpx.ASGITransport(app, client=("198.18.0.7", 4_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as api:
            scene = Scene(service, api)
            campaign = service.sequencer.machine.facts.campaigns[CAMPAIGN]
            if campaign.creatives[CREATIVE] != LANDING:
                await scene.declare(DeclarationKind.CREATIVE, LANDING)
            yield scene
