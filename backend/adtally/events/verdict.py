"""What became of an event: accepted, or the reason it is not billed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import overload


class Verdict(IntEnum):
    """The operator-written byte of a record. Codes are stable; new ones are only appended.

    The order of the rules that give them is fixed in ``adtally.verification.rules``.
    """

    UNSET = 0
    """Not judged yet: the value under the publisher's signature."""
    ACCEPTED = 1
    """Counts and bills."""
    DUPLICATE = 2
    """The publisher's id is logged already, with the same bytes."""
    CONFLICT = 3
    """The publisher's id is logged already, with other bytes."""
    SENDER_NOT_ALLOWED = 4
    """The sender may not report this type of event for this campaign and publisher."""
    TOO_OLD = 5
    """It occurred longer before its arrival than the rules allow."""
    IN_THE_FUTURE = 6
    """It claims to occur later than its arrival, beyond the allowed clock skew."""
    UNKNOWN_CAMPAIGN = 7
    """No such campaign at the latest facts before it."""
    FLIGHT_NOT_STARTED = 8
    """It occurred before the flight."""
    FLIGHT_OVER = 9
    """It occurred after the flight, or arrived after the late window."""
    NO_ORDER = 10
    """The publisher has not accepted an order in this campaign."""
    ORDER_ENDED = 11
    """It occurred after the order ended."""
    PLACEMENT_NOT_ALLOWED = 12
    """The placement is not registered, or the campaign's allowlist omits it."""
    CREATIVE_NOT_ALLOWED = 13
    """The creative is not registered for the campaign."""
    KNOWN_BOT = 14
    """Its user-agent class is one the rules refuse."""
    DATA_CENTER = 15
    """Its network class is one the rules refuse."""
    UNKNOWN_PARENT = 16
    """Its parent was not accepted, is of the wrong type or place, or too long ago."""
    PARENT_ALREADY_USED = 17
    """An event of the same type was already accepted for this parent."""
    ORDER_CAP_REACHED = 18
    """It would lift the publisher's line over the order's cap."""
    BUDGET_EXHAUSTED = 19
    """It would lift the lines plus cuts over what the campaign holds."""

    @property
    def label(self) -> str:
        """The name used in JSON and reports, e.g. ``parent_already_used``."""
        return self.name.lower()


VERDICT_BY_LABEL = {verdict.label: verdict for verdict in Verdict}

_VERDICTS = tuple(Verdict)


class Verdicts(Sequence[Verdict]):
    """The verdicts on a batch, kept as the bytes that they are in the log."""

    __slots__ = ("codes",)

    def __init__(self, codes: Iterable[int]) -> None:
        self.codes = bytes(codes)

    def __bytes__(self) -> bytes:
        return self.codes

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, at: int) -> Verdict: ...

    @overload
    def __getitem__(self, at: slice) -> Verdicts: ...

    def __getitem__(self, at: int | slice) -> Verdict | Verdicts:
        return Verdicts(self.codes[at]) if isinstance(at, slice) else _VERDICTS[self.codes[at]]

    def __iter__(self) -> Iterator[Verdict]:
        return map(_VERDICTS.__getitem__, self.codes)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Verdicts):
            return self.codes == other.codes
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Verdicts({list(self)})"
