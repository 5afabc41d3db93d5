"""Which facts entries a verdict rests on: as few as the rules up to it read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from adtally.events.batch import Envelope
from adtally.events.facts import (
    CHAIN_FACTS_KIND,
    DECLARATION_KIND,
    RULES_KIND,
    ChainFacts,
    Declaration,
    DeclarationKind,
)
from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.proofs.bundle import LoggedEntry
from adtally.settlement.corrections import NEVER_MADE_GOOD
from adtally.verification.chain_logs import (
    CampaignOpened,
    FactChange,
    OrderAccepted,
    OrderEnded,
    decode_log,
)

_CAMPAIGN_FROM = Verdict.FLIGHT_NOT_STARTED
_ORDER_FROM = Verdict.NO_ORDER
_PLACEMENT_FROM = Verdict.PLACEMENT_NOT_ALLOWED
_CREATIVE_FROM = Verdict.CREATIVE_NOT_ALLOWED
PARENT_FROM = Verdict.UNKNOWN_PARENT
"""Codes from here on were given after the parent was looked up."""
TAKES_NO_ID = NEVER_MADE_GOOD | {
    Verdict.SENDER_NOT_ALLOWED,
    Verdict.TOO_OLD,
    Verdict.IN_THE_FUTURE,
}
"""Verdicts that leave an id free: what comes after such a record is no repetition of it."""


def depth(event: AdEvent) -> int:
    """How far the rules got: the verdict's code, and past all codes for an accepted event."""
    return max(Verdict) + 1 if event.verdict is Verdict.ACCEPTED else event.verdict


@dataclass(slots=True)
class _Wanted:
    """What concerns one event."""

    event: AdEvent
    members: set[int]
    declared: dict[tuple[int, ...], LoggedEntry] = field(default_factory=dict)

    def concerns(self, change: FactChange) -> bool:
        campaign = getattr(change, "campaign", None)
        if campaign is None:
            return getattr(change, "member", None) in self.members
        if campaign != self.event.campaign or depth(self.event) < self._campaign_from():
            return False
        if isinstance(change, OrderAccepted | OrderEnded):
            return change.publisher == self.event.publisher and depth(self.event) >= _ORDER_FROM
        return True

    def _campaign_from(self) -> int:
        # Who may report a conversion is a question about its campaign.
        return 0 if self.event.type is EventType.CONVERSION else _CAMPAIGN_FROM

    def declaration(self, entry: LoggedEntry) -> None:
        """Keep it if it is the newest on something that the event's rules read."""
        said = Declaration.from_entry(entry.entry)
        event, reach = self.event, depth(self.event)
        if said.kind is DeclarationKind.PLACEMENT:
            wanted = (said.publisher, said.item) == (event.publisher, event.placement)
            least = _PLACEMENT_FROM
        elif said.kind is DeclarationKind.ALLOWED_PLACEMENT:
            wanted = (said.campaign, said.publisher) == (event.campaign, event.publisher)
            least = _PLACEMENT_FROM
        else:
            wanted = (said.campaign, said.item) == (event.campaign, event.creative)
            least = _CREATIVE_FROM
        if wanted and reach >= least:
            key = (said.kind, said.member, said.campaign, said.publisher, said.item)
            self.declared[key] = entry


def cite_facts(
    event: AdEvent, envelope: Envelope, facts: Iterable[LoggedEntry]
) -> list[LoggedEntry]:
    """The entries that the reference needs to judge the event as far as its verdict goes.

    Args:
        event: with its logged verdict.
        facts: all facts entries before the batch, ascending.

    Raises:
        InvalidInput: an entry does not parse.
    """
    entries = list(facts)
    chain = [
        (each, [decode_log(log) for log in ChainFacts.from_entry(each.entry).logs])
        for each in entries
        if each.entry[0] == CHAIN_FACTS_KIND
    ]
    wanted = _Wanted(event, {envelope.member})
    if depth(event) >= _PLACEMENT_FROM:
        wanted.members.add(event.publisher)
    if depth(event) >= _CREATIVE_FROM:
        wanted.members |= {
            change.advertiser
            for _, changes in chain
            for change in changes
            if isinstance(change, CampaignOpened) and change.campaign == event.campaign
        }
    kept = [each for each, changes in chain if any(map(wanted.concerns, changes))]
    rules: list[LoggedEntry] = []
    for each in entries:
        if each.entry[0] == RULES_KIND:
            rules = [each]
        elif each.entry[0] == DECLARATION_KIND:
            wanted.declaration(each)
    return sorted([*rules, *kept, *wanted.declared.values()], key=lambda each: each.index)
