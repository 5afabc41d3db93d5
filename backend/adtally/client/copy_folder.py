"""The folder that a copy of a log is in: files appear whole, and only files that belong there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from adtally.chain.files import write_atomically
from adtally.errors import InvalidInput
from adtally.log.bundle import decode_bundle
from adtally.log.tiles import LogFile, files_of

_STAGED = ".new"


class CopyFolder:
    """Files by their path in a published log."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._staged: list[str] = []
        directory.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> Path:
        return self.directory / name

    def has(self, name: str) -> bool:
        return self.path(name).exists()

    def read(self, name: str) -> bytes | None:
        """A file's bytes, or None if there is none."""
        try:
            return self.path(name).read_bytes()
        except FileNotFoundError:
            return None

    def entries(self, file: LogFile) -> list[bytes] | None:
        """Entries of a bundle that is there, whole and well-formed; else None."""
        content = self.read(file.path)
        if content is None:
            return None
        try:
            entries = decode_bundle(content)
        except InvalidInput:
            return None
        return entries if len(entries) == file.width else None

    def write(self, files: Mapping[LogFile, bytes]) -> None:
        """Write those that are missing, all durable before the last of them appears."""
        missing = [file for file in files if self.read(file.path) != files[file]]
        for file in missing[:-1]:
            _place(self.path(file.path), files[file])
        for file in missing[-1:]:
            # Synced together, many files cost little more than one.
            os.sync()
            write_atomically(self.path(file.path), files[file])

    def stage(self, name: str, content: bytes) -> None:
        """Keep a new version of a document aside."""
        self._staged.append(name)
        write_atomically(self.path(name + _STAGED), content)

    def commit_staged(self) -> None:
        """Put all documents in place that were kept aside; durable on return."""
        for name in self._staged:
            self.path(name + _STAGED).replace(self.path(name))
        os.sync()
        self._staged.clear()

    def remove_outgrown(self, old_size: int, new_size: int) -> None:
        """Remove partial files that only a smaller log needed."""
        needed = {file.path for file in files_of(new_size, new_size)}
        for size in (old_size, new_size):
            for file in files_of(size, size):
                if not file.is_full:
                    self._remove_partial(self.path(file.path).parent, needed)

    def _remove_partial(self, folder: Path, needed: set[str]) -> None:
        for path in list(folder.iterdir()) if folder.is_dir() else ():
            if path.relative_to(self.directory).as_posix() not in needed:
                path.unlink()
        with suppress(OSError):
            folder.rmdir()


def _place(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)
