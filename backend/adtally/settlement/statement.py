"""Builds what a campaign owes at one size of the log."""

from __future__ import annotations

from collections.abc import Sequence

from adtally.settlement.claim_tree import ClaimTree
from adtally.types import Counts, Hash, Line, Statement


def build_statement(
    escrow_domain: Hash,
    campaign: int,
    sequence: int,
    tree_size: int,
    lines: Sequence[Line],
    *,
    corrections: int,
    is_final: bool,
) -> Statement:
    """A cumulative statement; its totals are the sums of its lines, by construction.

    Args:
        corrections: how many corrections in the log ``lines`` contain.
    """
    return Statement(
        campaign=campaign,
        sequence=sequence,
        tree_size=tree_size,
        lines_total_base_units=sum(line.amount_base_units for line in lines),
        counts=sum((line.counts for line in lines), Counts()),
        corrections=corrections,
        lines_root=ClaimTree(escrow_domain, campaign, lines).root,
        is_final=is_final,
    )
