"""The final tables fit where a pipe or file takes them: nothing but hashes is cut."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console, RenderableType

from adtally.cli import PLAIN_WIDTH
from adtally.demo.money import TokenUnit
from adtally.demo.outcome import (
    AnchorOutcome,
    AuditOutcome,
    LineOutcome,
    MoneyOutcome,
    Outcome,
    PaymentOutcome,
    ReceiptsOutcome,
    ReportOutcome,
    StatementOutcome,
)
from adtally.demo.plan import default_plan
from adtally.demo.tables import outcome_tables
from adtally.demo.tally import Tally
from adtally.events.verdict import Verdict
from adtally.types import Counts

USDX = TokenUnit("USDX", 6)
MOST = Counts(123_456, 123_456, 1_234, 123)
MUCH = 1_234_567_890
HASH = "0x" + "ab" * 32
VERY_WIDE = 400


def large_outcome() -> Outcome:
    """The default plan's names, with numbers ten times as long as its own."""
    plan = default_plan()
    names = {number: party.name for number, party in enumerate(plan.parties, start=2)}
    tally = Tally(events_sent=MUCH)
    for verdict in Verdict:
        tally.verdicts[verdict] = tally.deserved[verdict, verdict] = MUCH
    tally.refusals["records changed after signing"] = Counter({"verification_failed": MUCH})
    made = Outcome(tally, names, {n: c.name for n, c in enumerate(plan.campaigns, start=1)})
    made.anchors = [AnchorOutcome(MUCH, HASH, HASH, 9, MUCH)] * 20
    made.receipts = ReceiptsOutcome(MUCH, MUCH, MUCH)
    made.audit = AuditOutcome(True, {"statements": MUCH}, ())
    signers = tuple(f"0x{number:040x}" for number in range(3))
    for campaign in made.campaign_names:
        made.statements += [
            StatementOutcome(campaign, n, MUCH, MOST, MUCH, n == 12, reason, HASH, signers)
            for n, reason in ((10, "threshold"), (11, "goal"), (12, "final"))
        ]
        made.payments += [PaymentOutcome("cut", campaign, m, HASH, MUCH, HASH) for m in names]
        lines = tuple(LineOutcome(member, MOST, MUCH, MUCH) for member in names)
        made.money.append(MoneyOutcome(campaign, USDX, MUCH, MUCH, MUCH, MUCH, lines))
        made.reports[campaign] = ReportOutcome(
            campaign, MOST, MOST, MUCH, {"roas": "1234.5", "ecpm": str(MUCH)}, (1, 9) * 13
        )
    return made


def words(table: RenderableType, width: int) -> Counter[str]:
    """What is shown at a width, without the rules between."""
    output = io.StringIO()
    Console(file=output, width=width).print(table)
    return Counter(word for word in output.getvalue().split() if set(word) != {"─"})


@pytest.mark.parametrize("table", list(outcome_tables(large_outcome())))
def test_outcome_table__in_a_pipe__is_shown_as_with_all_the_room(table: RenderableType) -> None:
    assert words(table, PLAIN_WIDTH) == words(table, VERY_WIDE)
