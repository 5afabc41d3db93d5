"""What events cost: exact in milli base units, floored once per line."""

from __future__ import annotations

from adtally.events.record import EventType
from adtally.types import Counts, Cut, Rates

MILLI = 1_000
BASIS_POINTS = 10_000


def event_amount_milli(rates: Rates, event_type: EventType) -> int:
    """Price of one event in thousandths of a base unit; exact, nothing is rounded."""
    match event_type:
        case EventType.IMPRESSION:
            return rates.per_mille_impressions
        case EventType.VIEWABLE:
            return rates.per_mille_viewables
        case EventType.CLICK:
            return rates.per_click * MILLI
        case EventType.CONVERSION:
            return rates.per_conversion * MILLI


def counts_amount_milli(rates: Rates, counts: Counts) -> int:
    """Price of cumulative counts in thousandths of a base unit."""
    return (
        counts.impressions * rates.per_mille_impressions
        + counts.viewables * rates.per_mille_viewables
        + (counts.clicks * rates.per_click + counts.conversions * rates.per_conversion) * MILLI
    )


def line_amount_base_units(rates: Rates, counts: Counts, cap_base_units: int) -> int:
    """A line's amount: floor of its exact price, at most the order's cap.

    The escrow computes the same (``CampaignEscrow``); what is lost by the floor is under one base
    unit a line and stays with the advertiser.
    """
    return min(counts_amount_milli(rates, counts) // MILLI, cap_base_units)


def cut_amount_base_units(lines_total_base_units: int, cut: Cut) -> int:
    """An intermediary's cumulative share of the lines' total, rounded down."""
    return lines_total_base_units * cut.basis_points // BASIS_POINTS


def released_base_units(amount_base_units: int, holdback_basis_points: int) -> int:
    """What is paid of a line's amount or a lines' total while a part is held back, rounded down.

    Args:
        holdback_basis_points: of the terms while the campaign is open, 0 once it has closed.
    """
    return amount_base_units * (BASIS_POINTS - holdback_basis_points) // BASIS_POINTS


def lowest_line_base_units(highest_base_units: int, holdback_basis_points: int) -> int:
    """How far corrections may lower a line that was once ``highest_base_units``, rounded up.

    Up, so that lines which all fall as far as they may still sum to what the escrow has released
    of any earlier total (``released_base_units``, rounded down).
    """
    return -(-highest_base_units * (BASIS_POINTS - holdback_basis_points) // BASIS_POINTS)


def reserve_base_units(lines_total_base_units: int, cuts: tuple[Cut, ...]) -> int:
    """What a campaign must hold for these lines: the lines and every cut on top."""
    return lines_total_base_units + sum(
        cut_amount_base_units(lines_total_base_units, cut) for cut in cuts
    )
