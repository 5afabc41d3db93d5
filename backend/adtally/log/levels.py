"""Where a Merkle tree keeps its hashes: one row of perfect subtrees for each height."""

from __future__ import annotations

from typing import Protocol

from adtally.rfc9162 import HASH_SIZE
from adtally.types import Hash


class Levels(Protocol):
    """Hashes of perfect subtrees; those of height h stand in level h, left to right.

    Level 0 holds the leaves. A perfect subtree never changes, so levels only grow, at their
    right end. Whoever asks knows which nodes there are: n leaves make ``n >> h`` nodes of level h.
    """

    def append(self, height: int, hashes: bytes) -> None:
        """Add nodes (one or more) at the right end of a level, given back to back."""

    def node(self, height: int, index: int) -> Hash:
        """The hash of one node that was appended before."""

    def read(self, height: int, start: int, end: int) -> bytes:
        """Nodes ``start`` to ``end`` (exclusive) that were appended before, back to back."""


class MemoryLevels:
    """Levels in memory; a tree of n leaves takes about 64 n bytes."""

    def __init__(self) -> None:
        self._levels: list[bytearray] = []

    def append(self, height: int, hashes: bytes) -> None:
        if height == len(self._levels):
            self._levels.append(bytearray())
        self._levels[height] += hashes

    def node(self, height: int, index: int) -> Hash:
        at = index * HASH_SIZE
        return bytes(self._levels[height][at : at + HASH_SIZE])

    def read(self, height: int, start: int, end: int) -> bytes:
        return bytes(self._levels[height][start * HASH_SIZE : end * HASH_SIZE])
