"""What a running service publishes, read by PyPI's ``aics-tlog``, another C2SP implementation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from scripts.chainless.facts import NOON_MS

from adtally.log.checkpoint import sign_checkpoint
from adtally.log.cosignature import with_cosignatures
from adtally.rfc9162 import leaf_hash
from adtally.types import Checkpoint
from support.cosigned_log import COSIGNED_SIZE, COSIGNERS, ORIGIN, SIZE, cosigned_log

aics = pytest.importorskip("aics_tlog", reason="aics-tlog is not installed: make test does it")

pytestmark = pytest.mark.asyncio


def result_of(note: bytes, verifier: str, quorum: int) -> Any:
    """What aics-tlog makes of a note."""
    witnesses = [aics.parse_vkey(str(each.verifier)) for each in COSIGNERS]
    return aics.verify_checkpoint(
        aics.parse_note(note),
        aics.parse_vkey(verifier),
        witnesses if quorum else None,
        quorum,
        expected_origin=ORIGIN,
    )


def verified(note: bytes, verifier: str, quorum: int = 0) -> Checkpoint:
    """The checkpoint, once aics-tlog has verified its signatures."""
    result = result_of(note, verifier, quorum)
    assert result.ok, result
    return Checkpoint(result.size, result.root)


def check_all(address: str, verifier: str) -> None:
    """Every tile, bundle and both notes of a log, with proofs made from its tiles."""
    reader = aics.HttpTileReader([f"{address}/v1/log/"])
    newest = verified(reader.read_checkpoint(), verifier)
    assert newest.tree_size == SIZE
    aics.audit_tiles(reader, newest.tree_size, newest.root_hash, entries=True)
    for index in (0, 255, 256, SIZE // 2, SIZE - 1):
        entry = aics.read_entry(reader, index, SIZE)
        proof = aics.inclusion_proof_from_tiles(reader, index, SIZE)
        assert aics.verify_inclusion(leaf_hash(entry), index, SIZE, proof, newest.root_hash)


async def test_aics_tlog__reads_a_running_service__and_finds_no_fault(tmp_path: Path) -> None:
    async with cosigned_log(tmp_path / "service") as (log, address):
        signer = log.service.note_signer
        verifier = str(signer.verifier)
        await asyncio.to_thread(check_all, address, verifier)
        cosigned = verified((await log.get("cosigned-checkpoint")).content, verifier, quorum=2)
        sequencer = log.service.sequencer
        assert cosigned.tree_size == COSIGNED_SIZE
        assert cosigned.root_hash == sequencer.tree.root(COSIGNED_SIZE)
        for first in (1, 256, 1000, COSIGNED_SIZE):
            for second in (COSIGNED_SIZE, SIZE):
                roots = sequencer.tree.root(first), sequencer.tree.root(second)
                proof = sequencer.tree.consistency_proof(first, second)
                assert aics.verify_consistency(first, second, *roots, proof)
        checkpoint = sequencer.checkpoint()
        line = COSIGNERS[2].cosign(checkpoint, origin=ORIGIN, timestamp_seconds=NOON_MS // 1000)
        note = with_cosignatures(sign_checkpoint(signer, checkpoint), [line])
        assert verified(note, verifier, quorum=1).tree_size == SIZE
        broken = note.replace(b"\n%d\n" % SIZE, b"\n%d\n" % (SIZE - 1))
        assert not result_of(broken, verifier, quorum=1).ok
