"""``log.json``: leaf hashes, roots, proofs, a bundle and a checkpoint of one small log."""

from __future__ import annotations

from typing import Any

from adtally.events.facts import RulesFacts, TimeFacts
from adtally.events.record import set_verdict
from adtally.events.verdict import Verdict
from adtally.log.bundle import encode_bundle
from adtally.log.checkpoint import NoteSigner, sign_checkpoint
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.types import Checkpoint
from vectors.batches import sample_batch
from vectors.common import CHAIN_ID, EVENT_LOG, NOON_MS, hexed, plain, seed
from vectors.envelopes import sample_envelope
from vectors.facts import declarations, sample_chain_facts

LOG_ORIGIN = f"adtally/{CHAIN_ID}/0x{EVENT_LOG.hex()}"
NOTE_KEY = seed("log note key")


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
    }
