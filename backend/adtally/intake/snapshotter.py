"""Takes snapshots while intake goes on, and one at the end."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import traceback
from pathlib import Path

from adtally.errors import AdtallyError, StorageFailed
from adtally.intake.sequencer import Sequencer
from adtally.intake.snapshot import Snapshot, SnapshotFolder
from adtally.log.stored_tree import StoredTree

logger = logging.getLogger(__name__)

_NICENESS = 10


class Snapshotter:
    """Watches a sequencer; implements its ``Keeper``.

    A running one is put aside by a child process: ``fork`` gives it the state of one instant, and
    the kernel copies only the pages that intake changes meanwhile. The child writes the file and
    nothing else; the parent makes the tree durable and then lets the file count.

    Args:
        tree: the sequencer's.
        every_entries: of the log between two snapshots: what a start replays at most.
        last_size: of the log at the newest snapshot there is, 0 without one.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        tree: StoredTree,
        folder: SnapshotFolder,
        every_entries: int,
        last_size: int,
    ) -> None:
        self._sequencer = sequencer
        self._tree = tree
        self._folder = folder
        self._every_entries = every_entries
        self._last_size = last_size
        self._running: asyncio.Task[None] | None = None
        sequencer.keeper = self

    def committed(self) -> None:
        """Take one in the background if it is time; nothing is on its way in the sequencer."""
        if self._running is not None and not self._running.done():
            return
        if self._tree.size - self._last_size >= self._every_entries:
            self._last_size = self._tree.size
            try:
                snapshot = self._sequencer.snapshot()
                self._folder.require_room(snapshot)
                child = self._fork(snapshot)
            except (AdtallyError, OSError) as error:
                logger.warning("no snapshot, the next one is tried later: %s", error)
            else:
                self._running = asyncio.create_task(self._finish(*child), name="snapshot")

    async def stopped(self) -> None:
        """Take the last one; the sequencer takes nothing any more."""
        if self._running is not None:
            await self._running
        if self._tree.size > self._last_size:
            snapshot = self._sequencer.snapshot()
            try:
                self._folder.require_room(snapshot)
                path = self._folder.write(snapshot)
                self._tree.sync()
                self._folder.keep(path)
            except (AdtallyError, OSError) as error:
                logger.warning("no snapshot at the end, the next start replays more: %s", error)
        self._tree.close()

    def _fork(self, snapshot: Snapshot) -> tuple[int, Path]:
        path = self._folder.path(snapshot)
        child = os.fork()
        if child == 0:
            _write_and_exit(self._folder, snapshot)
        return child, path

    async def _finish(self, child: int, path: Path) -> None:
        try:
            _, status = await asyncio.to_thread(os.waitpid, child, 0)
            if status != 0:
                raise StorageFailed("the snapshot's process failed", found=f"status {status}")
            await asyncio.to_thread(self._tree.sync)
            self._folder.keep(path)
        except (AdtallyError, OSError) as error:
            logger.warning("no snapshot, the next one is tried later: %s", error)


def _write_and_exit(folder: SnapshotFolder, snapshot: Snapshot) -> None:
    """In the child: never returns, and leaves nothing of the parent's behind."""
    status = 1
    try:
        # The parent's sockets and locks must be free as soon as it is gone.
        os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        os.nice(_NICENESS)
        folder.write(snapshot)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
