"""The attestor's own copy of the log: entries in segment files, the tree in level files.

Only verified entries get in. They are synced before anything is signed that covers them; the tree
is derived from them, and rebuilt from them when it is lost.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

from adtally.chain.files import write_atomically
from adtally.errors import StorageCorrupt
from adtally.log.bundle import encode_bundle
from adtally.log.segment import MAX_PAYLOAD, UnsealedFrame
from adtally.log.store import LogStore
from adtally.log.stored_tree import StoredTree
from adtally.rfc9162 import leaf_hashes
from adtally.types import Checkpoint

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 16 * 2**20
PIECE_ENTRIES = 16_384
_FRAME_BYTES = min(MAX_PAYLOAD, 4 * 2**20)
_SYNC_TREE_EVERY = 100_000


class LogCopy:
    """Entries and tree of one log under ``folder``. One thread appends, any may read."""

    def __init__(self, folder: Path) -> None:
        self.store = LogStore.open(folder / "log", segment_bytes=SEGMENT_BYTES)
        self._point = folder / "tree.json"
        try:
            self.tree = self._open_tree(folder / "tree")
            self._synced = self.tree.size
            self._complete_tree()
        except BaseException:
            self.store.close()
            raise

    def _open_tree(self, directory: Path) -> StoredTree:
        try:
            point = json.loads(self._point.read_text())
            size, root = int(point["size"]), bytes.fromhex(point["root"])
            if size <= self.store.size:
                return StoredTree.open(directory, size, root=root)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        except StorageCorrupt as error:
            logger.warning("the tree is built anew from the entries: %s", error)
        return StoredTree.open(directory, 0)

    def _complete_tree(self) -> None:
        for entries in self.pieces(self.tree.size, self.store.size):
            self.tree.append_packed(leaf_hashes(entries))

    @property
    def size(self) -> int:
        """Number of verified, durable entries."""
        return self.tree.size

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """Size and root hash of what is stored, or of its beginning."""
        size = self.size if size is None else size
        return Checkpoint(size, self.tree.root(size))

    def entries(self, start: int, end: int) -> list[bytes]:
        """Entries ``start`` to ``end`` (exclusive)."""
        return self.store.entries(start, end)

    def pieces(self, start: int, end: int) -> Iterator[list[bytes]]:
        """The same, piece by piece."""
        for at in range(start, end, PIECE_ENTRIES):
            yield self.store.entries(at, min(at + PIECE_ENTRIES, end))

    def append(self, entries: list[bytes]) -> None:
        """Store verified entries; on return they are on disk.

        Raises:
            StorageFull: there is no room; nothing was taken.
            StorageFailed: the disk refused; the process must start anew.
        """
        bundles = list(_frames(entries))
        self.store.take_room(sum(len(bundle) + 64 for bundle, _ in bundles))
        for bundle, count in bundles:
            self.store.append_frame(UnsealedFrame.of(bundle), count)
        self.tree.append_packed(leaf_hashes(entries))
        if self.tree.size - self._synced >= _SYNC_TREE_EVERY:
            self.sync_tree()

    def sync_tree(self) -> None:
        """Make the tree durable, so that the next start need not hash the log."""
        size = self.tree.sync()
        point = {"size": size, "root": self.tree.root(size).hex()}
        write_atomically(self._point, json.dumps(point).encode())
        self._synced = size

    def close(self) -> None:
        """Give up files and lock."""
        if self.tree.size != self._synced:
            self.sync_tree()
        self.tree.close()
        self.store.close()


def _frames(entries: list[bytes]) -> Iterator[tuple[bytes, int]]:
    start = size = 0
    for at, entry in enumerate(entries):
        if size + len(entry) + 2 > _FRAME_BYTES and at > start:
            yield encode_bundle(entries[start:at]), at - start
            start, size = at, 0
        size += len(entry) + 2
    yield encode_bundle(entries[start:]), len(entries) - start
