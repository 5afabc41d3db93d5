"""Holds every receipt that was ever given against the final log and the anchors."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from adtally.chain.connection import Chain
from adtally.client.log_client import LogClient
from adtally.client.receipts import BatchAnswer
from adtally.demo.outcome import AnchorOutcome, ReceiptsOutcome
from adtally.events.batch import Envelope
from adtally.events.eip712 import Receipt
from adtally.events.record import VERDICT_OFFSET, clear_verdict
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash, tree_root


async def check_receipts(
    answers: Sequence[BatchAnswer],
    log: LogClient,
    tree_size: int,
    anchors: Sequence[AnchorOutcome],
    chain: Chain,
) -> ReceiptsOutcome:
    """Count the receipts that are kept: the batch stands where the receipt says, with the
    verdicts that were told, in a log that had the promised root at the promised size; and those
    that an anchor covered by their deadline.
    """
    entries = await log.entries(0, tree_size)
    tree = MerkleTree()
    tree.append([leaf_hash(entry) for entry in entries])
    sizes, times = await _anchor_times(anchors, chain)
    kept = in_time = 0
    for answer in answers:
        kept += _is_kept(answer, entries, tree)
        at = bisect_left(sizes, answer.receipt.tree_size)
        in_time += at < len(sizes) and times[at] <= answer.receipt.anchor_deadline_seconds
    return ReceiptsOutcome(len(answers), kept, in_time)


async def _anchor_times(
    anchors: Sequence[AnchorOutcome], chain: Chain
) -> tuple[list[int], list[int]]:
    sizes, times = [], []
    for anchor in sorted(anchors, key=lambda anchor: anchor.tree_size):
        block = await chain.block(anchor.block_number)
        if block is not None:
            sizes.append(anchor.tree_size)
            times.append(block.timestamp_seconds)
    return sizes, times


def _is_kept(answer: BatchAnswer, entries: Sequence[bytes], tree: MerkleTree) -> bool:
    receipt = answer.receipt
    if not receipt.first_index + receipt.count < receipt.tree_size <= tree.size:
        return False
    if tree.root(receipt.tree_size) != receipt.root_hash:
        return False
    envelope = Envelope.from_entry(entries[receipt.first_index])
    first = receipt.first_index + 1
    records = entries[first : first + receipt.count]
    return (
        _is_of_batch(envelope, receipt)
        and tree_root([clear_verdict(record) for record in records]) == receipt.records_root
        and [record[VERDICT_OFFSET] for record in records] == list(answer.verdicts)
    )


def _is_of_batch(envelope: Envelope, receipt: Receipt) -> bool:
    found = (envelope.member, envelope.sequence, envelope.count)
    return found == (receipt.member, receipt.sequence, receipt.count)
