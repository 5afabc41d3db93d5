"""Garbage to the paths of hits: a problem document of 4xx, never 5xx, never a trace in the log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from adtally.collector.landing import landing_page, with_click
from support.hits import Scene, running_scene

# No shrinking: each request stands alone, and the failing one is printed.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
NAMES = ("imp", "viewable", "click", "token", "conversion")
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
texts = st.text(BASE64, min_size=68, max_size=68) | st.text(max_size=80)
queries = st.binary(max_size=90) | texts.map(lambda text: ("t=" + text).encode("utf-8", "replace"))
headers = st.lists(
    st.tuples(
        st.sampled_from([b"user-agent", b"x-forwarded-for", b"adtally-signature", b"purpose"]),
        st.binary(max_size=80),
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def scene(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    running = running_scene(tmp_path_factory.mktemp("scene"), trusted_proxies=1)
    yield runner.run(running.__aenter__())
    runner.run(running.__aexit__(None, None, None))


async def call(scene: Scene, name: str, query: bytes, extra: list[tuple[bytes, bytes]]) -> int:
    """The status of a request as no client would send it; its body must be a problem document."""
    app = scene.api._transport.app  # type: ignore[attr-defined]
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": query, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST" if name == "conversion" else "GET",
        "path": f"/v1/{name}",
        "query_string": query,
        "headers": extra,
        "client": None,
    }
    await app(scope, receive, send)
    kinds = dict(sent[0]["headers"])  # type: ignore[call-overload]
    assert kinds[b"content-type"] == b"application/problem+json", (name, query, extra)
    status = sent[0]["status"]
    assert isinstance(status, int)
    return status


@settings(max_examples=60, deadline=None, phases=PHASES)
@given(st.lists(st.tuples(st.sampled_from(NAMES), queries, headers), min_size=5, max_size=20))
def test_hits__garbage__is_a_problem_of_4xx_and_logs_nothing(
    runner: asyncio.Runner,
    scene: Scene,
    requests: list[tuple[str, bytes, list[tuple[bytes, bytes]]]],
) -> None:
    before = scene.size
    for name, query, extra in requests:
        status = runner.run(call(scene, name, query, extra))
        assert 400 <= status < 500, (name, query, extra)
    assert scene.size == before


@settings(max_examples=30, deadline=None, phases=PHASES)
@given(st.binary(max_size=900), st.binary(max_size=60))
def test_hits__any_user_agent_and_address__count(
    runner: asyncio.Runner, scene: Scene, user_agent: bytes, address: bytes
) -> None:
    """Whatever a browser sends, the record fits and the batch of all is taken."""

    async def hit() -> int:
        app = scene.api._transport.app  # type: ignore[attr-defined]
        statuses = []

        async def send(message: dict[str, object]) -> None:
            statuses.append(message.get("status"))

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/v1/imp",
            "query_string": b"t=" + scene.token().encode(),
            "headers": [(b"user-agent", user_agent), (b"x-forwarded-for", address)],
        }
        await app(scope, None, send)
        return int(str(statuses[0]))

    assert runner.run(hit()) == 200


@example("HTTP://\u00b8")
@given(
    st.text(max_size=60)
    | st.builds(
        lambda scheme, host, rest: f"{scheme}//{host}/{rest}",
        st.sampled_from(
            ["http:", "https:", "javascript:", "HTTP:", "", "ftp:", "data:", "https:/"]
        ),
        st.sampled_from(["a.example", "a@b.example", "\u00e4.example", "[::1]", "", "a:80", "a:x"])
        | st.text(max_size=12),
        st.text(max_size=20),
    )
)
def test_landing_page__any_declaration__is_an_ascii_url_of_http_or_nothing(detail: str) -> None:
    page = landing_page(detail)
    if page is None:
        return
    for url in (page, with_click(page, "T")):
        assert url.isascii()
        assert not any(character in url for character in '\r\n\t \\"<>')
        parts = urlsplit(url)
        assert parts.scheme in ("http", "https")
        assert parts.hostname
        assert "@" not in parts.netloc
    assert urlsplit(with_click(page, "T")).query.endswith("adtally_click=T")
    assert urlsplit(with_click(page, "T")).netloc == urlsplit(page).netloc
