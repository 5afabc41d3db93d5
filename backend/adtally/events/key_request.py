"""A member's signed request for a key of the collector: a slot key, or a postback secret."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from adtally.events.eip712 import collector_key_digest
from adtally.events.signature import require_signer
from adtally.types import Address, Hash


class KeyKind(IntEnum):
    """Which key is asked for; codes are stable."""

    SLOT = 1
    """Mints hit tokens of one slot; for the placement's publisher."""
    POSTBACK = 2
    """Signs conversions of one campaign; for its advertiser."""

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What a member's event key signs; ``placement`` and ``creative`` are 0 for a postback secret.

    ``requested_at_ms`` must be near the service's time, so that an old request is worth nothing.
    """

    kind: KeyKind
    member: int
    campaign: int
    placement: int
    creative: int
    requested_at_ms: int
    signer: Address
    signature: bytes

    def digest(self, domain: Hash) -> Hash:
        return collector_key_digest(
            domain,
            self.signer,
            self.kind,
            self.member,
            self.campaign,
            self.placement,
            self.creative,
            self.requested_at_ms,
        )

    def verify_signature(self, domain: Hash) -> None:
        """Raises VerificationFailed unless ``signer`` signed exactly this request."""
        require_signer(self.digest(domain), self.signature, self.signer, "request for a key")
