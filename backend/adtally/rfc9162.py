"""The hashes of RFC 9162 (section 2.1): SHA-256, leaves prefixed 0x00, nodes 0x01.

Two trees are made of them: the log's, over its entries, and a batch's, over its records.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from adtally.types import Hash

HASH_SIZE = 32
EMPTY_ROOT: Hash = hashlib.sha256(b"").digest()
"""Root hash of a tree without leaves."""


def leaf_hash(entry: bytes) -> Hash:
    """SHA-256(0x00 || entry)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> bytes:
    """Leaf hashes of many entries back to back, the form ``MerkleTree.append_packed`` takes."""
    sha256 = hashlib.sha256
    return b"".join([sha256(b"\x00" + entry).digest() for entry in entries])


def node_hash(left: Hash, right: Hash) -> Hash:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(entries: Sequence[bytes]) -> Hash:
    """Root hash over all entries, for trees that never grow; proofs need ``MerkleTree``."""
    level = [leaf_hash(entry) for entry in entries]
    while len(level) > 1:
        parents = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        # A last one without a partner goes up as it is.
        level = parents + level[2 * len(parents) :]
    return level[0] if level else EMPTY_ROOT
