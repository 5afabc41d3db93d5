"""Receipts are derived from the log: nothing of them is stored but the log itself.

First index, count and records root are the batch's own entries; tree size is where its group
commit ended; the deadline follows from received-at and the rules then in force; the signature is
deterministic (RFC 6979). So a batch that is sent again gets the same bytes, also after a crash.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adtally.events.batch import Envelope
from adtally.events.eip712 import Receipt, log_domain, receipt_digest
from adtally.events.signature import sign
from adtally.events.verdict import Verdicts
from adtally.log.merkle import MerkleTree
from adtally.types import Hash, LogIdentity


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a sender gets for a batch; ``replayed`` when it had been logged before."""

    receipt: Receipt
    signature: bytes
    verdicts: Verdicts
    replayed: bool


class BatchIndex:
    """Where each member's batches start, and what anchor was promised when."""

    def __init__(self) -> None:
        self._first_index: dict[int, array[int]] = {}
        self._promise_from: list[int] = []
        self._promise_seconds: list[int] = []

    @staticmethod
    def restored(firsts: Mapping[int, bytes], promises: Iterable[tuple[int, int]]) -> BatchIndex:
        """What ``firsts`` (as bytes) and ``promises`` gave."""
        index = BatchIndex()
        for member, packed in firsts.items():
            index._first_index[member] = array("Q", packed)
        for from_index, seconds in promises:
            index.add_promise(from_index, seconds)
        return index

    def firsts(self) -> Mapping[int, array[int]]:
        """By member: leaf index of the envelope of each batch."""
        return self._first_index

    @property
    def promises(self) -> list[tuple[int, int]]:
        """Leaf index from which on, and the anchor promise in seconds."""
        return list(zip(self._promise_from, self._promise_seconds, strict=True))

    def add_batch(self, member: int, first_index: int) -> None:
        """Note the leaf index of the envelope of the member's next batch."""
        self._first_index.setdefault(member, array("Q")).append(first_index)

    def first_index(self, member: int, sequence: int) -> int:
        """Leaf index of the envelope of a logged batch."""
        return self._first_index[member][sequence - 1]

    def add_promise(self, index: int, seconds: int) -> None:
        """Note the anchor promise in force from leaf ``index`` on."""
        self._promise_from.append(index)
        self._promise_seconds.append(seconds)

    def promise_seconds(self, index: int) -> int:
        """The anchor promise in force at leaf ``index``."""
        return self._promise_seconds[bisect_right(self._promise_from, index) - 1]


class ReceiptIssuer:
    """Makes and signs receipts."""

    def __init__(self, identity: LogIdentity, receipt_key: bytes, tree: MerkleTree) -> None:
        self._domain = log_domain(identity)
        self._key = receipt_key
        self._tree = tree

    def issue(
        self,
        envelope: Envelope,
        records_root: Hash,
        verdicts: Verdicts,
        first_index: int,
        tree_size: int,
        promise_seconds: int,
        *,
        replayed: bool,
    ) -> BatchResult:
        """The receipt for a batch that is durable.

        Args:
            envelope: as logged.
            records_root: of the records as they were signed.
            verdicts: one a record.
            first_index: leaf index of the envelope.
            tree_size: of the log after the batch's group commit.
            promise_seconds: the anchor promise of the rules in force.
        """
        receipt = Receipt(
            member=envelope.member,
            sequence=envelope.sequence,
            records_root=records_root,
            first_index=first_index,
            count=envelope.count,
            tree_size=tree_size,
            root_hash=self._tree.root(tree_size),
            anchor_deadline_seconds=envelope.received_at_ms // 1000 + promise_seconds,
        )
        signature = sign(receipt_digest(self._domain, receipt), self._key)
        return BatchResult(receipt, signature, verdicts, replayed)
