"""Sign transactions with a key held in memory."""

from __future__ import annotations

from dataclasses import dataclass

from eth_account import Account

from adtally.chain.fees import Fees
from adtally.events.signature import address_of
from adtally.types import Address, Hash

MAX_GAS = 16_000_000
"""Own transactions stay below EIP-7825's cap of 2^24."""

TRANSFER_GAS = 21_000


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """Bytes to send, and the hash to look for."""

    raw: bytes
    hash: Hash


class Signer:
    """One key. ``address`` is its account."""

    def __init__(self, private_key: bytes) -> None:
        self._key = private_key
        self.address: Address = address_of(private_key)

    def sign(
        self,
        *,
        chain_id: int,
        nonce: int,
        to: Address | None,
        data: bytes,
        gas: int,
        fees: Fees,
        legacy: bool,
    ) -> SignedTransaction:
        """Sign (RFC 6979, so the same input gives the same bytes); ``to`` None creates."""
        fields: dict[str, object] = {
            "chainId": chain_id,
            "nonce": nonce,
            "data": data,
            "gas": gas,
            "value": 0,
        }
        if to is not None:
            fields["to"] = to
        if legacy:
            fields["gasPrice"] = fees.max_fee_wei
        else:
            fields["maxFeePerGas"] = fees.max_fee_wei
            fields["maxPriorityFeePerGas"] = min(fees.priority_fee_wei, fees.max_fee_wei)
            fields["type"] = 2
        signed = Account.sign_transaction(fields, self._key)
        return SignedTransaction(bytes(signed.raw_transaction), bytes(signed.hash))
