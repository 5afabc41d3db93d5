"""The attestation desk takes only what the contracts would take."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from adtally.attestation.answers import SignedRefusal
from adtally.errors import Conflict, InvalidInput, NotAllowed, NotFound, VerificationFailed
from adtally.events.attested import MAX_REFUSAL_TEXT, Refusal, refusal_message
from adtally.events.signature import address_of, sign
from adtally.jobs.attestations import AttestationDesk, view_request
from adtally.jobs.requests import RequestBook, find_quorum
from adtally.storage.database import Database
from adtally.storage.migrations import upgrade
from adtally.storage.repositories import attestations
from adtally.storage.rows import AttestorSetRow, RequestRow
from adtally.types import Checkpoint, Counts, LogIdentity, Statement

KEYS = sorted((bytes([number]) * 32 for number in (1, 2, 3)), key=address_of)
A, B, C = (address_of(key) for key in KEYS)
STRANGER_KEY = b"\x09" * 32
IDENTITY = LogIdentity(31337, b"\x11" * 20)
BOOK = RequestBook(IDENTITY, b"\x22" * 32, log_attestor_set=1)


class StoppedClock:
    def __init__(self, at_ms: int = 1_700_000_000_000) -> None:
        self.at_ms = at_ms

    def now_ms(self) -> int:
        return self.at_ms


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tmp_path}/control.db")
    await upgrade(opened)
    async with opened.transaction() as session:
        await attestations.add_attestor_set(session, AttestorSetRow(1, 1, 2, (A, B, C)))
        await attestations.add_attestor_set(session, AttestorSetRow(2, 1, 1, (A,)))
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def request_row(database: Database) -> RequestRow:
    async with database.transaction() as session:
        return await BOOK.ask_checkpoint(session, Checkpoint(7, b"\x07" * 32), 1)


@pytest.fixture
def desk(database: Database) -> AttestationDesk:
    return AttestationDesk(database, StoppedClock(), IDENTITY)


def refusal_of(
    request: RequestRow, key: bytes = KEYS[0], *, signer: bytes | None = None, **changes: object
) -> SignedRefusal:
    fields = {
        "digest": request.digest,
        "check": "root_hash",
        "place": "tree size 7",
        "expected": "another root hash",
        "found": "this one",
        "refused_at_ms": 5,
    }
    refusal = Refusal(**(fields | changes))  # type: ignore[arg-type]
    signature = sign(refusal_message(IDENTITY, refusal).digest, key)
    return SignedRefusal(refusal, signer or address_of(key), signature)


@pytest.mark.asyncio
async def test_record_signature__by_a_member__counts_once(
    desk: AttestationDesk, database: Database, request_row: RequestRow
) -> None:
    signature = sign(request_row.digest, KEYS[0])
    first = await desk.record_signature(request_row.id, A, signature)
    assert await desk.record_signature(request_row.id, A, signature) == first
    async with database.session() as session:
        assert await find_quorum(session, request_row) is None
    second = sign(request_row.digest, KEYS[2])
    await desk.record_signature(request_row.id, C, second)
    async with database.session() as session:
        quorum = await find_quorum(session, request_row)
    assert quorum is not None
    assert (quorum.threshold, quorum.attestors) == (2, (A, B, C))
    assert quorum.signatures == (signature, second)
    assert await desk.open_requests(A) == []
    assert await desk.open_requests(B) == [request_row]
    assert await desk.open_requests(address_of(STRANGER_KEY)) == []


@pytest.mark.asyncio
async def test_record_signature__of_somebody_else__is_refused(
    desk: AttestationDesk, request_row: RequestRow
) -> None:
    with pytest.raises(VerificationFailed, match="checkpoint does not verify"):
        await desk.record_signature(request_row.id, A, sign(request_row.digest, KEYS[1]))
    with pytest.raises(VerificationFailed):
        await desk.record_signature(request_row.id, A, sign(b"\x05" * 32, KEYS[0]))
    with pytest.raises(VerificationFailed, match="malformed"):
        await desk.record_signature(request_row.id, A, b"")
    stranger = address_of(STRANGER_KEY)
    theirs = sign(request_row.digest, STRANGER_KEY)
    with pytest.raises(NotAllowed):
        await desk.record_signature(request_row.id, stranger, theirs)
    with pytest.raises(NotFound):
        await desk.record_signature(request_row.id + 1, A, sign(request_row.digest, KEYS[0]))
    assert await desk.open_requests(A) == [request_row]


@pytest.mark.asyncio
async def test_record_refusal__then_signature__the_signature_stands(
    desk: AttestationDesk, request_row: RequestRow
) -> None:
    await desk.record_refusal(request_row.id, refusal_of(request_row))
    signature = sign(request_row.digest, KEYS[0])
    await desk.record_signature(request_row.id, A, signature)
    with pytest.raises(Conflict):
        await desk.record_refusal(request_row.id, refusal_of(request_row, check="verdict"))


@pytest.mark.asyncio
async def test_open_requests__refused__stay_and_come_last(
    desk: AttestationDesk, database: Database, request_row: RequestRow
) -> None:
    await desk.record_refusal(request_row.id, refusal_of(request_row))
    assert await desk.open_requests(A) == [request_row]
    async with database.transaction() as session:
        later = await BOOK.ask_checkpoint(session, Checkpoint(9, b"\x09" * 32), 2)
    assert await desk.open_requests(A) == [request_row, later]
    assert await desk.open_requests(A, limit=1) == [later]


@pytest.mark.asyncio
async def test_record_refusal__not_of_what_was_asked_or_not_signed__is_refused(
    desk: AttestationDesk, database: Database, request_row: RequestRow
) -> None:
    for lie in ({"check": " "}, {"found": "x" * (MAX_REFUSAL_TEXT + 1)}, {"digest": bytes(32)}):
        with pytest.raises(InvalidInput):
            await desk.record_refusal(request_row.id, refusal_of(request_row, **lie))
    with pytest.raises(VerificationFailed):
        await desk.record_refusal(request_row.id, refusal_of(request_row, KEYS[1], signer=A))
    with pytest.raises(NotAllowed):
        await desk.record_refusal(request_row.id, refusal_of(request_row, STRANGER_KEY))
    async with database.session() as session:
        assert (await view_request(session, request_row)).answers == ()


@pytest.mark.asyncio
async def test_view_request__answers_of_two__says_who_signed_refused_and_is_missing(
    desk: AttestationDesk, database: Database, request_row: RequestRow
) -> None:
    await desk.record_refusal(request_row.id, refusal_of(request_row))
    await desk.record_signature(request_row.id, B, sign(request_row.digest, KEYS[1]))
    async with database.session() as session:
        view = await view_request(session, request_row)
    assert [row.attestor for row in view.refused] == [A]
    assert [row.attestor for row in view.signed] == [B]
    assert view.missing == [C]
    assert not view.is_complete
    await desk.record_signature(request_row.id, A, sign(request_row.digest, KEYS[0]))
    async with database.session() as session:
        view = await view_request(session, request_row)
        signed = await attestations.signed_by(session, A)
    assert view.is_complete
    assert view.refused == []
    assert signed == [(request_row, sign(request_row.digest, KEYS[0]))]


@pytest.mark.asyncio
async def test_successor__named__removed_attestors_do_not_count_any_more(
    desk: AttestationDesk, database: Database, request_row: RequestRow
) -> None:
    await desk.record_signature(request_row.id, A, sign(request_row.digest, KEYS[0]))
    async with database.transaction() as session:
        await attestations.add_attestor_set(session, AttestorSetRow(1, 2, 2, (B, C)))
    with pytest.raises(NotAllowed):
        await desk.record_signature(request_row.id, A, sign(request_row.digest, KEYS[0]))
    await desk.record_signature(request_row.id, B, sign(request_row.digest, KEYS[1]))
    async with database.session() as session:
        assert await find_quorum(session, request_row) is None


@pytest.mark.asyncio
async def test_statement_request__goes_to_the_campaigns_set(
    desk: AttestationDesk, database: Database
) -> None:
    statement = Statement(4, 1, 7, 100, Counts(1), 0, b"\x01" * 32, False)
    async with database.transaction() as session:
        asked = await BOOK.ask_statement(session, statement, Checkpoint(7, bytes(32)), 2, 1)
    assert await desk.open_requests(A) == [asked]
    assert await desk.open_requests(B) == []
    with pytest.raises(NotAllowed):
        await desk.record_signature(asked.id, B, sign(asked.digest, KEYS[1]))
    await desk.record_signature(asked.id, A, sign(asked.digest, KEYS[0]))
