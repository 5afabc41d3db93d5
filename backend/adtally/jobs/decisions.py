"""When to anchor and when to settle: pure functions of what is known, the clock included."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from adtally.storage.rows import DraftReason
from adtally.types import Counts, GoalType, Terms


class AnchorReason(Enum):
    """Why a checkpoint is due."""

    ENTRIES = "entries"
    TIME = "time"
    DEADLINE = "deadline"


@dataclass(frozen=True, slots=True)
class AnchorPolicy:
    """How often to anchor.

    Attributes:
        every_entries: at the latest after this many new entries.
        every_seconds: at the latest this long after the first new entry.
        margin_seconds: this long before a receipt's deadline at the latest; time for attestors
            to sign and for the transaction to be mined. At most half of the promise is used.
    """

    every_entries: int = 10_000
    every_seconds: int = 60
    margin_seconds: int = 600


@dataclass(frozen=True, slots=True)
class NewEntries:
    """Entries after the last checkpoint that attestors were asked to sign.

    ``oldest_at_ms`` is the received-at of the first of them; its receipt promises an anchor
    ``promise_seconds`` later.
    """

    count: int
    oldest_at_ms: int
    promise_seconds: int


def anchor_reason(new: NewEntries, policy: AnchorPolicy, now_ms: int) -> AnchorReason | None:
    """Why a checkpoint is due now, None if it isn't. Without new entries none ever is."""
    if new.count <= 0:
        return None
    margin_seconds = min(policy.margin_seconds, new.promise_seconds // 2)
    if now_ms >= new.oldest_at_ms + (new.promise_seconds - margin_seconds) * 1000:
        return AnchorReason.DEADLINE
    if new.count >= policy.every_entries:
        return AnchorReason.ENTRIES
    if now_ms >= new.oldest_at_ms + policy.every_seconds * 1000:
        return AnchorReason.TIME
    return None


@dataclass(frozen=True, slots=True)
class AskedCheckpoint:
    """The newest checkpoint that attestors were asked for and that is not anchored yet."""

    asked_at_ms: int


def may_ask_beyond(asked: AskedCheckpoint | None, policy: AnchorPolicy, now_ms: int) -> bool:
    """Whether to ask for a further checkpoint while one is on its way.

    One at a time is enough, unless that one takes longer than the usual time between anchors.
    Refusals are not looked at: they are not signed, anybody could ask for requests with them.
    """
    if asked is None:
        return True
    return now_ms >= asked.asked_at_ms + policy.every_seconds * 1000


def goal_count(goal: GoalType, counts: Counts) -> int:
    """The count that the goal is about; 0 without a goal."""
    match goal:
        case GoalType.NONE:
            return 0
        case GoalType.IMPRESSIONS:
            return counts.impressions
        case GoalType.VIEWABLES:
            return counts.viewables
        case GoalType.CLICKS:
            return counts.clicks
        case GoalType.CONVERSIONS:
            return counts.conversions


@dataclass(frozen=True, slots=True)
class Totals:
    """A campaign's cumulative lines and counts."""

    lines_total_base_units: int = 0
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """What decides whether a campaign gets its next statement.

    Attributes:
        terms: as written into the escrow.
        funded_base_units: all deposits so far.
        accrued: at the log's present size.
        stated: in the last drafted statement, zero before the first.
        may_be_final: the log shows that no further event or correction of the campaign can count.
        is_closed: the last drafted statement is final, and nobody has objected to it.
        is_waiting: the last drafted statement is not active on chain yet; the escrow takes one
            at a time.
        is_answered: the advertiser has objected to the last drafted statement, and the log holds
            a correction that this one lacks: the next one upholds the objection.
        is_complete: the log shows that no further event of the campaign can count; corrections
            still can.
        is_last_call: another statement before the final one could, with an objection to it, make
            the final one too late for a total that falls.
    """

    terms: Terms
    funded_base_units: int
    accrued: Totals
    stated: Totals
    may_be_final: bool
    is_closed: bool
    is_waiting: bool
    is_answered: bool = False
    is_complete: bool = False
    is_last_call: bool = False


_SETTLING_SECONDS = 3_600
"""Longest that a draft should take to be signed, anchored and submitted."""


def latest_fall_seconds(terms: Terms, final_from_seconds: int) -> int:
    """Last second in which the escrow takes a total below the one before: a statement with it,
    an objection's extension included, is active before the campaign closes at the latest.
    """
    closes_at_seconds = final_from_seconds + terms.grace_seconds
    return closes_at_seconds - 2 * terms.dispute_window_seconds - 1


def is_last_call(terms: Terms, final_from_seconds: int, now_seconds: int) -> bool:
    """Whether a statement before the final one would come in the way of a lower final total: it
    takes up to two dispute windows until the next can follow (an objection extends it).
    """
    windows_seconds = 2 * terms.dispute_window_seconds
    following_seconds = now_seconds + _SETTLING_SECONDS + windows_seconds
    latest_seconds = latest_fall_seconds(terms, final_from_seconds)
    return windows_seconds > 0 and following_seconds >= latest_seconds


def is_objectable(terms: Terms) -> bool:
    """Whether an objection, and then a correction, can follow once all events are in."""
    return terms.dispute_window_seconds > 0 and terms.correction_window_seconds > 0


def draft_reason(campaign: CampaignProgress) -> DraftReason | None:
    """Why the campaign's next statement is due now, None if it isn't.

    The final statement is due for every campaign that was ever funded, also if it owes nothing:
    it opens the refund.
    """
    if campaign.is_closed or campaign.is_waiting or campaign.funded_base_units == 0:
        return None
    if campaign.may_be_final:
        return DraftReason.FINAL
    if campaign.is_last_call:
        return None
    if campaign.is_answered:
        return DraftReason.CORRECTION
    terms = campaign.terms
    unsettled = campaign.accrued.lines_total_base_units - campaign.stated.lines_total_base_units
    if 0 < terms.settle_threshold_base_units <= unsettled:
        return DraftReason.THRESHOLD
    reached = goal_count(terms.goal_type, campaign.accrued.counts)
    stated = goal_count(terms.goal_type, campaign.stated.counts)
    if terms.goal_type is not GoalType.NONE and 0 < terms.goal_count <= reached - stated:
        return DraftReason.GOAL
    # The final statement comes when corrections are over: to object to it leads to none. So what
    # is left is stated as soon as it is complete, while an objection can still be answered.
    if campaign.is_complete and is_objectable(terms) and unsettled > 0:
        return DraftReason.COMPLETE
    return None
