"""What analytics reports for a settled range is what the statement says, to the unit.

The simulator's traffic is judged by the real rules, corrected, logged in a real log store, derived,
and reported at each point where a statement could have been drafted.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.analytics.currencies import Token
from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.analytics.query import Dimension, ReportQuery
from adtally.analytics.report import report
from adtally.errors import VerificationFailed
from adtally.events.batch import Envelope
from adtally.events.correction import Correction, CorrectionReason
from adtally.events.record import RECORD_KIND, AdEvent
from adtally.events.verdict import Verdict
from adtally.log.merkle import MerkleTree
from adtally.log.store import LogStore
from adtally.rfc9162 import leaf_hash
from adtally.settlement.corrections import Corrections
from adtally.settlement.engine import PlainEngine
from adtally.settlement.statement import build_statement
from adtally.simulation.scenario import DAY_MS, Behaviour, PublisherTraffic, Scenario
from adtally.simulation.traffic import simulate
from adtally.types import Cut, GoalType, Line, Rates, Role, Statement, Terms
from adtally.verification.fact_state import CampaignFacts, FactState, MemberFacts, OrderFacts
from adtally.verification.rule_set import RuleSet

START_MS = 20_700 * DAY_MS
ADVERTISER = 1
CAMPAIGN = 1
PUBLISHERS = (
    PublisherTraffic(2, (1, 2), 3.0),
    PublisherTraffic(3, (1,), 2.0),
    PublisherTraffic(4, (7,), has_order=False),
)

# Odd rates, so that lines have fractions to floor; small and huge ones.
rate_sets = st.builds(
    Rates,
    st.integers(0, 10**6),
    st.integers(0, 10**4),
    st.integers(0, 10**20),
    st.integers(0, 10**20),
)


def make_facts(orders: dict[int, OrderFacts], funded: int, holdback: int) -> FactState:
    facts = FactState()
    facts.members[ADVERTISER] = MemberFacts(ADVERTISER, bytes(20), Role.ADVERTISER, 2**40, b"k")
    terms = Terms(
        token=bytes(20),
        flight_start_seconds=START_MS // 1000,
        flight_end_seconds=(START_MS + DAY_MS) // 1000,
        late_window_seconds=7_200,
        correction_window_seconds=60,
        dispute_window_seconds=0,
        grace_seconds=0,
        notice_seconds=0,
        attestor_set=1,
        holdback_basis_points=holdback,
        objection_bond_base_units=0,
        goal_type=GoalType.NONE,
        goal_count=0,
        settle_threshold_base_units=0,
        cuts=(Cut(9, 333),),
    )
    campaign = CampaignFacts(CAMPAIGN, ADVERTISER, terms, terms.flight_end_seconds, funded)
    campaign.creatives = {1: "a", 2: "b"}
    campaign.orders = orders
    for publisher in PUBLISHERS:
        member = publisher.member
        facts.members[member] = MemberFacts(member, bytes(20), Role.PUBLISHER, 2**40, b"k")
        for placement in publisher.placements:
            facts.placements[member, placement] = "placement"
    facts.campaigns[CAMPAIGN] = campaign
    return facts


Signed = dict[CorrectionReason, int]


class Corrector:
    """Enters corrections of random records, those that the rules allow."""

    def __init__(self, store: LogStore, corrections: Corrections, seed: int) -> None:
        self.tree = MerkleTree()
        self.signed: Signed = {}
        self._store = store
        self._corrections = corrections
        self._random = Random(seed)
        self._records: list[int] = []

    def logged(self, entries: list[bytes]) -> None:
        first = self.tree.size
        self.tree.append([leaf_hash(entry) for entry in entries])
        self._records += [first + at for at, entry in enumerate(entries) if entry[0] == RECORD_KIND]

    def correct(self, now_ms: int, tries: int) -> None:
        for _ in range(tries if self._records else 0):
            index = self._random.choice(self._records)
            record = self._store.entry(index)
            counts = self._corrections.counts(index, AdEvent.from_record(record).verdict)
            reason = self._random.choice(list(CorrectionReason))
            correction = Correction(now_ms, index, -1 if counts else 1, reason, record, "")
            try:
                self._corrections.apply(correction, self.tree.size, self.tree)
            except VerificationFailed:
                continue
            entry = correction.to_entry()
            self._store.append([entry])
            self.logged([entry])
            self.signed[reason] = self.signed.get(reason, 0) + correction.change


def log_traffic(
    store: LogStore, facts: FactState, seed: int
) -> list[tuple[Statement, list[Line], dict[Verdict, int], Signed]]:
    """Judge and log a day of traffic with corrections in between; a statement draft after each
    batch of every eighth step.
    """
    scenario = Scenario(
        seed=seed,
        campaign=CAMPAIGN,
        publishers=PUBLISHERS,
        creatives=(1, 2),
        flight_start_ms=START_MS,
        flight_end_ms=START_MS + DAY_MS,
        steps=24,
        impressions=400,
        behaviour=Behaviour(ctr=0.1, cvr=0.4),
    )
    engine = PlainEngine(facts)
    accruals = engine.accruals
    corrector = Corrector(store, Corrections(facts, engine), seed)
    rules = RuleSet()
    drafts = []
    verdicts: dict[Verdict, int] = {}
    for step in simulate(scenario):
        for sender, events in [*step.publishers.items(), (ADVERTISER, step.conversions)]:
            if not events:
                continue
            entries = [
                Envelope(sender, 1, len(events), step.end_ms, bytes(20), bytes(65)).to_entry()
            ]
            for event, _ in events:
                (verdict,) = engine.judge(
                    [(event, event.to_record())], facts.members[sender], step.end_ms, rules
                )
                if event.campaign == CAMPAIGN:
                    verdicts[verdict] = verdicts.get(verdict, 0) + 1
                entries.append(event.with_verdict(verdict).to_record())
            store.append(entries)
            corrector.logged(entries)
            corrector.correct(step.end_ms, tries=6)
            if step.number % 8 == 0:
                lines = accruals.lines(CAMPAIGN)
                statement = build_statement(
                    bytes(32),
                    CAMPAIGN,
                    len(drafts) + 1,
                    store.size,
                    lines,
                    corrections=accruals.corrections(CAMPAIGN),
                    is_final=False,
                )
                drafts.append((statement, lines, dict(verdicts), dict(corrector.signed)))
    return drafts


@given(
    seed=st.integers(0, 2**32),
    first=rate_sets,
    second=rate_sets,
    cap=st.integers(0, 10**23),
    funded=st.integers(0, 10**23),
    holdback=st.sampled_from((0, 1_000, 5_000)),
)
@settings(max_examples=8, deadline=None)
def test_report__at_a_statements_tree_size__equals_the_statement(
    seed: int, first: Rates, second: Rates, cap: int, funded: int, holdback: int
) -> None:
    orders = {2: OrderFacts(first, cap), 3: OrderFacts(second, 10**30)}
    with tempfile.TemporaryDirectory() as directory:
        store = LogStore.open(Path(directory) / "log", segment_bytes=1 << 20)
        try:
            drafts = log_traffic(store, make_facts(orders, funded, holdback), seed)
            dataset = Dataset(Path(directory) / "parquet", "property")
            deriver = Deriver(store, dataset, lambda _, publisher: orders[publisher].rates)
            assert deriver.catch_up() == store.size
            for statement, lines, verdicts, signed in drafts:
                query = ReportQuery(CAMPAIGN, (Dimension.PUBLISHER,), tree_size=statement.tree_size)
                found = report(dataset, query, Token("DAIX", 18, 840))
                assert found.total.counts == statement.counts
                assert found.total.spend_base_units == statement.lines_total_base_units
                by_publisher = {
                    row.dimensions["publisher"]: (row.counts, row.spend_base_units)
                    for row in found.rows
                    if row.counts != type(row.counts)()
                }
                assert by_publisher == {
                    line.publisher: (line.counts, line.amount_base_units) for line in lines
                }
                assert {
                    label: sum((c.impressions, c.viewables, c.clicks, c.conversions))
                    for label, c in found.total.gross_to_net.by_verdict.items()
                } == {verdict.label: count for verdict, count in verdicts.items()}
                corrected = {
                    label: sum((c.impressions, c.viewables, c.clicks, c.conversions))
                    for label, c in found.total.gross_to_net.corrections.items()
                }
                assert corrected == {reason.label: count for reason, count in signed.items()}
        finally:
            store.close()
