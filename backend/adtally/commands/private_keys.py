"""Private keys in files: 32 bytes in hex, readable by their owner only."""

from __future__ import annotations

import secrets
from pathlib import Path

from adtally.chain.files import write_new_secret
from adtally.errors import InvalidInput, NotFound

KEY_SIZE = 32


def read_key(path: Path) -> bytes:
    """The key in a file.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it does not hold 32 bytes in hex.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(
            "the key file can't be read",
            field=str(path),
            expected="a file with 32 bytes in hex",
            found=str(error),
            action="name another file, or make a key with --create-key where that is offered",
        ) from None
    try:
        key = bytes.fromhex(text.strip().removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != KEY_SIZE:
        raise InvalidInput(
            "the file holds no private key", field=str(path), expected="32 bytes in hex"
        )
    return key


def write_key(path: Path, key: bytes) -> None:
    """Write a key to a new file; raises InvalidInput where a file stands already."""
    write_new_secret(path, key.hex())


def new_key() -> bytes:
    """A key from the system's randomness."""
    return secrets.token_bytes(KEY_SIZE)
