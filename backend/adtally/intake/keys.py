"""The operator's three keys, as files only its user can read. None of them can move escrowed money.

``transaction.key`` pays the gas of anchors, settlements and pushed payments; ``receipt.key``
signs receipts; ``checkpoint.key`` (Ed25519) signs checkpoint notes.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from adtally.errors import NotFound, StorageCorrupt

_NAMES = ("transaction", "receipt", "checkpoint")


@dataclass(frozen=True, slots=True, repr=False)
class OperatorKeys:
    """Private keys, 32 bytes each."""

    transaction: bytes
    receipt: bytes
    checkpoint: bytes

    @staticmethod
    def load(directory: Path) -> OperatorKeys:
        """Read the keys.

        Raises:
            NotFound: a key file is missing.
            StorageCorrupt: a file does not hold 32 bytes in hex.
        """
        return OperatorKeys(*(read_secret(directory / f"{name}.key") for name in _NAMES))

    @staticmethod
    def load_or_create(directory: Path) -> OperatorKeys:
        """Read the keys, making those that are missing."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in _NAMES:
            path = directory / f"{name}.key"
            if not path.exists():
                create_secret(path, secrets.token_bytes(32))
        return OperatorKeys.load(directory)


def read_secret(path: Path) -> bytes:
    """32 bytes from a key file; raises NotFound or StorageCorrupt."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        raise NotFound(
            "an operator key is missing",
            field=str(path),
            expected="a file with 32 bytes in hex",
            action="run adtally deploy, or restore the key directory from its backup",
        ) from None
    except ValueError:
        key = b""
    if len(key) != 32:
        raise StorageCorrupt(
            "a key file is damaged",
            field=str(path),
            expected="32 bytes in hex",
            action="restore it from its backup",
        )
    return key


def create_secret(path: Path, key: bytes) -> None:
    """Write a key file that only its user can read; durable on return."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
