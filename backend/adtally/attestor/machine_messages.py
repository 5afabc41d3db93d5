"""What an attestor and its machine processes say to each other, over a private socket."""

from __future__ import annotations

import pickle
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adtally.attestation.judgement import Computed
from adtally.attestation.reference_state import Summary
from adtally.errors import AdtallyError
from adtally.types import Hash, Line, LogIdentity

LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Hello:
    """The first message of a process: the token it was started with, and its id."""

    token: str
    pid: int


@dataclass(frozen=True, slots=True)
class Begin:
    """Start with an empty log, or from a snapshot."""

    identity: LogIdentity
    escrow_domain: Hash
    snapshot: Path | None = None


@dataclass(frozen=True, slots=True)
class Apply:
    """Take in a bundle of entries."""

    bundle: bytes
    older_leaves: dict[int, Hash]


@dataclass(frozen=True, slots=True)
class Fork:
    """Start another process with the same state, which says hello with this token."""

    token: str


@dataclass(frozen=True, slots=True)
class Compute:
    """What a campaign owes now."""

    campaign: int
    sequence: int
    is_final: bool


@dataclass(frozen=True, slots=True)
class Save:
    """Write a snapshot to a file, atomically."""

    path: Path


Message = Begin | Apply | Fork | Compute | Save
Reply = Summary | tuple[Computed, list[Line]] | AdtallyError | None


def send(connection: socket.socket, message: object) -> None:
    """One message, its length in front."""
    data = pickle.dumps(message, protocol=5)
    connection.sendall(LENGTH.pack(len(data)) + data)


def receive(connection: socket.socket) -> Any:
    """The next message; raises EOFError when the other side has closed."""
    (length,) = LENGTH.unpack(_take(connection, LENGTH.size))
    return pickle.loads(_take(connection, length))


def _take(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(min(size - len(data), 2**20))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
