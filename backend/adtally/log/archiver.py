"""Brings a store's sealed segments into an archive, in order, and lets go of old local copies."""

from __future__ import annotations

from pathlib import Path

from adtally.errors import Conflict, StorageCorrupt, StorageFailed
from adtally.log.archive import Archive, Content, content
from adtally.log.manifest import Manifest, manifest_name
from adtally.log.segment import Position, scan_segment, segment_index
from adtally.log.store import LogStore, SealedSegment
from adtally.types import Hash

_START = Position()


class Archiver:
    """One store's way into one archive. Use it from one thread at a time.

    What has been archived is asked of the archive, never remembered elsewhere, so it may be
    killed anywhere and started again.

    Args:
        store: the log.
        archive: where to.
        origin: the log's name.
    """

    def __init__(self, store: LogStore, archive: Archive, origin: str) -> None:
        self._store = store
        self._archive = archive
        self._origin = origin
        self._manifests: list[Manifest] = []
        self._sizes: dict[str, int] | None = None
        self._kept_from = 0

    @property
    def archived_entries(self) -> int:
        """The first so many entries are in the archive, as far as it was asked yet."""
        return self._manifests[-1].end_index if self._manifests else 0

    @property
    def archived_segments(self) -> int:
        """Number of segments in the archive, as far as it was asked yet."""
        return len(self._manifests)

    def look(self) -> None:
        """See what is in the archive, unless that was done.

        Raises:
            Conflict: it holds more of a log than there is here.
            StorageFailed: the target does not answer.
        """
        if self._sizes is not None:
            return
        sizes = self._archive.sizes()
        sealed = self._store.sealed_segments()
        start_of_open = sealed[-1].end_index if sealed else 0
        newest = max((segment_index(name) for name in sizes), default=-1)
        if newest >= start_of_open:
            raise Conflict(
                "the archive holds more of a log than is sealed here",
                field=self._archive.place,
                expected=f"segments of the first {start_of_open} entries",
                found=f"one that starts at index {newest}",
                action="find the newer log (adtally restore-log), or give this one a new folder",
            )
        self._sizes = sizes

    def pending(self) -> list[SealedSegment]:
        """Sealed segments that are not known to be archived, in order."""
        return self._store.sealed_segments()[len(self._manifests) :]

    def archive_next(self, segment: SealedSegment, root_hash: Hash) -> None:
        """Archive the first pending segment, or find that it is.

        Args:
            segment: the first of ``pending``.
            root_hash: of the log's first ``segment.end_index`` entries.

        Raises:
            Conflict: the archive holds another log, or more of this one than there is here.
            StorageCorrupt: the segment or its copy is damaged.
            StorageFailed: the target does not answer; call it again.
        """
        self.look()
        sizes = self._sizes or {}
        # After an error somebody may mend the archive: then it is looked at anew.
        self._sizes = None
        name = manifest_name(segment.path.name)
        manifest = self._archive.manifest(name) if name in sizes else None
        if manifest is not None:
            self._check_archived(manifest, segment, root_hash, sizes.get(manifest.segment))
        else:
            manifest = self._scan(segment, root_hash)
            self._archive.put(manifest, segment.path)
        self._sizes = sizes
        self._manifests.append(manifest)

    def drop_local(self, keep: int) -> int:
        """Remove local copies of archived segments, but for the newest ``keep`` sealed ones.

        Each copy in the archive is read back once more before. Only for a store that was opened
        with ``ArchivedFiles``.

        Returns:
            How many sealed segments are local afterwards.

        Raises: as ``Archive.verify``; the segment in question is still local then.
        """
        sealed = self._store.sealed_segments()
        last = min(len(sealed) - keep, len(self._manifests))
        while self._kept_from < last:
            path = sealed[self._kept_from].path
            if path.exists():
                manifest = self._manifests[self._kept_from]
                self._archive.verify(manifest)
                _check_local(manifest, path)
                path.unlink()
            self._kept_from += 1
        return len(sealed) - self._kept_from

    def _check_archived(
        self, manifest: Manifest, segment: SealedSegment, root_hash: Hash, size: int | None
    ) -> None:
        found = (manifest.origin, manifest.end_index, manifest.root_hash)
        expected = (self._origin, segment.end_index, root_hash)
        if found != expected:
            raise Conflict(
                f"the archive's {manifest.segment} is of another log",
                field=self._archive.place,
                expected=f"{expected[0]} with root {root_hash.hex()} at {expected[1]}",
                found=f"{found[0]} with root {manifest.root_hash.hex()} at {found[1]}",
                action="give every log a folder of its own",
            )
        if size != manifest.size_bytes:
            raise StorageCorrupt(
                f"the archive's {manifest.segment} is damaged",
                field=self._archive.place,
                expected=f"{manifest.size_bytes} bytes",
                found="no such object" if size is None else f"{size} bytes",
                action="remove the object and its manifest if the segment is still local: it is "
                "archived again",
            )

    def _scan(self, segment: SealedSegment, root_hash: Hash) -> Manifest:
        """Read every frame first, so that nothing damaged is ever archived as good."""
        name = segment.path.name
        try:
            data = segment.path.read_bytes()
        except OSError as error:
            raise StorageFailed(
                f"segment {name} can't be read",
                field=str(segment.path),
                expected="a segment that is local until it is archived",
                found=str(error),
                action="restore the segment from a copy (an attestor keeps one)",
            ) from error
        first_frame = self._manifests[-1].end_frame if self._manifests else _START.sequence
        scan = scan_segment(data, Position(first_frame, segment.first_index), name)
        if scan.is_torn or scan.position.index != segment.end_index:
            raise StorageCorrupt(
                f"segment {name} is damaged",
                field=str(segment.path),
                expected=f"entries {segment.first_index} to {segment.end_index}",
                found=f"entries to {scan.position.index}",
                action="restore the segment from a copy (an attestor keeps one); never edit it",
            )
        whole = content(iter([data]))
        return Manifest(
            origin=self._origin,
            first_index=segment.first_index,
            end_index=segment.end_index,
            first_frame=first_frame,
            end_frame=scan.position.sequence,
            size_bytes=whole.size_bytes,
            sha256=whole.sha256,
            root_hash=root_hash,
        )


def _check_local(manifest: Manifest, path: Path) -> None:
    data = path.read_bytes()
    # The length of a segment is cut at its end, but a power loss may bring the zeros back.
    tail = data[manifest.size_bytes :]
    whole = content(iter([data[: manifest.size_bytes]]))
    if whole != Content(manifest.size_bytes, manifest.sha256) or tail.count(0) != len(tail):
        raise StorageCorrupt(
            f"segment {path.name} and its archived copy differ",
            field=str(path),
            expected=f"SHA-256 {manifest.sha256.hex()}",
            found="another one",
            action="keep both and find out which one has changed (adtally audit)",
        )
