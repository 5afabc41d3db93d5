"""What the driver counts while it sends: events, verdicts against what each deserved, refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from adtally.client.receipts import BatchAnswer
from adtally.events.record import event_id_text
from adtally.events.verdict import Verdict
from adtally.simulation.traffic import SimulatedEvent

MONEY_RAN_OUT = frozenset({Verdict.BUDGET_EXHAUSTED, Verdict.ORDER_CAP_REACHED})
_HONEST = MONEY_RAN_OUT | {Verdict.ACCEPTED, Verdict.UNKNOWN_PARENT}
_SECOND = MONEY_RAN_OUT | {Verdict.PARENT_ALREADY_USED, Verdict.UNKNOWN_PARENT}


@dataclass(slots=True)
class Tally:
    """Counts of one run; every receipt is kept to be checked against the final log.

    Attributes:
        is_simulated: the simulator said what each event deserves; else nothing is a surprise.
        deserved: (verdict deserved, None for honest; verdict given) -> events.
        surprises: events whose verdict is none that they may get; empty in a sound run.
        refusals: kind of forged batch -> error codes with which it was refused.
        refused_events: events in batches that were refused.
    """

    is_simulated: bool = True
    events_sent: int = 0
    batches_sent: int = 0
    batches_replayed: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    deserved: Counter[tuple[Verdict | None, Verdict]] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    encodings: Counter[str] = field(default_factory=Counter)
    refusals: dict[str, Counter[str]] = field(default_factory=dict)
    refused_events: int = 0
    answers: list[BatchAnswer] = field(default_factory=list)

    @property
    def refused_batches(self) -> int:
        return sum(sum(codes.values()) for codes in self.refusals.values())

    def add(self, sent: Sequence[SimulatedEvent], answer: BatchAnswer, encoding: str) -> None:
        """Count a batch that was answered."""
        self.events_sent += len(sent)
        self.batches_sent += 1
        self.batches_replayed += answer.replayed
        self.encodings[encoding] += len(sent)
        self.answers.append(answer)
        self.verdicts.update(answer.verdicts)
        for (event, expected), found in zip(sent, answer.verdicts, strict=True):
            self.deserved[expected, found] += 1
            if self.is_simulated and found not in may_be(expected):
                self.surprises.append(
                    f"{event.type.label} {event_id_text(event.id)} deserved "
                    f"{expected.label if expected else 'accepted'}, got {found.label}"
                )

    def refuse(self, kind: str, code: str, events: int) -> None:
        """Count a batch that was refused as a whole."""
        self.refusals.setdefault(kind, Counter())[code] += 1
        self.refused_events += events


def may_be(deserved: Verdict | None) -> frozenset[Verdict]:
    """Verdicts that an event may get, given what it deserves (see ``SimulatedEvent``)."""
    if deserved is None:
        return _HONEST
    if deserved is Verdict.PARENT_ALREADY_USED:
        return _SECOND
    return frozenset({deserved})
