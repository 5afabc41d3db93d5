"""No request may cost the service more than a bounded amount of memory, nor break a query."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from adtally.log.bundle import decode_bundle


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "path", ["/v1/declarations", "/v1/attestations", "/v1/batches", "/v1/corrections"]
)
async def test_post__endless_body__is_cut_off_at_the_limit(
    api: httpx.AsyncClient, path: str
) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 50_000_000:
            read += 10_000
            yield b" " * 10_000

    answer = await api.post(path, content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413)
    assert answer.headers["content-type"] == "application/problem+json"
    assert read < 1_000_000


@pytest.mark.asyncio
@pytest.mark.parametrize("campaign", ["99999999999999999999", "-1", "0"])
async def test_payments__campaign_that_no_database_holds__is_a_problem_document(
    api: httpx.AsyncClient, campaign: str
) -> None:
    answer = await api.get("/v1/payments", params={"campaign": campaign})
    assert answer.status_code == 400
    assert answer.json()["field"] == "campaign"


@pytest.mark.asyncio
async def test_entries__long_ones__come_in_pages_of_bounded_size(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adtally.api.log.PAGE_BYTES", 1)
    monkeypatch.setattr("adtally.api.log._READ_ENTRIES", 2)
    first = await api.get("/v1/log/entries", params={"start": 0, "end": 5})
    assert first.headers["x-next-index"] == "2"
    assert len(decode_bundle(first.content)) == 2
    rest = await api.get("/v1/log/entries", params={"start": 4, "end": 5})
    assert rest.headers["x-next-index"] == "5"
