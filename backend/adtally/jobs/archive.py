"""Copies sealed segments to the archive, and lets go of old local copies where that is wanted."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from adtally.errors import AdtallyError, StorageFailed
from adtally.intake.sequencer import Sequencer
from adtally.log.archive import Archive
from adtally.log.archiver import Archiver

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ArchiveView:
    """Where archiving stands.

    Attributes:
        archived_entries: the log's first so many entries are in the archive, verified.
        archived_segments: in so many segments.
        sealed_behind_entries: how many entries of sealed segments are not there yet; those of the
            segment being written can't be.
        local_segments: how many sealed segments are on the local disk.
        problem: what the last attempt failed at, in a sentence that names no place: the status is
            public, the log of the process has the rest. None while all is well.
    """

    archived_entries: int
    archived_segments: int
    sealed_behind_entries: int
    local_segments: int
    problem: str | None


class ArchiveJob:
    """One round archives everything that is sealed; what fails is tried again, ever more seldom.

    The work is done in a thread, and intake never waits for it.

    Args:
        sequencer: its store and its roots.
        url: an fsspec URL.
        origin: the log's name.
        keep_local: how many sealed segments stay local; None: all.
        now: seconds that only grow, for the pauses after failures.

    Raises:
        InvalidInput: the URL can't be used.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        url: str,
        origin: str,
        *,
        keep_local: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stopping = threading.Event()
        self._archive = Archive.open(url, interrupted=self._stopping.is_set)
        self._sequencer = sequencer
        self._archiver = Archiver(sequencer.store, self._archive, origin)
        self._keep_local = keep_local
        self._local_segments: int | None = None
        self._now = now
        self._problem: AdtallyError | None = None
        self._pause_seconds = 0.0
        self._next_try = 0.0

    async def run(self) -> None:
        """Archive what is sealed by now.

        Raises:
            Conflict: the archive is another log's, or ahead of this one.
            StorageCorrupt: a segment or its copy is damaged.
            StorageFailed: the target does not answer.
        """
        if self._problem is not None and self._now() < self._next_try:
            raise self._problem
        try:
            await self._round()
        except asyncio.CancelledError:
            self._stopping.set()
            raise
        except AdtallyError as error:
            self._note(error)
            raise
        except OSError as error:
            self._note(StorageFailed("the disk refused", found=str(error)))
            raise
        self._problem = None
        self._pause_seconds = 0.0

    def view(self) -> ArchiveView:
        """Where it stands now."""
        sealed = self._sequencer.store.sealed_segments()
        archived = self._archiver.archived_entries
        return ArchiveView(
            archived_entries=archived,
            archived_segments=self._archiver.archived_segments,
            sealed_behind_entries=sealed[-1].end_index - archived if sealed else 0,
            local_segments=len(sealed) if self._local_segments is None else self._local_segments,
            problem=None if self._problem is None else self._problem.message,
        )

    async def _round(self) -> None:
        archiver = self._archiver
        await asyncio.to_thread(archiver.look)
        for segment in archiver.pending():
            root = self._sequencer.checkpoint(segment.end_index).root_hash
            await asyncio.to_thread(archiver.archive_next, segment, root)
        if self._keep_local is not None:
            self._local_segments = await asyncio.to_thread(archiver.drop_local, self._keep_local)

    def _note(self, error: AdtallyError) -> None:
        self._problem = error
        self._pause_seconds = min(
            max(FIRST_PAUSE_SECONDS, 2 * self._pause_seconds), LONGEST_PAUSE_SECONDS
        )
        self._next_try = self._now() + self._pause_seconds
