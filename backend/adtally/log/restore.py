"""Rebuilds a log's folder from an archive, and believes nothing that it has not hashed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adtally.errors import Conflict, StorageCorrupt, StorageFailed, VerificationFailed
from adtally.log.archive import Archive, content
from adtally.log.bundle import decode_bundle
from adtally.log.compact_range import CompactRange
from adtally.log.files import OsFiles
from adtally.log.manifest import Manifest, manifest_name
from adtally.log.segment import (
    Position,
    read_frame,
    scan_segment,
    segment_index,
    segment_name,
)
from adtally.log.store import LOCK_NAME
from adtally.types import Hash

_PART = ".part"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back.

    Attributes:
        origin: the log's name.
        segments: how many.
        tree_size: the log's first so many entries.
        root_hash: theirs, recomputed from every entry.
        not_counted: objects without a finished manifest: an interrupted copy, never counted.
    """

    origin: str
    segments: int
    tree_size: int
    root_hash: Hash
    not_counted: tuple[str, ...]


def restore(
    archive: Archive,
    directory: Path,
    *,
    origin: str | None = None,
    on_segment: Callable[[Manifest], None] = lambda manifest: None,
) -> Restored:
    """Make a log's folder of everything in an archive.

    The folder appears whole or not at all; until then the work stands beside it and is taken up
    again by the next call. It ends with an empty segment, so that what is logged from here on
    does not change a segment that is archived.

    Args:
        archive: a whole one; a gap is refused.
        directory: the log's folder; missing, or without a segment.
        origin: what the log must be called; None takes any one name.
        on_segment: called after each segment, for progress.

    Raises:
        Conflict: there is a log at ``directory``.
        VerificationFailed: a manifest, a hash, the order or the origin is wrong, or a gap.
        StorageCorrupt: an object is not what its manifest says.
        StorageFailed: archive or disk does not answer.
    """
    files = OsFiles()
    work = directory.with_name(directory.name + ".restoring")
    try:
        _clear_place(directory, files)
        files.make_directory(work)
        manifests, not_counted = _plan(archive, origin)
        rebuilt = _Rebuilt()
        for manifest in manifests:
            _bring(archive, manifest, work)
            rebuilt.add(manifest, (work / manifest.segment).read_bytes())
            on_segment(manifest)
        _remove_others(work, {manifest.segment for manifest in manifests})
        files.close(files.open(work / segment_name(rebuilt.tree.size), create=True))
        files.sync_directory(work)
        os.replace(work, directory)
        files.sync_directory(directory.parent)
    except OSError as error:
        raise StorageFailed(
            "the log could not be written",
            field=str(directory),
            expected="a disk that takes data",
            found=str(error),
            action="mend the disk (space, permissions) and restore again: it goes on",
        ) from error
    return Restored(
        manifests[-1].origin,
        len(manifests),
        rebuilt.tree.size,
        rebuilt.tree.root(),
        not_counted,
    )


class _Rebuilt:
    """The log so far: where its frames end, and its tree."""

    def __init__(self) -> None:
        self.tree = CompactRange()
        self._position = Position()

    def add(self, manifest: Manifest, data: bytes) -> None:
        """Read a segment as recovery does, and compare all that its manifest says."""
        scan = scan_segment(data, self._position, manifest.segment)
        for at, _ in scan.frames:
            frame = read_frame(data, at)
            assert frame is not None
            self.tree.append(decode_bundle(frame[1]))
        self._position = scan.position
        expected = (manifest.end_index, manifest.end_frame, manifest.root_hash.hex())
        found = (scan.position.index, scan.position.sequence, self.tree.root().hex())
        if scan.is_torn or expected != found:
            raise VerificationFailed(
                f"{manifest.segment} does not continue the log as its manifest says",
                field=manifest.segment,
                expected="entries to {}, frames to {}, root {}".format(*expected),
                found="entries to {}, frames to {}, root {}".format(*found),
                action=f"the archive is good up to entry {manifest.first_index}; restore the "
                "object from another copy of it",
            )


def _clear_place(directory: Path, files: OsFiles) -> None:
    """Make sure that no log stands there, and that none is opened meanwhile."""
    if not directory.exists():
        return
    lock = files.lock(directory / LOCK_NAME)
    try:
        others = [name for name in files.list_names(directory) if name != LOCK_NAME]
        if lock is None or others:
            raise Conflict(
                "there is a log already",
                field=str(directory),
                expected="no folder, or one without segments",
                found="one in use" if lock is None else others[0],
                action="stop the service and move the folder aside; never mix two logs",
            )
        (directory / LOCK_NAME).unlink()
        directory.rmdir()
    finally:
        if lock is not None:
            files.close(lock)


def _plan(archive: Archive, origin: str | None) -> tuple[list[Manifest], tuple[str, ...]]:
    """The manifests in order, without a gap, all of one log; and what does not count."""
    sizes = archive.sizes()
    _refuse_lone_manifests(archive, sizes)
    segments = [name for name in sizes if segment_index(name) >= 0]
    manifests: list[Manifest] = []
    not_counted: list[str] = []
    for name in segments:
        manifest = archive.manifest(manifest_name(name)) if manifest_name(name) in sizes else None
        if manifest is None:
            not_counted.append(name)
            continue
        end = manifests[-1].end_index if manifests else 0
        _check_follows(manifest, end, origin or (manifests and manifests[0].origin) or None)
        manifests.append(manifest)
    if not manifests:
        raise VerificationFailed(
            "the archive holds no segment",
            field=archive.place,
            expected=f"{segment_name(0)} and its manifest",
            found=", ".join(not_counted) or "nothing",
            action="see that the URL is right",
        )
    return manifests, tuple(not_counted)


def _refuse_lone_manifests(archive: Archive, sizes: dict[str, int]) -> None:
    lone = [
        name
        for name in sizes
        if name.startswith("segment-")
        and name.endswith(".json")
        and name.removesuffix(".json") + ".log" not in sizes
    ]
    if lone:
        raise StorageCorrupt(
            f"the archive lacks the segment of {lone[0]}",
            field=archive.place,
            expected="a segment for every manifest",
            found="none",
            action="restore the object from another copy of the archive",
        )


def _check_follows(manifest: Manifest, end: int, origin: str | None) -> None:
    if manifest.first_index != end:
        raise VerificationFailed(
            f"the archive has a gap before {manifest.segment}",
            field=manifest.segment,
            expected=f"a segment that starts at index {end}",
            found=f"one that starts at {manifest.first_index}",
            action="restore the missing objects from another copy of the archive",
        )
    if origin is not None and manifest.origin != origin:
        raise VerificationFailed(
            f"the archive's {manifest.segment} is of another log",
            field=manifest.segment,
            expected=origin,
            found=manifest.origin,
            action="see that the URL and the deployment file belong together",
        )


def _bring(archive: Archive, manifest: Manifest, work: Path) -> None:
    """Have a segment's file, unless an earlier call has left it whole."""
    path = work / manifest.segment
    if path.exists():
        found = content(iter([path.read_bytes()]))
        if (found.size_bytes, found.sha256) == (manifest.size_bytes, manifest.sha256):
            return
    part = work / (manifest.segment + _PART)
    archive.fetch(manifest, part)
    os.replace(part, path)


def _remove_others(work: Path, names: set[str]) -> None:
    for path in work.iterdir():
        if path.name not in names:
            path.unlink()
