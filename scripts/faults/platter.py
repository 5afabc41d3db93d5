"""What of the files would survive a loss of power: only what was synced is sure to."""

from __future__ import annotations

import base64
import json
import os
import random
from pathlib import Path
from typing import NamedTuple

SECTOR = 512


class Content(NamedTuple):
    """A file: its bytes up to the last that is not zero, and its length."""

    data: bytes
    length: int

    @staticmethod
    def of(path: Path) -> Content:
        data = path.read_bytes()
        return Content(data.rstrip(b"\0"), len(data))


class Platter:
    """The durable bytes and names of a few small files.

    Args:
        image: where the durable state is kept for the next process when this one is killed. A
            killed process leaves its unsynced bytes in the page cache: they are there for whoever
            opens the file next, and still are not on disk.
    """

    def __init__(self, image: Path) -> None:
        self._image = image
        self._contents: dict[str, Content] = {}
        self._unsynced_names: set[str] = set()
        if image.exists():
            kept = json.loads(image.read_text())
            self._unsynced_names = set(kept["unsynced_names"])
            self._contents = {
                path: Content(base64.b64decode(data), length)
                for path, (data, length) in kept["contents"].items()
            }

    def opened(self, path: Path, *, created: bool) -> None:
        """A file was opened; what an earlier process left in it counts as durable."""
        if created:
            self._unsynced_names.add(str(path))
            self._contents[str(path)] = Content(b"", 0)
        else:
            self._contents.setdefault(str(path), Content.of(path))

    def synced(self, path: Path) -> None:
        """A file's bytes and length are on disk."""
        self._contents[str(path)] = Content.of(path)

    def names_synced(self) -> None:
        """The directory's names are on disk."""
        self._unsynced_names.clear()

    def save(self) -> None:
        """Keep it for the next process."""
        contents = {
            path: (base64.b64encode(content.data).decode(), content.length)
            for path, content in self._contents.items()
        }
        names = sorted(self._unsynced_names)
        self._image.write_text(json.dumps({"contents": contents, "unsynced_names": names}))

    def lose_power(self, chance: random.Random) -> None:
        """Of what is not sure to be there each sector, length and name stays or goes by chance."""
        for name, kept in self._contents.items():
            path = Path(name)
            if not path.exists():
                continue
            if name in self._unsynced_names and chance.random() < 0.5:
                path.unlink()
                continue
            left, length = _survivors(kept, Content.of(path), chance)
            path.write_bytes(left)
            os.truncate(path, length)
        self._image.unlink(missing_ok=True)


def _survivors(kept: Content, seen: Content, chance: random.Random) -> tuple[bytes, int]:
    length = chance.choice([kept, seen]).length
    size = max(len(kept.data), len(seen.data))
    left, new = bytearray(kept.data.ljust(size, b"\0")), seen.data.ljust(size, b"\0")
    for at in range(0, size, SECTOR):
        if left[at : at + SECTOR] != new[at : at + SECTOR] and chance.random() < 0.5:
            left[at : at + SECTOR] = new[at : at + SECTOR]
    return bytes(left[:length]), length
