"""Every figure that can differ is compared, to the unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adtally.chain.contracts.campaign_escrow import CampaignView, Objection, StatementView
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
OVER = "over what is released of its line"


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
BOND = _transfer(TransferKind.BOND, 9, 30, 30)
STATEMENT = Statement(1, 2, 70, 200, Counts(), 0, ROOT, False)
VIEW = StatementView(2, 70, 1_000, 200, 0, ROOT, False)
CAMPAIGN = CampaignView(
    9, 2_000, 9_000, BIG + 1_000, 5, 200, 10, 25, 210, Objection.NONE, VIEW, VIEW
)  # fmt: skip
ACCOUNT = CampaignAccount(
    campaign=1,
    token=TOKEN,
    cuts=(Cut(7, 500),),
    holdback_basis_points=0,
    bond_base_units=30,
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
        ({"latest": replace(VIEW, corrections=1)}, "latest statement, corrections"),
        ({"objection": Objection.OPEN}, "objection bond"),
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
        ({"active_lines": [Line(2, Counts(), 200)]}, f"paid to publisher 3 {OVER}"),
        ({"holdback_basis_points": 1}, f"paid to publisher 2 {OVER}"),
        ({"holdback_basis_points": 1}, "cuts paid are over what is released of them"),
        ({"transfers": [*TRANSFERS, BOND]}, "objection bond"),
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


def test_campaign__held_back_and_objected_to__agrees() -> None:
    paid = [
        _transfer(TransferKind.DEPOSIT, 9, 500, 500),
        _transfer(TransferKind.CLAIM, 2, 144, 144),
        _transfer(TransferKind.CLAIM, 3, 36, 36),
        _transfer(TransferKind.CUT, 7, 9, 9),
        BOND,
    ]
    final = replace(VIEW, is_final=False, activates_at_seconds=1_600)
    view = CampaignView(9, 2_000, 9_000, 500, 0, 180, 9, 0, 210, Objection.OPEN, final, VIEW)
    settlement = Settlement(b"\x03" * 32, 4, b"\x05" * 32, 1_600, is_objected=True)
    row = StatementRow(replace(STATEMENT, is_final=True), DraftReason.FINAL, 1, settlement)
    account = replace(
        ACCOUNT, transfers=paid, view=view, latest=row, holdback_basis_points=1_000,
        orders_paid={2: 144, 3: 36}, logged_funded_base_units=500,
    )  # fmt: skip
    assert campaign_differences(account) == []
    unnoticed = replace(row, settlement=replace(settlement, is_objected=False))
    (found,) = campaign_differences(replace(account, latest=unnoticed))
    assert found.figure == "latest statement, is final"
    released = [*paid, _transfer(TransferKind.BOND_RELEASED, 9, 30, 0)]
    (found,) = campaign_differences(replace(account, transfers=released))
    assert (found.figure, found.books, found.chain) == ("objection bond", 0, 30)


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
        (OWED, OWED + 1, ["liabilities less unbooked payouts"]),
        (OWED - 1, OWED - 1, ["liabilities less unbooked payouts", "balance is under"]),
    ],
)
def test_token__balance_and_liabilities__surplus_alone_is_no_difference(
    balance: int, liabilities: int, figures: list[str]
) -> None:
    found = token_differences([TokenAccount(TOKEN, balance, liabilities + 25, 25)], TRANSFERS)
    assert [difference.figure for difference in found] == figures


def test_token__held_bonds__are_owed_until_released() -> None:
    account = TokenAccount(TOKEN, OWED + 30, OWED + 30, 0)
    assert token_differences([account], [*TRANSFERS, BOND]) == []
    released = [*TRANSFERS, BOND, _transfer(TransferKind.BOND_RELEASED, 9, 30, 0)]
    assert token_differences([TokenAccount(TOKEN, OWED, OWED, 0)], released) == []


def test_campaign__line_fell_below_what_was_paid__no_difference_within_what_was_released() -> None:
    # Of lines of 200 and 40 three quarters were released; then the first fell to 170.
    corrected = replace(
        ACCOUNT,
        transfers=[*TRANSFERS[:2], *(
            _transfer(kind, member, amount, amount)
            for kind, member, amount in (
                (TransferKind.CLAIM, 2, 150),
                (TransferKind.CLAIM, 3, 30),
                (TransferKind.CUT, 7, 9),
                (TransferKind.REFUND, 9, 5),
            )
        )],
        holdback_basis_points=2_500,
        active_lines=[Line(2, Counts(), 160), Line(3, Counts(), 40)],
        orders_paid={2: 150, 3: 30},
        view=replace(CAMPAIGN, claimed_base_units=180, cuts_paid_base_units=9),
        released_lines={2: 150, 3: 30},
        released_total_base_units=180,
    )  # fmt: skip
    assert campaign_differences(corrected) == []
    figures = [
        found.figure
        for found in campaign_differences(
            replace(corrected, released_lines={2: 149, 3: 30}, released_total_base_units=179)
        )
    ]
    assert figures == [
        f"paid to publisher 2 {OVER}",
        "cuts paid are over what is released of them",
    ]
