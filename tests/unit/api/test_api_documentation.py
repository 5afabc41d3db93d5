"""The documentation page and schema: complete, and without anything from elsewhere."""

from __future__ import annotations

import re

import httpx
import pytest


@pytest.mark.asyncio
async def test_docs__page__loads_nothing_from_elsewhere(api: httpx.AsyncClient) -> None:
    page = (await api.get("/docs")).text
    urls = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert urls
    assert all(url.startswith(("http://service/", "/")) for url in urls), urls
    for url in urls:
        assert (await api.get(url)).status_code == 200


@pytest.mark.asyncio
async def test_openapi__every_endpoint__has_summary_and_description(
    api: httpx.AsyncClient,
) -> None:
    schema = (await api.get("/openapi.json")).json()
    operations = [
        (path, method, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) > 15
    for path, method, operation in operations:
        assert operation.get("summary"), (method, path)
        assert operation.get("description"), (method, path)
        assert operation.get("tags"), (method, path)
