"""Reading rights: what is open to all, to members, to each its own, and nothing by accident."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from scripts.chainless.facts import LOG_DOMAIN, NOON_MS, RECEIPT_KEY, key_of

from adtally.api.application import create_application
from adtally.api.read_access import _OPEN
from adtally.client.read_auth import ReadAuth
from adtally.errors import InvalidInput, VerificationFailed
from adtally.events.read_grant import ReadGrant, sign_read_grant
from adtally.events.signature import address_of
from adtally.storage.repositories.attestations import add_attestor_set
from adtally.storage.rows import AttestorSetRow
from support.application import running_service
from support.world import ADVERTISER, AGENCY, ALICE, CAMPAIGN, OPERATOR

NOW = NOON_MS // 1000
ATTESTOR_KEY = b"\x01" * 32
STRANGER_KEY = b"\x09" * 32

OPEN = (
    "/v1/health", "/v1/status", "/v1/deployment", "/v1/anchors", "/v1/log/checkpoint",
    "/v1/log/deployment.json", "/v1/log/anchors.json", "/v1/log/cosigners.json",
    "/v1/log/deployment.json.note", "/v1/log/anchors.json.note", "/v1/log/cosigners.json.note",
    "/v1/log/tile/0/000.p/5", "/v1/log/proofs/inclusion?index=0",
    "/v1/log/proofs/consistency?first=1", "/openapi.json", "/docs",
)  # fmt: skip
EVERYTHING = (
    "/v1/log/entries?start=0", "/v1/log/tile/entries/000.p/5", "/v1/campaigns",
    "/v1/log/campaigns.json", "/v1/log/campaigns.json.note", "/v1/payments", "/v1/transactions",
    f"/v1/attestations/requests?attestor=0x{'11' * 20}",
)  # fmt: skip
OF_THE_CAMPAIGN = (f"/v1/campaigns/{CAMPAIGN}", f"/v1/campaigns/{CAMPAIGN}/statements")


def grant(key: bytes, member: int, expires: int = NOW + 600) -> ReadGrant:
    return sign_read_grant(LOG_DOMAIN, key, member, expires)


@asynccontextmanager
async def opened(directory: Path, access: str) -> AsyncIterator[httpx.AsyncClient]:
    async with running_service(directory, read_access=access) as service:
        async with service.database.transaction() as session:
            row = AttestorSetRow(1, 1, 1, (address_of(ATTESTOR_KEY),))
            await add_attestor_set(session, row)
        app = create_application(service, with_virtual_clock=True)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


async def status(client: httpx.AsyncClient, path: str, given: ReadGrant | None = None) -> int:
    headers = {} if given is None else {"authorization": given.to_header()}
    response = await client.get(path, headers=headers)
    return response.status_code


@pytest.mark.asyncio
async def test_public__without_a_grant__all_can_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path, "public") as client:
        for path in (*OPEN, *EVERYTHING, *OF_THE_CAMPAIGN):
            response = await client.get(path)
            assert response.status_code == 200, path
            assert "vary" not in response.headers


@pytest.mark.asyncio
@pytest.mark.parametrize("access", ["members", "own"])
async def test_closed__without_a_grant__only_what_tells_no_business(
    tmp_path: Path, access: str
) -> None:
    async with opened(tmp_path, access) as client:
        for path in OPEN:
            assert await status(client, path) == 200, path
        for path in (*EVERYTHING, *OF_THE_CAMPAIGN, "/v1/members/3", "/v1/bulk", "/anything"):
            response = await client.get(path)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"] == "Adtally-Read"
            assert response.headers["cache-control"] == "no-store"
            assert (await client.head(path)).status_code == 401
        refused = await client.post("/v1/log/cosigners", json={})
        assert refused.status_code == 400  # Handing in needs no grant.


@pytest.mark.asyncio
async def test_members__each_with_its_key__reads_all(tmp_path: Path) -> None:
    async with opened(tmp_path, "members") as client:
        for given in (grant(key_of(ALICE), ALICE), grant(ATTESTOR_KEY, 0)):
            for path in (*EVERYTHING, *OF_THE_CAMPAIGN):
                assert await status(client, path, given) == 200, path


@pytest.mark.asyncio
async def test_granted__responses__are_private_to_their_reader(tmp_path: Path) -> None:
    async with opened(tmp_path, "members") as client:
        headers = {"authorization": grant(key_of(ALICE), ALICE).to_header()}
        bundle = await client.get("/v1/log/tile/entries/000.p/5", headers=headers)
        assert bundle.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert bundle.headers["vary"] == "Authorization"
        campaign = await client.get(f"/v1/campaigns/{CAMPAIGN}", headers=headers)
        assert campaign.headers["cache-control"] == "no-store"
        tile = await client.get("/v1/log/tile/0/000.p/5")
        assert tile.headers["cache-control"].startswith("public")


@pytest.mark.asyncio
async def test_own__a_member__reads_its_campaigns_and_itself_and_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path, "own") as client:
        for member in (ALICE, ADVERTISER, AGENCY):
            given = grant(key_of(member), member)
            for path in OF_THE_CAMPAIGN:
                assert await status(client, path, given) == 200, path
            assert await status(client, f"/v1/members/{member}", given) == 200
            assert await status(client, f"/v1/members/{member + 1}", given) == 403
            endless = "9" * 5_000
            foreign = (
                "/v1/campaigns/2", "/v1/campaigns/01", "/v1/events/99/x",
                f"/v1/campaigns/{endless}", f"/v1/members/{endless}",
                f"/v1/log/statements/{endless}/1.json",
            )  # fmt: skip
            for path in (*EVERYTHING, *foreign):
                assert await status(client, path, given) == 403, path
        for given in (grant(RECEIPT_KEY, OPERATOR), grant(ATTESTOR_KEY, 0)):
            for path in (*EVERYTHING, *OF_THE_CAMPAIGN, "/v1/members/3"):
                assert await status(client, path, given) == 200, path


@pytest.mark.asyncio
async def test_own__a_member_outside_the_campaign__does_not_read_it(tmp_path: Path) -> None:
    # Bob's order is there; a member that is in the log but in no campaign is the one to ask.
    async with running_service(tmp_path, read_access="own") as service:
        service.sequencer.machine.facts.campaigns[CAMPAIGN].orders.pop(ALICE)
        app = create_application(service, with_virtual_clock=True)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            given = grant(key_of(ALICE), ALICE)
            for path in (*OF_THE_CAMPAIGN, f"/v1/log/statements/{CAMPAIGN}/1.json"):
                assert await status(client, path, given) == 403


def wrong_grants() -> Iterator[tuple[str, ReadGrant]]:
    good = grant(key_of(ALICE), ALICE)
    yield "another's key", grant(key_of(ADVERTISER), ALICE)
    yield "a stranger as attestor", grant(STRANGER_KEY, 0)
    yield "a member as attestor", grant(key_of(ALICE), 0)
    yield "an unknown member", grant(key_of(ALICE), 99)
    yield "expired", grant(key_of(ALICE), ALICE, NOW)
    yield "good for too long", grant(key_of(ALICE), ALICE, NOW + 3_601)
    yield "expiry changed", replace(good, expires_at_seconds=NOW + 601)
    yield "member changed", replace(good, member=ADVERTISER)
    yield "signer changed", replace(good, signer=address_of(key_of(ADVERTISER)))
    yield "no signature", replace(good, signature=bytes(65))


@pytest.mark.asyncio
async def test_grants__not_of_who_they_name_or_not_of_now__are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, "members") as client:
        for what, given in wrong_grants():
            assert await status(client, "/v1/campaigns", given) == 401, what
        header = grant(key_of(ALICE), ALICE).to_header()
        twice = [("authorization", header), ("authorization", header)]
        assert (await client.get("/v1/campaigns", headers=twice)).status_code == 401
        for text in ("", "Bearer x", header.upper(), header + "0", header.replace(" 3.", " 03.")):
            response = await client.get("/v1/campaigns", headers={"authorization": text})
            assert response.status_code == 400, text


@pytest.mark.asyncio
async def test_read_auth__a_client_with_a_key__reads_and_renews(tmp_path: Path) -> None:
    now = [float(NOW)]
    auth = ReadAuth(LOG_DOMAIN, key_of(ALICE), ALICE, lambda: now[0])
    async with opened(tmp_path, "members") as client:
        first = await client.get("/v1/campaigns", auth=auth)
        again = await client.get("/v1/campaigns", auth=auth)
        assert (first.status_code, again.status_code) == (200, 200)
        headers = [each.request.headers["authorization"] for each in (first, again)]
        assert headers[0] == headers[1]
        now[0] += 700
        later = await client.get("/v1/campaigns", auth=auth)
        assert later.status_code == 200
        assert later.request.headers["authorization"] != headers[0]


def test_grant__header__is_read_as_written() -> None:
    given = grant(key_of(ALICE), ALICE)
    assert ReadGrant.from_header(given.to_header()) == given
    with pytest.raises(InvalidInput):
        ReadGrant.from_header(given.to_header().replace(".", ",", 1))
    with pytest.raises(InvalidInput):
        ReadGrant.from_header(replace(given, member=2**32).to_header())
    with pytest.raises(VerificationFailed):
        replace(given, signature=bytes(65)).is_signed(LOG_DOMAIN)


@pytest.mark.parametrize(
    "path",
    ["/v1/log/tile/entries/000", "/v1/log/tile/", "/v1/log/proofs/", "/v1/log/rules/a/b",
     "/v1/log/checkpoint\n", "/docsx", "/v1/log/entries", "/v1/log/bulk/000", "/v1/statusx"],
)  # fmt: skip
def test_open_paths__near_ones__are_not_open(path: str) -> None:
    assert _OPEN.fullmatch(path) is None
