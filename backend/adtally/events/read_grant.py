"""A member's or attestor's signed, short-lived grant to read, as it travels in an HTTP header.

``Authorization: Adtally-Read <member>.<expires_at_seconds>.<signer>.<signature>``; member 0 is an
attestor. Whoever has the header can read in the signer's name until it expires, so it lives an hour
at most and is sent over TLS only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from adtally.errors import InvalidInput
from adtally.events.eip712 import read_grant_digest
from adtally.events.signature import address_of, recover, sign
from adtally.types import UINT32_MAX, UINT64_MAX, Address, Hash

SCHEME = "Adtally-Read"
ATTESTOR = 0
"""In the member's place."""
MAX_LIFETIME_SECONDS = 3_600

_HEADER = re.compile(
    SCHEME + r" (0|[1-9][0-9]{0,9})\.(0|[1-9][0-9]{0,19})\.([0-9a-f]{40})\.([0-9a-f]{130})"
)


@dataclass(frozen=True, slots=True)
class ReadGrant:
    """What is signed (EIP-712 ``ReadGrant``, in the log's domain), and the signature."""

    member: int
    expires_at_seconds: int
    signer: Address
    signature: bytes

    def to_header(self) -> str:
        """The value of the header ``Authorization``."""
        parts = (self.member, self.expires_at_seconds, self.signer.hex(), self.signature.hex())
        return f"{SCHEME} " + ".".join(map(str, parts))

    @staticmethod
    def from_header(text: str) -> ReadGrant:
        """Parse; raises InvalidInput on anything that ``to_header`` would not write."""
        match = _HEADER.fullmatch(text)
        member, expires = (int(match[1]), int(match[2])) if match else (0, 0)
        if match is None or member > UINT32_MAX or expires > UINT64_MAX:
            raise InvalidInput(
                "not a read grant",
                field="authorization",
                expected=f"{SCHEME} <member>.<expires>.<signer>.<signature>, in small hex",
                found=repr(text[:40]),
            )
        return ReadGrant(member, expires, bytes.fromhex(match[3]), bytes.fromhex(match[4]))

    def is_signed(self, domain: Hash) -> bool:
        """Whether ``signer`` signed it; raises VerificationFailed where it is no signature."""
        digest = read_grant_digest(domain, self.signer, self.member, self.expires_at_seconds)
        return recover(digest, self.signature) == self.signer


def sign_read_grant(domain: Hash, key: bytes, member: int, expires_at_seconds: int) -> ReadGrant:
    """A grant signed by a member's event key, or an attestor's key (member 0)."""
    signer = address_of(key)
    digest = read_grant_digest(domain, signer, member, expires_at_seconds)
    return ReadGrant(member, expires_at_seconds, signer, sign(digest, key))
