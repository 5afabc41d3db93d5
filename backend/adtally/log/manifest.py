"""What an archive says of one segment: ``segment-*.json`` beside ``segment-*.log``.

The format is described in docs/operating/archive.md. It is canonical: a parser takes exactly what
``encode`` writes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from adtally.errors import VerificationFailed
from adtally.log.segment import segment_name
from adtally.rfc9162 import HASH_SIZE
from adtally.types import UINT64_MAX, Hash

VERSION = 1
MAX_BYTES = 4096
"""Far more than one needs; what is larger is not parsed at all."""
_END = b"}\n"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One archived segment.

    Attributes:
        origin: name of the log, as in its checkpoints.
        first_index, end_index: its entries, end exclusive; ``end_index`` is a tree size.
        first_frame, end_frame: sequences of its frames, end exclusive.
        size_bytes: of the segment's file.
        sha256: of the whole file.
        root_hash: of the log's first ``end_index`` entries.
    """

    origin: str
    first_index: int
    end_index: int
    first_frame: int
    end_frame: int
    size_bytes: int
    sha256: Hash
    root_hash: Hash

    @property
    def segment(self) -> str:
        """The segment's name."""
        return segment_name(self.first_index)

    @property
    def name(self) -> str:
        """The manifest's own name."""
        return manifest_name(self.segment)

    def encode(self) -> bytes:
        """Its bytes, the only ones that ``parse`` takes for it."""
        values = {
            name: "0x" + value.hex() if isinstance(value, bytes) else value
            for name, value in asdict(self).items()
        }
        return (json.dumps({"version": VERSION} | values, indent=2) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes, name: str) -> Manifest:
        """Read one, found under ``name``.

        Raises:
            VerificationFailed: it is no manifest, or that of another segment.
        """
        if len(data) > MAX_BYTES:
            raise _refused(name, f"at most {MAX_BYTES} bytes", f"{len(data)} bytes")
        try:
            values = json.loads(data)
            manifest = cls(**{field.name: _value(field.name, values) for field in fields(cls)})
            is_canonical = manifest.encode() == data
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _refused(name, "a manifest of this version", "something else") from None
        if not is_canonical:
            raise _refused(name, "a manifest as it is written", "other bytes for the same")
        if manifest.name != name:
            raise _refused(name, f"the manifest of {name}", f"that of {manifest.segment}")
        if not (
            manifest.first_index < manifest.end_index and manifest.first_frame < manifest.end_frame
        ):
            raise _refused(name, "at least one entry and one frame", "an empty range")
        return manifest


def manifest_name(segment: str) -> str:
    """Name of the manifest of a segment."""
    return segment.removesuffix(".log") + ".json"


def is_finished(data: bytes) -> bool:
    """Whether a manifest was written to its end; what was not does not count, nor its segment."""
    return data.endswith(_END)


def _value(name: str, values: Any) -> Any:
    """A field's value; raises what ``parse`` catches if it is none."""
    value = values[name]
    if name == "origin":
        if not isinstance(value, str):
            raise ValueError(name)
        return value
    if name in ("sha256", "root_hash"):
        digest = bytes.fromhex(value.removeprefix("0x"))
        if len(digest) != HASH_SIZE:
            raise ValueError(name)
        return digest
    # A bool is an int to Python, but not to JSON.
    if type(value) is not int or not 0 <= value <= UINT64_MAX:
        raise ValueError(name)
    return value


def _refused(name: str, expected: str, found: str) -> VerificationFailed:
    return VerificationFailed(
        f"the archive's {name} is not what was written",
        field=name,
        expected=expected,
        found=found,
        action="restore the object from another copy of the archive; never edit it",
    )
