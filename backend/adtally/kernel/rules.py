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
def judge(records, hashes, moment, facts, books, table, floors, verdicts):
    """Fill ``verdicts``, in log order.

    ``hashes`` are four words a record: of its own hash, which tells a duplicate from a conflict.
    """
    for first in range(0, len(records), CHUNK):
        end = min(first + CHUNK, len(records))
        latest_ms = moment.received_at_ms + moment.max_clock_skew_ms
        make_room(table, records, first, end, floors, latest_ms)
        for at in range(first, end):
            verdicts[at] = _judge(records, at, hashes, moment, facts, books, table, floors)


@leaf
def _judge(records, at, hashes, moment, facts, books, table, floors):
    """The verdict on one record; books it and takes its id."""
    kind, publisher = np.int64(records[at, 1]), word32(records, at, 8)
    campaign_id, seed = word32(records, at, 4), table.seed
    campaign = _row_of(facts.campaign_keys, facts.campaign_rows, campaign_id, seed)
    verdict = _before_id(records, at, facts, moment, campaign, floors)
    if verdict != 0:
        return verdict
    name = event_name(publisher, kind)
    high, low = word64(records, at, 20), word64(records, at, 28)
    row = find_row(table, name, high, low)
    digest = digest_of(hashes, at, seed)
    if table.rows[row, 0] != 0:
        return _DUPLICATE if has_digest(table.rows, row, digest) else _CONFLICT
    put_row(table, row, name, high, low, campaign_id, digest)
    order = _row_of(facts.order_keys, facts.order_rows, campaign_id << _HALF | publisher, seed)
    verdict = _after_id(records, at, facts, moment, campaign, order, seed)
    if verdict != 0:
        return verdict
    parent = np.int64(-1)
    if kind != _IMPRESSION:
        parent, verdict = _parent(records, at, moment, table, floors)
        if verdict != 0:
            return verdict
    verdict = _book(kind, campaign, order, facts, books)
    if verdict == _ACCEPTED:
        table.rows[row, 0] |= ACCEPTED
        if parent >= 0:
            table.rows[parent, 0] |= used_bit(kind)
    return verdict


@leaf
def _before_id(records, at, facts, moment, campaign, floors):
    """Why the event does not even take its id."""
    kind, publisher = np.int64(records[at, 1]), np.int64(word32(records, at, 8))
    is_own = publisher == moment.sender and moment.is_publisher
    is_advertiser = campaign >= 0 and facts.campaigns[campaign, 0] == moment.sender
    if not (
        moment.is_collector
        or _may_report(kind, is_own, is_advertiser, moment.publishers_report_conversions)
    ):
        return _SENDER_NOT_ALLOWED
    occurred_at_ms = np.int64(word48(records, at, 52))
    if occurred_at_ms < floors.event:
        return _TOO_OLD
    if occurred_at_ms > moment.received_at_ms + moment.max_clock_skew_ms:
        return _IN_THE_FUTURE
    return 0


@leaf
def _after_id(records, at, facts, moment, campaign, order, seed):
    """Why the event does not count, whatever its parent and the money."""
    kind, occurred_at_ms = np.int64(records[at, 1]), np.int64(word48(records, at, 52))
    verdict = _flight(kind, occurred_at_ms, moment.received_at_ms, facts.campaigns, campaign)
    if verdict != 0:
        return verdict
    verdict = _order(facts.orders, order, occurred_at_ms)
    if verdict != 0:
        return verdict
    verdict = _inventory(records, at, order, facts, seed)
    if verdict != 0:
        return verdict
    if moment.is_refused_agent[records[at, 61]]:
        return _KNOWN_BOT
    return _DATA_CENTER if moment.is_refused_network[records[at, 62]] else 0


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
def _inventory(records, at, order, facts, seed):
    placement = word32(records, at, 12)
    if not _is_in(facts.placements, word32(records, at, 8) << _HALF | placement, seed):
        return _PLACEMENT_NOT_ALLOWED
    listed = np.uint64(order + 1) << _HALF | placement
    if facts.orders[order, 1] != 0 and not _is_in(facts.allowed, listed, seed):
        return _PLACEMENT_NOT_ALLOWED
    creative = word32(records, at, 4) << _HALF | word32(records, at, 16)
    return 0 if _is_in(facts.creatives, creative, seed) else _CREATIVE_NOT_ALLOWED


@leaf
def _is_in(keys, key, seed):
    return key != 0 and keys[find_word(keys, key, seed)] == key


@leaf
def _parent(records, at, moment, table, floors):
    """Row of the parent that the event names (-1 is none), and why it may not."""
    kind = np.int64(records[at, 1])
    is_conversion = kind == _CONVERSION
    name = event_name(word32(records, at, 8), _CLICK if is_conversion else _IMPRESSION)
    row = find_row(table, name, word64(records, at, 36), word64(records, at, 44))
    parent_at_ms = np.int64(word48(records, at, 36))
    elapsed_ms = np.int64(word48(records, at, 52)) - parent_at_ms
    is_timely = -moment.max_clock_skew_ms <= elapsed_ms <= moment.windows_ms[kind]
    oldest_ms = floors.click if is_conversion else floors.impression
    if not is_timely or parent_at_ms < oldest_ms or not is_accepted(table.rows, row):
        return row, _UNKNOWN_PARENT
    if campaign_in(table.rows, row) != word32(records, at, 4):
        return row, _UNKNOWN_PARENT
    is_used = table.rows[row, 0] & used_bit(kind) != 0
    return row, _PARENT_ALREADY_USED if is_used else 0


@leaf
def _book(kind, campaign, order, facts, books):
    """Charge an event, if the order's cap and the campaign's funding allow it."""
    line, total, price = books.line, books.total, facts.price
    milli = books.line_milli[order] + facts.price_milli[order, kind]
    carry = np.uint64(0)
    if milli >= _MILLI:
        milli -= _MILLI
        carry = _ONE
    rise_high, rise_low = _sum(price[order, kind, 0], price[order, kind, 1], np.uint64(0), carry)
    line_high, line_low = _sum(line[order, 0], line[order, 1], rise_high, rise_low)
    if _is_over(line_high, line_low, facts.cap, order):
        return _ORDER_CAP_REACHED
    total_high, total_low = _sum(total[campaign, 0], total[campaign, 1], rise_high, rise_low)
    if _is_over(total_high, total_low, facts.limit, campaign):
        return _BUDGET_EXHAUSTED
    books.line_milli[order] = milli
    line[order, 0], line[order, 1] = line_high, line_low
    if _is_over(line_high, line_low, books.highest, order):
        books.highest[order, 0], books.highest[order, 1] = line_high, line_low
    books.counts[order, kind] += 1
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
