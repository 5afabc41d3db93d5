"""Transaction outbox: brings about effects on the chain, each once, through any crash.

One outbox works for one key. Per row: is the effect there already? If not, sign, store, send,
look for the receipt, wait for finality. Nothing is remembered in memory: every step reads the
rows and the chain anew, so a kill -9 between any two lines is nothing special.

Order and nonces: rows are sent in order of id and only one is unmined at a time; its nonce is
the number of mined transactions of the account. So two signed transactions that could both
take effect never exist side by side: a replacement shares the nonce of what it replaces, and a
transaction that lost its place (a reorg, or somebody else brought about an earlier effect) is
reached again by filling the nonces below it with transfers of nothing, not by signing it anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from adtally.chain.abi import Call
from adtally.chain.connection import Chain, ChainIdentity, FeeMarket, TransactionReceipt
from adtally.chain.effects import Effect
from adtally.chain.fees import FeePolicy, Fees, first_offer, raised_offer
from adtally.chain.ports import Attempt, NewTransaction, OutboxRow, OutboxState, OutboxStore
from adtally.chain.rpc import RpcError
from adtally.chain.signer import MAX_GAS, TRANSFER_GAS, Signer
from adtally.errors import ChainError, ChainReverted, Conflict, InvalidInput, NotFound
from adtally.types import Address, BlockStamp

__all__ = [
    "Attempt",
    "NewTransaction",
    "Outbox",
    "OutboxPolicy",
    "OutboxRow",
    "OutboxState",
    "OutboxStore",
]

_FEE_TOO_LOW = "fee too low"
_FEE_WORDS = (
    "underpriced",
    "less than block base fee",
    "too low for the next block",
    "fee too low",
)
_KNOWN_WORDS = ("already known", "already imported", "known transaction")
_PENDING = (OutboxState.QUEUED, OutboxState.SUBMITTED)


@dataclass(frozen=True, slots=True)
class OutboxPolicy:
    """``bump_after_ms``: how long a transaction may wait before its fee is raised."""

    fees: FeePolicy = field(default_factory=FeePolicy)
    bump_after_ms: int = 30_000


def _system_now_ms() -> int:
    return time.time_ns() // 1_000_000


class Outbox:
    """The outbox of one key on one chain.

    ``effects`` has a check for every purpose; ``now_ms`` is real time even where the service
    runs on a virtual clock, for it only measures how long a node keeps us waiting.
    """

    def __init__(
        self,
        chain: Chain,
        identity: ChainIdentity,
        store: OutboxStore,
        private_key: bytes,
        effects: Mapping[str, Effect],
        *,
        policy: OutboxPolicy | None = None,
        now_ms: Callable[[], int] = _system_now_ms,
    ) -> None:
        self._chain = chain
        self._identity = identity
        self._store = store
        self._signer = Signer(private_key)
        self._effects = effects
        self._policy = policy or OutboxPolicy()
        self._now_ms = now_ms
        self._lock = asyncio.Lock()

    @property
    def sender(self) -> Address:
        """The account that pays for gas."""
        return self._signer.address

    async def enqueue(
        self, effect_key: str, purpose: str, call: Call, gas: int | None = None
    ) -> int:
        """Ask for an effect; the id of its row. Asked again, the row already there.

        Raises:
            InvalidInput: no effect check is known for the purpose, or gas is over the cap.
        """
        if purpose not in self._effects:
            raise InvalidInput(
                "no effect check for this purpose",
                field="purpose",
                expected=f"one of {sorted(self._effects)}",
                found=purpose,
            )
        if gas is not None and gas > MAX_GAS:
            raise InvalidInput(
                "too much gas for one transaction",
                field="gas",
                expected=f"at most {MAX_GAS}",
                found=str(gas),
                action="split the call",
            )
        new = NewTransaction(
            effect_key, purpose, self.sender, call.to, call.data, gas, self._now_ms()
        )
        return (await self._store.add(new)).id

    async def retry(self, row_id: int, call: Call | None = None, gas: int | None = None) -> None:
        """Queue a FAILED row anew, with another call if one is given.

        Raises:
            NotFound: no such row.
            Conflict: the row has not failed.
        """
        async with self._lock:
            row = await self._store.get(row_id)
            if row is None:
                raise NotFound("no such transaction", field="row_id", found=str(row_id))
            if row.state is not OutboxState.FAILED:
                raise Conflict(
                    "only a failed transaction can be queued anew",
                    field="row_id",
                    expected="failed",
                    found=row.state.label,
                )
            # Its attempts are spent: mined and reverted in a final block, or their nonces used.
            row = replace(_unmined(row, OutboxState.QUEUED, None), attempts=())
            if call is not None:
                row = replace(row, to=call.to, data=call.data, gas=gas)
            await self._store.save(row)

    async def step(self) -> None:
        """Advance every open row as far as the chain lets it now.

        Raises:
            ForeignChain: another chain answers; nothing was sent.
            ChainUnavailable, Reorged: try again later; nothing is lost.
        """
        async with self._lock:
            rows = await self._store.open_rows(self.sender)
            if not rows:
                return
            await self._chain.require_identity(self._identity)
            rows = await self._recheck_mined(rows)
            for row in rows:
                if row.state in _PENDING and not await self._settle(row, rows):
                    return

    async def _settle(self, row: OutboxRow, rows: list[OutboxRow]) -> bool:
        """Advance a pending row; whether it is out of the way of the next one."""
        row = await self._advance(row, rows)
        if row.state is OutboxState.MINED:
            (row,) = await self._recheck_mined([row])
        return row.state not in _PENDING

    # ------------------------------------------------------------------ mined rows

    async def _recheck_mined(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """The rows, those in MINED brought up to date with the chain."""
        numbers = {row.block_number for row in rows if row.block_number is not None}
        if not numbers:
            return rows
        # Finality first: what is found at a final height afterwards stays.
        final = await self._chain.final()
        blocks = await self._chain.blocks(numbers)
        return [
            await self._recheck(row, blocks[row.block_number], final)
            if row.state is OutboxState.MINED and row.block_number is not None
            else row
            for row in rows
        ]

    async def _recheck(
        self, row: OutboxRow, block: BlockStamp | None, final: BlockStamp | None
    ) -> OutboxRow:
        """FINAL or FAILED if its block is final; back to pending if its block is gone."""
        if block is None or block.hash != row.block_hash:
            return await self._reorganised(row)
        if row.transaction_hash is None:
            return await self._recheck_effect(row, block, final)
        if final is None or final.number < block.number:
            return row
        state = OutboxState.FINAL if row.error is None else OutboxState.FAILED
        return await self._save(replace(row, state=state))

    async def _recheck_effect(
        self, row: OutboxRow, block: BlockStamp, final: BlockStamp | None
    ) -> OutboxRow:
        """The same for an effect that was seen, but not whose transaction brought it about.

        No receipt ties such an effect to a block, so it is looked for again every time.
        """
        receipt = await self._find_receipt(row)
        if receipt is not None and receipt.succeeded:
            mined = await self._save(_mined(row, receipt, None))
            return await self._recheck(mined, await self._chain.block(receipt.block_number), final)
        effect = self._effects[row.purpose]
        if not await effect(row, await self._chain.latest()):
            return await self._reorganised(row)
        if final is None or final.number < block.number or not await effect(row, final):
            return row
        return await self._save(replace(row, state=OutboxState.FINAL))

    async def _reorganised(self, row: OutboxRow) -> OutboxRow:
        state = OutboxState.SUBMITTED if row.attempts else OutboxState.QUEUED
        error = f"its block {row.block_number} was reorganised away"
        return await self._save(_unmined(row, state, error))

    # ------------------------------------------------------------------ unmined rows

    async def _advance(self, row: OutboxRow, rows: list[OutboxRow]) -> OutboxRow:
        """One pass over the row that is next: observe, and only then send something."""
        # The block comes first: what it contains, the reads after it can see.
        at = await self._chain.latest()
        nonce = await self._chain.nonce(self.sender, at)
        observed = await self._observe(row, at)
        if observed is not None:
            return observed
        waiting = [a for a in row.attempts if a.nonce == nonce]
        own = [a for a in row.attempts if not a.is_filler]
        if waiting:
            return await self._push(row, waiting[-1])
        if own and own[-1].nonce > nonce:
            return await self._sign(row, rows, nonce, is_filler=True)
        return await self._sign(row, rows, nonce, is_filler=False)

    async def _observe(self, row: OutboxRow, at: BlockStamp) -> OutboxRow | None:
        """The row as MINED if an attempt was mined or the effect is there, else None."""
        receipt = await self._find_receipt(row)
        if receipt is not None and receipt.succeeded:
            return await self._save(_mined(row, receipt, None))
        if await self._effects[row.purpose](row, at):
            there = replace(
                row,
                state=OutboxState.MINED,
                block_number=at.number,
                block_hash=at.hash,
                transaction_hash=None,
                gas_used=None,
                error=None,
            )
            return await self._save(there)
        if receipt is not None:
            return await self._save(_mined(row, receipt, await self._why_reverted(row, receipt)))
        return None

    async def _find_receipt(self, row: OutboxRow) -> TransactionReceipt | None:
        for attempt in reversed(row.attempts):
            if not attempt.is_filler:
                receipt = await self._chain.receipt(attempt.hash)
                if receipt is not None:
                    return receipt
        return None

    async def _why_reverted(self, row: OutboxRow, receipt: TransactionReceipt) -> str:
        try:
            await self._chain.call(row.to, row.data, sender=row.sender, gas=row.gas)
        except ChainReverted as error:
            return f"reverted: {error.reason}"
        except ChainError:
            pass
        return f"reverted: not told why; gas used {receipt.gas_used}"

    async def _push(self, row: OutboxRow, attempt: Attempt) -> OutboxRow:
        """An attempt waits: raise its fee if it waits long, make sure the node has it."""
        waited_ms = self._now_ms() - attempt.signed_at_ms
        too_low = row.error is not None and row.error.startswith(_FEE_TOO_LOW)
        if too_low or waited_ms >= self._policy.bump_after_ms:
            raised = await self._raise_fee(row, attempt)
            if isinstance(raised, Attempt):
                return await self._store_and_send(row, raised)
            row = await self._save(replace(row, error=raised))
        if await self._chain.knows_transaction(attempt.hash):
            return row
        return await self._send(row, attempt)

    async def _raise_fee(self, row: OutboxRow, attempt: Attempt) -> Attempt | str:
        """The same at a higher fee, or why there is none."""
        market = await self._chain.fees()
        previous = Fees(attempt.max_fee_wei, attempt.priority_fee_wei)
        fees = raised_offer(previous, market, self._policy.fees)
        if fees is None:
            return f"fee ceiling of {self._policy.fees.ceiling_wei} wei reached"
        try:
            gas = TRANSFER_GAS if attempt.is_filler else await self._gas(row)
        except ChainReverted as error:
            return f"would be refused now: {error.reason}"
        return self._attempt(row, attempt.nonce, gas, fees, market, attempt.is_filler)

    async def _sign(
        self, row: OutboxRow, rows: list[OutboxRow], nonce: int, *, is_filler: bool
    ) -> OutboxRow:
        """A new attempt at this nonce, above the fees of whatever may wait there already."""
        try:
            gas = TRANSFER_GAS if is_filler else await self._gas(row)
        except ChainReverted as error:
            # Somebody may have brought about the effect a moment ago: that is no failure.
            there = await self._observe(row, await self._chain.latest())
            refused = replace(row, state=OutboxState.FAILED, error=f"refused: {error.reason}")
            return there if there is not None else await self._save(refused)
        market = await self._chain.fees()
        fees = first_offer(market, self._policy.fees)
        for rival in (a for other in rows for a in other.attempts if a.nonce == nonce):
            offered = Fees(rival.max_fee_wei, rival.priority_fee_wei)
            above = raised_offer(offered, market, self._policy.fees)
            if above is not None:
                fees = Fees(
                    max(fees.max_fee_wei, above.max_fee_wei),
                    max(fees.priority_fee_wei, above.priority_fee_wei),
                )
        return await self._store_and_send(
            row, self._attempt(row, nonce, gas, fees, market, is_filler)
        )

    async def _gas(self, row: OutboxRow) -> int:
        """The gas limit, after a dry run. Raises ChainReverted if the call would be refused."""
        if row.gas is not None:
            await self._chain.call(row.to, row.data, sender=self.sender, gas=row.gas)
            return row.gas
        estimate = await self._chain.estimate_gas(self.sender, row.to, row.data)
        return min(MAX_GAS, estimate * 5 // 4)

    def _attempt(
        self,
        row: OutboxRow,
        nonce: int,
        gas: int,
        fees: Fees,
        market: FeeMarket,
        is_filler: bool,
    ) -> Attempt:
        signed = self._signer.sign(
            chain_id=self._identity.chain_id,
            nonce=nonce,
            to=self.sender if is_filler else row.to,
            data=b"" if is_filler else row.data,
            gas=gas,
            fees=fees,
            legacy=market.base_fee_wei is None,
        )
        return Attempt(
            nonce,
            fees.max_fee_wei,
            fees.priority_fee_wei,
            signed.raw,
            signed.hash,
            self._now_ms(),
            is_filler,
        )

    async def _store_and_send(self, row: OutboxRow, attempt: Attempt) -> OutboxRow:
        attempts = (*row.attempts, attempt)
        stored = replace(row, state=OutboxState.SUBMITTED, attempts=attempts, error=None)
        return await self._send(await self._save(stored), attempt)

    async def _send(self, row: OutboxRow, attempt: Attempt) -> OutboxRow:
        """Send; whatever the node says, only the chain tells what became of it."""
        error = None
        try:
            await self._chain.send_raw(attempt.raw)
        except RpcError as refusal:
            error = _trouble(refusal.message)
        if not attempt.is_filler and await self._find_receipt(row) is not None:
            mined = await self._observe(row, await self._chain.latest())
            if mined is not None:
                return mined
        return row if error == row.error else await self._save(replace(row, error=error))

    async def _save(self, row: OutboxRow) -> OutboxRow:
        await self._store.save(row)
        return row


def _trouble(message: str) -> str | None:
    text = message.lower()
    if any(words in text for words in _KNOWN_WORDS):
        return None
    return f"{_FEE_TOO_LOW}: {message}" if any(words in text for words in _FEE_WORDS) else message


def _mined(row: OutboxRow, receipt: TransactionReceipt, error: str | None) -> OutboxRow:
    """``error`` not None: it was mined and reverted; it becomes FAILED once that is final."""
    return replace(
        row,
        state=OutboxState.MINED,
        transaction_hash=receipt.hash,
        block_number=receipt.block_number,
        block_hash=receipt.block_hash,
        gas_used=receipt.gas_used,
        error=error,
    )


def _unmined(row: OutboxRow, state: OutboxState, error: str | None) -> OutboxRow:
    return replace(
        row,
        state=state,
        transaction_hash=None,
        block_number=None,
        block_hash=None,
        gas_used=None,
        error=error,
    )
