"""Files that are there wholly or not at all, whenever the power goes."""

from __future__ import annotations

import os
from pathlib import Path

from adtally.errors import InvalidInput


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path``: temporary file, fsync, rename, fsync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_new_secret(path: Path, text: str) -> None:
    """Write a line to a new file that only its owner can read; on disk on return.

    Raises:
        InvalidInput: a file stands there already.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InvalidInput(
            "a key is never overwritten",
            field=str(path),
            expected="no file there",
            found="one",
            action="use it, or name another file",
        ) from None
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
