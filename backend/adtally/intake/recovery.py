"""Brings a sequencer back from disk: the newest snapshot, its tree, and the tail of the log.

Segments are the truth. Snapshot and tree are derived: if one of them can't be used, both are made
anew from the whole log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adtally.errors import StorageCorrupt
from adtally.intake.clock import Clock
from adtally.intake.sequencer import Sequencer
from adtally.intake.snapshot import Snapshot, SnapshotFolder
from adtally.intake.snapshotter import Snapshotter
from adtally.kernel.sha256 import packed_parents
from adtally.log.files import FileLayer, OsFiles
from adtally.log.store import SEGMENT_BYTES, LogStore
from adtally.log.stored_tree import StoredTree
from adtally.settlement.machine import LogMachine

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogFolders:
    """Where a log and what is derived from it stand.

    Attributes:
        snapshot_every_entries: None takes none and uses none.
    """

    log: Path
    tree: Path
    snapshots: Path
    snapshot_every_entries: int | None = None
    segment_bytes: int = SEGMENT_BYTES


def recovered_sequencer(
    folders: LogFolders,
    machine: LogMachine,
    clock: Clock,
    receipt_key: bytes,
    *,
    on_failure: Callable[[], None] = lambda: None,
    files: FileLayer | None = None,
) -> Sequencer:
    """A sequencer that knows its whole log, ready to be started.

    Args:
        machine: a fresh one.
        files: the disk of log and tree.

    Raises:
        Conflict: another process has the log open.
        StorageCorrupt, VerificationFailed, InvalidInput: the log is not what was written.
        StorageFailed: the disk did not answer.
        Overloaded: the ids of the snapshot need more memory than the machine's engine has.
    """
    files = files or OsFiles()
    folder = SnapshotFolder(folders.snapshots)
    every = folders.snapshot_every_entries
    snapshot = None if every is None else folder.newest(machine.identity)
    store = LogStore.open(
        folders.log,
        files=files,
        segment_bytes=folders.segment_bytes,
        resume=None if snapshot is None else snapshot.store,
        is_read_next=True,
    )
    try:
        snapshot, tree = _open_tree(folders.tree, folder, snapshot, files)
        sequencer = Sequencer(store, machine, clock, receipt_key, on_failure, tree)
        sequencer.recover(snapshot)
    except BaseException:
        store.close()
        raise
    if every is not None:
        Snapshotter(sequencer, tree, folder, every, 0 if snapshot is None else snapshot.size)
    return sequencer


def _open_tree(
    directory: Path, folder: SnapshotFolder, snapshot: Snapshot | None, files: FileLayer
) -> tuple[Snapshot | None, StoredTree]:
    """The snapshot, if its tree is there, and the tree; else none, and an empty tree."""
    if snapshot is not None:
        try:
            tree = StoredTree.open(
                directory, snapshot.size, root=snapshot.root, parents=packed_parents, files=files
            )
        except StorageCorrupt as error:
            logger.warning("the whole log is replayed: %s", error)
        else:
            folder.forget(beyond=snapshot.size)
            return snapshot, tree
    # No snapshot may outlive the leaves that it was made with.
    folder.forget(beyond=-1)
    return None, StoredTree.open(directory, 0, parents=packed_parents, files=files)
