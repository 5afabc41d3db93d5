"""Corrections: log entries that take an accepted event back, or count one that was refused.

A correction names a record by its leaf index and repeats its bytes, so it can be read without the
rest of the log. The operator enters it; attestors co-sign the statements that contain it. Byte
layout and rules: ``docs/spec/correction.md``.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from adtally.errors import InvalidInput, TooLarge
from adtally.events.checks import check_size, check_uint, time_bytes
from adtally.events.eip712 import correction_digest
from adtally.events.record import RECORD_SIZE, AdEvent
from adtally.events.signature import require_signer
from adtally.events.verdict import Verdict
from adtally.types import Address, Hash

CORRECTION_KIND = 0x07
MAX_REASON_DETAIL_BYTES = 512

_LAYOUT = struct.Struct(f">B6sQbB{RECORD_SIZE}s")


class CorrectionReason(IntEnum):
    """Why what counts was changed. Codes are stable; new ones are only appended."""

    LATE_GIVT = 1
    """General invalid traffic (MRC), found by lists or routine filters after the verdict."""
    LATE_SIVT = 2
    """Sophisticated invalid traffic (MRC), found by analysis after the verdict."""
    DISCREPANCY = 3
    """Measurement was wrong, or both sides agreed on another count."""
    MAKE_GOOD = 4
    """Refused for a reason that was not the publisher's."""
    OTHER = 5
    """As the detail says."""

    @property
    def label(self) -> str:
        """The name used in JSON and reports, e.g. ``late_sivt``."""
        return self.name.lower()


REASON_BY_LABEL = {reason.label: reason for reason in CorrectionReason}


@dataclass(frozen=True, slots=True)
class Correction:
    """A change of what counts, as it stands in the log.

    Attributes:
        index: leaf index of the record that is corrected.
        change: -1 takes an event back that counts, +1 counts one that does not.
        record: the bytes of that entry, its verdict included.
        detail: for people; at most 512 bytes of UTF-8.
    """

    recorded_at_ms: int
    index: int
    change: int
    reason: CorrectionReason
    record: bytes
    detail: str

    @property
    def event(self) -> AdEvent:
        """The corrected event with its verdict; raises InvalidInput if ``record`` is none."""
        return AdEvent.from_record(self.record)

    def to_entry(self) -> bytes:
        """The canonical bytes.

        Raises:
            InvalidInput: a field is outside its range, ``record`` is no judged record, or
                ``detail`` has no UTF-8.
            TooLarge: ``detail`` is over its limit.
        """
        check_correction(self.index, self.change)
        check_size("record", self.record, RECORD_SIZE)
        _check_judged(self.record)
        return (
            _LAYOUT.pack(
                CORRECTION_KIND,
                time_bytes("recorded_at_ms", self.recorded_at_ms),
                self.index,
                self.change,
                self.reason,
                self.record,
            )
            + detail_bytes(self.detail)
        )  # fmt: skip

    @staticmethod
    def from_entry(entry: bytes) -> Correction:
        """Parse; raises InvalidInput on anything ``to_entry`` would not write."""
        if len(entry) < _LAYOUT.size:
            raise _malformed(f"at least {_LAYOUT.size} bytes", f"{len(entry)} bytes")
        kind, recorded_at, index, change, reason, record = _LAYOUT.unpack_from(entry)
        if kind != CORRECTION_KIND:
            raise _malformed("first byte 0x07", f"0x{kind:02x}")
        if reason not in CorrectionReason.__members__.values():
            raise _malformed(f"reason 1 to {max(CorrectionReason)}", str(reason))
        check_correction(index, change)
        _check_judged(record)
        detail = entry[_LAYOUT.size :]
        try:
            text = detail.decode()
        except UnicodeDecodeError:
            raise _malformed("detail in UTF-8", "other bytes") from None
        detail_bytes(text)
        return Correction(
            recorded_at_ms=int.from_bytes(recorded_at, "big"),
            index=index,
            change=change,
            reason=CorrectionReason(reason),
            record=record,
            detail=text,
        )


@dataclass(frozen=True, slots=True)
class CorrectionOrder:
    """What the operator's event key signs to have a correction entered.

    It is not logged: the entry is the operator's word already, by the checkpoint over it.
    """

    index: int
    change: int
    reason: CorrectionReason
    detail: str
    signer: Address
    signature: bytes

    def digest(self, domain: Hash) -> Hash:
        return correction_digest(
            domain, self.signer, self.index, self.change, self.reason, self.detail
        )

    def verify_signature(self, domain: Hash) -> None:
        """Raises VerificationFailed unless ``signer`` signed it, InvalidInput if unloggable."""
        check_correction(self.index, self.change)
        detail_bytes(self.detail)
        require_signer(self.digest(domain), self.signature, self.signer, "correction")

    def says(self, correction: Correction) -> bool:
        """Whether this entry is what was asked for here, whenever it was recorded."""
        return (self.index, self.change, self.reason, self.detail) == (
            correction.index, correction.change, correction.reason, correction.detail
        )  # fmt: skip


def check_correction(index: int, change: int) -> None:
    """Raises InvalidInput unless both fit a correction."""
    check_uint("index", index, 64)
    if change not in (-1, 1):
        raise InvalidInput(
            "a correction takes one event back or counts one",
            field="change",
            expected="-1 or 1",
            found=str(change),
        )


def detail_bytes(detail: str) -> bytes:
    """A correction's detail as UTF-8; raises InvalidInput, or TooLarge over 512 bytes."""
    try:
        data = detail.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            "detail is not text",
            field="detail",
            expected="Unicode text",
            found="a lone surrogate",
        ) from None
    if len(data) > MAX_REASON_DETAIL_BYTES:
        raise TooLarge(
            "detail is too long",
            field="detail",
            expected=f"at most {MAX_REASON_DETAIL_BYTES} bytes of UTF-8",
            found=f"{len(data)} bytes",
        )
    return data


def _check_judged(record: bytes) -> None:
    if AdEvent.from_record(record).verdict is Verdict.UNSET:
        raise _malformed("a record with its verdict", "one without")


def _malformed(expected: str, found: str) -> InvalidInput:
    return InvalidInput(
        "not a version 1 correction entry", field="correction", expected=expected, found=found
    )
