"""What the chain room needs kept: rows and the two stores that hold them.

Nothing here but shapes, so whoever implements the stores imports nothing else of this room.
Both stores are durable: when a method that writes returns, its effect survives kill -9.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from adtally.types import Address, BlockStamp, ChainLog, Hash


class OutboxState(IntEnum):
    """Where a transaction stands. Only QUEUED -> SUBMITTED -> MINED -> FINAL | FAILED moves
    forward; a reorg moves MINED back to SUBMITTED or QUEUED; FINAL is never withdrawn.
    """

    QUEUED = 1
    """Nothing signed yet."""
    SUBMITTED = 2
    """A signed transaction is stored; it may or may not have reached the chain."""
    MINED = 3
    """The effect stands in a block that a reorg could still remove."""
    FINAL = 4
    """The effect stands in a final block."""
    FAILED = 5
    """The contract refuses it; ``error`` says why. Only a person or job can queue it anew."""

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction for a row; several share a nonce when fees were bumped.

    ``is_filler`` marks a transfer of nothing to ourselves that only uses up a nonce below ours,
    so that a transaction signed before a reorg can be mined again. Fees are wei per gas.
    """

    nonce: int
    max_fee_wei: int
    priority_fee_wei: int
    raw: bytes
    hash: Hash
    signed_at_ms: int
    is_filler: bool = False


@dataclass(frozen=True, slots=True)
class NewTransaction:
    """What is asked for: one effect on the chain. ``effect_key`` is unique for ever.

    ``gas`` is the gas limit, or None to estimate.
    """

    effect_key: str
    purpose: str
    sender: Address
    to: Address
    data: bytes
    gas: int | None
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One effect and everything that was done for it.

    ``block_number``/``block_hash`` are set in MINED and FINAL (and in FAILED if it was mined).
    ``transaction_hash`` is the attempt that was mined, None when somebody else brought about
    the effect. ``gas_used`` belongs to that attempt. ``error`` is the latest trouble, if any.
    """

    id: int
    effect_key: str
    purpose: str
    sender: Address
    to: Address
    data: bytes
    gas: int | None
    created_at_ms: int
    state: OutboxState = OutboxState.QUEUED
    attempts: tuple[Attempt, ...] = ()
    transaction_hash: Hash | None = None
    block_number: int | None = None
    block_hash: Hash | None = None
    gas_used: int | None = None
    error: str | None = None


class OutboxStore(Protocol):
    """Keeps outbox rows."""

    async def add(self, new: NewTransaction) -> OutboxRow:
        """Insert a QUEUED row, or return the existing one with the same ``effect_key``."""

    async def get(self, row_id: int) -> OutboxRow | None:
        """The row, None if there is none."""

    async def find(self, effect_key: str) -> OutboxRow | None:
        """The row with this effect key, None if there is none."""

    async def open_rows(self, sender: Address) -> list[OutboxRow]:
        """Rows of ``sender`` in state QUEUED, SUBMITTED or MINED, in order of id."""

    async def save(self, row: OutboxRow) -> None:
        """Overwrite the row with this id, attempts included."""


class WatcherStore(Protocol):
    """Keeps the logs of our contracts, and stamps of the blocks up to which they were read.

    A stamp at block n says: every watched log up to and including n is stored, as seen on the
    chain whose block n has this hash. Logs are unique by (block_hash, log_index).
    """

    async def stamps(self, limit: int) -> list[BlockStamp]:
        """The newest ``limit`` stamps, newest first."""

    async def replace_after(self, number: int, stamp: BlockStamp, logs: Sequence[ChainLog]) -> None:
        """In one transaction: delete stamps and logs of blocks above ``number``, then add these.

        ``number`` is -1 to delete everything. ``stamp.number`` and every log's block number are
        above ``number``.
        """

    async def logs(self, first: int, last: int) -> list[ChainLog]:
        """Stored logs of blocks ``first`` to ``last``, by block number, then log index."""
