"""Every figure that can differ is compared, to the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adtally.chain.contracts.campaign_escrow import CampaignView, StatementView
from adtally.jobs.reconciliation import (
    CampaignAccount,
    TokenAccount,
    campaign_differences,
    token_differences,
)
from adtally.storage.rows import (
    DraftReason,
    Settlement,
    StatementRow,
    TransferKind,
    TransferRow,
)
from adtally.types import Counts, Cut, Line, Statement

TOKEN = b"\x01" * 20
ROOT = b"\x07" * 32
BIG = 2**127


def _transfer(kind: TransferKind, member: int, amount: int, total: int) -> TransferRow:
    return TransferRow(
        kind, 1, member, b"\x02" * 20, TOKEN, amount, total, b"\x03" * 32, 5, b"\x04" * 32, member
    )


TRANSFERS = [
    _transfer(TransferKind.DEPOSIT, 9, BIG, BIG),
    _transfer(TransferKind.DEPOSIT, 9, 1_000, BIG + 1_000),
    _transfer(TransferKind.CLAIM, 2, 100, 100),
    _transfer(TransferKind.CLAIM, 3, 40, 40),
    _transfer(TransferKind.CLAIM, 2, 60, 160),
    _transfer(TransferKind.CUT, 7, 10, 10),
    _transfer(TransferKind.REFUND, 9, 5, 5),
]
STATEMENT = Statement(1, 2, 70, 200, Counts(), ROOT, False)
VIEW = StatementView(2, 70, 1_000, 200, ROOT, False)
CAMPAIGN = CampaignView(9, 2_000, BIG + 1_000, 5, 200, 10, 210, VIEW, VIEW)
ACCOUNT = CampaignAccount(
    campaign=1,
    cuts=(Cut(7, 500),),
    transfers=TRANSFERS,
    latest=StatementRow(
        STATEMENT, DraftReason.GOAL, 1, Settlement(b"\x03" * 32, 4, b"\x05" * 32, 1_000)
    ),
    active_lines=[Line(2, Counts(), 160), Line(3, Counts(), 40)],
    view=CAMPAIGN,
    orders_paid={2: 160, 3: 40},
    logged_funded_base_units=BIG + 1_000,
)


def test_campaign__books_and_chain_agree__nothing_is_reported() -> None:
    assert campaign_differences(ACCOUNT) == []
    assert campaign_differences(replace(ACCOUNT, logged_funded_base_units=None)) == []


@pytest.mark.parametrize(
    ("changes", "figure"),
    [
        ({"funded_base_units": BIG + 999}, "funded"),
        ({"claimed_base_units": 199}, "claimed"),
        ({"cuts_paid_base_units": 11}, "cuts paid"),
        ({"refunded_base_units": 6}, "refunded"),
        ({"reserved_base_units": 211}, "latest statement, reserved"),
        ({"latest": replace(VIEW, sequence=3)}, "latest statement, sequence"),
        ({"latest": replace(VIEW, tree_size=71)}, "latest statement, tree size"),
        ({"latest": replace(VIEW, lines_total_base_units=201)}, "latest statement, lines total"),
        ({"latest": replace(VIEW, lines_root=bytes(32))}, "latest statement, lines root"),
        ({"latest": replace(VIEW, is_final=True)}, "latest statement, is final"),
        ({"latest": replace(VIEW, activates_at_seconds=9)}, "latest statement, activates at"),
        (
            {"active": replace(VIEW, lines_total_base_units=201)},
            "sum of the active statement's lines",
        ),
    ],
)
def test_campaign__one_figure_of_the_chain_off__is_reported_with_both_numbers(
    changes: dict[str, object], figure: str
) -> None:
    view = replace(CAMPAIGN, **changes)  # type: ignore[arg-type]
    figures = [found.figure for found in campaign_differences(replace(ACCOUNT, view=view))]
    assert figure in figures


@pytest.mark.parametrize(
    ("changes", "figure"),
    [
        ({"orders_paid": {2: 159, 3: 40}}, "paid to publisher 2"),
        ({"orders_paid": {2: 160}}, "paid to publisher 3"),
        ({"active_lines": [Line(2, Counts(), 200)]}, "paid to publisher 3 over its line"),
        ({"logged_funded_base_units": BIG}, "funded, as logged"),
        ({"latest": None}, "latest statement"),
        ({"transfers": TRANSFERS[:-1]}, "refunded"),
        ({"transfers": [*TRANSFERS, TRANSFERS[2]]}, "claimed"),
        (
            {"transfers": [_transfer(TransferKind.DEPOSIT, 9, BIG + 1_000, BIG), *TRANSFERS[2:]]},
            "funded, as announced",
        ),
    ],
)
def test_campaign__one_figure_of_the_books_off__is_reported(
    changes: dict[str, object], figure: str
) -> None:
    account = replace(ACCOUNT, **changes)  # type: ignore[arg-type]
    found = campaign_differences(account)
    assert figure in [difference.figure for difference in found]
    assert all("campaign 1" in str(difference) for difference in found)


def test_campaign__paid_over_reserved__is_reported() -> None:
    view = replace(CAMPAIGN, claimed_base_units=201)
    figures = [found.figure for found in campaign_differences(replace(ACCOUNT, view=view))]
    assert "paid is over what is reserved" in figures


OWED = BIG + 1_000 - 200 - 10 - 5


@pytest.mark.parametrize(
    ("balance", "liabilities", "figures"),
    [
        (OWED, OWED, []),
        (OWED + 1, OWED, []),
        (OWED - 1, OWED, ["balance is under"]),
        (OWED, OWED + 1, ["liabilities"]),
        (OWED - 1, OWED - 1, ["liabilities", "balance is under"]),
    ],
)
def test_token__balance_and_liabilities__surplus_alone_is_no_difference(
    balance: int, liabilities: int, figures: list[str]
) -> None:
    found = token_differences([TokenAccount(TOKEN, balance, liabilities)], TRANSFERS)
    assert [difference.figure for difference in found] == figures
