"""Whether receipts were honoured: a promise against the log and the chain.

What a receipt promises, and what breaks it, is in ``docs/spec/receipt.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adtally.audit.chain_events import Anchored
from adtally.audit.history import Happened
from adtally.audit.reading import Reading
from adtally.audit.report import Findings, show
from adtally.errors import AdtallyError
from adtally.events.batch import Envelope
from adtally.events.eip712 import Receipt, receipt_digest
from adtally.events.record import RECORD_SIZE, clear_verdict
from adtally.events.signature import require_signer
from adtally.rfc9162 import tree_root
from adtally.types import Address, BlockStamp, Hash
from adtally.verification.chain_logs import EventKeyChanged, MemberRegistered


@dataclass(frozen=True, slots=True)
class GivenReceipt:
    """A receipt that somebody kept; ``name`` is the file's."""

    name: str
    receipt: Receipt
    signature: bytes


def event_keys(happened: Sequence[Happened], member: int) -> set[Address]:
    """Every event key that a member ever had, by the chain."""
    keys: set[Address] = set()
    for each in happened:
        match each.event:
            case MemberRegistered(member=who, event_key=key) if who == member:
                keys.add(key)
            case EventKeyChanged(member=who, event_key=key) if who == member:
                keys.add(key)
    return keys


class ReceiptCheck:
    """Checks receipts once the log was read.

    Args:
        domain: EIP-712 domain of the log.
        signers: keys by which the operator may have signed.
        pinned: newest block looked at; deadlines after it are not due.
    """

    def __init__(
        self,
        reading: Reading,
        domain: Hash,
        signers: set[Address],
        anchors: Sequence[Happened],
        pinned: BlockStamp,
        findings: Findings,
    ) -> None:
        self._reading = reading
        self._domain = domain
        self._signers = signers
        self._anchors = anchors
        self._pinned = pinned
        self._findings = findings

    async def check(self, given: GivenReceipt) -> None:
        """Compare one receipt with the log and the chain."""
        receipt, where = given.receipt, f"receipt {given.name}"
        if not self._is_signed(given):
            expected = "the signature of the operator's event key over this receipt"
            what = "the receipt is not the operator's"
            self._findings.differs("receipts", what, where, expected, given.signature)
            return
        where += f", batch {receipt.sequence} of member {receipt.member}"
        size = self._reading.tree.size
        if receipt.tree_size > size:
            what = "the log is shorter than was promised"
            expected = f"at least {receipt.tree_size} entries"
            self._findings.differs("receipts", what, where, expected, f"{size} entries")
            return
        root = await self._reading.root(receipt.tree_size)
        if root is not None:
            what = f"root hash at tree size {receipt.tree_size}"
            self._findings.compare("receipts", what, where, receipt.root_hash, root)
        await self._check_batch(receipt, where)
        self._check_anchor(receipt, where)

    def _is_signed(self, given: GivenReceipt) -> bool:
        digest = receipt_digest(self._domain, given.receipt)
        for signer in self._signers:
            try:
                require_signer(digest, given.signature, signer, "receipt")
            except AdtallyError:
                continue
            return True
        return False

    async def _check_batch(self, receipt: Receipt, where: str) -> None:
        first, end = receipt.first_index, receipt.first_index + 1 + receipt.count
        entries = await self._reading.older(first, end)
        try:
            envelope = Envelope.from_entry(entries[0] if entries else b"")
        except AdtallyError:
            what = f"entry {first} is no envelope"
            found = show(entries[0]) if entries else "nothing"
            self._findings.differs("receipts", what, where, "the batch's envelope", found)
            return
        compare = self._findings.compare
        for name in ("member", "sequence", "count"):
            what = f"{name} of the batch at entry {first}"
            compare("receipts", what, where, getattr(receipt, name), getattr(envelope, name))
        records = [clear_verdict(each) for each in entries[1:] if len(each) == RECORD_SIZE]
        what = f"records at entries {first + 1} to {end - 1}"
        compare("receipts", what, where, receipt.records_root, tree_root(records))

    def _check_anchor(self, receipt: Receipt, where: str) -> None:
        deadline = receipt.anchor_deadline_seconds
        for each in self._anchors:
            assert isinstance(each.event, Anchored)
            if each.event.tree_size >= receipt.tree_size:
                if each.timestamp_seconds <= deadline:
                    self._findings.holds("receipts")
                    return
                found = f"anchored at {each.timestamp_seconds}"
                break
        else:
            if self._pinned.timestamp_seconds <= deadline:
                return  # Not due yet.
            found = f"none by block {self._pinned.number}"
        expected = f"an anchor of at least {receipt.tree_size} entries by {deadline}"
        self._findings.differs("receipts", "not anchored in time", where, expected, found)
