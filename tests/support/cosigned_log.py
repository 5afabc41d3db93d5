"""A log with a bulk file, partial tiles, and a checkpoint that two of three attestors cosigned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from scripts.chainless.application import DEPLOYMENT
from scripts.chainless.facts import LOG_DOMAIN, NOON_MS

from adtally.client.log_client import LogClient
from adtally.events.cosigner_key import declare_cosigner_key
from adtally.events.signature import address_of
from adtally.log.cosignature import Cosigner, cosigner_name
from adtally.log.tiles import BULK_ENTRIES
from adtally.storage.repositories.attestations import add_attestor_set
from adtally.storage.rows import AttestorSetRow
from support.grown_log import GrownLog, grown_log
from support.served_log import served

ORIGIN = DEPLOYMENT.log_origin
ATTESTOR_KEYS = [bytes([n]) * 32 for n in (1, 2, 3)]
COSIGNERS = [
    Cosigner(cosigner_name(ORIGIN, address_of(key)), bytes([100 + key[0]]) * 32)
    for key in ATTESTOR_KEYS
]
COSIGNED_SIZE = BULK_ENTRIES + 300
SIZE = BULK_ENTRIES + 700


@asynccontextmanager
async def cosigned_log(directory: Path) -> AsyncIterator[tuple[GrownLog, str]]:
    """The log, and the address of the service that serves it."""
    async with grown_log(directory, COSIGNED_SIZE) as log, served(log.service) as address:
        row = AttestorSetRow(1, 1, 2, tuple(map(address_of, ATTESTOR_KEYS)))
        async with log.service.database.transaction() as session:
            await add_attestor_set(session, row)
        checkpoint = log.service.sequencer.checkpoint()
        async with LogClient(address) as client:
            for key, cosigner in zip(ATTESTOR_KEYS[:2], COSIGNERS[:2], strict=True):
                public_key = cosigner.verifier.public_key
                await client.declare_cosigner(
                    declare_cosigner_key(LOG_DOMAIN, key, public_key, NOON_MS)
                )
                line = cosigner.cosign(checkpoint, origin=ORIGIN, timestamp_seconds=NOON_MS // 1000)
                await client.post_cosignature(checkpoint, line)
        await log.grow_to(SIZE)
        yield log, address
