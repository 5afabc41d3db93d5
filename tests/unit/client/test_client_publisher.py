"""The publisher's client against a tiny scripted service: resends, checks, typed errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

from adtally.client.batch_body import Encoding, encode_batch
from adtally.client.publisher import PublisherClient
from adtally.client.receipts import BatchAnswer
from adtally.client.service_facts import ServiceFacts
from adtally.client.transport import RetryPolicy, Transport
from adtally.errors import AdtallyError, Conflict, InvalidInput, Overloaded, VerificationFailed
from adtally.events.batch import SignedBatch, batch_from_wire
from adtally.events.eip712 import Receipt, receipt_digest
from adtally.events.facts import DeclarationKind
from adtally.events.record import AdEvent, EventType, new_event_id
from adtally.events.signature import address_of, sign
from adtally.types import LogIdentity

RECEIPT_KEY = b"\x02" * 32
EVENT_KEY = b"\x03" * 32
FACTS = ServiceFacts(LogIdentity(31_337, b"\x11" * 20), address_of(RECEIPT_KEY), "adtally/test")
QUICK = RetryPolicy(deadline_seconds=2.0, first_delay_seconds=0.001, max_delay_seconds=0.002)
EVENT = AdEvent(
    type=EventType.IMPRESSION,
    campaign=1,
    publisher=3,
    placement=1,
    creative=1,
    id=new_event_id(1_000, b"\x07" * 10),
    occurred_at_ms=1_000,
)

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


def client_for(handler: Handler, retry: RetryPolicy = QUICK) -> PublisherClient:
    """A client whose requests go to ``handler`` instead of a socket."""
    transport = Transport("http://test", retry)
    transport._http = httpx.AsyncClient(
        base_url="http://test/v1",
        transport=httpx.MockTransport(handler),  # type: ignore[arg-type]
    )
    return PublisherClient(transport, FACTS, 3, EVENT_KEY)


def answer_to(batch: SignedBatch, key: bytes = RECEIPT_KEY) -> dict[str, object]:
    receipt = Receipt(
        batch.member, batch.sequence, batch.records_root, 5, len(batch.records), 7, bytes(32), 99
    )
    signature = sign(receipt_digest(FACTS.domain, receipt), key)
    return {
        "receipt": {
            "member": receipt.member,
            "sequence": receipt.sequence,
            "records_root": "0x" + receipt.records_root.hex(),
            "first_index": receipt.first_index,
            "count": receipt.count,
            "tree_size": receipt.tree_size,
            "root_hash": "0x" + receipt.root_hash.hex(),
            "anchor_deadline_seconds": receipt.anchor_deadline_seconds,
            "signature": "0x" + signature.hex(),
        },
        "verdicts": ["accepted"] * len(batch.records),
        "replayed": False,
    }


@pytest.mark.asyncio
async def test_send__connection_lost_and_overloaded__sends_the_same_bytes_until_answered() -> None:
    bodies: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        if len(bodies) == 1:
            raise httpx.ReadError("connection reset", request=request)
        if len(bodies) == 2:
            return httpx.Response(503, headers={"retry-after": "0"}, json={"code": "overloaded"})
        return httpx.Response(200, json=answer_to(batch_from_wire(request.content)))

    client = client_for(handler)
    async with client:
        answer = await client.send([EVENT])
    assert len(bodies) == 3
    assert len(set(bodies)) == 1
    assert answer.receipt.sequence == 1
    assert client.next_sequence == 2


@pytest.mark.asyncio
async def test_send__refused__raises_typed_error_and_keeps_the_sequence() -> None:
    problem = {"code": "conflict", "detail": "gap", "field": "sequence", "expected": "4"}
    client = client_for(lambda request: httpx.Response(409, json=problem))
    async with client:
        with pytest.raises(Conflict) as caught:
            await client.send([EVENT])
    assert (caught.value.field, caught.value.expected) == ("sequence", "4")
    assert client.next_sequence == 1


@pytest.mark.asyncio
async def test_send__receipt_by_another_key__is_not_believed() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answer_to(batch_from_wire(request.content), EVENT_KEY))

    client = client_for(handler)
    async with client:
        with pytest.raises(VerificationFailed):
            await client.send([EVENT])


@pytest.mark.asyncio
async def test_send__concurrent_calls__use_sequences_one_after_the_other() -> None:
    seen: list[int] = []

    async def handler(request: httpx.Request) -> httpx.Response:
        batch = batch_from_wire(request.content)
        await asyncio.sleep(0.001)
        seen.append(batch.sequence)
        return httpx.Response(200, json=answer_to(batch))

    client = client_for(handler)
    async with client:
        await asyncio.gather(*(client.send([EVENT]) for _ in range(4)))
    assert seen == [1, 2, 3, 4]


@pytest.mark.asyncio
async def test_send__service_gone__says_what_to_do() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    client = client_for(handler, RetryPolicy(deadline_seconds=0.0))
    async with client:
        with pytest.raises(AdtallyError, match="adtally up"):
            await client.send([EVENT])


@pytest.mark.asyncio
async def test_send__no_problem_document__still_explains() -> None:
    client = client_for(lambda request: httpx.Response(404, text="<html>nginx</html>"))
    async with client:
        with pytest.raises(AdtallyError, match="HTTP 404: <html>nginx"):
            await client.send([EVENT])


@pytest.mark.asyncio
async def test_send__overloaded_past_the_deadline__raises_overloaded() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(503, headers={"retry-after": "7"}, json={"code": "overloaded"})

    client = client_for(handler)
    async with client:
        with pytest.raises(Overloaded) as caught:
            await client.send([EVENT])
    assert caught.value.retry_after_seconds == 7


@pytest.mark.asyncio
async def test_declare__placement__is_signed_by_the_event_key() -> None:
    seen: list[dict[str, object]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"tree_size": 12})

    client = client_for(handler)
    async with client:
        size = await client.declare(DeclarationKind.PLACEMENT, 4, "top", 99)
    assert size == 12
    assert seen[0]["signer"] == "0x" + address_of(EVENT_KEY).hex()
    assert (seen[0]["kind"], seen[0]["item"], seen[0]["active"]) == ("placement", 4, True)


@pytest.mark.asyncio
async def test_declare__publisher_not_given__is_the_member_itself_for_placements_only() -> None:
    seen: list[dict[str, object]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"tree_size": 12})

    kinds = DeclarationKind
    async with client_for(handler) as client:
        await client.declare(kinds.PLACEMENT, 4, "top", 99)
        await client.declare(kinds.PLACEMENT, 4, "top", 99, publisher=8)
        await client.declare(kinds.CREATIVE, 5, "https://shop.example/", 99, campaign=1)
        await client.declare(kinds.ALLOWED_PLACEMENT, 4, "", 99, campaign=1, publisher=8)
    assert [document["publisher"] for document in seen] == [3, 8, 0, 8]


def test_answer_from_json__broken_documents__raise_invalid_input() -> None:
    client = client_for(lambda request: httpx.Response(500))
    good = answer_to(client.sign([EVENT]))
    asyncio.run(client._transport.close())
    assert BatchAnswer.from_json(good).verdicts
    receipt = good["receipt"]
    assert isinstance(receipt, dict)
    for broken in (
        None,
        [],
        good | {"verdicts": ["splendid"]},
        good | {"verdicts": [1]},
        good | {"verdicts": None},
        good | {"replayed": 1},
        good | {"receipt": receipt | {"signature": "0x00"}},
        good | {"receipt": receipt | {"root_hash": "zz"}},
        good | {"receipt": receipt | {"count": True}},
        good | {"receipt": {}},
    ):
        with pytest.raises(InvalidInput):
            BatchAnswer.from_json(broken)


def test_receipt_json__of_an_answer__is_the_receipt_as_it_was_sent() -> None:
    client = client_for(lambda request: httpx.Response(500))
    sent = answer_to(client.sign([EVENT]))
    asyncio.run(client._transport.close())
    assert json.loads(BatchAnswer.from_json(sent).receipt_json()) == sent["receipt"]


def test_check__receipt_for_another_batch__names_the_field() -> None:
    client = client_for(lambda request: httpx.Response(500))
    batch = client.sign([EVENT])
    asyncio.run(client._transport.close())
    answer = BatchAnswer.from_json(answer_to(batch))
    answer.check(batch, FACTS.domain, FACTS.receipt_signer)
    other = replace(answer, receipt=replace(answer.receipt, count=2))
    with pytest.raises(VerificationFailed) as caught:
        other.check(batch, FACTS.domain, FACTS.receipt_signer)
    assert caught.value.field == "count"
    # A tree that ends inside the batch: anchoring it would keep the promise and prove nothing.
    last = answer.receipt.first_index + answer.receipt.count
    short = replace(answer, receipt=replace(answer.receipt, tree_size=last))
    with pytest.raises(VerificationFailed) as caught:
        short.check(batch, FACTS.domain, FACTS.receipt_signer)
    assert caught.value.field == "tree_size"


@pytest.mark.parametrize("encoding", list(Encoding))
def test_encode_batch__every_encoding__mentions_the_event(encoding: Encoding) -> None:
    client = client_for(lambda request: httpx.Response(500))
    batch = client.sign([EVENT])
    asyncio.run(client._transport.close())
    body = encode_batch(batch, encoding)
    if encoding is Encoding.BINARY:
        assert batch_from_wire(body) == batch
    else:
        lines = body.splitlines()
        assert len(lines) == (1 if encoding is Encoding.JSON else 2)
        assert all(isinstance(json.loads(line), dict) for line in lines)
