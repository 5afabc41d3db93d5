"""``corrections.json``: corrections of sample records, and a few in the log of ``replay.json``."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from adtally.errors import VerificationFailed
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.eip712 import statement_digest
from adtally.events.record import RECORD_KIND, EventType, clear_verdict
from adtally.events.verdict import Verdict
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine
from vectors import replay
from vectors.batches import sample_batch
from vectors.common import NOON_MS, entry_case, hexed, patched, refused


def sample_correction() -> Correction:
    """Takes back the click of the sample batch."""
    record = bytearray(sample_batch().records[1])
    record[3] = Verdict.ACCEPTED
    return Correction(
        NOON_MS + 86_400_000, 7, -1, CorrectionReason.LATE_SIVT, bytes(record), "click farm"
    )


def correction_vectors() -> dict[str, Any]:
    """The vector file's content."""
    taken_back = sample_correction()
    late = bytearray(taken_back.record)
    late[3] = Verdict.TOO_OLD
    cases = {
        "taken back": taken_back,
        "made good": replace(
            taken_back,
            index=2**53,
            change=1,
            reason=CorrectionReason.MAKE_GOOD,
            record=bytes(late),
            detail="outage of the operator, 2026\u201111\u201102",
        ),
        "no detail": replace(taken_back, reason=CorrectionReason.OTHER, detail=""),
        "longest detail": replace(taken_back, detail="\u00e4" * 256),
    }
    good = taken_back.to_entry()
    rejected = {
        "empty": b"",
        "another kind": patched(good, 0, 6),
        "ends within the record": good[:128],
        "no change": patched(good, 15, 0),
        "a change of 2": patched(good, 15, 2),
        "a change of -2": patched(good, 15, 0xFE),
        "reason 0": patched(good, 16, 0),
        "an unknown reason": patched(good, 16, 6),
        "the record is another kind of entry": patched(good, 17, 2),
        "the record has no verdict": good[:17] + clear_verdict(good[17:129]) + good[129:],
        "the record has an unknown verdict": patched(good, 20, 99),
        "detail is not UTF-8": good + b"\xff",
        "detail over 512 bytes": good[:129] + b"a" * 513,
    }
    return {
        "cases": [
            entry_case(name, {"entry_kind": 7, **asdict(case)}, case.to_entry())
            for name, case in cases.items()
        ],
        "rejected": refused(rejected),
        "replay": replayed_corrections(),
    }


class _Replay:
    """The log of ``replay.json`` up to its time facts, and corrections after it."""

    def __init__(self) -> None:
        vectors = replay.replay_vectors()
        *entries, self.time = (bytes.fromhex(entry[2:]) for entry in vectors["entries"])
        self.tree = MerkleTree()
        self.machine = LogMachine(replay.IDENTITY, replay.ESCROW_DOMAIN, leaves=self.tree)
        self.entries: list[bytes] = []
        for entry in entries:
            self.append(entry)
        self.refused: list[dict[str, Any]] = []

    def append(self, entry: bytes) -> None:
        self.machine.apply(entry)
        self.entries.append(entry)
        self.tree.append([leaf_hash(entry)])

    def correction(self, kind: EventType, verdict: Verdict, change: int) -> Correction:
        """Of the first record of this type with this verdict."""
        index, record = next(
            (index, entry)
            for index, entry in enumerate(self.entries)
            if entry[0] == RECORD_KIND and (entry[1], entry[3]) == (kind, verdict)
        )
        reason = CorrectionReason.LATE_GIVT if change < 0 else CorrectionReason.MAKE_GOOD
        at_ms = replay.NOON_MS + 3 * replay.HOUR_MS + replay.MINUTE_MS
        return Correction(at_ms, index, change, reason, record, "")

    def refuse(self, name: str, correction: Correction) -> None:
        """Note a correction that can't stand here."""
        try:
            self.machine.apply(correction.to_entry())
        except VerificationFailed:
            self.refused.append(
                {"name": name, "at": len(self.entries), "entry": hexed(correction.to_entry())}
            )
        else:
            raise AssertionError(name)


def replayed_corrections() -> dict[str, Any]:
    """Corrections behind the first entries of ``replay.json``, refused ones, and what is owed."""
    log = _Replay()
    count = len(log.entries)
    click = log.correction(EventType.CLICK, Verdict.ACCEPTED, -1)
    shown = log.correction(EventType.IMPRESSION, Verdict.PLACEMENT_NOT_ALLOWED, 1)
    sale = log.correction(EventType.CONVERSION, Verdict.ACCEPTED, -1)
    repeated = log.correction(EventType.IMPRESSION, Verdict.DUPLICATE, 1)
    elsewhere = log.correction(EventType.IMPRESSION, Verdict.UNKNOWN_CAMPAIGN, 1)
    log.refuse("more than the holdback", sale)
    log.refuse("counts already", replace(click, change=1))
    log.refuse("a duplicate", repeated)
    log.refuse("a conflict", log.correction(EventType.IMPRESSION, Verdict.CONFLICT, 1))
    log.refuse("no such campaign", elsewhere)
    log.refuse("over the cap", log.correction(EventType.IMPRESSION, Verdict.ORDER_CAP_REACHED, 1))
    log.refuse("over the funding", log.correction(EventType.CLICK, Verdict.BUDGET_EXHAUSTED, 1))
    log.refuse("another record", replace(click, record=sale.record))
    log.refuse("an entry to come", replace(click, index=count))
    log.append(click.to_entry())
    log.refuse("taken back already", click)
    log.append(shown.to_entry())
    log.append(replace(shown, change=-1).to_entry())
    log.append(log.correction(EventType.IMPRESSION, Verdict.KNOWN_BOT, 1).to_entry())
    end_ms = replay.NOON_MS + 3 * replay.HOUR_MS + 30 * replay.MINUTE_MS
    log.refuse("after the correction window", replace(shown, recorded_at_ms=end_ms))
    log.append(log.time)
    statement, lines = log.machine.statement(1, 1, is_final=True)
    return {
        "entries_of_replay": count,
        "entries": [hexed(entry) for entry in log.entries[count:]],
        "refused": log.refused,
        "root_hash": hexed(log.tree.root()),
        "lines": [
            {
                "publisher": line.publisher,
                "counts": asdict(line.counts),
                "amount_base_units": str(line.amount_base_units),
            }
            for line in lines
        ],
        "statement": {
            "corrections": statement.corrections,
            "lines_root": hexed(statement.lines_root),
            "digest": hexed(statement_digest(replay.ESCROW_DOMAIN, statement)),
        },
    }
