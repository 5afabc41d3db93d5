"""What this attestor has signed, kept so that it never signs two different things of one name."""

from __future__ import annotations

import json
import os
from pathlib import Path

from adtally.errors import Conflict, StorageCorrupt
from adtally.types import Hash


class SigningRecord:
    """An append-only file of (subject, digest), synced before a signature leaves the process.

    A subject is ``checkpoint/<tree size>`` or ``statement/<campaign>/<sequence>``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests: dict[str, str] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._load()

    def _load(self) -> None:
        data = self._path.read_bytes()
        complete, _, torn = data.rpartition(b"\n")
        for number, line in enumerate(complete.splitlines()):
            try:
                subject, digest = json.loads(line)
                self._digests[str(subject)] = str(digest)
            except (ValueError, TypeError):
                raise StorageCorrupt(
                    "the signing record is damaged",
                    field=f"{self._path}, line {number + 1}",
                    expected="a JSON pair of subject and digest",
                    found=repr(line[:60]),
                    action="restore it; without it this key could sign two different things",
                ) from None
        if torn:
            # A kill during the append: the signature of this line never left the process.
            with self._path.open("r+b") as file:
                file.truncate(len(data) - len(torn))

    def note(self, subject: str, digest: Hash) -> None:
        """Record that ``digest`` is being signed for ``subject``; durable on return.

        Raises:
            Conflict: something else was signed under this name.
        """
        known = self._digests.get(subject)
        if known == digest.hex():
            return
        if known is not None:
            raise Conflict(
                f"another digest was signed for {subject}",
                field="digest",
                expected=known,
                found=digest.hex(),
            )
        with self._path.open("ab") as file:
            file.write(json.dumps([subject, digest.hex()]).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._digests[subject] = digest.hex()
