"""Receipts: parsing what the service answers, and checking it before believing it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from adtally.client.fields import Fields
from adtally.errors import InvalidInput, VerificationFailed
from adtally.events.batch import SignedBatch
from adtally.events.eip712 import Receipt, receipt_digest
from adtally.events.signature import SIGNATURE_SIZE, require_signer
from adtally.events.verdict import VERDICT_BY_LABEL, Verdict
from adtally.types import Address, Hash


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """The service's answer to one batch: a signed promise and a verdict per event.

    ``replayed`` says that the batch had been logged before and this is its stored receipt.
    """

    receipt: Receipt
    signature: bytes
    verdicts: tuple[Verdict, ...]
    replayed: bool

    @staticmethod
    def from_json(document: object) -> BatchAnswer:
        """Parse the body of an answer; raises InvalidInput where it is none."""
        answer = Fields(document, "batch answer")
        verdicts = []
        for label in answer.items("verdicts"):
            if not isinstance(label, str) or label not in VERDICT_BY_LABEL:
                raise InvalidInput(
                    "unknown verdict",
                    field="verdicts",
                    expected=f"one of {sorted(VERDICT_BY_LABEL)}",
                    found=repr(label),
                    action="update adtally: the service knows verdicts that this client doesn't",
                )
            verdicts.append(VERDICT_BY_LABEL[label])
        fields = answer.inner("receipt")
        receipt, signature = receipt_from_fields(fields)
        return BatchAnswer(receipt, signature, tuple(verdicts), answer.boolean("replayed"))

    def receipt_json(self) -> str:
        """The receipt alone, as the service sent it: what to keep, ``adtally verify`` reads it."""
        fields = {
            name: f"0x{value.hex()}" if isinstance(value, bytes) else value
            for name, value in (asdict(self.receipt) | {"signature": self.signature}).items()
        }
        return json.dumps(fields, indent=2) + "\n"

    def check(self, batch: SignedBatch, domain: Hash, receipt_signer: Address) -> None:
        """Raises VerificationFailed unless this is a valid receipt for exactly ``batch``."""
        receipt = self.receipt
        for field, expected, found in (
            ("member", batch.member, receipt.member),
            ("sequence", batch.sequence, receipt.sequence),
            ("count", len(batch.records), receipt.count),
            ("verdicts", len(batch.records), len(self.verdicts)),
            ("records_root", batch.records_root.hex(), receipt.records_root.hex()),
        ):
            if expected != found:
                raise VerificationFailed(
                    "the receipt is for another batch",
                    field=field,
                    expected=str(expected),
                    found=str(found),
                    action="keep both: they show what the operator did",
                )
        end = receipt.first_index + 1 + receipt.count
        if receipt.tree_size < end:
            raise VerificationFailed(
                "the receipt's tree does not reach its own records",
                field="tree_size",
                expected=f"at least {end}",
                found=str(receipt.tree_size),
                action="keep it: an anchor of that size would say nothing of the batch",
            )
        require_signer(receipt_digest(domain, receipt), self.signature, receipt_signer, "receipt")


def receipt_from_fields(fields: Fields) -> tuple[Receipt, bytes]:
    """A receipt and its signature; raises InvalidInput when a field is missing or wrong."""
    receipt = Receipt(
        member=fields.integer("member"),
        sequence=fields.integer("sequence"),
        records_root=fields.octets("records_root", 32),
        first_index=fields.integer("first_index"),
        count=fields.integer("count"),
        tree_size=fields.integer("tree_size"),
        root_hash=fields.octets("root_hash", 32),
        anchor_deadline_seconds=fields.integer("anchor_deadline_seconds"),
    )
    return receipt, fields.octets("signature", SIGNATURE_SIZE)
