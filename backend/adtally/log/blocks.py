"""All files of a run of up to 65,536 entries, made from the entries themselves.

A copy of a log needs no tiles from anybody: whoever has the entries has them all, and has checked
them by the root that they lead to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adtally.log.bundle import encode_bundle
from adtally.log.merkle import packed_root
from adtally.log.tiles import (
    BULK_ENTRIES,
    TILE_WIDTH,
    LogFile,
    bulk_file,
    bundle_file,
    tile,
)
from adtally.rfc9162 import HASH_SIZE, leaf_hashes
from adtally.types import Hash

_TILE_BYTES = TILE_WIDTH * HASH_SIZE


@dataclass(frozen=True, slots=True)
class Block:
    """The entries of one bulk file, or of what stands behind the last one.

    Attributes:
        leaves: their leaf hashes, back to back.
        root: root hash of these entries alone.
        files: bundles, tiles of levels 0 and 1, and the bulk file if it is full, which comes last.
    """

    leaves: bytes
    root: Hash
    files: Mapping[LogFile, bytes]

    @staticmethod
    def of(number: int, entries: Sequence[bytes]) -> Block:
        """The block from entry ``65,536 * number`` on; without entries it has no files."""
        files: dict[LogFile, bytes] = {}
        bundles, leaves, roots = [], [], []
        for at in range(0, len(entries), TILE_WIDTH):
            piece = entries[at : at + TILE_WIDTH]
            index = number * TILE_WIDTH + at // TILE_WIDTH
            bundle, hashes = encode_bundle(piece), leaf_hashes(piece)
            files[bundle_file(index, len(piece))] = bundle
            files[tile(0, index, len(piece))] = hashes
            bundles.append(bundle)
            leaves.append(hashes)
            if len(piece) == TILE_WIDTH:
                roots.append(packed_root(hashes))
        packed = b"".join(roots)
        if roots:
            files[tile(1, number, len(roots))] = packed
        if len(entries) == BULK_ENTRIES:
            files[bulk_file(number)] = b"".join(bundles)
            return Block(b"".join(leaves), packed_root(packed), files)
        behind = packed_root(leaves[-1]) if len(leaves) > len(roots) else b""
        return Block(b"".join(leaves), packed_root(packed, behind), files)


def upper_tiles(roots: bytes) -> dict[LogFile, bytes]:
    """Tiles of level 2 and above of a log whose full blocks have these roots, back to back."""
    files: dict[LogFile, bytes] = {}
    level = 2
    while roots:
        above = []
        for at in range(0, len(roots), _TILE_BYTES):
            piece = roots[at : at + _TILE_BYTES]
            files[tile(level, at // _TILE_BYTES, len(piece) // HASH_SIZE)] = piece
            if len(piece) == _TILE_BYTES:
                above.append(packed_root(piece))
        roots = b"".join(above)
        level += 1
    return files
