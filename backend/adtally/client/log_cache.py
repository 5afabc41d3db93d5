"""What an auditor keeps of a log: downloaded files, and the states of its audits.

One folder per log. A file's bytes stand behind their SHA-256, so that a spoiled one is noticed when
it is read, named, and downloaded again; whether the bytes are the log's shows only in the tree.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from adtally.chain.files import write_atomically
from adtally.client.log_files import LogFiles

_HASH_SIZE = 32
_STATES_KEPT = 6


def default_cache(log_name: str, origin: str) -> Path:
    """The folder for a log under the user's cache (XDG Base Directory)."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # The origin alone does not tell two chains apart that began alike.
    mark = hashlib.sha256(log_name.encode()).hexdigest()[:12]
    return base / "adtally" / "audit" / f"{origin.replace('/', '_')}-{mark}"


class CachedFiles:
    """Reads immutable files from a folder, and from elsewhere what is not there yet.

    Args:
        files: where they come from.
        folder: gets what was downloaded.
        spoiled: told of each file that was not what had been written.
    """

    def __init__(self, files: LogFiles, folder: Path, spoiled: Callable[[str], None]) -> None:
        self._files = files
        self._folder = folder
        self._spoiled = spoiled

    @property
    def name(self) -> str:
        return self._files.name

    async def read(self, path: str) -> bytes:
        """As ``LogFiles.read``; only entries are kept, everything else may change."""
        if not path.startswith(("bulk/", "tile/entries/")):
            return await self._files.read(path)
        kept = self._folder / path
        content = await asyncio.to_thread(self._kept, kept)
        if content is None:
            content = await self._files.read(path)
            hashed = hashlib.sha256(content).digest() + content
            await asyncio.to_thread(write_atomically, kept, hashed)
        return content

    def _kept(self, path: Path) -> bytes | None:
        try:
            stored = path.read_bytes()
        except OSError:
            return None
        content = stored[_HASH_SIZE:]
        if hashlib.sha256(content).digest() == stored[:_HASH_SIZE]:
            return content
        self._spoiled(f"{path} is spoiled and was fetched again")
        return None

    async def close(self) -> None:
        await self._files.close()


class StateFolder:
    """States of audits as files, the newest few of them.

    Old ones are wanted when a statement settles that was drafted before the last audit.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sizes(self) -> list[int]:
        """Sizes of all states, largest first."""
        names = [path.stem for path in self._folder.glob("*.state")]
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def read(self, size: int) -> bytes:
        """The state's bytes; none where it can't be read."""
        try:
            return self._path(size).read_bytes()
        except OSError:
            return b""

    def write(self, size: int, state: bytes) -> None:
        """Keep a state; the oldest go when there are many."""
        write_atomically(self._path(size), state)
        for old in self.sizes()[_STATES_KEPT:]:
            self.drop(old)

    def drop(self, size: int) -> None:
        """Remove a state."""
        self._path(size).unlink(missing_ok=True)

    def _path(self, size: int) -> Path:
        return self._folder / f"{size:020d}.state"


def forget(folder: Path) -> None:
    """Remove everything that was kept of a log."""
    for name in ("files", "states", "chain"):
        shutil.rmtree(folder / name, ignore_errors=True)
