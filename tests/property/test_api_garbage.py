"""Garbage to every endpoint: always a problem document of 4xx, never 5xx, never a trace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from adtally.api.corrections import CorrectionIn
from adtally.api.declarations import DeclarationIn
from adtally.api.reports import ReportParameters
from adtally.api.transport import BINARY_TYPE, JSON_TYPE, NDJSON_TYPE, BatchJson, EventJson
from adtally.events.batch import batch_to_wire
from support.application import running_application
from support.world import World

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
words = st.text(st.characters(exclude_categories=["C"]), max_size=24) | st.integers().map(str)
EVENT_FIELDS = list(EventJson.__struct_fields__)
HEADER_FIELDS = list(BatchJson.__struct_fields__)
DECLARATION_FIELDS = list(DeclarationIn.model_fields)
CORRECTION_FIELDS = list(CorrectionIn.model_fields)


def some_of(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), values)


near_batches = some_of(
    HEADER_FIELDS, json_values | st.lists(some_of(EVENT_FIELDS, json_values), max_size=3)
)
bodies = (
    st.binary(max_size=400)
    | json_values.map(lambda value: json.dumps(value).encode())
    | near_batches.map(lambda value: json.dumps(value).encode())
    | st.lists(near_batches, max_size=3).map(
        lambda lines: "\n".join(json.dumps(line) for line in lines).encode()
    )
)
near_declarations = some_of(DECLARATION_FIELDS, json_values)
near_corrections = some_of(CORRECTION_FIELDS, json_values) | st.fixed_dictionaries(
    {
        "index": st.integers(0, 2**64 - 1) | json_values,
        "change": st.sampled_from((-1, 1)) | json_values,
        "reason": st.sampled_from(("late_sivt", "other")) | json_values,
        "detail": st.text(max_size=600),
        "signer": st.just("0x" + "11" * 20) | json_values,
        "signature": st.binary(min_size=65, max_size=65).map(lambda raw: "0x" + raw.hex()),
    }
)
near_answers = some_of(["request", "attestor", "signature", "refusal"], json_values)
GET_PATHS = (
    "/v1/members/{}",
    "/v1/campaigns/{}",
    "/v1/campaigns/{}/report",
    "/v1/campaigns/{}/statements",
    "/v1/campaigns/{}/statements/{}",
    "/v1/log/entries",
    "/v1/log/proofs/inclusion",
    "/v1/log/proofs/consistency",
    "/v1/attestations/requests",
    "/v1/payments",
    "/v1/corrections",
)
QUERY_FIELDS = [
    *("start", "end", "index", "tree_size", "first", "second", "attestor", "campaign", "after"),
    *ReportParameters.model_fields,
]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def api(
    runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.AsyncClient]:
    application = running_application(tmp_path_factory.mktemp("application"))
    yield runner.run(application.__aenter__())
    runner.run(application.__aexit__(None, None, None))


# No shrinking: each request stands alone, and the failing one is printed.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)

Requests = list[tuple[str, str, dict[str, Any]]]


async def check(api: httpx.AsyncClient, requests: Requests) -> None:
    before = (await api.get("/v1/status")).json()["tree_size"]
    for method, path, arguments in requests:
        _judge(await api.request(method, path, **arguments), method, path, arguments)
    assert (await api.get("/v1/status")).json()["tree_size"] == before


def _judge(response: httpx.Response, method: str, path: str, arguments: dict[str, Any]) -> None:
    what = (method, path, arguments, response.text[:500])
    if method == "GET" and response.status_code in (200, 307):
        return
    assert 400 <= response.status_code < 500, what
    assert response.headers["content-type"] == "application/problem+json", what
    assert response.json()["detail"], what


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(
    st.lists(
        st.tuples(st.sampled_from([JSON_TYPE, NDJSON_TYPE, BINARY_TYPE, "", "x/y"]), bodies),
        min_size=5,
        max_size=20,
    )
)
def test_batches__garbage__refused(
    runner: asyncio.Runner, api: httpx.AsyncClient, sent: list[tuple[str, bytes]]
) -> None:
    runner.run(
        check(
            api,
            [
                ("POST", "/v1/batches", {"content": body, "headers": {"content-type": kind}})
                for kind, body in sent
            ],
        )
    )


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=5, max_size=20))
def test_batches__flipped_bits_of_a_good_batch__refused(
    runner: asyncio.Runner, api: httpx.AsyncClient, flips: list[tuple[int, int]]
) -> None:
    world = World()
    good = batch_to_wire(world.batch([world.event() for _ in range(3)]))
    requests: Requests = []
    for place, mask in flips:
        body = bytearray(good)
        body[place % len(body)] ^= mask
        headers = {"content-type": BINARY_TYPE}
        requests.append(("POST", "/v1/batches", {"content": bytes(body), "headers": headers}))
    runner.run(check(api, requests))


@settings(max_examples=25, deadline=None, phases=PHASES)
@given(
    st.lists(st.tuples(st.sampled_from(GET_PATHS), words, words, some_of(QUERY_FIELDS, words))),
    st.lists(near_declarations, max_size=5),
    st.lists(near_corrections, max_size=5),
    st.lists(near_answers, max_size=5),
    st.lists(json_values, max_size=5),
)
def test_other_endpoints__garbage__refused(
    runner: asyncio.Runner,
    api: httpx.AsyncClient,
    gets: list[tuple[str, str, str, dict[str, str]]],
    declarations: list[dict[str, Any]],
    corrections: list[dict[str, Any]],
    answers: list[dict[str, Any]],
    clocks: list[Any],
) -> None:
    requests: Requests = []
    for pattern, first, second, query in gets:
        quoted = [quote(word, safe="") for word in (first, second)]
        requests.append(("GET", pattern.format(*quoted), {"params": query}))
    requests += [("POST", "/v1/declarations", {"json": value}) for value in declarations]
    requests += [("POST", "/v1/corrections", {"json": value}) for value in corrections]
    requests += [("POST", "/v1/attestations", {"json": value}) for value in answers]
    requests += [
        ("POST", "/dev/clock", {"json": value})
        for value in clocks
        if not (isinstance(value, dict) and set(value) == {"now_ms"})
    ]
    runner.run(check(api, requests))
