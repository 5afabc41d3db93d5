"""The table in docs/contracts.md: measured figures beside their goals and what others publish."""

from __future__ import annotations

from typing import Any, NamedTuple

BEGIN = "<!-- figures: written by make contracts -->"
END = "<!-- end of figures -->"


class Row(NamedTuple):
    """A figure with its name for people; ``goal`` and ``record`` as in the issue that set them."""

    figure: str
    label: str
    goal: str = ""
    record: str = ""


GAS_ROWS = (
    Row("gas.anchor_1m_3sig", "anchor, 1M leaves, 3 signatures", "80,000", "70,000"),
    Row("gas.anchor_1g_3sig", "anchor, 1G leaves, 3 signatures", "95,000", "75,000"),
    Row("gas.settle", "settle, steady", "100,000", "86,000"),
    Row("gas.claim_first", "claim, first, payee holds the token", "98,000"),
    Row("gas.claim_repeat", "claim, repeat", "80,000", "73,000"),
    Row("gas.claim_many_line_first", "claimMany, a line of 50, first", "40,000", "25,000"),
    Row(
        "gas.claim_many_line_repeat",
        "claimMany, a line of 50, repeat",
        "32,000",
        "20,000",
    ),
    Row("gas.breach_proof", "breach proof, 1M leaves", "125,000"),
    Row("gas.fund", "fund"),
    Row("gas.refund", "refund"),
)

OTHERS = (
    ("one transaction per event, its hash logged (measured)", "22,831 an event"),
    ("the same, 500 events a transaction (measured)", "1,711 an event"),
    ("bare ERC-20 transfer, first / repeat (measured)", "51,553 / 34,453"),
    ("AdEx: open a channel (published 2019)", "69,961"),
    ("AdEx: withdraw (published 2019)", "137,117"),
    ("AdEx: withdraw of an expired channel (published 2019)", "70,470"),
)
"""What the gas is to be compared with."""

CHECK_ROWS = (
    Row("coverage.branches", "branches of `contracts/` taken by a test", "98 %"),
    Row("coverage.lines", "lines of `contracts/` run by a test"),
    Row("tests.total", "tests"),
    Row("tests.failed", "failing tests", "0"),
    Row("fuzz.runs", "runs of each fuzz test", "10,000"),
    Row("invariants.runs", "sequences for each invariant", "500"),
    Row("invariants.calls", "calls in them, each followed by the check", "100,000"),
    Row("invariants.violations", "invariants broken", "0"),
    Row("slither.unexplained", "Slither findings without explanation", "0"),
    Row("symbolic.proved", "properties proved for every input"),
    Row("symbolic.failed", "properties not proved", "0"),
    Row("mutants.total", "mutants that compile and change the code"),
    Row("mutants.caught", "of those, caught by a test", "95 %"),
    Row("mutants.untested", "mutants not tried yet", "0"),
)


def render(report: dict[str, Any]) -> str:
    """The generated part of the page, without its markers."""
    figures: dict[str, dict[str, Any]] = report["figures"]
    named = {row.figure for row in (*GAS_ROWS, *CHECK_ROWS)}
    more = [Row(name, f"`{name[4:]}`") for name in figures if name[:4] == "gas."]
    gas_rows = (*GAS_ROWS, *(row for row in more if row.figure not in named))
    lines = [f"Commit `{report['commit'][:12]}`{_dirty(report['commit'])}.", ""]
    lines += ["| transaction | gas | goal | record |", "|---|--:|--:|--:|"]
    lines += [
        f"| {row.label} | {cell(figures.get(row.figure))} | {row.goal} | {row.record} |"
        for row in gas_rows
    ]
    lines += ["", "| for comparison | gas |", "|---|--:|"]
    lines += [f"| {label} | {gas} |" for label, gas in OTHERS]
    lines += ["", "| check | found | goal |", "|---|--:|--:|"]
    lines += [
        f"| {row.label} | {cell(figures.get(row.figure))} | {row.goal} |" for row in CHECK_ROWS
    ]
    lines += ["", "| contract | deployed bytes |", "|---|--:|"]
    lines += [
        f"| {name[5:-6]} | {cell(figure)} |"
        for name, figure in figures.items()
        if name.startswith("size.")
    ]
    return "\n".join(lines) + "\n"


def _dirty(commit: str) -> str:
    return " and changes not committed yet" if commit.endswith("-dirty") else ""


def cell(figure: dict[str, Any] | None) -> str:
    """A figure as people read it."""
    if figure is None:
        return "not measured"
    value, unit = figure["value"], figure["unit"]
    return f"{value} %" if unit == "%" else f"{value:,}"


def replaced(page: str, table: str) -> str:
    """The page with ``table`` between the markers.

    Raises:
        ValueError: the page does not have each marker once, in order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}, once each")
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"
