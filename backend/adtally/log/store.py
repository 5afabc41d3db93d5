"""The log's segment files: append durably, read by range, recover after any crash.

The files are the truth; everything kept in memory (where each frame stands) is rebuilt from them
when the log is opened. One writer at a time holds the lock file. ``append`` returns only after
``fdatasync``; after any write error the store takes nothing more, because what the disk then
holds is only known by reading it again.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from adtally.errors import Conflict, InvalidInput, StorageCorrupt, StorageFailed, StorageFull
from adtally.log.bundle import decode_bundle, encode_bundle, slice_bundle
from adtally.log.files import FileLayer, OsFiles, write_all
from adtally.log.frame_index import FrameIndex, FramePlace
from adtally.log.segment import (
    HEADER_SIZE,
    MAX_PAYLOAD,
    FrameHeader,
    Position,
    Scan,
    UnsealedFrame,
    damaged,
    read_frame,
    read_header,
    scan_segment,
    segment_index,
    segment_name,
)

SEGMENT_BYTES = 64 * 2**20
SPARE_BYTES = 64 * 2**20
"""To leave on the disk for what grows beside the log: its tree, the control database, reports."""
LOCK_NAME = "lock"
_READ_BYTES = 2**20
_SKIM_BYTES = 64 * 2**10
_NO_DESCRIPTOR = -1
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Frame:
    """One group commit: the index of its first entry, and its entries."""

    first_index: int
    entries: list[bytes]


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """A segment that is never written again: its file, and its entries (end exclusive)."""

    path: Path
    first_index: int
    end_index: int


@dataclass(frozen=True, slots=True)
class StorePoint:
    """Where everything stood when the log had some size: saves reading what is before it."""

    segments: tuple[str, ...]
    """Names, oldest first."""
    offset: int
    """Behind the last frame, in the last segment."""
    position: Position
    frames: FrameIndex


class LogStore:
    """The entries of one log, on disk. Make one with ``LogStore.open``.

    Appends come from one thread; reads may come from any thread at the same time.
    """

    def __init__(self, directory: Path, files: FileLayer, segment_bytes: int, lock: int) -> None:
        self._directory = directory
        self._files = files
        self._segment_bytes = segment_bytes
        self._lock = lock
        self._segments: list[Path] = []
        self._position = Position()
        self._failure: str | None = None
        self._descriptor = _NO_DESCRIPTOR
        self._offset = 0
        self._capacity = 0
        self._is_new = False
        """Whether the directory does not know the segment for sure yet."""
        self._index = FrameIndex()

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        files: FileLayer | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        resume: StorePoint | None = None,
        is_read_next: bool = False,
    ) -> LogStore:
        """Open a log, new or not, for writing; a torn tail is truncated.

        Args:
            directory: holds the segments and the lock file; created when missing.
            files: the disk.
            segment_bytes: a new segment is preallocated to it, and is full when it reaches it.
            resume: what ``point`` gave for this very log, durable since: only what was appended
                after it is read. The rest is checked when it is asked for.
            is_read_next: the caller reads all of that anyway, which checks it: of full segments
                only the frames' headers are read here.

        Raises:
            Conflict: another process (or object) has it open.
            StorageCorrupt: committed bytes have changed; names file and offset.
            StorageFailed: the disk did not answer.
        """
        files = OsFiles() if files is None else files
        try:
            files.make_directory(directory)
            lock = files.lock(directory / LOCK_NAME)
        except OSError as error:
            raise _failed(directory, error) from error
        if lock is None:
            raise Conflict(
                "the log is open for writing elsewhere",
                field=str(directory),
                expected="one writer",
                found=f"{LOCK_NAME} is locked",
                action="stop the other process first",
            )
        store = cls(directory, files, segment_bytes, lock)
        try:
            store._recover(resume, skims=is_read_next)
        except OSError as error:
            store.close()
            raise _failed(directory, error) from error
        except BaseException:
            store.close()
            raise
        return store

    @property
    def size(self) -> int:
        """Number of durable entries."""
        return self._index.size

    @property
    def failure(self) -> str | None:
        """Why the store takes nothing more, or None while it does."""
        return self._failure

    def point(self) -> StorePoint:
        """Where everything stands; good for as long as nothing is appended."""
        names = tuple(path.name for path in self._segments)
        return StorePoint(names, self._offset, self._position, self._index)

    def append(self, entries: Sequence[bytes]) -> int:
        """Write entries as one frame; on return they are on disk, all of them.

        Returns:
            The index of the first of them.

        Raises:
            InvalidInput: no entries, or one is empty or over 65,535 bytes; nothing was written.
            StorageFailed: the disk refused. Whether the entries are there is known only after
                reopening; the store takes nothing more until then.
        """
        return self.append_frame(UnsealedFrame.of(encode_bundle(entries)), len(entries))

    def has_room(self, length: int) -> bool:
        """Whether frames of ``length`` bytes in all fit what is allocated already."""
        is_allocated = self._descriptor != _NO_DESCRIPTOR and (
            self._offset + length <= self._capacity
        )
        return is_allocated and self._files.free_bytes(self._directory) >= SPARE_BYTES

    def take_room(self, length: int) -> None:
        """Allocate ``length`` bytes for the next frames.

        Raises:
            StorageFull: there are none, or the disk has become read-only. The store is as it was,
                and what fits the room it has can still be appended.
            StorageFailed: the disk did not answer.
        """
        try:
            free = self._files.free_bytes(self._directory)
            if free < SPARE_BYTES:
                raise StorageFull(f"{self._directory}: {free} bytes free, not {SPARE_BYTES}")
            self._make_room(length)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise StorageFull(f"{self._directory}: {error.strerror}") from error
            raise _failed(self._directory, error) from error

    def append_frame(self, unsealed: UnsealedFrame, count: int) -> int:
        """As ``append``, for ``count`` entries that are encoded already."""
        if self._failure is not None:
            raise StorageFailed(
                "the log takes no entries after a write error",
                expected="a working disk",
                found=self._failure,
                action="mend the disk and restart: recovery decides what was written",
            )
        length = len(unsealed.payload)
        if not 0 < length <= MAX_PAYLOAD:
            raise InvalidInput(
                "an append holds a bounded number of entries",
                field="entries",
                expected=f"1 to {MAX_PAYLOAD} bytes of entries",
                found=f"{length} bytes",
            )
        where = self._position
        frame = unsealed.seal(where.epoch, where.sequence, where.index, count)
        self._failure = "an append was interrupted"
        try:
            self._make_room(len(frame))
            write_all(self._files, self._descriptor, frame, self._offset)
            self._files.fdatasync(self._descriptor)
        except OSError as error:
            self._failure = str(error)
            raise _failed(self._directory, error) from error
        self._failure = None
        header = FrameHeader(where.epoch, where.sequence, where.index, count, length, payload_crc=0)
        self._enter(self._offset, header)
        self._offset += len(frame)
        return where.index

    def entries(self, start: int, end: int) -> list[bytes]:
        """Entries ``start`` to ``end`` (exclusive).

        Raises:
            InvalidInput: the range is not within the log.
            StorageCorrupt: the bytes on disk have changed.
            StorageFailed: the disk did not answer.
        """
        return decode_bundle(self.bundle(start, end))

    def entry(self, index: int) -> bytes:
        """One entry; raises as ``entries`` does."""
        return self.entries(index, index + 1)[0]

    def bundle(self, start: int, end: int) -> bytes:
        """Entries ``start`` to ``end`` as an entry bundle, cut from the frames undecoded."""
        if not 0 <= start <= end <= self.size:
            raise InvalidInput(
                "the range is not within the log",
                field="range",
                expected=f"0 <= start <= end <= {self.size}",
                found=f"{start} to {end}",
            )
        pieces = []
        for place, payload in self._payloads(start, end):
            if start <= place.first_index and place.end_index <= end:
                pieces.append(payload)
            else:
                low = max(start, place.first_index) - place.first_index
                high = min(end, place.end_index) - place.first_index
                pieces.append(slice_bundle(payload, low, high))
        return b"".join(pieces)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """Every group commit in order, from the one that holds ``start``."""
        for place, payload in self._payloads(start, self.size):
            yield Frame(place.first_index, decode_bundle(payload))

    def payloads(self, start: int = 0) -> Iterator[bytes]:
        """As ``frames``, each as an entry bundle."""
        for _, payload in self._payloads(start, self.size):
            yield payload

    def commit_end(self, index: int) -> int:
        """Tree size after the group commit that holds entry ``index``."""
        if not 0 <= index < self.size:
            raise InvalidInput(
                "no such entry",
                field="index",
                expected=f"0 to {self.size - 1}",
                found=str(index),
            )
        return self._index.place(self._index.find(index)).end_index

    def sealed_segments(self) -> list[SealedSegment]:
        """Every segment but the one being written, in order; safe from any thread."""
        paths = list(self._segments)
        if self._is_new:
            # Should the new segment vanish in a crash, the one before would be the last again.
            paths = paths[:-1]
        starts = [segment_index(path.name) for path in paths]
        return [
            SealedSegment(path, start, end)
            for path, start, end in zip(paths, starts, starts[1:], strict=False)
        ]

    def close(self) -> None:
        """Give up files and lock; what was appended is on disk already."""
        if self._descriptor != _NO_DESCRIPTOR:
            self._files.close(self._descriptor)
            self._descriptor = _NO_DESCRIPTOR
        if self._lock != _NO_DESCRIPTOR:
            self._files.close(self._lock)
            self._lock = _NO_DESCRIPTOR
        self._failure = "the log is closed"

    def __enter__(self) -> LogStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # Recovery

    def _recover(self, resume: StorePoint | None, *, skims: bool) -> None:
        names = self._files.list_names(self._directory)
        names = sorted(name for name in names if segment_index(name) >= 0)
        scan = None
        if resume is not None and resume.segments:
            known = len(resume.segments)
            self._take_over(resume, names)
            scan = self._scan(names[known - 1], resume.offset, is_last=known == len(names))
            names = names[known:]
        for number, name in enumerate(names):
            self._begin_segment(name)
            is_last = number == len(names) - 1
            if is_last or not (skims and self._skim(name)):
                scan = self._scan(name, 0, is_last=is_last)
        if scan is not None:
            self._reopen_last(scan)
        self._position = Position(
            self._position.sequence, self._position.index, self._position.epoch + 1
        )

    def _take_over(self, resume: StorePoint, names: Sequence[str]) -> None:
        known = list(resume.segments)
        if names[: len(known)] != known:
            missing = sorted(set(known) - set(names))
            raise StorageCorrupt(
                "segments of the log are missing",
                field=str(self._directory),
                expected=f"{len(known)} segments up to entry {resume.frames.size}",
                found=f"no {', '.join(missing)}" if missing else "others between them",
                action="restore them from a copy (an attestor keeps one)",
            )
        self._segments = [self._directory / name for name in known]
        self._index, self._position = resume.frames, resume.position

    def _begin_segment(self, name: str) -> None:
        if segment_index(name) != self._position.index:
            raise StorageCorrupt(
                f"the log has a gap before segment {name}",
                field=name,
                expected=f"a segment that starts at index {self._position.index}",
                found=f"one that starts at {segment_index(name)}",
                action="restore the missing segment from a copy (an attestor keeps one)",
            )
        self._segments.append(self._directory / name)

    def _scan(self, name: str, start: int, *, is_last: bool) -> Scan:
        """Enter the frames of the newest segment so far that begin at ``start`` or behind."""
        data = self._files.read(self._directory / name, 0, MAX_PAYLOAD)
        if len(data) < start:
            raise damaged(name, len(data), f"at least {start} bytes", f"{len(data)}")
        scan = scan_segment(data, self._position, name, start)
        if scan.is_torn and not is_last:
            expected = "nothing behind the last frame of a full segment"
            raise damaged(name, scan.end, expected, "other bytes")
        for offset, header in scan.frames:
            self._enter(offset, header)
        return scan

    def _skim(self, name: str) -> bool:
        """Enter the frames of a full segment by their headers; False if one is not as it should be.

        What is wrong then, ``_scan`` says.
        """
        path, position = self._directory / name, self._position
        found: list[tuple[int, FrameHeader]] = []
        window, begin, at = b"", 0, 0
        while True:
            if at + HEADER_SIZE > begin + len(window):
                window, begin = self._files.read(path, at, _SKIM_BYTES), at
            header = read_header(window, at - begin)
            if header is None or not position.admits(header):
                break
            found.append((at, header))
            position = position.after(header)
            at += header.size
        ends_there = bool(found) and len(self._files.read(path, at - 1, 2)) == 1
        for offset, header in found if ends_there else ():
            self._enter(offset, header)
        return ends_there

    def _reopen_last(self, scan: Scan) -> None:
        """Open the last segment for appending, without its torn tail, and make sure of its end."""
        path = self._segments[-1]
        self._descriptor = self._files.open(path)
        self._offset = scan.end
        if scan.is_torn:
            self._files.truncate(self._descriptor, scan.end)
            self._files.fsync(self._descriptor)
        self._capacity = self._files.size(self._descriptor)
        if scan.frames:
            # After a failed fdatasync the page cache can show a frame that the disk never got;
            # only the last frame can be such a one. Written again, it is on disk.
            offset, header = scan.frames[-1]
            frame = self._files.read(path, offset, header.size)
            write_all(self._files, self._descriptor, frame, offset)
            self._files.fdatasync(self._descriptor)

    # Writing

    def _make_room(self, length: int) -> None:
        """Have ``length`` preallocated bytes at the write offset, in a new segment if need be.

        Should a step fail, the next call takes up where this one was.
        """
        if self._descriptor == _NO_DESCRIPTOR or self._offset >= self._segment_bytes:
            self._rotate()
        if self._is_new:
            self._files.sync_directory(self._directory)
            self._is_new = False
        end = self._offset + length
        if end > self._capacity:
            # Beyond its usual size a segment grows once, by all that the next frames may need.
            size = self._segment_bytes + (length if end > self._segment_bytes else 0)
            self._files.preallocate(self._descriptor, size)
            self._files.fsync(self._descriptor)
            self._capacity = size

    def _rotate(self) -> None:
        """Begin a segment; the one before keeps nothing behind its last frame."""
        if self._capacity > self._offset:
            self._files.truncate(self._descriptor, self._offset)
            self._capacity = self._offset
        path = self._directory / segment_name(self._position.index)
        descriptor = self._files.open(path, create=True)
        if self._descriptor != _NO_DESCRIPTOR:
            self._files.close(self._descriptor)
        self._descriptor, self._is_new = descriptor, True
        self._offset = self._capacity = 0
        self._segments.append(path)

    def _enter(self, offset: int, header: FrameHeader) -> None:
        """Remember where a frame stands, and what the next one must say."""
        self._position = self._position.after(header)
        self._index.add(len(self._segments) - 1, offset, header)

    # Reading

    def _payloads(self, start: int, end: int) -> Iterator[tuple[FramePlace, bytes]]:
        """Place and payload of each frame that meets the range."""
        while start < end:
            group = self._index.group(self._index.find(start), end, _READ_BYTES)
            data = self._read_group(group)
            for place in group:
                yield place, self._payload(place, data, place.offset - group[0].offset)
            start = group[-1].end_index

    def _read_group(self, group: Sequence[FramePlace]) -> bytes:
        path = self._segments[group[0].segment]
        size = group[-1].offset + group[-1].size - group[0].offset
        try:
            return self._files.read(path, group[0].offset, size)
        except OSError as error:
            raise _failed(path, error) from error

    def _payload(self, place: FramePlace, data: bytes, at: int) -> bytes:
        frame = read_frame(data, at)
        if frame is None or frame[0].first_index != place.first_index:
            name = self._segments[place.segment].name
            expected = f"the frame of entries {place.first_index} to {place.end_index}"
            raise damaged(name, place.offset, expected, "other bytes")
        return frame[1]


def _failed(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        "the disk refused",
        field=str(path),
        expected="a disk that takes and gives data",
        found=str(error),
        action="mend the disk (space, permissions, health) and restart",
    )
