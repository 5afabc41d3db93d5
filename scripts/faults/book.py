"""What the senders know: what they sent, and what they were promised for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple

from adtally.client.receipts import BatchAnswer
from adtally.errors import AdtallyError
from adtally.events.batch import SignedBatch
from adtally.types import Hash

from .wire import Answer
from .world import LOG_DOMAIN, RECEIPT_SIGNER

BatchName = tuple[int, int]
"""Member and sequence."""


class Sent(NamedTuple):
    """One batch as it was sent; the root stands for its records."""

    events: int
    records_root: Hash
    signature: bytes


@dataclass
class Book:
    """Everything that was sent and promised over all lives of one log.

    ``fresh`` are the batches of which an answer said that they had not been logged before;
    ``problems`` are contradictions among the promises themselves.
    """

    sent: dict[BatchName, list[Sent]] = field(default_factory=dict)
    promised: dict[BatchName, BatchAnswer] = field(default_factory=dict)
    fresh: set[BatchName] = field(default_factory=set)
    checkpoints: dict[int, Hash] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def sending(self, batch: SignedBatch) -> None:
        """A batch is about to be sent, perhaps not for the first time."""
        sent = Sent(len(batch.records), batch.records_root, batch.signature)
        bodies = self.sent.setdefault((batch.member, batch.sequence), [])
        if sent not in bodies:
            bodies.append(sent)

    def answered(self, batch: SignedBatch, answer: Answer | None) -> bool:
        """Note the answer; True if it is a receipt, False if the batch must be sent again.

        503 and no answer promise nothing.
        """
        name = (batch.member, batch.sequence)
        if answer is None or answer.status == 503:
            return False
        if answer.status != 200:
            self.problems.append(
                f"batch {name}: refused with {answer.status} {answer.body[:300]!r}"
            )
            return False
        try:
            promise = BatchAnswer.from_json(json.loads(answer.body))
            promise.check(batch, LOG_DOMAIN, RECEIPT_SIGNER)
        except AdtallyError as error:
            self.problems.append(f"batch {name}: {error}")
            return False
        self._promised(name, promise)
        return True

    def _promised(self, name: BatchName, promise: BatchAnswer) -> None:
        if not promise.replayed:
            if name in self.fresh:
                self.problems.append(f"batch {name}: logged anew twice")
            self.fresh.add(name)
        first = self.promised.setdefault(name, promise)
        if (first.receipt, first.signature) != (promise.receipt, promise.signature):
            self.problems.append(
                f"batch {name}: two receipts, {first.receipt} and {promise.receipt}"
            )
        if first.verdicts != promise.verdicts:
            self.problems.append(f"batch {name}: other verdicts the second time")

    def seen(self, tree_size: int, root_hash: Hash) -> None:
        """A checkpoint was shown."""
        if self.checkpoints.setdefault(tree_size, root_hash) != root_hash:
            self.problems.append(f"two root hashes at tree size {tree_size}")

    @property
    def promised_events(self) -> int:
        return sum(promise.receipt.count for promise in self.promised.values())
