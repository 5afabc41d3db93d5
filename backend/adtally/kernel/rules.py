"""The rules of ``verification.judge`` in compiled code, for a whole batch at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from adtally.events.verdict import Verdict
from adtally.kernel.facts_table import Signed, Words
from adtally.kernel.records import word32, word48, word64
from adtally.kernel.tables import find_event, find_word

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
def judge(records, digests, moment, facts, books, index, verdicts):
    """Fill ``verdicts``, in log order; returns how many ids and how many parents were added.

    ``digests`` are two words of each record's own hash, which tell a duplicate from a conflict. The
    caller has made room for as many ids and parents as there are records.
    """
    ids = parents = 0
    for at in range(len(records)):
        campaign = _row_of(
            facts.campaign_keys, facts.campaign_rows, word32(records, at, 4), index.seed
        )
        verdict = _before_id(records, at, campaign, moment, facts)
        if verdict == 0:
            verdict = _take_id(records, at, digests, index)
            if verdict == 0:
                ids += 1
                verdict = _after_id(records, at, campaign, moment, facts, books, index)
        if verdict == _ACCEPTED and records[at, 1] in (_IMPRESSION, _CLICK):
            parents += 1
        verdicts[at] = verdict
    return ids, parents


@njit(cache=True)
def _row_of(keys, rows, key, seed):
    """The row of a key, -1 if there is none."""
    at = find_word(keys, key, seed)
    return rows[at] if keys[at] == key and key != 0 else np.int64(-1)


@njit(cache=True)
def _before_id(records, at, campaign, moment, facts):
    """The sender's right, then the event's age."""
    is_conversion = records[at, 1] == _CONVERSION
    is_allowed = moment.is_collector
    if not is_allowed:
        if np.int64(word32(records, at, 8)) == moment.sender and moment.is_publisher:
            is_allowed = not is_conversion or moment.publishers_report_conversions
        elif is_conversion:
            is_allowed = campaign >= 0 and facts.advertiser[campaign] == moment.sender
    if not is_allowed:
        return _SENDER_NOT_ALLOWED
    occurred_at_ms = np.int64(word48(records, at, 52))
    if occurred_at_ms < moment.oldest_event_ms:
        return _TOO_OLD
    if occurred_at_ms > moment.received_at_ms + moment.max_clock_skew_ms:
        return _IN_THE_FUTURE
    return 0


@njit(cache=True, inline="always")
def _name(publisher, kind):
    """What an event's id is unique for, in one word."""
    return publisher << _BYTE | np.uint64(kind)


@njit(cache=True)
def _take_id(records, at, digests, index):
    name = _name(word32(records, at, 8), records[at, 1])
    high, low = word64(records, at, 20), word64(records, at, 28)
    place = find_event(index.seen, name, high, low, index.seed)
    row = index.seen[place]
    if row[0] != 0:
        is_same = row[3] == digests[at, 0] and row[4] == digests[at, 1]
        return _DUPLICATE if is_same else _CONFLICT
    row[0], row[1], row[2] = name, high, low
    row[3], row[4] = digests[at, 0], digests[at, 1]
    return 0


@njit(cache=True)
def _after_id(records, at, campaign, moment, facts, books, index):
    if campaign < 0:
        return _UNKNOWN_CAMPAIGN
    occurred_at_ms = np.int64(word48(records, at, 52))
    is_conversion = records[at, 1] == _CONVERSION
    if occurred_at_ms < facts.flight_start_ms[campaign]:
        return _FLIGHT_NOT_STARTED
    until_ms = facts.counts_until_ms[campaign]
    ends_ms = until_ms if is_conversion else facts.flight_end_ms[campaign]
    if occurred_at_ms >= ends_ms or moment.received_at_ms >= until_ms:
        return _FLIGHT_OVER
    publisher = word32(records, at, 8)
    key = word32(records, at, 4) << _HALF | publisher
    order = _row_of(facts.order_keys, facts.order_rows, key, index.seed)
    if order < 0:
        return _NO_ORDER
    if occurred_at_ms >= facts.order_ends_ms[order]:
        return _ORDER_ENDED
    verdict = _inventory_and_traffic(records, at, order, moment, facts, index.seed)
    if verdict != 0:
        return verdict
    parent = np.int64(-1)
    if records[at, 1] != _IMPRESSION:
        parent, verdict = _parent(records, at, occurred_at_ms, moment, index)
        if verdict != 0:
            return verdict
    verdict = _book(records[at, 1], campaign, order, facts, books)
    if verdict == _ACCEPTED:
        _link(records, at, parent, index)
    return verdict


@njit(cache=True)
def _inventory_and_traffic(records, at, order, moment, facts, seed):
    placement = word32(records, at, 12)
    owned = word32(records, at, 8) << _HALF | placement
    if not _is_in(facts.placements, owned, seed):
        return _PLACEMENT_NOT_ALLOWED
    if facts.is_restricted[order]:
        listed = np.uint64(order + 1) << _HALF | placement
        if not _is_in(facts.allowed, listed, seed):
            return _PLACEMENT_NOT_ALLOWED
    creative = word32(records, at, 4) << _HALF | word32(records, at, 16)
    if not _is_in(facts.creatives, creative, seed):
        return _CREATIVE_NOT_ALLOWED
    if moment.is_refused_agent[records[at, 61]]:
        return _KNOWN_BOT
    if moment.is_refused_network[records[at, 62]]:
        return _DATA_CENTER
    return 0


@njit(cache=True)
def _is_in(keys, key, seed):
    return key != 0 and keys[find_word(keys, key, seed)] == key


@njit(cache=True)
def _parent(records, at, occurred_at_ms, moment, index):
    """Place of the parent that the event names, and why it may not."""
    kind = records[at, 1]
    high, low = word64(records, at, 36), word64(records, at, 44)
    parent_at_ms = np.int64(high >> _ID_TAIL)
    elapsed_ms = occurred_at_ms - parent_at_ms
    parent_kind = _CLICK if kind == _CONVERSION else _IMPRESSION
    name = _name(word32(records, at, 8), parent_kind)
    place = find_event(index.parents, name, high, low, index.seed)
    row = index.parents[place]
    is_known = row[0] != 0 and parent_at_ms >= moment.oldest_parent_ms
    is_timely = -moment.max_clock_skew_ms <= elapsed_ms <= moment.windows_ms[kind]
    if not is_timely or not is_known or row[3] >> _BYTE != word32(records, at, 4):
        return place, _UNKNOWN_PARENT
    if row[3] & (_ONE << np.uint64(kind)) != 0:
        return place, _PARENT_ALREADY_USED
    return place, 0


@njit(cache=True)
def _link(records, at, parent, index):
    """Mark the parent of an accepted event as used; keep the event as a parent of others."""
    kind = records[at, 1]
    if parent >= 0:
        index.parents[parent, 3] |= _ONE << np.uint64(kind)
    if kind in (_IMPRESSION, _CLICK):
        name = _name(word32(records, at, 8), kind)
        high, low = word64(records, at, 20), word64(records, at, 28)
        row = index.parents[find_event(index.parents, name, high, low, index.seed)]
        if row[0] == 0:
            row[0], row[1], row[2] = name, high, low
            row[3] = word32(records, at, 4) << _BYTE


@njit(cache=True)
def _book(kind, campaign, order, facts, books):
    """Charge an event, if the order's cap and the campaign's funding allow it."""
    milli = books.line_milli[order] + facts.price_milli[order, kind]
    carry = np.uint64(0)
    if milli >= _MILLI:
        milli -= _MILLI
        carry = _ONE
    rise_high, rise_low = _sum(facts.price[order, kind], np.uint64(0), carry)
    line_high, line_low = _sum(books.line[order], rise_high, rise_low)
    if _is_over(line_high, line_low, facts.cap[order]):
        return _ORDER_CAP_REACHED
    total_high, total_low = _sum(books.total[campaign], rise_high, rise_low)
    if _is_over(total_high, total_low, facts.limit[campaign]):
        return _BUDGET_EXHAUSTED
    books.line_milli[order] = milli
    books.line[order, 0], books.line[order, 1] = line_high, line_low
    if _is_over(line_high, line_low, books.highest[order]):
        books.highest[order, 0], books.highest[order, 1] = line_high, line_low
    books.counts[order, kind] += 1
    books.total[campaign, 0], books.total[campaign, 1] = total_high, total_low
    return _ACCEPTED


@njit(cache=True, inline="always")
def _sum(amount, high, low):
    """128 bits and 128 bits. Prices have 80, caps 88 bits: no sum here overflows."""
    sum_low = amount[1] + low
    carry = _ONE if sum_low < low else np.uint64(0)
    return amount[0] + high + carry, sum_low


@njit(cache=True, inline="always")
def _is_over(high, low, bound):
    return high > bound[0] or (high == bound[0] and low > bound[1])
