"""Sealed segments on another storage: any that fsspec has a file system for.

An archive is a folder of objects: each segment under its own name, and beside it a manifest that
is written last. A segment counts once its manifest is there, so what was half copied never does.
Nothing is ever replaced by something else: an object that is there already must be the same, or
the beginning of it, which is what an interrupted copy leaves on some targets.

fsspec's own configuration (files in ``~/.config/fsspec``, variables ``FSSPEC_*``) holds
credentials, endpoints and timeouts: https://filesystem-spec.readthedocs.io.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from adtally.errors import AdtallyError, Conflict, InvalidInput, StorageCorrupt, StorageFailed
from adtally.log.manifest import Manifest, is_finished
from adtally.types import Hash

CHUNK_BYTES = 4 * 2**20

_url_to_fs: Any = url_to_fs
"""fsspec ships no types."""

Interrupted = Callable[[], bool]
"""Asked between chunks; True ends the copy with StorageFailed."""


@dataclass(frozen=True, slots=True)
class Content:
    """Length and SHA-256 of some bytes."""

    size_bytes: int
    sha256: Hash


class Archive:
    """One folder of archived segments. Make one with ``Archive.open``.

    Any number of readers; one writer at a time, which the lock on the log's own folder sees to.

    Args:
        files: an fsspec file system.
        root: the folder in it, as the file system names it.
        interrupted: see ``Interrupted``.
    """

    def __init__(self, files: Any, root: str, *, interrupted: Interrupted = lambda: False) -> None:
        self._files = files
        self._root = root.rstrip("/")
        self._interrupted = interrupted

    @classmethod
    def open(cls, url: str, *, interrupted: Interrupted = lambda: False) -> Archive:
        """The archive at an fsspec URL (``file:///...``, ``s3://bucket/prefix``, ``memory://``).

        Nothing is asked of the target yet.

        Raises:
            InvalidInput: no such kind of storage, or its package is not installed.
        """
        try:
            files, root = _url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise InvalidInput(
                "the archive can't be opened",
                field="archive URL",
                expected="a URL that fsspec has a file system for, and its package",
                found=str(error),
                action="install the package that the message names, or mend the URL",
            ) from None
        return cls(files, root, interrupted=interrupted)

    @property
    def place(self) -> str:
        """Where it is, for people; without credentials."""
        return str(self._files.unstrip_protocol(self._root))

    def sizes(self) -> dict[str, int]:
        """Every object's length in bytes, by name, in order of names.

        Raises:
            StorageFailed: the target does not answer.
        """
        with self._asking("list"):
            try:
                listed = self._files.ls(self._root, detail=True)
            except FileNotFoundError:
                return {}
        found = {each["name"].rpartition("/")[2]: each for each in listed}
        return {
            name: int(found[name]["size"] or 0)
            for name in sorted(found)
            if found[name]["type"] == "file"
        }

    def manifest(self, name: str) -> Manifest | None:
        """The manifest under a name; None when it was not written to its end.

        Raises:
            StorageFailed: the target does not answer, or there is none.
            VerificationFailed: it is not one.
        """
        with self._asking(f"read {name}"):
            data = bytes(self._files.cat_file(self._path(name)))
        return Manifest.parse(data, name) if is_finished(data) else None

    def put(self, manifest: Manifest, segment: Path) -> None:
        """Copy a segment's file and read it back, then write its manifest; again is harmless.

        Raises:
            Conflict: something else is there already; nothing of it was changed.
            StorageCorrupt: what is read back is not what was written, or the file has changed.
            StorageFailed: target or disk does not answer; call it again.
        """
        with self._asking(f"prepare for {manifest.segment}"):
            self._files.makedirs(self._root, exist_ok=True)
        sizes = self.sizes()
        if not self._holds_already(manifest, segment, sizes.get(manifest.segment)):
            self._upload(segment, manifest.segment)
        self.verify(manifest)
        self._put_manifest(manifest, is_there=manifest.name in sizes)

    def verify(self, manifest: Manifest) -> None:
        """Read a segment back, wholly.

        Raises:
            StorageCorrupt: it is not what the manifest says.
            StorageFailed: the target does not answer.
        """
        _check(manifest, self._content_of(manifest.segment))

    def fetch(self, manifest: Manifest, to: Path) -> None:
        """Write a segment into a file, durably; the file is removed if it comes out wrong.

        Raises: as ``verify``.
        """
        digest = hashlib.sha256()
        size = 0
        try:
            with (
                self._asking(f"read {manifest.segment}"),
                self._files.open(self._path(manifest.segment), "rb") as source,
                to.open("wb") as sink,
            ):
                for chunk in self._chunks(source):
                    digest.update(chunk)
                    size += len(chunk)
                    sink.write(chunk)
                sink.flush()
                os.fsync(sink.fileno())
            _check(manifest, Content(size, digest.digest()))
        except BaseException:
            to.unlink(missing_ok=True)
            raise

    # Writing -----------------------------------------------------------------------------------

    def _holds_already(self, manifest: Manifest, segment: Path, size: int | None) -> bool:
        """Whether the segment's object is there; False also for the beginning of it.

        Raises Conflict when it is something else.
        """
        if size is None:
            return False
        if size <= manifest.size_bytes:
            found = self._content_of(manifest.segment)
            with segment.open("rb") as source:
                ours = content(self._chunks(source, found.size_bytes))
            if found == ours:
                return found.size_bytes == manifest.size_bytes
        raise self._conflict(manifest.segment)

    def _upload(self, segment: Path, name: str) -> None:
        with (
            self._asking(f"write {name}"),
            segment.open("rb") as source,
            self._files.open(self._path(name), "wb") as sink,
        ):
            for chunk in self._chunks(source):
                sink.write(chunk)
        self._sync(name)

    def _put_manifest(self, manifest: Manifest, *, is_there: bool) -> None:
        data = manifest.encode()
        path = self._path(manifest.name)
        with self._asking(f"write {manifest.name}"):
            found = bytes(self._files.cat_file(path)) if is_there else b""
            if found != data:
                if not data.startswith(found):
                    raise self._conflict(manifest.name)
                self._files.pipe_file(path, data)
                self._sync(manifest.name)
                found = bytes(self._files.cat_file(path))
        if found != data:
            raise self._conflict(manifest.name)

    def _sync(self, name: str) -> None:
        """A local target, a mounted disk say, is the only one that answers before it is safe."""
        if isinstance(self._files, LocalFileSystem):
            for path in (self._path(name), self._root):
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _content_of(self, name: str) -> Content:
        with (
            self._asking(f"read {name}"),
            self._files.open(self._path(name), "rb") as source,
        ):
            return content(self._chunks(source))

    # Helpers -----------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _chunks(self, source: BinaryIO, most: int | None = None) -> Iterator[bytes]:
        left = most
        while left is None or left > 0:
            if self._interrupted():
                raise StorageFailed("the copy was interrupted because the process is stopping")
            chunk = source.read(CHUNK_BYTES if left is None else min(CHUNK_BYTES, left))
            if not chunk:
                return
            if left is not None:
                left -= len(chunk)
            yield chunk

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """File systems raise whatever their client libraries do, and remember old listings."""
        try:
            self._files.invalidate_cache()
            yield
        except AdtallyError:
            raise
        except Exception as error:
            raise StorageFailed(
                f"the archive could not {what}",
                field=self.place,
                expected="a target that takes and gives objects",
                found=f"{type(error).__name__}: {error}",
                action="see that it is reachable and has space; it is tried again by itself",
            ) from error

    def _conflict(self, name: str) -> Conflict:
        return Conflict(
            f"the archive holds something else as {name}",
            field=self.place,
            expected="nothing yet, or the same bytes",
            found="other bytes, perhaps of another log",
            action="give every log a folder of its own; move aside what does not belong there",
        )


def content(chunks: Iterator[bytes]) -> Content:
    """Length and hash of what the chunks come to."""
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return Content(size, digest.digest())


def _check(manifest: Manifest, found: Content) -> None:
    if found != Content(manifest.size_bytes, manifest.sha256):
        raise StorageCorrupt(
            f"the archive's {manifest.segment} is not what was written",
            field=manifest.segment,
            expected=f"{manifest.size_bytes} bytes with SHA-256 {manifest.sha256.hex()}",
            found=f"{found.size_bytes} bytes with SHA-256 {found.sha256.hex()}",
            action="restore the object from another copy of the archive; never edit it",
        )
