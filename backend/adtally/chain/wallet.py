"""Send transactions one after the other and wait for each: deployment, members' own calls.

What the service itself does on the chain goes through the outbox, which survives a crash.
"""

from __future__ import annotations

import asyncio

from adtally.chain.abi import Call
from adtally.chain.connection import Chain, TransactionReceipt
from adtally.chain.fees import FeePolicy, first_offer
from adtally.chain.rpc import RpcError
from adtally.chain.signer import MAX_GAS, Signer
from adtally.errors import ChainReverted, ChainUnavailable, InsufficientEscrow
from adtally.types import Address, Hash

_POLL_SECONDS = 0.02


class Wallet:
    """One account on one chain. Calls of one wallet must not overlap; a lock sees to it."""

    def __init__(
        self,
        chain: Chain,
        private_key: bytes,
        *,
        policy: FeePolicy | None = None,
        patience_seconds: float = 120.0,
    ) -> None:
        self.chain = chain
        self._signer = Signer(private_key)
        self._policy = policy or FeePolicy()
        self._patience = patience_seconds
        self._lock = asyncio.Lock()

    @property
    def address(self) -> Address:
        return self._signer.address

    async def send(self, call: Call, *, gas: int | None = None) -> TransactionReceipt:
        """Send a call and wait until it is mined.

        Raises:
            ChainReverted: the contract refuses; nothing was sent, or the receipt says failed.
            ChainUnavailable: the node does not answer, or the transaction is not mined in time.
        """
        return await self._transact(call.to, call.data, gas)

    async def create(self, code: bytes) -> TransactionReceipt:
        """Create a contract; its address is the receipt's ``contract``. Raises as ``send``."""
        return await self._transact(None, code, None)

    async def _transact(
        self, to: Address | None, data: bytes, gas: int | None
    ) -> TransactionReceipt:
        async with self._lock:
            chain = self.chain
            if gas is None:
                estimate = await chain.estimate_gas(self.address, to, data)
                gas = min(MAX_GAS, estimate * 5 // 4)
            market = await chain.fees()
            signed = self._signer.sign(
                chain_id=await chain.chain_id(),
                nonce=await chain.nonce(self.address),
                to=to,
                data=data,
                gas=gas,
                fees=first_offer(market, self._policy),
                legacy=market.base_fee_wei is None,
            )
            refusal = None
            try:
                await chain.send_raw(signed.raw)
            except RpcError as error:
                refusal = error  # hardhat also says no to what it has mined: see the receipt
            return await self._wait(signed.hash, refusal, to, data)

    async def _wait(
        self, transaction: Hash, refusal: RpcError | None, to: Address | None, data: bytes
    ) -> TransactionReceipt:
        tries = int(self._patience / _POLL_SECONDS) if refusal is None else 1
        for _ in range(max(tries, 1)):
            receipt = await self.chain.receipt(transaction)
            if receipt is not None:
                return await self._succeeded(receipt, to, data)
            await asyncio.sleep(_POLL_SECONDS)
        if refusal is not None and "funds" in refusal.message:
            raise InsufficientEscrow(
                "the account can't pay for gas",
                field="account",
                expected="native coins for gas",
                found=refusal.message,
                action=f"send some to 0x{self.address.hex()}",
            )
        raise ChainUnavailable(
            "the transaction was not mined",
            expected=f"a receipt of 0x{transaction.hex()} within {self._patience:g} s",
            found="none" if refusal is None else refusal.message,
            action="look at the node; the transaction may still be mined",
        )

    async def _succeeded(
        self, receipt: TransactionReceipt, to: Address | None, data: bytes
    ) -> TransactionReceipt:
        if receipt.succeeded:
            return receipt
        if to is not None:
            # Raises with the reason, unless the state has changed since.
            await self.chain.call(to, data, sender=self.address)
        raise ChainReverted(
            f"transaction 0x{receipt.hash.hex()} reverted",
            reason=f"not told; gas used {receipt.gas_used}",
        )
