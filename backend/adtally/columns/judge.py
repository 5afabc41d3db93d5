"""Checks logged verdicts by induction: the rules of ``verification.judge`` for a whole run.

Take the verdicts in the log as a hypothesis. For every record the rules then say which verdict it
must have *if all logged before it are right*: nothing that a rule looks at is behind the record.
If every record has the verdict that it must have, all are right, the first one because nothing
comes before it, and each other because all before it are. If some have not, the first of those is
the first wrong one, and its verdict must be the one computed: what comes before it is right.

So nothing has to wait for the verdict before it, and rules become joins and sums over arrays:

- most rules look at the event, its batch and the facts only;
- an id is taken by the first record with it that the sender and age rules let through, whatever
  its verdict, so who repeats whom depends on no verdict;
- a parent is the record that took its id, if the log says it was accepted;
- it is used by the first child of a type that the log says was accepted;
- the money left is what those have not spent that the log says were accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adtally.columns import budget
from adtally.columns.budget import Spending
from adtally.columns.event_ids import ACCEPTED, Digests, EventIds, event_keys
from adtally.columns.key_table import Rows
from adtally.columns.offers import Offers
from adtally.columns.rows import Codes, Mask, Numbers, RecordColumns
from adtally.events.record import EventType
from adtally.events.verdict import Verdict
from adtally.settlement.accrual import Accruals
from adtally.verification.rule_set import RuleSet

_UNDECIDED = np.uint8(Verdict.UNSET)
_CODES = 256


@dataclass(frozen=True, slots=True)
class Moments:
    """What the records of each batch are judged by, besides facts: one element a batch.

    Attributes:
        counts: how many records it has.
        received_at_ms: of its envelope.
        sender: member id.
        oldest_event_ms, oldest_impression_ms, oldest_click_ms: ``AgeFloors`` then.
    """

    counts: Numbers
    received_at_ms: Numbers
    sender: Numbers
    is_collector: Mask
    is_publisher: Mask
    oldest_event_ms: Numbers
    oldest_impression_ms: Numbers
    oldest_click_ms: Numbers


class Trial:
    """A run of well-formed records; makes room for their ids and takes them.

    Args:
        columns: the records, batch after batch.
        digests: of the same records without verdicts.
        moments: of the batches.
        rules: in force for all of them.
    """

    def __init__(
        self,
        columns: RecordColumns,
        digests: Digests,
        moments: Moments,
        rules: RuleSet,
        offers: Offers,
        ids: EventIds,
        accruals: Accruals,
    ) -> None:
        self._columns = columns
        self._moments = moments
        self._rules = rules
        self._offers = offers
        self._ids = ids
        self._accruals = accruals
        self._batch = np.repeat(np.arange(len(moments.counts)), moments.counts)
        self._offer = offers.rows_of(columns)
        self._order = offers["order"][self._offer]
        early = self._before_ids()
        self._row = self._take_ids(early, digests)
        self._fixed = self._by_event_and_facts()
        again = self._repetitions(digests)
        np.copyto(self._fixed, again, where=again != _UNDECIDED)
        np.copyto(self._fixed, early, where=early != _UNDECIDED)
        self._children = np.flatnonzero(
            (self._fixed == _UNDECIDED) & (columns.kind != EventType.IMPRESSION)
        )
        self._parent = self._parents()

    def expected(self, logged: Codes) -> Codes:
        """The verdict that each record must have if all ``logged`` before it are right."""
        codes = self._fixed.copy()
        codes[self._children] = self._parent_codes(logged)
        at = np.flatnonzero((self._order >= 0) & ((codes == 0) | (logged == Verdict.ACCEPTED)))
        spending = self._spending(at, logged)
        refused = budget.refusals(spending, self._offers.orders, self._accruals)
        open_ones = codes[at] == _UNDECIDED
        codes[at[open_ones]] = refused[open_ones]
        codes[codes == _UNDECIDED] = Verdict.ACCEPTED
        return codes

    def book(self, verdicts: Codes) -> None:
        """Book the run's first records, whose verdicts these are, and note parents and use."""
        accepted = np.flatnonzero(verdicts == Verdict.ACCEPTED)
        budget.book(self._spending(accepted, verdicts), self._offers.orders, self._accruals)
        kind = self._columns.kind[accepted]
        may_be_named = (kind == EventType.IMPRESSION) | (kind == EventType.CLICK)
        self._ids.accept(self._row[accepted[may_be_named]])
        counts = self._children < len(verdicts)
        counts[counts] = verdicts[self._children[counts]] == Verdict.ACCEPTED
        self._ids.use(self._parent[counts], self._columns.kind[self._children[counts]])

    def _spending(self, at: Numbers, logged: Codes) -> Spending:
        accepted = logged[at] == Verdict.ACCEPTED
        return Spending(at, self._columns.kind[at], self._order[at], accepted)

    def _of_batch(self, column: Numbers) -> Numbers:
        return column[self._batch]

    # Rules before the id is taken --------------------------------------------------------------

    def _before_ids(self) -> Codes:
        occurred_at_ms = self._columns.occurred_at_ms
        newest_ms = self._moments.received_at_ms + self._rules.max_clock_skew_ms
        codes = np.zeros(self._columns.count, np.uint8)
        codes[occurred_at_ms > self._of_batch(newest_ms)] = Verdict.IN_THE_FUTURE
        codes[occurred_at_ms < self._of_batch(self._moments.oldest_event_ms)] = Verdict.TOO_OLD
        codes[~self._is_sender_allowed()] = Verdict.SENDER_NOT_ALLOWED
        return codes

    def _is_sender_allowed(self) -> Mask:
        moments = self._moments
        sender = self._of_batch(moments.sender)
        is_conversion = self._columns.kind == EventType.CONVERSION
        is_own = (self._columns.publisher.view(np.int64) == sender) & moments.is_publisher[
            self._batch
        ]
        is_advertiser = self._offers["advertiser"][self._offer] == sender
        may_as_own = ~is_conversion if not self._rules.publisher_conversions else True
        allowed: Mask = np.where(is_own, may_as_own, is_conversion & is_advertiser)
        return allowed | moments.is_collector[self._batch]

    def _take_ids(self, early: Codes, digests: Digests) -> Rows:
        """The row of each record's id, -1 of those that were refused before."""
        columns = self._columns
        rows = np.full(columns.count, -1, np.int64)
        takers = np.flatnonzero(early == _UNDECIDED)
        self._ids.make_room(len(takers))
        self._own = np.full(columns.count, -1, np.int64)
        self._own[takers] = self._ids.count + np.arange(len(takers))
        keys = event_keys(
            columns.id_high[takers], columns.id_low[takers], columns.publisher[takers],
            columns.kind[takers],
        )  # fmt: skip
        rows[takers] = self._ids.take(keys, digests[takers], columns.campaign[takers])
        return rows

    def _repetitions(self, digests: Digests) -> Codes:
        codes = np.zeros(self._columns.count, np.uint8)
        again = np.flatnonzero(self._row != self._own)
        is_same = self._ids.digests(self._row[again]) == digests[again]
        codes[again] = np.where(is_same, Verdict.DUPLICATE, Verdict.CONFLICT)
        return codes

    # Rules about the event and the facts -------------------------------------------------------

    def _by_event_and_facts(self) -> Codes:
        """From the last rule to the first, so that the first that refuses stands in the end."""
        columns, offers, offer = self._columns, self._offers, self._offer
        occurred_at_ms = columns.occurred_at_ms
        codes = _refused(self._rules.refused_network_classes)[columns.network]
        codes *= np.uint8(Verdict.DATA_CENTER)
        is_bot = _refused(self._rules.refused_user_agent_classes)[columns.agent]
        codes[is_bot != 0] = Verdict.KNOWN_BOT
        inventory = offers["inventory"][offer]
        np.copyto(codes, inventory, where=inventory != 0)
        codes[occurred_at_ms >= offers["order_ends_ms"][offer]] = Verdict.ORDER_ENDED
        codes[self._order < 0] = Verdict.NO_ORDER
        codes[self._is_over()] = Verdict.FLIGHT_OVER
        codes[occurred_at_ms < offers["starts_ms"][offer]] = Verdict.FLIGHT_NOT_STARTED
        codes[~offers["is_known"][offer]] = Verdict.UNKNOWN_CAMPAIGN
        return codes

    def _is_over(self) -> Mask:
        until_ms = self._offers["until_ms"][self._offer]
        # Conversions follow their click: they may occur in the late window too.
        ends_ms = np.where(
            self._columns.kind == EventType.CONVERSION,
            until_ms,
            self._offers["ends_ms"][self._offer],
        )
        over: Mask = self._columns.occurred_at_ms >= ends_ms
        return over | (self._of_batch(self._moments.received_at_ms) >= until_ms)

    # Parents -----------------------------------------------------------------------------------

    def _parents(self) -> Rows:
        """The row of each child's parent, -1 where no verdict in the log could make it one."""
        at, columns = self._children, self._columns
        high, low = columns.parent_high[at], columns.parent_low[at]
        kind = columns.kind[at]
        is_conversion = kind == EventType.CONVERSION
        parent_kind = np.where(is_conversion, EventType.CLICK, EventType.IMPRESSION)
        keys = event_keys(high, low, columns.publisher[at], parent_kind.astype(np.uint8))
        rows = self._ids.find(keys)
        parent_at_ms = (high >> np.uint64(16)).view(np.int64)
        elapsed_ms = columns.occurred_at_ms[at] - parent_at_ms
        batch, moments = self._batch[at], self._moments
        oldest_ms = np.where(
            is_conversion, moments.oldest_click_ms[batch], moments.oldest_impression_ms[batch]
        )
        fits = (
            (elapsed_ms >= -self._rules.max_clock_skew_ms)
            & (elapsed_ms <= self._windows_ms[kind])
            & (parent_at_ms >= oldest_ms)
            & (rows < self._own[at])
            & (self._ids.campaigns(rows) == columns.campaign[at])
        )
        return np.where(fits, rows, -1)

    @cached_property
    def _windows_ms(self) -> Numbers:
        rules = self._rules
        viewable, click = rules.viewable_window_ms, rules.click_window_ms
        return np.array([0, 0, viewable, click, rules.conversion_window_ms], np.int64)

    def _parent_codes(self, logged: Codes) -> Codes:
        """What the parent rule says of each child."""
        at, parent = self._children, self._parent
        kind, counts = self._columns.kind[at], logged[at] == Verdict.ACCEPTED
        use = parent << 3 | kind
        used, firsts = np.unique(use[counts], return_index=True)
        first_use = np.full(len(at), self._columns.count)
        if len(used):
            place = np.minimum(np.searchsorted(used, use), len(used) - 1)
            first_use = np.where(used[place] == use, at[counts][firsts[place]], first_use)
        is_used = (self._ids.flags(parent) >> kind) & 1 != 0
        codes = np.zeros(len(at), np.uint8)
        codes[is_used | (first_use < at)] = Verdict.PARENT_ALREADY_USED
        codes[(parent < 0) | ~self._is_accepted(parent, logged)] = Verdict.UNKNOWN_PARENT
        return codes

    def _is_accepted(self, rows: Rows, logged: Codes) -> Mask:
        """Whether the rows' records are accepted: as was booked, or as the run's log says."""
        accepted: Mask = self._ids.flags(rows) & ACCEPTED != 0
        takers = np.flatnonzero(self._own >= 0)
        if len(takers):
            base = self._own[takers[0]]
            inside = rows >= base
            accepted[inside] = logged[takers[rows[inside] - base]] == Verdict.ACCEPTED
        return accepted


def _refused(codes: tuple[int, ...]) -> Codes:
    flags = np.zeros(_CODES, np.uint8)
    flags[list(codes)] = 1
    return flags
