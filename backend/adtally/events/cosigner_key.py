"""An attestor's signed word on which Ed25519 key its cosignatures of checkpoint notes come from.

Attestors are known on chain by their secp256k1 addresses; cosignatures of C2SP are Ed25519. This
binds the two: whoever knows the attestor set on chain can check every cosignature.
"""

from __future__ import annotations

from dataclasses import dataclass

from adtally.events.eip712 import cosigner_key_digest
from adtally.events.signature import address_of, require_signer, sign
from adtally.types import Address, Hash


@dataclass(frozen=True, slots=True)
class CosignerKey:
    """What an attestor's key signs (EIP-712 ``CosignerKey``, in the log's domain).

    A later ``declared_at_ms`` (UTC) takes the place of an earlier one. ``public_key`` is the 32
    bytes of RFC 8032; no two attestors may have the same, since a cosignature names no signer.
    """

    attestor: Address
    public_key: bytes
    declared_at_ms: int
    signature: bytes

    def digest(self, domain: Hash) -> Hash:
        return cosigner_key_digest(domain, self.attestor, self.public_key, self.declared_at_ms)

    def verify_signature(self, domain: Hash) -> None:
        """Raises VerificationFailed unless ``attestor`` signed exactly this."""
        require_signer(self.digest(domain), self.signature, self.attestor, "cosigner key")


def declare_cosigner_key(
    domain: Hash, attestor_key: bytes, public_key: bytes, declared_at_ms: int
) -> CosignerKey:
    """The declaration, signed by an attestor's private key."""
    attestor = address_of(attestor_key)
    digest = cosigner_key_digest(domain, attestor, public_key, declared_at_ms)
    return CosignerKey(attestor, public_key, declared_at_ms, sign(digest, attestor_key))
