"""Attestors declare cosigner keys and cosign: what is taken, what is refused, what is served."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from scripts.chainless.application import DEPLOYMENT
from scripts.chainless.facts import LOG_DOMAIN, NOON_MS

from adtally.events.cosigner_key import CosignerKey, declare_cosigner_key
from adtally.events.signature import address_of
from adtally.log.canonical_json import read_canonical_json
from adtally.log.checkpoint import SignedNote, open_checkpoint
from adtally.log.cosignature import CosignatureVerifier, Cosigner, cosigner_name
from adtally.storage.repositories.attestations import add_attestor_set
from adtally.storage.rows import AttestorSetRow
from adtally.types import Checkpoint
from support.grown_log import GrownLog, grown_log

pytestmark = pytest.mark.asyncio

ORIGIN = DEPLOYMENT.log_origin
KEYS = [bytes([n]) * 32 for n in (1, 2, 3)]
STRANGER = b"\x09" * 32
SECONDS = NOON_MS // 1000


def cosigner_of(key: bytes, generation: int = 0) -> Cosigner:
    seed = bytes([key[0] + 100 + 50 * generation]) * 32
    return Cosigner(cosigner_name(ORIGIN, address_of(key)), seed)


def declaration(key: bytes, at_ms: int = NOON_MS, generation: int = 0) -> CosignerKey:
    public_key = cosigner_of(key, generation).verifier.public_key
    return declare_cosigner_key(LOG_DOMAIN, key, public_key, at_ms)


def document(key: CosignerKey) -> dict[str, Any]:
    return {
        "attestor": f"0x{key.attestor.hex()}",
        "public_key": f"0x{key.public_key.hex()}",
        "declared_at_ms": key.declared_at_ms,
        "signature": f"0x{key.signature.hex()}",
    }


async def name_set(log: GrownLog, version: int, keys: list[bytes]) -> None:
    attestors = tuple(map(address_of, keys))
    async with log.service.database.transaction() as session:
        await add_attestor_set(session, AttestorSetRow(1, version, 2, attestors))


@pytest_asyncio.fixture
async def log(tmp_path: Path) -> AsyncIterator[GrownLog]:
    """A log of 300 entries whose set has three attestors, two of whom must sign."""
    async with grown_log(tmp_path, 300) as log:
        await name_set(log, 1, KEYS)
        yield log


async def declare(log: GrownLog, key: CosignerKey) -> httpx.Response:
    return await log.client.post("/v1/log/cosigners", json=document(key))


async def cosign(
    log: GrownLog,
    key: bytes,
    checkpoint: Checkpoint | None = None,
    seconds: int = SECONDS,
    generation: int = 0,
) -> httpx.Response:
    checkpoint = checkpoint or log.service.sequencer.checkpoint()
    line = cosigner_of(key, generation).cosign(checkpoint, origin=ORIGIN, timestamp_seconds=seconds)
    body = {
        "tree_size": checkpoint.tree_size,
        "root_hash": f"0x{checkpoint.root_hash.hex()}",
        "line": line.line().rstrip("\n"),
    }
    return await log.client.post("/v1/log/cosignatures", json=body)


async def cosigned_size(log: GrownLog, *keys: bytes) -> int:
    """Size of the cosigned note, which all these keys must have cosigned, and nobody else."""
    note = (await log.get("cosigned-checkpoint")).content
    assert len(SignedNote.from_bytes(note).signatures) == len(keys) + 1
    verifiers = [log.service.note_signer.verifier, *(cosigner_of(key).verifier for key in keys)]
    checkpoint = open_checkpoint(note, verifiers, origin=ORIGIN)
    assert checkpoint == log.service.sequencer.checkpoint(checkpoint.tree_size)
    return checkpoint.tree_size


async def test_cosigners__declared__are_published_with_what_binds_them(log: GrownLog) -> None:
    assert (await log.get("cosigners.json")).content == b"[]\n"
    for key in KEYS[:2]:
        answer = await declare(log, declaration(key))
        assert answer.status_code == 200, answer.text
        assert answer.json()["verifier"] == str(cosigner_of(key).verifier)
    published = read_canonical_json((await log.get("cosigners.json")).content)
    assert isinstance(published, list)
    for each in published:
        key = CosignerKey(
            bytes.fromhex(each["attestor"][2:]),
            bytes.fromhex(each["public_key"][2:]),
            each["declared_at_ms"],
            bytes.fromhex(each["signature"][2:]),
        )
        key.verify_signature(LOG_DOMAIN)
        assert CosignatureVerifier.parse(each["verifier"]).public_key == key.public_key
    assert {each["attestor"] for each in published} == {
        f"0x{address_of(key).hex()}" for key in KEYS[:2]
    }


async def test_declare__the_same_again__changes_nothing(log: GrownLog) -> None:
    first = await declare(log, declaration(KEYS[0]))
    again = await declare(log, declaration(KEYS[0]))
    assert (again.status_code, again.json()) == (200, first.json())
    assert len((await log.get("cosigners.json")).json()) == 1


@pytest.mark.parametrize(
    ("key", "status", "field"),
    [
        (declaration(STRANGER), 403, "attestor"),
        (replace(declaration(KEYS[0]), attestor=address_of(KEYS[1])), 401, "signature"),
        (replace(declaration(KEYS[0]), public_key=b"\x05" * 32), 401, "signature"),
        (replace(declaration(KEYS[0]), declared_at_ms=NOON_MS + 1), 401, "signature"),
        (declaration(KEYS[0], NOON_MS + 300_001), 400, "declared_at_ms"),
    ],
)
async def test_declare__not_an_attestors_word_of_now__is_refused(
    log: GrownLog, key: CosignerKey, status: int, field: str
) -> None:
    answer = await declare(log, key)
    assert (answer.status_code, answer.json()["field"]) == (status, field)
    assert (await log.get("cosigners.json")).content == b"[]\n"


async def test_declare__a_key_of_another_or_an_older_one__is_refused(log: GrownLog) -> None:
    await declare(log, declaration(KEYS[0]))
    stolen = declare_cosigner_key(
        LOG_DOMAIN, KEYS[1], cosigner_of(KEYS[0]).verifier.public_key, NOON_MS
    )
    older = declaration(KEYS[0], NOON_MS, generation=1)
    for key, field in ((stolen, "public_key"), (older, "declared_at_ms")):
        answer = await declare(log, key)
        assert (answer.status_code, answer.json()["field"]) == (409, field)


async def test_cosignatures__by_a_threshold__make_the_note_that_is_served(log: GrownLog) -> None:
    assert (await log.get("cosigned-checkpoint")).status_code == 404
    for key in KEYS:
        await declare(log, declaration(key))
    assert (await cosign(log, KEYS[0])).status_code == 204
    assert await cosigned_size(log, KEYS[0]) == 300
    assert (await cosign(log, KEYS[1])).status_code == 204
    assert await cosigned_size(log, KEYS[0], KEYS[1]) == 300
    await log.grow_to(400)
    await cosign(log, KEYS[2])
    assert await cosigned_size(log, KEYS[0], KEYS[1]) == 300  # One is not enough to go on.
    await cosign(log, KEYS[1], seconds=SECONDS + 5)
    assert set(json.loads((await log.get("cosigners.json")).text)[0]) >= {"attestor", "verifier"}
    note = SignedNote.from_bytes((await log.get("cosigned-checkpoint")).content)
    assert cosigner_of(KEYS[1]).verifier.timestamp_seconds(note) == SECONDS + 5
    assert await cosigned_size(log, KEYS[1], KEYS[2]) == 400


async def test_cosignature__the_same_again__changes_nothing(log: GrownLog) -> None:
    await declare(log, declaration(KEYS[0]))
    assert (await cosign(log, KEYS[0])).status_code == 204
    first = (await log.get("cosigned-checkpoint")).content
    assert (await cosign(log, KEYS[0])).status_code == 204
    assert (await log.get("cosigned-checkpoint")).content == first


async def test_cosignature__older_or_wrong__is_refused_and_changes_nothing(log: GrownLog) -> None:
    await declare(log, declaration(KEYS[0]))
    newest = log.service.sequencer.checkpoint()
    undeclared = await cosign(log, KEYS[1])
    assert (undeclared.status_code, undeclared.json()["field"]) == (403, "line")
    await cosign(log, KEYS[0])
    served = (await log.get("cosigned-checkpoint")).content
    cases: list[tuple[Checkpoint, int, int, str]] = [
        (log.service.sequencer.checkpoint(299), SECONDS, 409, "tree_size"),
        (newest, SECONDS - 1, 409, "timestamp"),
        (Checkpoint(300, bytes(32)), SECONDS, 409, "root_hash"),
        (Checkpoint(301, newest.root_hash), SECONDS, 400, "tree_size"),
        (newest, SECONDS + 301, 400, "timestamp"),
    ]
    for checkpoint, seconds, status, field in cases:
        answer = await cosign(log, KEYS[0], checkpoint, seconds)
        assert (answer.status_code, answer.json()["field"]) == (status, field)
    line = cosigner_of(KEYS[0]).cosign(newest, origin="another", timestamp_seconds=SECONDS)
    body = {"tree_size": 300, "root_hash": f"0x{newest.root_hash.hex()}", "line": "x"}
    assert (await log.client.post("/v1/log/cosignatures", json=body)).status_code == 400
    body["line"] = line.line().rstrip("\n")
    assert (await log.client.post("/v1/log/cosignatures", json=body)).status_code == 401
    assert (await log.get("cosigned-checkpoint")).content == served


async def test_cosigner__rotated_or_removed_from_the_set__counts_no_more(log: GrownLog) -> None:
    for key in KEYS[:2]:
        await declare(log, declaration(key))
        await cosign(log, key)
    await declare(log, declaration(KEYS[0], NOON_MS + 1, generation=1))
    assert await cosigned_size(log, KEYS[1]) == 300
    assert (await cosign(log, KEYS[0])).status_code == 403
    assert (await cosign(log, KEYS[0], generation=1)).status_code == 204
    await name_set(log, 2, [KEYS[0], KEYS[2]])
    assert (await cosign(log, KEYS[1])).status_code == 403
    note = SignedNote.from_bytes((await log.get("cosigned-checkpoint")).content)
    assert cosigner_of(KEYS[0], 1).verifier.timestamp_seconds(note) == SECONDS
    assert len(note.signatures) == 2
    assert len((await log.get("cosigners.json")).json()) == 3
