"""The proof bundle as values, and the bytes of its file (``docs/spec/proof-bundle.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adtally.errors import InvalidInput
from adtally.ethereum.block import LogProof
from adtally.ethereum.rlp import (
    Item,
    as_bytes,
    as_hash,
    as_list,
    as_sized,
    as_uint,
    decode,
    encode,
    uint,
)
from adtally.events.signature import SIGNATURE_SIZE
from adtally.proofs.squeeze import expand, squeeze
from adtally.types import Address, Counts, Hash

MAGIC = b"ADTPROOF\x01"
"""First bytes of every bundle of version 1."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The deployment that a bundle is about; whoever verifies must compare it."""

    chain_id: int
    event_log: Address
    escrow: Address


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """An entry of the log, or a piece of the past that a verdict rested on."""

    index: int
    entry: bytes


@dataclass(frozen=True, slots=True)
class Attestation:
    """An attestor's EIP-712 signature of the statement."""

    attestor: Address
    signature: bytes


@dataclass(frozen=True, slots=True)
class LineProof:
    """The publisher's line in a statement, with its proof in the claim tree."""

    counts: Counts
    proof: tuple[Hash, ...]
    attestations: tuple[Attestation, ...]
    settled: LogProof
    """The escrow's StatementSubmitted."""


@dataclass(frozen=True, slots=True)
class Accrued:
    """What stood in the books just before a record that the money did not reach for.

    No hash commits to it: whoever replays the log finds it, and so did the attestors.
    ``line_milli`` is in thousandths of a base unit.
    """

    line_milli: int
    lines_total_base_units: int


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything about one record.

    Attributes:
        index: leaf index of the record.
        first_index: leaf index of its batch's envelope.
        records_proof: the record's proof in the tree of the batch's records as signed, in the
            order of ``log.multiproof``.
        log_proof: what ``log.multiproof`` takes for all entries of the bundle.
        anchored: the log contract's Anchored: tree size and root hash of the proof.
        cited: entries that the verdict or the standing of the record rests on, by leaf index:
            facts, first occurrence, parent, corrections.
        order: the escrow's OrderAccepted: the rates that make an amount of the line's counts.
        paid: the escrow's Claimed.
        headers: RLP of headers that lead from a later block down to those above, if any.
    """

    scope: Scope
    index: int
    record: bytes
    first_index: int
    envelope: bytes
    records_proof: tuple[Hash, ...]
    log_proof: tuple[Hash, ...]
    anchored: LogProof
    cited: tuple[LoggedEntry, ...] = ()
    accrued: Accrued | None = None
    line: LineProof | None = None
    order: LogProof | None = None
    paid: LogProof | None = None
    headers: tuple[bytes, ...] = ()

    def to_bytes(self) -> bytes:
        """The file. Raises TooLarge when too much is cited."""
        return MAGIC + squeeze(encode(self._to_item()))

    @staticmethod
    def from_bytes(data: bytes) -> Bundle:
        """Parse a file; takes exactly what ``to_bytes`` writes.

        Raises:
            InvalidInput: anything else.
        """
        if not data.startswith(MAGIC):
            raise InvalidInput(
                "not a proof bundle of version 1",
                field="bundle",
                expected=f"first bytes {MAGIC.hex()}",
                found=data[: len(MAGIC)].hex() or "no bytes",
            )
        return _bundle(decode(expand(data[len(MAGIC) :])))

    def _to_item(self) -> Item:
        return [
            [uint(self.scope.chain_id), self.scope.event_log, self.scope.escrow],
            [uint(self.index), self.record],
            [uint(self.first_index), self.envelope],
            list(self.records_proof),
            list(self.log_proof),
            self.anchored.to_item(),
            [[uint(each.index), each.entry] for each in self.cited],
            []
            if self.accrued is None
            else [uint(self.accrued.line_milli), uint(self.accrued.lines_total_base_units)],
            [] if self.line is None else _line_item(self.line),
            _optional(self.order),
            _optional(self.paid),
            list(self.headers),
        ]


def _optional(proof: LogProof | None) -> Item:
    return [] if proof is None else proof.to_item()


def _line_item(line: LineProof) -> Item:
    counts = line.counts
    return [
        [
            uint(each)
            for each in (counts.impressions, counts.viewables, counts.clicks, counts.conversions)
        ],
        list(line.proof),
        [[each.attestor, each.signature] for each in line.attestations],
        line.settled.to_item(),
    ]


def _bundle(item: Item) -> Bundle:
    (
        scope, record, envelope, records_proof, log_proof, anchored, cited, accrued, line, order,
        paid, headers,
    ) = as_list(item, 12)  # fmt: skip
    chain_id, event_log, escrow = as_list(scope, 3)
    index, record_bytes = as_list(record, 2)
    first_index, envelope_bytes = as_list(envelope, 2)
    return Bundle(
        Scope(as_uint(chain_id), as_sized(event_log, 20), as_sized(escrow, 20)),
        as_uint(index),
        as_bytes(record_bytes),
        as_uint(first_index),
        as_bytes(envelope_bytes),
        _hashes(records_proof),
        _hashes(log_proof),
        LogProof.from_item(anchored),
        tuple(_logged(each) for each in as_list(cited)),
        _accrued(accrued),
        _line(line),
        _log_proof(order),
        _log_proof(paid),
        tuple(as_bytes(each) for each in as_list(headers)),
    )


def _hashes(item: Item) -> tuple[Hash, ...]:
    return tuple(as_hash(each) for each in as_list(item))


def _logged(item: Item) -> LoggedEntry:
    index, entry = as_list(item, 2)
    return LoggedEntry(as_uint(index), as_bytes(entry))


def _accrued(item: Item) -> Accrued | None:
    if item == []:
        return None
    line_milli, total = as_list(item, 2)
    return Accrued(as_uint(line_milli, 256), as_uint(total, 128))


def _log_proof(item: Item) -> LogProof | None:
    return None if item == [] else LogProof.from_item(item)


def _line(item: Item) -> LineProof | None:
    if item == []:
        return None
    counts, proof, attestations, settled = as_list(item, 4)
    return LineProof(
        Counts(*(as_uint(each) for each in as_list(counts, 4))),
        _hashes(proof),
        _attestations(as_list(attestations)),
        LogProof.from_item(settled),
    )


def _attestations(items: Sequence[Item]) -> tuple[Attestation, ...]:
    found = []
    for item in items:
        attestor, signature = as_list(item, 2)
        found.append(Attestation(as_sized(attestor, 20), as_sized(signature, SIGNATURE_SIZE)))
    return tuple(found)
