"""The rules in words, with the numbers that they compared (``docs/spec/verdicts.md``)."""

from __future__ import annotations

from adtally.events.batch import Envelope
from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.proofs.bundle import Accrued
from adtally.settlement.rates import MILLI, event_amount_milli
from adtally.verification.event_index import event_id_time_ms
from adtally.verification.fact_state import CampaignFacts, FactState, OrderFacts
from adtally.verification.rule_set import RuleSet

Parameters = dict[str, int | str]
"""Numbers of a rule by name, units in the names."""

_WORDS = {
    Verdict.UNSET: "no verdict",
    Verdict.ACCEPTED: "no rule refuses it: it counts and bills",
    Verdict.DUPLICATE: "the publisher has an event of this type, id and bytes already",
    Verdict.CONFLICT: "the publisher has an event of this type and id already, with other bytes",
    Verdict.SENDER_NOT_ALLOWED: "the sender may not report this type of event for this campaign "
    "and publisher",
    Verdict.TOO_OLD: "it occurred longer before its arrival than max_event_age_ms",
    Verdict.IN_THE_FUTURE: "it occurred later than its arrival by more than max_clock_skew_ms",
    Verdict.UNKNOWN_CAMPAIGN: "no facts before it name the campaign",
    Verdict.FLIGHT_NOT_STARTED: "it occurred before flight_start_seconds",
    Verdict.FLIGHT_OVER: "it occurred after flight_end_seconds, or arrived (a conversion: "
    "occurred) at or after counts_until_seconds",
    Verdict.NO_ORDER: "no facts before it show an order of the campaign that the publisher "
    "accepted",
    Verdict.ORDER_ENDED: "it occurred at or after order_ends_at_seconds",
    Verdict.PLACEMENT_NOT_ALLOWED: "no declaration before it registers the placement, or the "
    "campaign's list of allowed ones omits it",
    Verdict.CREATIVE_NOT_ALLOWED: "no declaration before it registers the creative for the "
    "campaign",
    Verdict.KNOWN_BOT: "its user-agent class is among refused_user_agent_classes",
    Verdict.DATA_CENTER: "its network class is among refused_network_classes",
    Verdict.UNKNOWN_PARENT: "its parent was not accepted before it in the campaign, or lies "
    "outside of parent_window_ms",
    Verdict.PARENT_ALREADY_USED: "an event of its type was accepted for this parent already",
    Verdict.ORDER_CAP_REACHED: "with it the publisher's line would pass the order's cap",
    Verdict.BUDGET_EXHAUSTED: "with it the campaign's lines and cuts would pass its funding",
}


def rule_in_words(verdict: Verdict) -> str:
    """What the rule behind a verdict says; numbers by the names of ``rule_parameters``."""
    return _WORDS[verdict]


def rule_parameters(
    event: AdEvent,
    envelope: Envelope,
    facts: FactState,
    rules: RuleSet | None,
    accrued: Accrued | None,
) -> Parameters:
    """The numbers that the rule behind the event's verdict compared, as far as they are known."""
    found: Parameters = {}
    campaign = facts.campaigns.get(event.campaign)
    order = None if campaign is None else campaign.orders.get(event.publisher)
    if rules is not None:
        found |= _of_rules(event, envelope, rules)
    if campaign is not None:
        found |= _of_campaign(event, envelope, campaign, order)
    if campaign is not None and order is not None and accrued is not None:
        found |= _of_money(event, campaign, order, accrued)
    return found


def _of_rules(event: AdEvent, envelope: Envelope, rules: RuleSet) -> Parameters:
    times: Parameters = {
        "occurred_at_ms": event.occurred_at_ms,
        "received_at_ms": envelope.received_at_ms,
    }
    match event.verdict:
        case Verdict.TOO_OLD:
            return times | {"max_event_age_ms": rules.max_event_age_ms}
        case Verdict.IN_THE_FUTURE:
            return times | {"max_clock_skew_ms": rules.max_clock_skew_ms}
        case Verdict.KNOWN_BOT:
            return {
                "user_agent_class": event.user_agent_class.label,
                "refused_user_agent_classes": str(list(rules.refused_user_agent_classes)),
            }
        case Verdict.DATA_CENTER:
            return {
                "network_class": event.network_class.label,
                "refused_network_classes": str(list(rules.refused_network_classes)),
            }
        case Verdict.UNKNOWN_PARENT:
            window = {
                EventType.VIEWABLE: rules.viewable_window_ms,
                EventType.CLICK: rules.click_window_ms,
                EventType.CONVERSION: rules.conversion_window_ms,
            }
            return {
                "after_parent_ms": event.occurred_at_ms - event_id_time_ms(event.parent_id),
                "parent_window_ms": window.get(event.type, 0),
            }
    return {}


def _of_campaign(
    event: AdEvent, envelope: Envelope, campaign: CampaignFacts, order: OrderFacts | None
) -> Parameters:
    times: Parameters = {
        "occurred_at_ms": event.occurred_at_ms,
        "received_at_ms": envelope.received_at_ms,
    }
    match event.verdict:
        case Verdict.FLIGHT_NOT_STARTED:
            return times | {"flight_start_seconds": campaign.terms.flight_start_seconds}
        case Verdict.FLIGHT_OVER:
            return times | {
                "flight_end_seconds": campaign.flight_end_seconds,
                "counts_until_seconds": campaign.counts_until_seconds,
            }
        case Verdict.ORDER_ENDED if order is not None and order.ends_at_seconds is not None:
            return times | {"order_ends_at_seconds": order.ends_at_seconds}
        case Verdict.PLACEMENT_NOT_ALLOWED:
            return {"placement": event.placement}
        case Verdict.CREATIVE_NOT_ALLOWED:
            return {"creative": event.creative}
    return {}


def _of_money(
    event: AdEvent, campaign: CampaignFacts, order: OrderFacts, accrued: Accrued
) -> Parameters:
    return {
        "line_milli_base_units_before": accrued.line_milli,
        "event_milli_base_units": event_amount_milli(order.rates, event.type),
        "line_base_units_before": accrued.line_milli // MILLI,
        "cap_base_units": order.cap_base_units,
        "lines_total_base_units_before": accrued.lines_total_base_units,
        "cuts_basis_points": sum(cut.basis_points for cut in campaign.terms.cuts),
        "funded_base_units": campaign.funded_base_units,
    }
