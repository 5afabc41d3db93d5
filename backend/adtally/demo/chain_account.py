"""One key's own transactions: sent one after the other, awaited, with readable refusals.

For members' doings (open, offer, accept, fund, refund), which a person waits for. The service's
own writes go through ``adtally.chain.outbox``, which survives a crash.
"""

from __future__ import annotations

import asyncio
import time

from eth_account import Account

from adtally.chain.abi import Call
from adtally.chain.connection import Chain, TransactionReceipt
from adtally.chain.rpc import RpcError
from adtally.errors import ChainReverted, ChainUnavailable
from adtally.events.signature import address_of
from adtally.types import Address, Hash

_GAS_MARGIN_PERCENT = 20
_POLL_SECONDS = 0.05


class ChainAccount:
    """Sends calls as one account.

    Args:
        chain: where to.
        private_key: 32 bytes; its account pays the gas.
        timeout_seconds: how long to wait for a transaction to be mined, real time.
    """

    def __init__(self, chain: Chain, private_key: bytes, timeout_seconds: float = 60.0) -> None:
        self.chain = chain
        self.address: Address = address_of(private_key)
        self._key = private_key
        self._timeout = timeout_seconds
        self._turn = asyncio.Lock()
        self._chain_id: int | None = None

    async def send(self, call: Call) -> TransactionReceipt:
        """Send a call and wait until it is mined.

        Raises:
            ChainReverted: the contract refuses; nothing was sent, or it was mined and failed.
            ChainUnavailable: not mined in time.
        """
        async with self._turn:
            # A dry run first: its refusal is readable, and a revert costs no gas.
            gas = await self.chain.estimate_gas(self.address, call.to, call.data)
            raw, digest = await self._signed(call, gas * (100 + _GAS_MARGIN_PERCENT) // 100)
            try:
                await self.chain.send_raw(raw)
            except RpcError as error:
                if await self.chain.receipt(digest) is None:
                    raise ChainUnavailable(
                        "the node did not take the transaction", found=str(error)
                    ) from None
            receipt = await self._mined(digest)
        if not receipt.succeeded:
            raise ChainReverted(
                f"the contract 0x{call.to.hex()} refused a mined transaction",
                reason=f"transaction 0x{digest.hex()}",
            )
        return receipt

    async def _signed(self, call: Call, gas: int) -> tuple[bytes, Hash]:
        fees = await self.chain.fees()
        if self._chain_id is None:
            self._chain_id = await self.chain.chain_id()
        price = fees.gas_price_wei
        signed = Account.sign_transaction(
            {
                "type": 2,
                "chainId": self._chain_id,
                "nonce": await self.chain.nonce(self.address),
                "to": "0x" + call.to.hex(),
                "data": call.data,
                "value": 0,
                "gas": gas,
                "maxFeePerGas": 2 * price,
                "maxPriorityFeePerGas": max(price - (fees.base_fee_wei or 0), 0),
            },
            self._key,
        )
        return bytes(signed.raw_transaction), bytes(signed.hash)

    async def _mined(self, digest: Hash) -> TransactionReceipt:
        deadline = time.monotonic() + self._timeout
        while (receipt := await self.chain.receipt(digest)) is None:
            if time.monotonic() > deadline:
                raise ChainUnavailable(
                    "a transaction was not mined in time",
                    expected=f"within {self._timeout:.0f} s",
                    found=f"0x{digest.hex()} still waits",
                    action="check that the chain makes blocks; the transaction may still be mined",
                )
            await asyncio.sleep(_POLL_SECONDS)
        return receipt
