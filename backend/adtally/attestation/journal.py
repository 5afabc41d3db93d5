"""A file of lines that only grows; each line is on disk before anything is done about it."""

from __future__ import annotations

import os
from pathlib import Path

from adtally.errors import StorageFailed


class Journal:
    """Lines of text. ``append`` returns only after fsync; one writer at a time.

    A kill within an append leaves half a line at the end: nobody acted on it, so it is cut off
    when the file is opened again. After a failed write nothing more is taken, for nobody knows
    then what the file ends in.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._failure: str | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        self.lines = [] if is_new else self._read()
        """What stood in it when it was opened."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if is_new:
            _sync_folder(path.parent)

    def _read(self) -> list[bytes]:
        data = self.path.read_bytes()
        complete, _, torn = data.rpartition(b"\n")
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(data) - len(torn))
                os.fsync(file.fileno())
        return complete.splitlines()

    def append(self, line: bytes) -> None:
        """Add a line (without newline); durable on return.

        Raises:
            StorageFailed: the disk refused, now or before.
        """
        if self._failure is not None:
            raise _failed(self.path, self._failure)
        data = line + b"\n"
        self._failure = "an append was interrupted"
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            self._failure = str(error)
            raise _failed(self.path, self._failure) from error
        self._failure = None

    def close(self) -> None:
        """Give up the file; every line is on disk already."""
        if self._file >= 0:
            os.close(self._file)
        self._file = -1
        self._failure = "the journal is closed"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failed(path: Path, found: str) -> StorageFailed:
    return StorageFailed(
        "the disk refused a line",
        field=str(path),
        expected="a disk that takes data",
        found=found,
        action="mend the disk (space, permissions, health) and restart",
    )
