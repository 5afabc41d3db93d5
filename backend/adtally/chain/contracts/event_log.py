"""EventLog: anchors of the log, and the attestor sets that sign for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adtally.chain.abi import Call, Event, Function
from adtally.chain.contracts.attestor_sets import AttestorSets
from adtally.chain.contracts.quorum import QUORUM, Quorum
from adtally.types import BlockStamp, ChainLog, Checkpoint, Hash

_CHECKPOINT = "(uint64,bytes32)"

ANCHOR = Function(f"anchor({_CHECKPOINT},{_CHECKPOINT},bytes32[],{QUORUM})")
VERIFY_INCLUSION = Function(f"verifyInclusion({_CHECKPOINT},uint64,bytes32,bytes32[])")
REQUIRE_ATTESTED = Function(f"requireAttested(uint32,uint64,bytes32,{QUORUM})")
HEAD_SIZE = Function("headSize()", "uint64")
ANCHOR_COUNT = Function("anchorCount()", "uint64")
IS_ANCHORED = Function(f"isAnchored({_CHECKPOINT})", "bool")
CHECKPOINT_DIGEST = Function(f"checkpointDigest({_CHECKPOINT})", "bytes32")
OPERATOR = Function("OPERATOR()", "uint32")
LOG_ATTESTOR_SET = Function("ATTESTOR_SET()", "uint32")
RING_SIZE = Function("RING_SIZE()", "uint256")
MAX_ANCHORS = Function("MAX_ANCHORS()", "uint64")

ANCHORED = Event("Anchored(uint64 indexed treeSize,bytes32 rootHash,uint64 anchorNumber)")

NO_ANCHOR = Checkpoint(0, bytes(32))
"""What to name as ``previous`` in the first anchor of a log that starts empty."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """A checkpoint was stored; ``number`` counts anchors from 1."""

    checkpoint: Checkpoint
    number: int


class EventLog(AttestorSets):
    """Reads and calls of the EventLog contract at ``address``."""

    async def _read(self, function: Function, at: BlockStamp | None, *args: object) -> Any:
        return function.decode(await self.chain.call(self.address, function.encode(*args), at))

    async def head_size(self, at: BlockStamp | None = None) -> int:
        """Tree size of the newest anchor, 0 before the first."""
        return int(await self._read(HEAD_SIZE, at))

    async def anchor_count(self, at: BlockStamp | None = None) -> int:
        """How many anchors there have been."""
        return int(await self._read(ANCHOR_COUNT, at))

    async def is_anchored(self, checkpoint: Checkpoint, at: BlockStamp | None = None) -> bool:
        """Whether the checkpoint is one of the last ``ring_size`` anchors."""
        return bool(await self._read(IS_ANCHORED, at, _abi(checkpoint)))

    async def checkpoint_digest(self, checkpoint: Checkpoint) -> Hash:
        """The contract's EIP-712 digest of a checkpoint."""
        return bytes(await self._read(CHECKPOINT_DIGEST, None, _abi(checkpoint)))

    async def operator(self) -> int:
        """Member whose event key signs receipts."""
        return int(await self._read(OPERATOR, None))

    async def log_attestor_set(self) -> int:
        """Set that attests this log's checkpoints."""
        return int(await self._read(LOG_ATTESTOR_SET, None))

    async def ring_size(self) -> int:
        """Anchors kept for inclusion proofs."""
        return int(await self._read(RING_SIZE, None))

    async def max_anchors(self) -> int:
        """Most anchors that the contract takes; a longer log goes on in a new one."""
        return int(await self._read(MAX_ANCHORS, None))

    async def require_attested(
        self,
        attestor_set: int,
        tree_size: int,
        digest: Hash,
        quorum: Quorum,
        at: BlockStamp | None = None,
    ) -> None:
        """Raises ChainReverted unless ``tree_size`` is anchored and the quorum is valid."""
        data = REQUIRE_ATTESTED.encode(attestor_set, tree_size, digest, quorum.to_abi())
        await self.chain.call(self.address, data, at)

    async def verify_inclusion(
        self,
        checkpoint: Checkpoint,
        index: int,
        leaf_hash: Hash,
        proof: Sequence[Hash],
        at: BlockStamp | None = None,
    ) -> None:
        """Raises ChainReverted unless the leaf is at ``index`` of an anchored checkpoint."""
        data = VERIFY_INCLUSION.encode(_abi(checkpoint), index, leaf_hash, list(proof))
        await self.chain.call(self.address, data, at)

    def anchor_call(
        self, previous: Checkpoint, following: Checkpoint, proof: Sequence[Hash], quorum: Quorum
    ) -> Call:
        """Store an anchor. ``proof`` is the RFC 9162 consistency proof from ``previous``."""
        data = ANCHOR.encode(_abi(previous), _abi(following), list(proof), quorum.to_abi())
        return Call(self.address, data)


def decode_anchored(log: ChainLog) -> Anchored:
    """Raises InvalidInput if the log is another event."""
    values = ANCHORED.decode(log)
    return Anchored(Checkpoint(values["treeSize"], values["rootHash"]), values["anchorNumber"])


def _abi(checkpoint: Checkpoint) -> tuple[int, bytes]:
    return (checkpoint.tree_size, checkpoint.root_hash)
