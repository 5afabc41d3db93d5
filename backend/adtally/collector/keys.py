"""The collector's secret, and the keys that follow from it.

Nothing is stored but one secret: a slot key or postback secret is computed anew whenever it is
needed, so there is no table of keys to lose. None of them can move escrowed money.
"""

from __future__ import annotations

import hmac
import secrets
from functools import lru_cache
from pathlib import Path

from adtally.events.checks import check_size, check_uint
from adtally.events.hit_tokens import KEY_SIZE
from adtally.intake.keys import create_secret, read_secret

_SLOT = b"adtally slot key v1"
_CLICK = b"adtally click key v1"
_POSTBACK = b"adtally postback secret v1"
_CACHED_SLOTS = 4_096


class CollectorKeys:
    """Keys derived from the collector's secret (``docs/spec/hits.md``); 32 bytes each.

    Attributes:
        click_key: MACs click tokens; given to nobody.
    """

    def __init__(self, secret: bytes) -> None:
        check_size("secret", secret, KEY_SIZE)
        self._secret = secret
        self.click_key = self._derived(_CLICK)
        self._slot_key = lru_cache(_CACHED_SLOTS)(lambda slot: self._derived(_SLOT + slot))

    @staticmethod
    def load_or_create(path: Path) -> CollectorKeys:
        """Read the secret, made at the first start.

        Raises:
            StorageCorrupt: the file does not hold 32 bytes in hex.
        """
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            create_secret(path, secrets.token_bytes(KEY_SIZE))
        return CollectorKeys(read_secret(path))

    def slot_key(self, slot: bytes) -> bytes:
        """The key that mints hit tokens and the name of a slot (16 bytes)."""
        return self._slot_key(slot)

    def postback_secret(self, campaign: int) -> bytes:
        """The secret that signs a campaign's conversions; raises InvalidInput over 32 bits."""
        check_uint("campaign", campaign, 32)
        return self._derived(_POSTBACK + campaign.to_bytes(4, "big"))

    def _derived(self, message: bytes) -> bytes:
        return hmac.digest(self._secret, message, "sha256")
