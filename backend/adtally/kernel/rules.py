"""The rules of ``verification.judge`` in compiled code, for a whole batch at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from adtally.events.verdict import Verdict
from adtally.kernel.compiled import leaf
from adtally.kernel.event_table import (
    ACCEPTED,
    CHUNK,
    campaign_in,
    digest_of,
    event_name,
    find_row,
    has_digest,
    is_accepted,
    make_room,
    put_row,
    used_bit,
)
from adtally.kernel.facts_table import Signed, Words
from adtally.kernel.tables import find_word
from adtally.kernel.words import word32, word48, word64

_ACCEPTED = int(Verdict.ACCEPTED)
_DUPLICATE = int(Verdict.DUPLICATE)
_CONFLICT = int(Verdict.CONFLICT)
_SENDER_NOT_ALLOWED = int(Verdict.SENDER_NOT_ALLOWED)
_TOO_OLD = int(Verdict.TOO_OLD)
_IN_THE_FUTURE = int(Verdict.IN_THE_FUTURE)
_UNKNOWN_CAMPAIGN = int(Verdict.UNKNOWN_CAMPAIGN)
_FLIGHT_NOT_STARTED = int(Verdict.FLIGHT_NOT_STARTED)
_FLIGHT_OVER = int(Verdict.FLIGHT_OVER)
_NO_ORDER = int(Verdict.NO_ORDER)
_ORDER_ENDED = int(Verdict.ORDER_ENDED)
_PLACEMENT_NOT_ALLOWED = int(Verdict.PLACEMENT_NOT_ALLOWED)
_CREATIVE_NOT_ALLOWED = int(Verdict.CREATIVE_NOT_ALLOWED)
_KNOWN_BOT = int(Verdict.KNOWN_BOT)
_DATA_CENTER = int(Verdict.DATA_CENTER)
_UNKNOWN_PARENT = int(Verdict.UNKNOWN_PARENT)
_PARENT_ALREADY_USED = int(Verdict.PARENT_ALREADY_USED)
_ORDER_CAP_REACHED = int(Verdict.ORDER_CAP_REACHED)
_BUDGET_EXHAUSTED = int(Verdict.BUDGET_EXHAUSTED)

_IMPRESSION, _CLICK, _CONVERSION = 1, 3, 4
_MILLI = 1000
_HALF = np.uint64(32)
_ONE = np.uint64(1)


class Moment(NamedTuple):
    """What all events of a batch are judged by, besides the facts."""

    received_at_ms: int
    max_clock_skew_ms: int
    windows_ms: Signed
    """Longest time since the parent, by event type."""
    is_refused_agent: npt.NDArray[np.bool_]
    is_refused_network: npt.NDArray[np.bool_]
    sender: int
    is_collector: bool
    is_publisher: bool
    publishers_report_conversions: bool


class Books(NamedTuple):
    """What accepted events leave behind; rows as in FactsTable."""

    line: Words
    """Whole base units of each order's line; (orders, 2)."""
    line_milli: Signed
    highest: Words
    counts: Signed
    """By order and event type; (orders, 5)."""
    total: Words
    """Sum of each campaign's lines; (campaigns, 2)."""


@njit(cache=True)
def judge(records, hashes, moment, facts, books, table, floors, verdicts):  # noqa: C901, PLR0915
    """Fill ``verdicts``, in log order.

    ``hashes`` are four words a record: of its own hash, which tells a duplicate from a conflict.

    Tuples are taken apart once: handing them on would count references to all of their arrays,
    for every event. For the same reason what is called from here takes arrays.
    """
    rows, taken, seed = table.rows, table.taken, table.seed
    directory, places, partitions = table.directory, table.places, table.partitions
    campaign_keys, campaign_rows = facts.campaign_keys, facts.campaign_rows
    order_keys, order_rows = facts.order_keys, facts.order_rows
    campaigns, orders, limit, cap = facts.campaigns, facts.orders, facts.limit, facts.cap
    price, price_milli = facts.price, facts.price_milli
    placements, creatives, allowed = facts.placements, facts.creatives, facts.allowed
    line, line_milli, highest = books.line, books.line_milli, books.highest
    counts, total = books.counts, books.total
    received_at_ms = moment.received_at_ms
    latest_ms = received_at_ms + moment.max_clock_skew_ms
    sender, is_collector, is_publisher = moment.sender, moment.is_collector, moment.is_publisher
    reports_conversions = moment.publishers_report_conversions
    agents, networks = moment.is_refused_agent, moment.is_refused_network
    windows_ms, skew_ms = moment.windows_ms, moment.max_clock_skew_ms
    for at in range(len(records)):
        if at % CHUNK == 0:
            # Stored, for the compiler leaves out loads whose result nobody wants.
            verdicts[at] = _ONE & make_room(
                rows, taken, table.depth, table.free, table.counts, directory, places, partitions,
                seed, records, at, min(at + CHUNK, len(records)), floors, latest_ms,
            )  # fmt: skip
        kind = np.int64(records[at, 1])
        campaign_id, publisher = word32(records, at, 4), word32(records, at, 8)
        occurred_at_ms = np.int64(word48(records, at, 52))
        campaign = _row_of(campaign_keys, campaign_rows, campaign_id, seed)
        is_own = np.int64(publisher) == sender and is_publisher
        is_advertiser = campaign >= 0 and campaigns[campaign, 0] == sender
        order = parent = row = np.int64(-1)
        if not (is_collector or _may_report(kind, is_own, is_advertiser, reports_conversions)):
            verdict = _SENDER_NOT_ALLOWED
        elif occurred_at_ms < floors[0]:
            verdict = _TOO_OLD
        elif occurred_at_ms > latest_ms:
            verdict = _IN_THE_FUTURE
        else:
            name = event_name(publisher, kind)
            high, low = word64(records, at, 20), word64(records, at, 28)
            digest = digest_of(hashes, at, seed)
            row = find_row(rows, directory, places, partitions, name, high, low, seed)
            if rows[row, 0] != 0:
                verdict = _DUPLICATE if has_digest(rows, row, digest) else _CONFLICT
            else:
                put_row(rows, taken, row, name, high, low, campaign_id, digest)
                verdict = 0
        if verdict == 0:
            verdict = _flight(kind, occurred_at_ms, received_at_ms, campaigns, campaign)
        if verdict == 0:
            order = _row_of(order_keys, order_rows, campaign_id << _HALF | publisher, seed)
            verdict = _order(orders, order, occurred_at_ms)
        if verdict == 0:
            verdict = _inventory(records, at, order, orders, placements, creatives, allowed, seed)
        if verdict == 0 and agents[records[at, 61]]:
            verdict = _KNOWN_BOT
        if verdict == 0 and networks[records[at, 62]]:
            verdict = _DATA_CENTER
        if verdict == 0 and kind != _IMPRESSION:
            parent_kind = _CLICK if kind == _CONVERSION else _IMPRESSION
            parent = find_row(
                rows, directory, places, partitions, event_name(publisher, parent_kind),
                word64(records, at, 36), word64(records, at, 44), seed,
            )  # fmt: skip
            oldest_ms = floors[2] if kind == _CONVERSION else floors[1]
            verdict = _parent(
                records, at, occurred_at_ms, rows, parent, oldest_ms, windows_ms[kind], skew_ms
            )
        if verdict == 0:
            verdict = _book(
                kind, campaign, order, price, price_milli, cap, limit,
                line, line_milli, highest, counts, total,
            )  # fmt: skip
        if verdict == _ACCEPTED:
            rows[row, 0] |= ACCEPTED
            if parent >= 0:
                rows[parent, 0] |= used_bit(kind)
        verdicts[at] = verdict


@leaf
def _row_of(keys, rows, key, seed):
    """The row of a key, -1 if there is none."""
    at = find_word(keys, key, seed)
    return rows[at] if keys[at] == key and key != 0 else np.int64(-1)


@leaf
def _may_report(kind, is_own, is_advertiser, reports_conversions):
    """Whether who is no collector may report an event of this type."""
    if is_own:
        return kind != _CONVERSION or reports_conversions
    return kind == _CONVERSION and is_advertiser


@leaf
def _flight(kind, occurred_at_ms, received_at_ms, campaigns, campaign):
    if campaign < 0:
        return _UNKNOWN_CAMPAIGN
    if occurred_at_ms < campaigns[campaign, 1]:
        return _FLIGHT_NOT_STARTED
    until_ms = campaigns[campaign, 3]
    # Conversions follow their click: they may occur in the late window too.
    ends_ms = until_ms if kind == _CONVERSION else campaigns[campaign, 2]
    if occurred_at_ms >= ends_ms or received_at_ms >= until_ms:
        return _FLIGHT_OVER
    return 0


@leaf
def _order(orders, order, occurred_at_ms):
    if order < 0:
        return _NO_ORDER
    return _ORDER_ENDED if occurred_at_ms >= orders[order, 0] else 0


@leaf
def _inventory(records, at, order, orders, placements, creatives, allowed, seed):
    placement = word32(records, at, 12)
    if not _is_in(placements, word32(records, at, 8) << _HALF | placement, seed):
        return _PLACEMENT_NOT_ALLOWED
    listed = np.uint64(order + 1) << _HALF | placement
    if orders[order, 1] != 0 and not _is_in(allowed, listed, seed):
        return _PLACEMENT_NOT_ALLOWED
    creative = word32(records, at, 4) << _HALF | word32(records, at, 16)
    return 0 if _is_in(creatives, creative, seed) else _CREATIVE_NOT_ALLOWED


@leaf
def _is_in(keys, key, seed):
    return key != 0 and keys[find_word(keys, key, seed)] == key


@leaf
def _parent(records, at, occurred_at_ms, rows, parent, oldest_ms, window_ms, skew_ms):
    """Why the event may not have the parent it names, which stands in a row or (-1) nowhere."""
    parent_at_ms = np.int64(word48(records, at, 36))
    elapsed_ms = occurred_at_ms - parent_at_ms
    is_timely = -skew_ms <= elapsed_ms <= window_ms
    if not is_timely or parent_at_ms < oldest_ms or not is_accepted(rows, parent):
        return _UNKNOWN_PARENT
    if campaign_in(rows, parent) != word32(records, at, 4):
        return _UNKNOWN_PARENT
    return _PARENT_ALREADY_USED if rows[parent, 0] & used_bit(records[at, 1]) != 0 else 0


@leaf
def _book(
    kind, campaign, order, price, price_milli, cap, limit, line, line_milli, highest, counts, total
):  # fmt: skip
    """Charge an event, if the order's cap and the campaign's funding allow it."""
    milli = line_milli[order] + price_milli[order, kind]
    carry = np.uint64(0)
    if milli >= _MILLI:
        milli -= _MILLI
        carry = _ONE
    rise_high, rise_low = _sum(price[order, kind, 0], price[order, kind, 1], np.uint64(0), carry)
    line_high, line_low = _sum(line[order, 0], line[order, 1], rise_high, rise_low)
    if _is_over(line_high, line_low, cap, order):
        return _ORDER_CAP_REACHED
    total_high, total_low = _sum(total[campaign, 0], total[campaign, 1], rise_high, rise_low)
    if _is_over(total_high, total_low, limit, campaign):
        return _BUDGET_EXHAUSTED
    line_milli[order] = milli
    line[order, 0], line[order, 1] = line_high, line_low
    if _is_over(line_high, line_low, highest, order):
        highest[order, 0], highest[order, 1] = line_high, line_low
    counts[order, kind] += 1
    total[campaign, 0], total[campaign, 1] = total_high, total_low
    return _ACCEPTED


@leaf
def _sum(high, low, more_high, more_low):
    """128 bits and 128 bits. Prices have 80, caps 88 bits: no sum here overflows."""
    sum_low = low + more_low
    carry = _ONE if sum_low < low else np.uint64(0)
    return high + more_high + carry, sum_low


@leaf
def _is_over(high, low, bounds, row):
    return high > bounds[row, 0] or (high == bounds[row, 0] and low > bounds[row, 1])
