"""A batch: any number of records under one signature, and its envelope in the log."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adtally.errors import InvalidInput
from adtally.events.checks import check_size, check_uint, time_bytes
from adtally.events.eip712 import event_batch_digest
from adtally.events.record import RECORD_SIZE, VERDICT_OFFSET
from adtally.events.signature import SIGNATURE_SIZE, address_of, require_signer, sign
from adtally.rfc9162 import tree_root
from adtally.types import UINT32_MAX, UINT64_MAX, Address, Hash

ENVELOPE_KIND = 0x02
ENVELOPE_SIZE = 109
_ENVELOPE = struct.Struct(">BxIQI6s20s65s")

WIRE_HEADER_SIZE = 113
_WIRE = struct.Struct(">4sQIQI20s65s")
WIRE_MAGIC = b"ADT1"

MAX_BATCH_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch as its sender signed it; ``records`` are canonical with the verdict byte zero.

    Sequences that know the root of their tree have it as ``tree_root``.
    """

    chain_id: int
    member: int
    sequence: int
    signer: Address
    signature: bytes
    records: Sequence[bytes]

    @property
    def records_root(self) -> Hash:
        """RFC 9162 tree root over the records: one of them can be proven without the others."""
        # Not ``isinstance``: with a protocol it takes longer than the signature's digest.
        known: Hash | None = getattr(self.records, "tree_root", None)
        return tree_root(self.records) if known is None else known

    def digest(self, domain: Hash) -> Hash:
        return event_batch_digest(
            domain, self.signer, self.member, self.sequence, len(self.records), self.records_root
        )

    def verify_signature(self, domain: Hash) -> None:
        """Raises VerificationFailed unless ``signer`` signed exactly these records."""
        require_signer(self.digest(domain), self.signature, self.signer, "batch")


@dataclass(frozen=True, slots=True)
class Envelope:
    """The log entry in front of a batch's records (``docs/spec/envelope.md``)."""

    member: int
    sequence: int
    count: int
    received_at_ms: int
    signer: Address
    signature: bytes

    def to_entry(self) -> bytes:
        """The canonical bytes; raises InvalidInput when a field is outside its range."""
        check_batch_header(self.member, self.sequence, self.count)
        _check_sizes(self.signer, self.signature)
        return _ENVELOPE.pack(
            ENVELOPE_KIND,
            self.member,
            self.sequence,
            self.count,
            time_bytes("received_at_ms", self.received_at_ms),
            self.signer,
            self.signature,
        )

    @staticmethod
    def from_entry(entry: bytes) -> Envelope:
        """Parse; raises InvalidInput on anything ``to_entry`` would not write."""
        if len(entry) != ENVELOPE_SIZE or entry[0] != ENVELOPE_KIND or entry[1] != 0:
            raise InvalidInput(
                "not a version 1 envelope",
                field="envelope",
                expected=f"{ENVELOPE_SIZE} bytes starting 0200",
                found=f"{len(entry)} bytes starting {entry[:2].hex()}",
            )
        _, member, sequence, count, received, signer, signature = _ENVELOPE.unpack(entry)
        check_batch_header(member, sequence, count)
        return Envelope(member, sequence, count, int.from_bytes(received, "big"), signer, signature)


def sign_batch(
    domain: Hash,
    chain_id: int,
    private_key: bytes,
    member: int,
    sequence: int,
    records: Sequence[bytes],
) -> SignedBatch:
    """Sign records (verdict byte zero) with a member's event key.

    Raises:
        InvalidInput: member, sequence or the number of records is outside its range.
    """
    check_batch_header(member, sequence, len(records))
    signer = address_of(private_key)
    digest = event_batch_digest(domain, signer, member, sequence, len(records), tree_root(records))
    return SignedBatch(
        chain_id, member, sequence, signer, sign(digest, private_key), tuple(records)
    )


def check_batch_header(member: int, sequence: int, count: int) -> None:
    """Raises InvalidInput when a header field is outside its range."""
    if not 1 <= member <= UINT32_MAX:
        raise InvalidInput(
            "member is out of range", field="member", expected="1 to 2^32-1", found=str(member)
        )
    if not 1 <= sequence <= UINT64_MAX:
        raise InvalidInput(
            "batch sequences start at 1",
            field="sequence",
            expected="1 to 2^64-1",
            found=str(sequence),
        )
    if not 1 <= count <= MAX_BATCH_EVENTS:
        raise InvalidInput(
            "a batch holds a bounded number of events",
            field="events",
            expected=f"1 to {MAX_BATCH_EVENTS} events",
            found=f"{count} events",
            action="split the batch",
        )


def _check_sizes(signer: Address, signature: bytes) -> None:
    check_size("signer", signer, 20)
    check_size("signature", signature, SIGNATURE_SIZE)


def batch_to_wire(batch: SignedBatch) -> bytes:
    """The binary transport form: header, then the records back to back.

    Raises:
        InvalidInput: a header field is outside its range, or a record is no 112 bytes.
    """
    check_batch_header(batch.member, batch.sequence, len(batch.records))
    check_uint("chain_id", batch.chain_id, 64)
    _check_sizes(batch.signer, batch.signature)
    for at, record in enumerate(batch.records):
        check_size(f"events.{at}", record, RECORD_SIZE)
    header = _WIRE.pack(
        WIRE_MAGIC,
        batch.chain_id,
        batch.member,
        batch.sequence,
        len(batch.records),
        batch.signer,
        batch.signature,
    )
    return header + b"".join(batch.records)


def split_records(packed: bytes | memoryview) -> Sequence[bytes]:
    """Records that stand back to back."""
    packed = bytes(packed)
    return tuple(packed[at : at + RECORD_SIZE] for at in range(0, len(packed), RECORD_SIZE))


def batch_from_wire(
    body: bytes, split: Callable[[memoryview], Sequence[bytes]] = split_records
) -> SignedBatch:
    """Parse the binary transport form; ``AdEvent.from_record`` checks the records one by one.

    Args:
        split: makes a sequence of records that stand back to back.

    Raises:
        InvalidInput: bad magic, a length that does not fit the announced count, or a record
            whose verdict byte is set: the log could not give back what was signed.
    """
    header_size = WIRE_HEADER_SIZE
    if len(body) < header_size or body[:4] != WIRE_MAGIC:
        raise InvalidInput(
            "not a binary batch",
            field="body",
            expected=f"{header_size} bytes of header starting with ADT1",
            found=f"{len(body)} bytes starting {body[:4].hex() or 'with nothing'}",
        )
    _, chain_id, member, sequence, count, signer, signature = _WIRE.unpack_from(body)
    check_batch_header(member, sequence, count)
    if len(body) != header_size + count * RECORD_SIZE:
        raise InvalidInput(
            "the body does not hold the announced number of records",
            field="body",
            expected=f"{header_size + count * RECORD_SIZE} bytes for {count} records",
            found=f"{len(body)} bytes",
        )
    judged = body[header_size + VERDICT_OFFSET :: RECORD_SIZE]
    if judged.count(0) < count:
        raise InvalidInput(
            "a sender leaves the verdict to the operator",
            field=f"events.{len(judged) - len(judged.lstrip(bytes(1)))}.verdict",
            expected="verdict byte 0 in every record",
            found=f"{count - judged.count(0)} records with another",
        )
    records = split(memoryview(body)[header_size:])
    return SignedBatch(chain_id, member, sequence, signer, signature, records)


assert _ENVELOPE.size == ENVELOPE_SIZE
assert _WIRE.size == WIRE_HEADER_SIZE
