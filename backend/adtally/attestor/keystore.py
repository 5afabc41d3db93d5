"""Attestors' keys in files: Ethereum's encrypted keystore (V3, scrypt), and raw ones for demos.

A passphrase comes from a file, from the environment or from the terminal; never from the command
line, which everybody on the machine can read.
"""

from __future__ import annotations

import getpass
import json
import os
import stat
import sys
from pathlib import Path

from eth_account import Account

from adtally.chain.files import write_new_secret
from adtally.errors import InvalidInput, NotAllowed, NotFound
from adtally.events.signature import address_of

PASSPHRASE_VARIABLE = "ADTALLY_ATTESTOR_PASSPHRASE"
MIN_PASSPHRASE = 8
SCRYPT_N = 2**18
_MAX_FILE_BYTES = 65_536


def read_passphrase(path: Path | None, *, confirm: bool = False) -> str:
    """The passphrase from a file, the environment, or the terminal.

    Raises:
        NotFound: the file can't be read, or there is no terminal to ask on.
        InvalidInput: a new one is too short, or typed differently the second time.
    """
    if path is not None:
        try:
            return path.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise NotFound(
                "the passphrase file can't be read", field=str(path), found=str(error)
            ) from None
    given = os.environ.get(PASSPHRASE_VARIABLE)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise NotFound(
            "there is no passphrase for the keystore",
            expected=f"--passphrase-file, {PASSPHRASE_VARIABLE}, or a terminal to ask on",
            found="none of them",
        )
    typed = getpass.getpass("passphrase: ")
    if confirm and typed != getpass.getpass("again: "):
        raise InvalidInput("the two passphrases differ", action="start again")
    return typed


def write_keystore(path: Path, private_key: bytes, passphrase: str, *, n: int = SCRYPT_N) -> None:
    """Write a new encrypted keystore; raises InvalidInput where a file stands already."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise InvalidInput(
            "the passphrase is too short",
            expected=f"at least {MIN_PASSPHRASE} characters",
            found=f"{len(passphrase)}",
            action="choose a longer one",
        )
    document = Account.encrypt(private_key, passphrase, kdf="scrypt", iterations=n)
    write_new_secret(path, json.dumps(document))


def is_keystore(path: Path) -> bool:
    """Whether a file looks like an encrypted keystore: a JSON object."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES).lstrip().startswith(b"{")
    except OSError:
        return False


def decrypt_keystore(path: Path, passphrase: str) -> bytes:
    """The private key in an encrypted keystore.

    Raises:
        NotFound: the file can't be read.
        InvalidInput: no keystore of version 3.
        NotAllowed: the passphrase is wrong.
    """
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise NotFound("the keystore can't be read", field=str(path), found=str(error)) from None
    except ValueError as error:
        raise _no_keystore(path, str(error)) from None
    try:
        key = bytes(Account.decrypt(document, passphrase))
    except (KeyError, TypeError, NotImplementedError) as error:
        raise _no_keystore(path, repr(error)) from None
    except ValueError as error:
        if "MAC" not in str(error):
            raise _no_keystore(path, str(error)) from None
        raise NotAllowed(
            "the passphrase does not open the keystore", field=str(path), found=str(error)
        ) from None
    named = document.get("address")
    if isinstance(named, str) and named.removeprefix("0x").lower() != address_of(key).hex():
        raise _no_keystore(path, f"address {named} of another key")
    return key


def require_private(path: Path) -> None:
    """Raises NotAllowed if others than the owner may read a key in the clear."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise NotAllowed(
            "the key file can be read by others",
            field=str(path),
            expected="mode 0600",
            found=f"mode {mode:04o}",
            action=f"chmod 600 {path}; better, make an encrypted one: adtally attest --create-key",
        )


def _no_keystore(path: Path, found: str) -> InvalidInput:
    return InvalidInput(
        "the file is no encrypted keystore of version 3",
        field=str(path),
        expected="Ethereum's Web3 Secret Storage, version 3",
        found=found,
    )
