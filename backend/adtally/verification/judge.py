"""The rules, in the order in which they are applied; the first that refuses gives the verdict.

Everything a rule reads is the event itself and what earlier log entries said, so the verdict of
every record can be recomputed from the log alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.types import Role
from adtally.verification.event_index import EventIndex, Parent, body_digest, event_id_time_ms
from adtally.verification.fact_state import CampaignFacts, FactState, MemberFacts, OrderFacts
from adtally.verification.rule_set import RuleSet


class Budget(Protocol):
    """The money side of a verdict; settlement provides it."""

    def refusal(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> Verdict | None:
        """Why the event can't be paid, or None. Changes nothing."""

    def charge(self, campaign: CampaignFacts, order: OrderFacts, event: AdEvent) -> None:
        """Book an accepted event."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Gives verdicts, one event after the other, in log order."""

    facts: FactState
    index: EventIndex
    budget: Budget

    def judge(
        self,
        event: AdEvent,
        unset_record: bytes,
        sender: MemberFacts,
        received_at_ms: int,
        rules: RuleSet,
    ) -> Verdict:
        """The verdict on one event; books it and remembers its id.

        Args:
            event: parsed from ``unset_record``.
            unset_record: its canonical bytes with verdict zero.
            sender: the member that signed the batch.
            received_at_ms: of the batch's envelope.
        """
        self.index.advance(received_at_ms, rules)
        verdict = (
            self._sender(event, sender, rules)
            or self._age(event, received_at_ms, rules)
            or self._repetition(event, unset_record)
        )
        if verdict is not None:
            return verdict
        # From here on the id is taken, whatever the verdict: who wants an event judged again sends
        # it under a new id, so (publisher, type, id) names one event for ever, whoever reports it.
        self.index.remember(event, body_digest(unset_record))
        campaign = self.facts.campaigns.get(event.campaign)
        if campaign is None:
            return Verdict.UNKNOWN_CAMPAIGN
        order = campaign.orders.get(event.publisher)
        verdict = _flight(event, campaign, received_at_ms)
        if verdict is not None:
            return verdict
        if order is None:
            return Verdict.NO_ORDER
        verdict = (
            _order(event, order)
            or self._inventory(event, campaign)
            or _traffic(event, rules)
            or self._parent(event, rules)
            or self.budget.refusal(campaign, order, event)
        )
        if verdict is not None:
            return verdict
        self._accept(event, campaign, order)
        return Verdict.ACCEPTED

    def _sender(self, event: AdEvent, sender: MemberFacts, rules: RuleSet) -> Verdict | None:
        is_conversion = event.type is EventType.CONVERSION
        if sender.has_role(Role.COLLECTOR):
            return None
        if sender.id == event.publisher and sender.has_role(Role.PUBLISHER):
            if not is_conversion or rules.publisher_conversions:
                return None
        elif is_conversion:
            campaign = self.facts.campaigns.get(event.campaign)
            if campaign is not None and campaign.advertiser == sender.id:
                return None
        return Verdict.SENDER_NOT_ALLOWED

    def _age(self, event: AdEvent, received_at_ms: int, rules: RuleSet) -> Verdict | None:
        if event.occurred_at_ms < self.index.floors.oldest_event_ms:
            return Verdict.TOO_OLD
        if event.occurred_at_ms > received_at_ms + rules.max_clock_skew_ms:
            return Verdict.IN_THE_FUTURE
        return None

    def _repetition(self, event: AdEvent, unset_record: bytes) -> Verdict | None:
        first = self.index.first_body(event)
        if first is None:
            return None
        return Verdict.DUPLICATE if first == body_digest(unset_record) else Verdict.CONFLICT

    def _inventory(self, event: AdEvent, campaign: CampaignFacts) -> Verdict | None:
        if (event.publisher, event.placement) not in self.facts.placements:
            return Verdict.PLACEMENT_NOT_ALLOWED
        allowed = campaign.allowed_placements.get(event.publisher)
        if allowed and event.placement not in allowed:
            return Verdict.PLACEMENT_NOT_ALLOWED
        if event.creative not in campaign.creatives:
            return Verdict.CREATIVE_NOT_ALLOWED
        return None

    def _parent(self, event: AdEvent, rules: RuleSet) -> Verdict | None:
        if event.type is EventType.IMPRESSION:
            return None
        window_ms = {
            EventType.VIEWABLE: rules.viewable_window_ms,
            EventType.CLICK: rules.click_window_ms,
            EventType.CONVERSION: rules.conversion_window_ms,
        }[event.type]
        elapsed_ms = event.occurred_at_ms - event_id_time_ms(event.parent_id)
        parent = self._parent_of(event)
        if (
            not -rules.max_clock_skew_ms <= elapsed_ms <= window_ms
            or parent is None
            or parent.campaign != event.campaign
        ):
            return Verdict.UNKNOWN_PARENT
        return Verdict.PARENT_ALREADY_USED if event.type in parent.used_by else None

    def _parent_of(self, event: AdEvent) -> Parent | None:
        kind = EventType.CLICK if event.type is EventType.CONVERSION else EventType.IMPRESSION
        return self.index.parent(event.publisher, kind, event.parent_id)

    def _accept(self, event: AdEvent, campaign: CampaignFacts, order: OrderFacts) -> None:
        self.budget.charge(campaign, order, event)
        if event.type is not EventType.IMPRESSION:
            parent = self._parent_of(event)
            assert parent is not None, "the parent rule has just found it"
            parent.used_by.add(event.type)
        if event.type in (EventType.IMPRESSION, EventType.CLICK):
            self.index.add_parent(event)


def _flight(event: AdEvent, campaign: CampaignFacts, received_at_ms: int) -> Verdict | None:
    if event.occurred_at_ms < campaign.terms.flight_start_seconds * 1000:
        return Verdict.FLIGHT_NOT_STARTED
    # Conversions follow their click: they may occur in the late window too.
    ends_at = (
        campaign.counts_until_seconds
        if event.type is EventType.CONVERSION
        else campaign.flight_end_seconds
    )
    if event.occurred_at_ms >= ends_at * 1000:
        return Verdict.FLIGHT_OVER
    return Verdict.FLIGHT_OVER if received_at_ms >= campaign.counts_until_seconds * 1000 else None


def _order(event: AdEvent, order: OrderFacts) -> Verdict | None:
    ended = order.ends_at_seconds is not None and (
        event.occurred_at_ms >= order.ends_at_seconds * 1000
    )
    return Verdict.ORDER_ENDED if ended else None


def _traffic(event: AdEvent, rules: RuleSet) -> Verdict | None:
    if event.user_agent_class in rules.refused_user_agent_classes:
        return Verdict.KNOWN_BOT
    if event.network_class in rules.refused_network_classes:
        return Verdict.DATA_CENTER
    return None
