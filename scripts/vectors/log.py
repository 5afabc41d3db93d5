"""``log.json``: leaf hashes, roots, proofs, a bundle and a checkpoint of one small log."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from adtally.events.facts import RulesFacts, TimeFacts
from adtally.events.record import set_verdict
from adtally.events.verdict import Verdict
from adtally.log.bundle import encode_bundle
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.log.cosignature import Cosigner, cosigner_name, with_cosignatures
from adtally.log.merkle import MerkleTree
from adtally.log.tiles import FileKind, LogFile, bulk_file, bundle_file, files_of, tile
from adtally.rfc9162 import leaf_hash, leaf_hashes
from adtally.types import Checkpoint
from vectors.batches import sample_batch
from vectors.common import CHAIN_ID, EVENT_LOG, NOON_MS, hexed, plain, seed
from vectors.envelopes import sample_envelope
from vectors.facts import declarations, sample_chain_facts

LOG_ORIGIN = f"adtally/{CHAIN_ID}/0x{EVENT_LOG.hex()}"
NOTE_KEY = seed("log note key")
COSIGNER_KEY = seed("cosigner key")


def log_entries() -> list[bytes]:
    """One entry of every kind, in the order of a log; for hashing, not for replay."""
    declared = declarations()
    records = [set_verdict(record, Verdict.ACCEPTED) for record in sample_batch().records]
    return [
        RulesFacts(NOON_MS - 90_000, b'{"max_event_age_ms":86400000,"version":1}').to_entry(),
        sample_chain_facts().to_entry(),
        declared["placement"].to_entry(),
        declared["creative"].to_entry(),
        declared["allowed placement"].to_entry(),
        sample_envelope().to_entry(),
        *records,
        TimeFacts(NOON_MS + 90_000).to_entry(),
    ]


def log_tree() -> MerkleTree:
    tree = MerkleTree()
    tree.append([leaf_hash(entry) for entry in log_entries()])
    return tree


def log_vectors() -> dict[str, Any]:
    entries, tree = log_entries(), log_tree()
    signer = NoteSigner(LOG_ORIGIN, NOTE_KEY)
    size = len(entries)
    return {
        "entries": [hexed(entry) for entry in entries],
        "leaf_hashes": [hexed(leaf_hash(entry)) for entry in entries],
        "roots": [hexed(tree.root(at)) for at in range(size + 1)],
        "inclusion_proofs": [
            {
                "index": index,
                "tree_size": size,
                "proof": plain(tree.inclusion_proof(index, size)),
            }
            for index in range(size)
        ],
        "consistency_proofs": [
            {"first": first, "second": size, "proof": plain(tree.consistency_proof(first, size))}
            for first in range(1, size + 1)
        ],
        "bundle": hexed(encode_bundle(entries)),
        "checkpoint": {
            "private_key": hexed(NOTE_KEY),
            "verifier": str(signer.verifier),
            "note": sign_checkpoint(signer, Checkpoint(9, tree.root(9))).decode(),
        },
        "cosignature": _cosignature(signer, Checkpoint(9, tree.root(9))),
        "paths": {file.path: _file(file) for file in _FILES},
        "refused_paths": _REFUSED_PATHS,
        "wide_tree": _wide_tree(),
    }


_FILES = (
    tile(0, 0),
    tile(0, 999, 1),
    tile(0, 1_000, 255),
    tile(1, 1_234_067),
    tile(7, 0, 3),
    bundle_file(273_112, 17),
    bundle_file(10**9),
    bulk_file(0),
    bulk_file(15_258),
)
_REFUSED_PATHS = [
    "tile/0/0", "tile/00/000", "tile/64/000", "tile/8/000", "tile/0/x000/001", "tile/0/001/000",
    "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/entries/000.p/256",
    "bulk/000.p/1", "bulk/0", "tile/0/000/",
]  # fmt: skip
_WIDE = 70_000


def _file(file: LogFile) -> dict[str, Any]:
    return {
        "kind": file.kind.name.lower(),
        "level": file.level,
        "number": file.number,
        "width": file.width,
        "tree_size": plain(file.tree_size),
    }


def _wide_tree() -> dict[str, Any]:
    """Tiles of 70,000 entries, entry i being i in decimal; by the SHA-256 of their bytes."""
    tree = MerkleTree()
    tree.append_packed(leaf_hashes(b"%d" % at for at in range(_WIDE)))
    hashes = [file for file in files_of(_WIDE) if file.kind is FileKind.HASHES]
    shown = [file for file in hashes if file.level or not file.is_full or file.number in (0, 272)]
    return {
        "tree_size": _WIDE,
        "root": hexed(tree.root()),
        "tiles": {
            file.path: hexed(sha256(tree.nodes(file.height, file.start, file.end)).digest())
            for file in shown
        },
    }


def _cosignature(signer: NoteSigner, checkpoint: Checkpoint) -> dict[str, Any]:
    attestor = seed("attestor address", 20)
    cosigner = Cosigner(cosigner_name(LOG_ORIGIN, attestor), COSIGNER_KEY)
    seconds = NOON_MS // 1000
    line = cosigner.cosign(checkpoint, origin=LOG_ORIGIN, timestamp_seconds=seconds)
    return {
        "private_key": hexed(COSIGNER_KEY),
        "verifier": str(cosigner.verifier),
        "timestamp_seconds": seconds,
        "note": with_cosignatures(sign_checkpoint(signer, checkpoint), [line]).decode(),
    }
