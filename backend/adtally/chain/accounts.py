"""The well-known accounts of local chains. Their keys are public: local chains only."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache

from coincurve import PrivateKey

from adtally.errors import NotAllowed
from adtally.events.signature import address_of
from adtally.types import Address

MNEMONIC = "test test test test test test test test test test test junk"
"""Hardhat's and anvil's default; both give the first accounts 10,000 coins."""

LOCAL_CHAIN_IDS = frozenset({31337, 1337})

_HARDENED = 2**31
_PATH = (44 + _HARDENED, 60 + _HARDENED, _HARDENED, 0)
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True, slots=True)
class LocalAccount:
    """A funded account of a local chain."""

    address: Address
    private_key: bytes


@lru_cache(maxsize=256)
def local_account(index: int) -> LocalAccount:
    """Account m/44'/60'/0'/0/index of the public mnemonic (BIP-39, BIP-32)."""
    seed = hashlib.pbkdf2_hmac("sha512", MNEMONIC.encode(), b"mnemonic", 2048)
    node = hmac.digest(b"Bitcoin seed", seed, "sha512")
    for step in (*_PATH, index):
        node = _child(node, step)
    return LocalAccount(address_of(node[:32]), node[:32])


def _child(node: bytes, step: int) -> bytes:
    """BIP-32 private child; ``node`` is key || chain code."""
    key, code = node[:32], node[32:]
    point = PrivateKey(key).public_key.format(compressed=True)
    body = (b"\0" + key if step >= _HARDENED else point) + step.to_bytes(4, "big")
    derived = hmac.digest(code, body, "sha512")
    child = (int.from_bytes(derived[:32], "big") + int.from_bytes(key, "big")) % _ORDER
    return child.to_bytes(32, "big") + derived[32:]


def require_local_chain(chain_id: int) -> None:
    """Refuse to use public keys anywhere else.

    Raises:
        NotAllowed: the chain is not a local one.
    """
    if chain_id not in LOCAL_CHAIN_IDS:
        raise NotAllowed(
            "the well-known accounts are for local chains only",
            field="chain_id",
            expected=f"one of {sorted(LOCAL_CHAIN_IDS)}",
            found=str(chain_id),
            action="name your own keys",
        )
