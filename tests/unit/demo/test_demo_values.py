"""Small pure parts of the demo: money as text, verdicts against what was deserved, the checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adtally.demo.money import TokenUnit
from adtally.demo.outcome import LineOutcome, MoneyOutcome, Outcome, PaymentOutcome
from adtally.demo.plan import default_plan
from adtally.demo.tables import outcome_tables
from adtally.demo.tally import Tally, may_be
from adtally.errors import InvariantBroken
from adtally.events.verdict import Verdict
from adtally.types import Counts

USDX = TokenUnit("USDX", 6)


@pytest.mark.parametrize(
    ("unit", "amount", "digits", "text"),
    [
        (USDX, 0, None, "0.000000"),
        (USDX, 1, None, "0.000001"),
        (USDX, -1, None, "-0.000001"),
        (USDX, 1_234_567_890, None, "1,234.567890"),
        (USDX, 1_999_999, 2, "1.99"),
        (TokenUnit("DAIX", 18), 10**18 + 1, None, "1.000000000000000001"),
        (TokenUnit("ONE", 0), 1_000, None, "1,000"),
        (TokenUnit("ONE", 0), 1_000, 2, "1,000"),
    ],
)
def test_token_text__any_amount__is_exact_and_never_rounded_up(
    unit: TokenUnit, amount: int, digits: int | None, text: str
) -> None:
    assert unit.text(amount, digits) == text


@given(st.integers(min_value=-(2**128), max_value=2**128), st.integers(0, 30))
def test_token_text__read_back__is_the_amount(amount: int, decimals: int) -> None:
    text = TokenUnit("X", decimals).text(amount)
    assert int(text.replace(",", "").replace(".", "")) == amount


def test_may_be__honest_event__may_only_lose_to_money_or_its_parent() -> None:
    assert may_be(None) == {
        Verdict.ACCEPTED,
        Verdict.BUDGET_EXHAUSTED,
        Verdict.ORDER_CAP_REACHED,
        Verdict.UNKNOWN_PARENT,
    }
    assert may_be(Verdict.KNOWN_BOT) == {Verdict.KNOWN_BOT}


def test_default_plan__same_seed__same_plan_and_keys() -> None:
    plan, again = default_plan(seed=3), default_plan(seed=3)
    assert plan == again
    assert plan.parties[0].event_key == again.parties[0].event_key
    keys = {key for party in plan.parties for key in (party.event_key, party.account_key)}
    assert len(keys) == 2 * len(plan.parties)
    assert plan.parties[0].event_key != default_plan(seed=4).parties[0].event_key


def outcome() -> Outcome:
    made = Outcome(Tally(), {3: "Daily Ledger"}, {1: "Boots"})
    made.money = [
        MoneyOutcome(1, USDX, 100, 60, 6, 34, (LineOutcome(3, Counts(5, 0, 0, 0), 60, 60),))
    ]
    made.payments = [
        PaymentOutcome("claim", 1, 3, "0x01", 20, "0xaa"),
        PaymentOutcome("claim", 1, 3, "0x01", 40, "0xab"),
        PaymentOutcome("cut", 1, 4, "0x02", 6, "0xac"),
        PaymentOutcome("refund", 1, 2, "0x03", 34, "0xad"),
    ]
    made.escrow_balances = {"USDX": 0}
    return made


def test_check__everything_adds_up__passes_and_can_be_shown() -> None:
    made = outcome()
    made.check()
    assert list(outcome_tables(made))


@pytest.mark.parametrize("place", range(4))
def test_check__a_payment_too_much__is_noticed(place: int) -> None:
    made = outcome()
    payment = made.payments[place]
    made.payments[place] = replace(payment, amount_base_units=payment.amount_base_units + 1)
    with pytest.raises(InvariantBroken):
        made.check()


def test_check__money_left_or_line_unpaid__is_noticed() -> None:
    made = outcome()
    made.escrow_balances["USDX"] = 1
    with pytest.raises(InvariantBroken):
        made.check()
    made = outcome()
    made.money[0] = replace(made.money[0], funded_base_units=101)
    with pytest.raises(InvariantBroken):
        made.check()
    made = outcome()
    made.money[0] = replace(made.money[0], lines=(LineOutcome(3, Counts(), 61, 60),))
    with pytest.raises(InvariantBroken):
        made.check()
