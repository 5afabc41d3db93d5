"""The rules of ``verification.judge`` in compiled code, for a whole batch at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from adtally.events.verdict import Verdict
from adtally.kernel.facts_table import Signed, Words
from adtally.kernel.records import word32, word48, word64
from adtally.kernel.tables import event_hash, find_event, find_word

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
_BYTE = np.uint64(8)
_HALF = np.uint64(32)
_ID_TAIL = np.uint64(16)
_ONE = np.uint64(1)


class Moment(NamedTuple):
    """What all events of a batch are judged by, besides the facts."""

    received_at_ms: int
    oldest_event_ms: int
    oldest_parent_ms: int
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


class Index(NamedTuple):
    """Events seen and parents that count, as rows of hash tables keyed by (name, id)."""

    seen: Words
    """(name, id high, id low, digest high, digest low)."""
    parents: Words
    """(name, id high, id low, campaign << 8 | bits of the types of its children)."""
    seed: np.uint64


@njit(cache=True)
def judge(records, digests, moment, facts, books, index, verdicts):  # noqa: C901, PLR0915
    """Fill ``verdicts``, in log order; returns how many ids and how many parents were added.

    ``digests`` are two words of each record's own hash, which tell a duplicate from a conflict. The
    caller has made room for as many ids and parents as there are records.

    Tuples are taken apart once: handing them on would count references to all of their arrays,
    for every event. For the same reason what is called from here takes arrays.
    """
    seen, parents, seed = index.seen, index.parents, index.seed
    campaign_keys, campaign_rows = facts.campaign_keys, facts.campaign_rows
    order_keys, order_rows = facts.order_keys, facts.order_rows
    campaigns, orders, limit, cap = facts.campaigns, facts.orders, facts.limit, facts.cap
    price, price_milli = facts.price, facts.price_milli
    placements, creatives, allowed = facts.placements, facts.creatives, facts.allowed
    line, line_milli, highest = books.line, books.line_milli, books.highest
    counts, total = books.counts, books.total
    received_at_ms, oldest_event_ms = moment.received_at_ms, moment.oldest_event_ms
    latest_ms = received_at_ms + moment.max_clock_skew_ms
    sender, is_collector, is_publisher = moment.sender, moment.is_collector, moment.is_publisher
    reports_conversions = moment.publishers_report_conversions
    agents, networks = moment.is_refused_agent, moment.is_refused_network
    windows_ms, skew_ms = moment.windows_ms, moment.max_clock_skew_ms
    oldest_parent_ms = moment.oldest_parent_ms
    ids = kept = 0
    # Stored, for the compiler leaves out loads whose result nobody wants; overwritten below.
    verdicts[:1] = _touch(records, seen, parents, seed) & _ONE
    for at in range(len(records)):
        kind = np.int64(records[at, 1])
        campaign_id, publisher = word32(records, at, 4), word32(records, at, 8)
        occurred_at_ms = np.int64(word48(records, at, 52))
        campaign = _row_of(campaign_keys, campaign_rows, campaign_id, seed)
        is_own = np.int64(publisher) == sender and is_publisher
        is_advertiser = campaign >= 0 and campaigns[campaign, 0] == sender
        order = parent = np.int64(-1)
        if not (is_collector or _may_report(kind, is_own, is_advertiser, reports_conversions)):
            verdict = _SENDER_NOT_ALLOWED
        elif occurred_at_ms < oldest_event_ms:
            verdict = _TOO_OLD
        elif occurred_at_ms > latest_ms:
            verdict = _IN_THE_FUTURE
        else:
            verdict = _take_id(records, at, digests, seen, seed)
            ids += verdict == 0
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
            parent, verdict = _parent(
                records, at, occurred_at_ms, parents, seed, oldest_parent_ms, windows_ms, skew_ms
            )
        if verdict == 0:
            verdict = _book(
                kind, campaign, order, price, price_milli, cap, limit,
                line, line_milli, highest, counts, total,
            )  # fmt: skip
        if verdict == _ACCEPTED:
            kept += _link(records, at, parent, parents, seed)
        verdicts[at] = verdict
    return ids, kept


@njit(cache=True)
def _touch(records, seen, parents, seed):
    """Bring what the batch will look up into the cache: loads that don't wait for each other.

    Else much of an event's time would go to waiting for rows of tables larger than any cache.
    """
    seen_mask, parents_mask = np.uint64(len(seen) - 1), np.uint64(len(parents) - 1)
    found = np.uint64(0)
    for at in range(len(records)):
        name = _name(word32(records, at, 8), records[at, 1])
        place = event_hash(name, word64(records, at, 20), word64(records, at, 28), seed)
        found |= seen[place & seen_mask, 0] | parents[place & parents_mask, 0]
    return found


@njit(cache=True, inline="always")
def _row_of(keys, rows, key, seed):
    """The row of a key, -1 if there is none."""
    at = find_word(keys, key, seed)
    return rows[at] if keys[at] == key and key != 0 else np.int64(-1)


@njit(cache=True)
def _may_report(kind, is_own, is_advertiser, reports_conversions):
    """Whether who is no collector may report an event of this type."""
    if is_own:
        return kind != _CONVERSION or reports_conversions
    return kind == _CONVERSION and is_advertiser


@njit(cache=True, inline="always")
def _name(publisher, kind):
    """What an event's id is unique for, in one word."""
    return publisher << _BYTE | np.uint64(kind)


@njit(cache=True)
def _take_id(records, at, digests, seen, seed):
    name = _name(word32(records, at, 8), records[at, 1])
    high, low = word64(records, at, 20), word64(records, at, 28)
    row = find_event(seen, name, high, low, seed)
    if seen[row, 0] != 0:
        is_same = seen[row, 3] == digests[at, 0] and seen[row, 4] == digests[at, 1]
        return _DUPLICATE if is_same else _CONFLICT
    seen[row, 0], seen[row, 1], seen[row, 2] = name, high, low
    seen[row, 3], seen[row, 4] = digests[at, 0], digests[at, 1]
    return 0


@njit(cache=True)
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


@njit(cache=True)
def _order(orders, order, occurred_at_ms):
    if order < 0:
        return _NO_ORDER
    return _ORDER_ENDED if occurred_at_ms >= orders[order, 0] else 0


@njit(cache=True)
def _inventory(records, at, order, orders, placements, creatives, allowed, seed):
    placement = word32(records, at, 12)
    if not _is_in(placements, word32(records, at, 8) << _HALF | placement, seed):
        return _PLACEMENT_NOT_ALLOWED
    listed = np.uint64(order + 1) << _HALF | placement
    if orders[order, 1] != 0 and not _is_in(allowed, listed, seed):
        return _PLACEMENT_NOT_ALLOWED
    creative = word32(records, at, 4) << _HALF | word32(records, at, 16)
    return 0 if _is_in(creatives, creative, seed) else _CREATIVE_NOT_ALLOWED


@njit(cache=True)
def _is_in(keys, key, seed):
    return key != 0 and keys[find_word(keys, key, seed)] == key


@njit(cache=True)
def _parent(records, at, occurred_at_ms, parents, seed, oldest_ms, windows_ms, skew_ms):
    """Row of the parent that the event names, and why it may not."""
    kind = records[at, 1]
    high, low = word64(records, at, 36), word64(records, at, 44)
    parent_at_ms = np.int64(high >> _ID_TAIL)
    elapsed_ms = occurred_at_ms - parent_at_ms
    name = _name(word32(records, at, 8), _CLICK if kind == _CONVERSION else _IMPRESSION)
    row = find_event(parents, name, high, low, seed)
    is_known = parents[row, 0] != 0 and parent_at_ms >= oldest_ms
    is_timely = -skew_ms <= elapsed_ms <= windows_ms[kind]
    if not is_timely or not is_known or parents[row, 3] >> _BYTE != word32(records, at, 4):
        return row, _UNKNOWN_PARENT
    is_used = parents[row, 3] & (_ONE << np.uint64(kind)) != 0
    return row, _PARENT_ALREADY_USED if is_used else 0


@njit(cache=True)
def _link(records, at, parent, parents, seed):
    """Mark an accepted event's parent as used; keep the event as a parent: 1 if it can be one."""
    kind = records[at, 1]
    if parent >= 0:
        parents[parent, 3] |= _ONE << np.uint64(kind)
    if kind not in (_IMPRESSION, _CLICK):
        return 0
    name = _name(word32(records, at, 8), kind)
    high, low = word64(records, at, 20), word64(records, at, 28)
    row = find_event(parents, name, high, low, seed)
    if parents[row, 0] == 0:
        parents[row, 0], parents[row, 1], parents[row, 2] = name, high, low
        parents[row, 3] = word32(records, at, 4) << _BYTE
    return 1


@njit(cache=True)
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


@njit(cache=True, inline="always")
def _sum(high, low, more_high, more_low):
    """128 bits and 128 bits. Prices have 80, caps 88 bits: no sum here overflows."""
    sum_low = low + more_low
    carry = _ONE if sum_low < low else np.uint64(0)
    return high + more_high + carry, sum_low


@njit(cache=True, inline="always")
def _is_over(high, low, bounds, row):
    return high > bounds[row, 0] or (high == bounds[row, 0] and low > bounds[row, 1])
