"""What of the files would survive a loss of power: only what was synced is sure to."""

from __future__ import annotations

import base64
import json
import random
from pathlib import Path

SECTOR = 512


class Platter:
    """The durable bytes and names of a few small files.

    Args:
        image: where the durable state is kept for the next process when this one is killed. A
            killed process leaves its unsynced bytes in the page cache: they are there for whoever
            opens the file next, and still are not on disk.
    """

    def __init__(self, image: Path) -> None:
        self._image = image
        self._contents: dict[str, bytes] = {}
        self._unsynced_names: set[str] = set()
        if image.exists():
            kept = json.loads(image.read_text())
            self._unsynced_names = set(kept["unsynced_names"])
            self._contents = {
                path: base64.b64decode(data) for path, data in kept["contents"].items()
            }

    def opened(self, path: Path, *, created: bool) -> None:
        """A file was opened; what an earlier process left in it counts as durable."""
        if created:
            self._unsynced_names.add(str(path))
            self._contents[str(path)] = b""
        else:
            self._contents.setdefault(str(path), path.read_bytes())

    def synced(self, path: Path) -> None:
        """A file's bytes and length are on disk."""
        self._contents[str(path)] = path.read_bytes()

    def names_synced(self) -> None:
        """The directory's names are on disk."""
        self._unsynced_names.clear()

    def save(self) -> None:
        """Keep it for the next process."""
        contents = {path: base64.b64encode(data).decode() for path, data in self._contents.items()}
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
            path.write_bytes(_survivors(kept, path.read_bytes(), chance))
        self._image.unlink(missing_ok=True)


def _survivors(kept: bytes, seen: bytes, chance: random.Random) -> bytes:
    length = len(chance.choice([kept, seen]))
    left = bytearray(kept[:length].ljust(length, b"\0"))
    for at in range(0, min(length, len(seen)), SECTOR):
        if chance.random() < 0.5:
            end = min(at + SECTOR, length, len(seen))
            left[at:end] = seen[at:end]
    return bytes(left)
