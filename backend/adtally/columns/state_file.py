"""What a replay knows, put aside in a file, so that the next one goes on from there.

    magic 8 | length of header 4 | header (JSON) | SHA-256 of all before, 32
        | arrays back to back | SHA-256 of all before, 32

The header has the fields, and name, type and shape of every array. The checksums show damage, not
malice: who believes such a file believes whoever wrote it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from adtally.errors import InvalidInput

_MAGIC = b"adtstat1"
_LENGTH = struct.Struct(">I")
_MOST_HEADER = 1 << 26
_KINDS = "uifbVS"
"""Types of arrays that hold their bytes themselves; Python objects are never read."""


@dataclass(frozen=True, slots=True)
class State:
    """Fields are what JSON holds; arrays are of numbers or bytes."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def with_more(
        self, fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]
    ) -> State:
        """The same and more, for whoever keeps something of their own beside it."""
        return State({**self.fields, **fields}, {**self.arrays, **arrays})


def write_state(file: BinaryIO, state: State) -> None:
    """Write a state from where ``file`` stands; raises OSError."""
    arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays.items()}
    shapes = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    header = json.dumps({"fields": dict(state.fields), "arrays": shapes}).encode()
    begin = _MAGIC + _LENGTH.pack(len(header)) + header
    begin += hashlib.sha256(begin).digest()
    digest = hashlib.sha256()
    for piece in (memoryview(begin), *map(_bytes_of, arrays.values())):
        digest.update(piece)
        file.write(piece)
    file.write(digest.digest())


def read_state(file: BinaryIO) -> State:
    """Read what ``write_state`` wrote.

    Raises:
        InvalidInput: it is something else, damaged or cut off.
        OSError: the disk did not answer.
    """
    digest = hashlib.sha256()
    magic = _read(file, len(_MAGIC), digest)
    if magic != _MAGIC:
        raise _invalid(f"a file that begins {_MAGIC.decode()}", magic.hex())
    (length,) = _LENGTH.unpack(_read(file, _LENGTH.size, digest))
    if length > _MOST_HEADER:
        raise _invalid(f"a header of at most {_MOST_HEADER} bytes", str(length))
    header = _read(file, length, digest)
    _check(file, digest)
    try:
        fields, arrays = _parsed(header, file, digest)
    except (ValueError, TypeError, KeyError) as error:
        raise _invalid("a header with fields and arrays", str(error)) from None
    _check(file, digest)
    return State(fields, arrays)


def _parsed(header: bytes, file: BinaryIO, digest: Any) -> tuple[Any, dict[str, Any]]:
    parsed = json.loads(header)
    arrays = {}
    for name, kind, shape in parsed["arrays"]:
        dtype = np.dtype(kind)
        if dtype.kind not in _KINDS or any(size < 0 for size in shape):
            raise ValueError(f"array {name} of {kind}, {shape}")
        size = dtype.itemsize * int(np.prod(shape, dtype=object))
        data = np.frombuffer(_read(file, size, digest), np.uint8)
        arrays[name] = data.view(dtype).reshape(shape) if size else np.empty(shape, dtype)
    return parsed["fields"], arrays


def _read(file: BinaryIO, size: int, digest: Any) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _invalid(f"{size} more bytes", f"{len(data)}")
    digest.update(data)
    return data


def _check(file: BinaryIO, digest: Any) -> None:
    expected = digest.digest()
    if _read(file, digest.digest_size, digest) != expected:
        raise _invalid("the checksum of what stands before it", "another")


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(b"")


def _invalid(expected: str, found: str) -> InvalidInput:
    return InvalidInput(
        "the state of a replay can't be read",
        field="state",
        expected=expected,
        found=found,
        action="remove it and begin from the start of the log",
    )
