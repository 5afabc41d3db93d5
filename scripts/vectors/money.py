"""``money.json``: amounts of lines, reserves and cuts, and claim trees."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from adtally.settlement.claim_tree import ClaimTree, line_leaf
from adtally.settlement.rates import (
    counts_amount_milli,
    cut_amount_base_units,
    line_amount_base_units,
    released_base_units,
    reserve_base_units,
)
from adtally.types import UINT64_MAX, UINT80_MAX, UINT128_MAX, Counts, Cut, Line, Rates, Statement
from vectors.common import ESCROW_DOMAIN, hexed, plain

_USD6 = Rates(2_500_000, 4_000_000, 250_000, 5_000_000)
_LINE_CASES = (
    ("nothing", _USD6, Counts(), UINT128_MAX),
    ("one impression at 2.50 a mille, six decimals", _USD6, Counts(1), UINT128_MAX),
    ("a rate of one base unit a mille, below one", Rates(1), Counts(999), UINT128_MAX),
    ("a rate of one base unit a mille, exactly one", Rates(1), Counts(1_000), UINT128_MAX),
    ("floors add up before they are taken", Rates(1, 1), Counts(600, 400), UINT128_MAX),
    ("every type", _USD6, Counts(1_234, 801, 17, 1), UINT128_MAX),
    ("at the cap", _USD6, Counts(1_000), 2_500_000),
    ("over the cap", _USD6, Counts(1_001), 2_500_000),
    ("eighteen decimals", Rates(10**18), Counts(123_457), UINT128_MAX),
    (
        "largest rate and counts",
        Rates(UINT80_MAX, UINT80_MAX, UINT80_MAX, UINT80_MAX),
        Counts(UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX),
        UINT128_MAX,
    ),
)
_RESERVE_CASES: tuple[tuple[int, tuple[Cut, ...]], ...] = (
    (0, (Cut(9, 1_000),)),
    (1_000_000, ()),
    (1_000_000, (Cut(9, 1_000), Cut(8, 250))),
    (9_999, (Cut(9, 1), Cut(8, 1))),
    (12_345_678_901, (Cut(9, 333), Cut(8, 1_500), Cut(7, 1))),
)
_RELEASE_CASES = ((0, 1_000), (1, 1), (9_999, 1_000), (12_345_678_901, 333), (7, 0), (7, 5_000))


def sample_lines() -> list[Line]:
    rates = Rates(2_500_000, 4_000_000, 250_000, 5_000_000)
    counts = {
        3: Counts(1_234, 801, 17, 1),
        4: Counts(999, 0, 0, 0),
        7: Counts(0, 0, 2, 0),
    }
    return [
        Line(publisher, each, line_amount_base_units(rates, each, UINT128_MAX))
        for publisher, each in counts.items()
    ]


def sample_statement() -> Statement:
    lines = sample_lines()
    return Statement(
        campaign=1,
        sequence=2,
        tree_size=9,
        lines_total_base_units=sum(line.amount_base_units for line in lines),
        counts=sum((line.counts for line in lines), Counts()),
        corrections=3,
        lines_root=ClaimTree(ESCROW_DOMAIN, 1, lines).root,
        is_final=False,
    )


def money_vectors() -> dict[str, Any]:
    return {
        "lines": [_line_case(*case) for case in _LINE_CASES],
        "releases": [_release_case(amount, holdback) for amount, holdback in _RELEASE_CASES],
        "reserves": [_reserve_case(total, cuts) for total, cuts in _RESERVE_CASES],
        "claim_tree": claim_tree_vectors(),
    }


def _line_case(name: str, rates: Rates, counts: Counts, cap: int) -> dict[str, Any]:
    return {
        "name": name,
        "rates": {key: str(value) for key, value in asdict(rates).items()},
        "counts": plain(asdict(counts)),
        "cap_base_units": str(cap),
        "amount_milli": str(counts_amount_milli(rates, counts)),
        "amount_base_units": str(line_amount_base_units(rates, counts, cap)),
    }


def _reserve_case(total: int, cuts: tuple[Cut, ...]) -> dict[str, Any]:
    return {
        "lines_total_base_units": str(total),
        "cuts": [
            {**asdict(cut), "amount_base_units": str(cut_amount_base_units(total, cut))}
            for cut in cuts
        ],
        "reserve_base_units": str(reserve_base_units(total, cuts)),
    }


def _release_case(amount: int, holdback: int) -> dict[str, Any]:
    return {
        "amount_base_units": str(amount),
        "holdback_basis_points": holdback,
        "released_base_units": str(released_base_units(amount, holdback)),
    }


def claim_tree_vectors() -> dict[str, Any]:
    """Trees of 0 to 5 lines, each with every proof."""
    pool = [*sample_lines(), Line(11, Counts(1, 1, 1, 1), 0), Line(12, Counts(5), 0)]
    trees = []
    for count in range(len(pool) + 1):
        lines = pool[:count]
        tree = ClaimTree(ESCROW_DOMAIN, 1, lines)
        trees.append(
            {
                "root": hexed(tree.root),
                "lines": [
                    {
                        "publisher": line.publisher,
                        "counts": plain(asdict(line.counts)),
                        "leaf": hexed(line_leaf(ESCROW_DOMAIN, 1, line.publisher, line.counts)),
                        "proof": plain(tree.proof(line.publisher)),
                    }
                    for line in lines
                ],
            }
        )
    return {"escrow_domain": hexed(ESCROW_DOMAIN), "campaign": 1, "trees": trees}
