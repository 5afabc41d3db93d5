"""What an audit reads: the log's public endpoints and the auditor's own view of the chain.

``adtally.client.LogClient`` is a LogSource and ``adtally.chain.Chain`` a ChainSource as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from adtally.types import Address, BlockStamp, ChainLog, Hash


class LogSource(Protocol):
    """The operator's public endpoints, or a copy of what they served. Nothing is believed."""

    async def checkpoint_note(self) -> bytes:
        """The newest signed checkpoint (C2SP tlog-checkpoint)."""

    async def entries(self, start: int, end: int) -> Sequence[bytes]:
        """Entries ``start`` to ``end`` (exclusive), or fewer from ``start`` on, at least one;
        fastest as ``columns.entries.EntryColumns``.
        """

    async def statement(self, campaign: int, sequence: int) -> object:
        """A published statement with its lines and their proofs, as the API's JSON.

        Raises NotFound when the operator does not publish it.
        """


class PublicFiles(Protocol):
    """A folder of everything that is published of a log (``docs/spec/log.md``, Static layout)."""

    async def read(self, path: str) -> bytes:
        """A file's bytes; raises NotFound where there is none."""

    async def paths(self) -> list[str]:
        """Every file there is."""


class ChainSource(Protocol):
    """A node that the auditor trusts. Raises ChainUnavailable when it does not answer."""

    async def chain_id(self) -> int:
        """EIP-155 chain id."""

    async def genesis_hash(self) -> Hash:
        """Hash of block 0."""

    async def final(self) -> BlockStamp | None:
        """The newest final block."""

    async def block(self, number: int) -> BlockStamp | None:
        """The block with this number."""

    async def logs(self, first: int, last: int, addresses: Sequence[Address]) -> list[ChainLog]:
        """All logs of these contracts in these blocks, in chain order."""

    async def call(self, to: Address, data: bytes, at: BlockStamp | None = None) -> bytes:
        """Return data of a contract call at a block."""


class AuditMemory(Protocol):
    """Where states of audits of one log are kept, by their size. Nothing in it is believed."""

    def sizes(self) -> list[int]:
        """Sizes of all states, largest first."""

    def read(self, size: int) -> bytes:
        """The state's bytes, damaged ones as they are."""

    def write(self, size: int, state: bytes) -> None:
        """Keep a state, wholly or not at all; old ones may go for it."""

    def drop(self, size: int) -> None:
        """Remove a state."""


class Progress(Protocol):
    """Told now and then how far a step has come."""

    def __call__(self, step: str, done: int, total: int) -> None: ...


def no_progress(step: str, done: int, total: int) -> None:
    """Tells nobody."""
