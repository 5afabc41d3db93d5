"""secp256k1 signatures over 32-byte digests: 65 bytes r || s || v, low s, v 27 or 28."""

from __future__ import annotations

from functools import lru_cache

from coincurve import PrivateKey, PublicKey
from eth_hash.auto import keccak

from adtally.errors import VerificationFailed
from adtally.types import Address, Hash

SIGNATURE_SIZE = 65
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def address_of(private_key: bytes) -> Address:
    """The Ethereum address of a 32-byte private key."""
    public = PrivateKey(private_key).public_key.format(compressed=False)
    return keccak(public[1:])[12:]


def sign(digest: Hash, private_key: bytes) -> bytes:
    """Sign a digest deterministically (RFC 6979)."""
    raw = _private_key(private_key).sign_recoverable(digest, hasher=None)
    return raw[:64] + bytes((raw[64] + 27,))


@lru_cache(maxsize=64)
def _private_key(private_key: bytes) -> PrivateKey:
    """Ready to sign: making it costs more than a signature, and a service has few keys."""
    return PrivateKey(private_key)


def recover(digest: Hash, signature: bytes) -> Address:
    """The address that signed ``digest``.

    Raises:
        VerificationFailed: wrong length, v not 27 or 28, high s (EIP-2), or not a signature.
    """
    if len(signature) != SIGNATURE_SIZE or signature[64] not in (27, 28):
        raise VerificationFailed(
            "malformed signature",
            field="signature",
            expected="65 bytes r || s || v with v 27 or 28",
            found=f"{len(signature)} bytes ending in {signature[-1:].hex() or 'nothing'}",
        )
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise VerificationFailed(
            "malleable signature",
            field="signature",
            expected="s in the lower half of the curve order (EIP-2)",
            found="high s",
        )
    try:
        key = PublicKey.from_signature_and_message(
            signature[:64] + bytes((signature[64] - 27,)), digest, hasher=None
        )
    except Exception as error:
        raise VerificationFailed(
            "not a valid signature",
            field="signature",
            expected="a secp256k1 signature over the documented EIP-712 digest",
            found=str(error),
        ) from None
    return keccak(key.format(compressed=False)[1:])[12:]


def require_signer(digest: Hash, signature: bytes, signer: Address, what: str) -> None:
    """Check that ``signer`` signed ``digest``.

    Raises:
        VerificationFailed: another key signed it, or it is no signature at all.
    """
    found = recover(digest, signature)
    if found != signer:
        raise VerificationFailed(
            f"the signature of the {what} does not verify",
            field="signature",
            expected=f"signed by 0x{signer.hex()}",
            found=f"recovers to 0x{found.hex()}",
            action="check chain id, contract address and that every signed byte is what was sent",
        )
