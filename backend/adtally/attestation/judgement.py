"""An attestor's rules: what it compares before it signs. Pure; every difference is an error.

VerificationFailed means a refusal, ChainUnavailable that it can't tell yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adtally.errors import AdtallyError, ChainUnavailable, InvalidInput, VerificationFailed
from adtally.events.attested import Refusal, shortened
from adtally.events.batch import ENVELOPE_KIND, Envelope
from adtally.events.correction import CORRECTION_KIND, Correction
from adtally.events.facts import CHAIN_FACTS_KIND, ChainFacts
from adtally.events.record import RECORD_KIND
from adtally.types import Checkpoint, Hash, Statement


@dataclass(frozen=True, slots=True)
class Standing:
    """A campaign's latest statement at a final block; zeros if there is none yet."""

    sequence: int = 0
    tree_size: int = 0
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Computed:
    """What the machine says of a campaign at one size.

    Attributes:
        statement: with the sequence and finality that were asked for.
        may_be_final: whether the log shows that nothing of the campaign can change any more.
        last_received_at_ms: of the last entry that has a time.
    """

    statement: Statement
    may_be_final: bool
    last_received_at_ms: int


class StoredEntries(Protocol):
    """The attestor's own copy of the log."""

    def entries(self, start: int, end: int) -> list[bytes]:
        """Entries ``start`` to ``end`` (exclusive)."""


def compare_root(own: Hash, asked: Checkpoint) -> None:
    """The root that was asked for must be that of the entries."""
    if own != asked.root_hash:
        raise VerificationFailed(
            f"the root hash at size {asked.tree_size} is not that of the entries",
            field="root_hash",
            expected=own.hex(),
            found=asked.root_hash.hex(),
        )


def compare_order(standing: Standing, asked: Statement) -> None:
    """A sequence is signed once. So it must not be spent on what the escrow can never take, or
    on what says nothing new: an operator could keep earned money from being stated that way.
    """
    if asked.sequence <= standing.sequence:
        return  # It stands already: another signature changes nothing.
    if asked.sequence > standing.sequence + 1:
        raise ChainUnavailable(
            "the statement is ahead of what this node calls final",
            expected=f"sequence {standing.sequence + 1} of campaign {asked.campaign}",
            found=f"sequence {asked.sequence}",
            action="wait until the one before is settled; it is signed only after that",
        )
    is_newer = asked.tree_size > standing.tree_size
    if not is_newer and not (asked.tree_size == standing.tree_size and asked.is_final):
        raise VerificationFailed(
            "the statement covers nothing that the one before did not",
            field="tree_size",
            expected=f"above {standing.tree_size}",
            found=str(asked.tree_size),
        )


def compare_statement(own: Computed, asked: Statement) -> None:
    """Every field must be what the reference gives, and a final one must not come too early."""
    for field in Statement.__slots__:
        expected, found = getattr(own.statement, field), getattr(asked, field)
        if expected != found:
            raise VerificationFailed(
                f"the statement is not what the log gives at size {asked.tree_size}",
                field=field,
                expected=_text(expected),
                found=_text(found),
            )
    if asked.is_final and not own.may_be_final:
        raise VerificationFailed(
            "the statement is final too early",
            field="is_final",
            expected="an entry past the campaign's correction window before the tree size",
            found=f"last received at {own.last_received_at_ms} ms",
        )


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


_LOOK_BACK = 4_096


def require_complete(log: StoredEntries, size: int) -> None:
    """Check that the log of ``size`` entries does not end inside a batch or a range of facts.

    Raises:
        VerificationFailed: it does; no honest checkpoint or statement has this size.
    """
    records, end = 0, size
    while end > 0:
        start = max(0, end - _LOOK_BACK)
        for entry in reversed(log.entries(start, end)):
            if entry[0] == RECORD_KIND:
                records += 1
                continue
            if entry[0] == ENVELOPE_KIND:
                is_whole = Envelope.from_entry(entry).count == records
            elif entry[0] == CHAIN_FACTS_KIND:
                facts = ChainFacts.from_entry(entry)
                is_whole = records == 0 and facts.part + 1 == facts.parts
            else:
                is_whole = records == 0
            if not is_whole:
                raise VerificationFailed(
                    f"the log is cut inside a batch or a range of facts at size {size}",
                    field="tree_size",
                    expected="the end of a group commit",
                    found=str(size),
                )
            return
        end = start


def newest_judged(log: StoredEntries, size: int) -> tuple[int, int] | None:
    """Leaf index and time (ms) of the newest envelope or correction among ``size`` entries."""
    for end in range(size, 0, -_LOOK_BACK):
        start = max(0, end - _LOOK_BACK)
        entries = log.entries(start, end)
        for at in range(len(entries) - 1, -1, -1):
            if entries[at][0] == ENVELOPE_KIND:
                return start + at, Envelope.from_entry(entries[at]).received_at_ms
            if entries[at][0] == CORRECTION_KIND:
                return start + at, Correction.from_entry(entries[at]).recorded_at_ms
    return None


def whole_entries(entries: Sequence[bytes]) -> int:
    """How many of the entries that follow a complete log end no batch or range of facts halfway.

    What does not parse is left in: the machine says what is wrong with it.
    """
    whole = at = 0
    while at < len(entries):
        entry, step, is_last = entries[at], 1, True
        try:
            if entry[:1] == bytes((ENVELOPE_KIND,)):
                step = 1 + Envelope.from_entry(entry).count
            elif entry[:1] == bytes((CHAIN_FACTS_KIND,)):
                facts = ChainFacts.from_entry(entry)
                is_last = facts.part + 1 == facts.parts
        except InvalidInput:
            return len(entries)
        at += step
        if is_last and at <= len(entries):
            whole = at
    return whole


def refusal_of(error: AdtallyError, digest: Hash, place: str, now_ms: int) -> Refusal:
    """The refusal that says what an error found.

    Args:
        digest: of what is not signed.
        place: where it was found, besides what the error says itself.
    """
    return Refusal(
        digest,
        shortened(error.field or error.code),
        shortened(f"{place}: {error.message}"),
        shortened(error.expected or ""),
        shortened(error.found or ""),
        now_ms,
    )
