"""What the machine judges and books by: the plain reference, and what a faster one must do too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from adtally.errors import NotFound, VerificationFailed
from adtally.events.record import VERDICT_OFFSET, AdEvent, clear_verdict
from adtally.events.verdict import Verdict, Verdicts
from adtally.settlement.accrual import Accruals
from adtally.types import Counts, Line
from adtally.verification.event_index import EventIndex
from adtally.verification.fact_state import CampaignFacts, FactState, MemberFacts, OrderFacts
from adtally.verification.judge import Judge
from adtally.verification.rule_set import RuleSet

EngineDump = Mapping[str, Any]
"""NumPy arrays by name; none from an engine that can't be put aside."""


class AccrualBooks(Protocol):
    """What campaigns owe so far; ``accrual.Accruals`` documents it."""

    def refusal(
        self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent
    ) -> Verdict | None: ...

    def charge(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None: ...

    def after_taking_back(
        self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent
    ) -> tuple[int, int]: ...

    def take_back(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None: ...

    def count_correction(self, campaign: int) -> None: ...

    def corrections(self, campaign: int) -> int: ...

    def lines_total_base_units(self, campaign: int) -> int: ...

    def lines(self, campaign: int) -> list[Line]: ...

    def counts(self, campaign: int) -> Counts: ...


class Engine(Protocol):
    """Gives verdicts in log order and keeps what later ones need."""

    @property
    def accruals(self) -> AccrualBooks:
        """What has been earned."""

    def parse(self, records: Sequence[bytes]) -> Any:
        """Records of one batch in the form that ``judge`` takes.

        Raises:
            InvalidInput: a record can't stand in the log.
            VerificationFailed: a record has a verdict.
        """

    def unset(self, records: Sequence[bytes]) -> Sequence[bytes]:
        """Logged records as they were signed: without their verdicts."""

    def verdicts(self, records: Sequence[bytes]) -> Verdicts:
        """The verdicts that logged records have."""

    def judge(
        self, records: Any, sender: MemberFacts, received_at_ms: int, rules: RuleSet
    ) -> Verdicts:
        """Verdicts on parsed records; books them and takes their ids.

        Args:
            sender: the member that signed the batch.
            received_at_ms: of the batch's envelope.

        Raises:
            Overloaded: there is no memory left for more ids; nothing has changed.
        """

    def knows(self, event: AdEvent) -> bool:
        """Whether the event's id is taken, as far as ids are remembered."""

    def take(self, event: AdEvent, unset_record: bytes) -> None:
        """Take the id of an event that a correction has made good, unless it is forgotten."""

    def dump(self) -> EngineDump:
        """All that it knows besides the facts; arrays may be its own, so copy them or be quick."""

    def load(self, dump: EngineDump) -> None:
        """Know what ``dump`` gave; the facts are as they were then.

        Raises:
            NotFound: the engine can't be put aside.
            Overloaded: the ids need more memory than there is now.
        """


class PlainEngine:
    """The reference: one event after the other, in plain Python."""

    def __init__(self, facts: FactState) -> None:
        self._index = EventIndex()
        self.accruals = Accruals()
        self._judge = Judge(facts, self._index, self.accruals)
        self.knows = self._index.knows
        self.take = self._index.take

    def parse(self, records: Sequence[bytes]) -> list[tuple[AdEvent, bytes]]:
        """As ``Engine.parse``: each event with its canonical bytes."""
        return [(unjudged(record), record) for record in records]

    def unset(self, records: Sequence[bytes]) -> Sequence[bytes]:
        """As ``Engine.unset``."""
        return tuple(clear_verdict(record) for record in records)

    def verdicts(self, records: Sequence[bytes]) -> Verdicts:
        """As ``Engine.verdicts``."""
        return Verdicts(record[VERDICT_OFFSET] for record in records)

    def judge(
        self,
        records: Sequence[tuple[AdEvent, bytes]],
        sender: MemberFacts,
        received_at_ms: int,
        rules: RuleSet,
    ) -> Verdicts:
        """As ``Engine.judge``."""
        return Verdicts(
            self._judge.judge(event, record, sender, received_at_ms, rules)
            for event, record in records
        )

    def dump(self) -> EngineDump:
        """Nothing: the reference is always built from the log."""
        return {}

    def load(self, dump: EngineDump) -> None:
        """As ``Engine.load``: it can't."""
        raise NotFound("the reference is built from the log, not from a snapshot")


def unjudged(record: bytes) -> AdEvent:
    """Parse a record as its sender signed it; raises as ``Engine.parse``."""
    event = AdEvent.from_record(record)
    if event.verdict is not Verdict.UNSET:
        raise VerificationFailed(
            "the verdict byte is the operator's",
            field="verdict",
            expected="zero under the sender's signature",
            found=event.verdict.label,
        )
    return event
