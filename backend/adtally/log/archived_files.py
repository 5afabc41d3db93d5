"""A disk under the store that has the newest segments, and an archive with the older ones."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from pathlib import Path

from adtally.errors import AdtallyError, Overloaded, StorageCorrupt, StorageFailed
from adtally.log.archive import Archive
from adtally.log.files import OsFiles
from adtally.log.manifest import manifest_name
from adtally.log.segment import segment_index

logger = logging.getLogger(__name__)

CACHED_SEGMENTS = 4
PATIENCE_SECONDS = 10.0
_RETRY_SECONDS = 2


class ArchivedFiles(OsFiles):
    """The operating system's files; a segment that is not among them is read from the archive.

    Local segments are always the newest ones without a gap, because the oldest goes first. While
    they begin at index 0 the archive is not asked for anything. What is fetched is checked
    against its manifest and stays in a bounded cache, the least recently used goes first.

    Args:
        directory: the log's folder; files elsewhere have nothing to do with the archive.
        archive: holds what is not local.
        origin: the log's name; segments of another are refused.
        cache: a folder of its own; emptied here.
        cached_segments: how many may be in it.
        patience_seconds: how long a read waits for others that fetch, then it raises Overloaded:
            a target that hangs must not take all the threads there are.
    """

    def __init__(
        self,
        directory: Path,
        archive: Archive,
        origin: str,
        cache: Path,
        *,
        cached_segments: int = CACHED_SEGMENTS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._directory = directory
        self._archive = archive
        self._origin = origin
        self._cache = cache
        self._cached_segments = cached_segments
        self._cached: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()
        self._patience_seconds = patience_seconds
        self._fetching: set[str] = set()
        self._spares_loop = False
        cache.mkdir(parents=True, exist_ok=True)
        for leftover in cache.glob("segment-*"):
            leftover.unlink()

    def spare_event_loops(self) -> None:
        """From now on a read from within an event loop never waits for the archive.

        It raises Overloaded instead, which asks to come again, and the segment is fetched
        meanwhile: a slow archive must not hold up intake.
        """
        self._spares_loop = True

    def list_names(self, directory: Path) -> list[str]:
        """Local names and those of archived segments before them.

        Raises:
            StorageCorrupt: the archive has newer segments than the disk.
            StorageFailed: old segments are not local, and the archive does not answer.
        """
        local = super().list_names(directory)
        segments = sorted(name for name in local if segment_index(name) >= 0)
        if directory != self._directory or (segments and segment_index(segments[0]) == 0):
            return local
        sizes = self._archive.sizes()
        archived = {
            name for name in sizes if segment_index(name) >= 0 and manifest_name(name) in sizes
        }
        newer = sorted(name for name in archived if not segments or name > segments[-1])
        if newer:
            raise StorageCorrupt(
                "the archive holds newer segments than the log's folder",
                field=str(directory),
                expected=f"{newer[-1]} or a later one",
                found=segments[-1] if segments else "no segment",
                action="restore the log first (adtally restore-log), or use another archive",
            )
        return sorted({*local, *archived})

    def read(self, path: Path, offset: int, size: int) -> bytes:
        try:
            return super().read(path, offset, size)
        except FileNotFoundError:
            if path.parent != self._directory or segment_index(path.name) < 0:
                raise
        if self._spares_loop and _is_in_event_loop():
            return self._read_without_waiting(path.name, offset, size)
        if not self._lock.acquire(timeout=self._patience_seconds):
            raise _come_again(path.name)
        try:
            self._provide(path.name)
            return super().read(self._cache / path.name, offset, size)
        finally:
            self._lock.release()

    def _read_without_waiting(self, name: str, offset: int, size: int) -> bytes:
        try:
            return super().read(self._cache / name, offset, size)
        except FileNotFoundError:
            if name not in self._fetching:
                self._fetching.add(name)
                # A daemon: a target that hangs must not keep a stopping process alive.
                threading.Thread(target=self._prefetch, args=(name,), daemon=True).start()
            raise _come_again(name) from None

    def _prefetch(self, name: str) -> None:
        try:
            with self._lock:
                self._provide(name)
        except (AdtallyError, OSError) as error:
            logger.warning("a read from the archive failed: %s", error)
        finally:
            self._fetching.discard(name)

    def _provide(self, name: str) -> None:
        """Have the segment in the cache, whole or not at all. The lock is held."""
        if name in self._cached:
            self._cached.move_to_end(name)
            return
        manifest = self._archive.manifest(manifest_name(name))
        if manifest is None or manifest.origin != self._origin:
            raise StorageFailed(
                f"segment {name} is neither here nor in the archive",
                field=self._archive.place,
                expected=f"a segment of {self._origin}",
                found="none" if manifest is None else f"one of {manifest.origin}",
                action="restore the segment from a copy (an attestor keeps one)",
            )
        while len(self._cached) >= self._cached_segments:
            oldest, _ = self._cached.popitem(last=False)
            (self._cache / oldest).unlink(missing_ok=True)
        temporary = self._cache / f"{name}.part"
        self._archive.fetch(manifest, temporary)
        temporary.rename(self._cache / name)
        self._cached[name] = None


def _come_again(name: str) -> Overloaded:
    return Overloaded(
        f"segment {name} is being fetched from the archive", retry_after_seconds=_RETRY_SECONDS
    )


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
