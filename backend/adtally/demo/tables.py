"""The demo's outcome as tables that are pleasant to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from adtally.demo.money import TokenUnit
from adtally.demo.outcome import MoneyOutcome, Outcome, ReportOutcome, StatementOutcome
from adtally.demo.tally import may_be
from adtally.events.verdict import Verdict
from adtally.types import Counts

_Row = TypeVar("_Row")
_CENT = Decimal("0.01")
_BARS = " ▁▂▃▄▅▆▇█"

_WHY = {
    None: "honest traffic",
    Verdict.DUPLICATE: "same event sent again",
    Verdict.CONFLICT: "same id, changed body",
    Verdict.TOO_OLD: "arrived more than a day late",
    Verdict.IN_THE_FUTURE: "claims to be ahead of time",
    Verdict.UNKNOWN_CAMPAIGN: "no such campaign",
    Verdict.FLIGHT_NOT_STARTED: "before the flight",
    Verdict.FLIGHT_OVER: "after the flight",
    Verdict.NO_ORDER: "publisher without an order",
    Verdict.PLACEMENT_NOT_ALLOWED: "placement nobody registered",
    Verdict.KNOWN_BOT: "crawler by its user agent",
    Verdict.DATA_CENTER: "from a data center",
    Verdict.UNKNOWN_PARENT: "click without impression",
    Verdict.PARENT_ALREADY_USED: "second click",
}


def outcome_tables(outcome: Outcome) -> Iterator[RenderableType]:
    """Every table, in the order of the story."""
    yield verdict_table(outcome)
    yield refusal_table(outcome)
    yield anchor_table(outcome)
    yield from statement_tables(outcome)
    for money in outcome.money:
        yield line_table(money, outcome)
    if outcome.reports:
        yield report_table(outcome)
    yield money_table(outcome)
    yield check_table(outcome)


def _table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True)
    return table


def verdict_table(outcome: Outcome) -> Table:
    """What was sent, what it deserved, what it got."""
    tally = outcome.tally
    table = _table(
        f"{tally.events_sent:,} events, each with its verdict",
        "sent as",
        "verdict",
        "events",
        "billed",
        right=("events",),
    )
    rows = sorted(tally.deserved.items(), key=lambda row: (row[0][0] or 0, row[0][1]))
    for (deserved, found), count in rows:
        is_right = found in may_be(deserved)
        style = "green" if found is Verdict.ACCEPTED else ("" if is_right else "bold red")
        table.add_row(
            _WHY.get(deserved, deserved.label if deserved else ""),
            found.label,
            f"{count:,}",
            "yes" if found is Verdict.ACCEPTED else "no",
            style=style,
        )
    return table


def refusal_table(outcome: Outcome) -> Table:
    """Forged batches: refused whole, nothing of them is in the log."""
    table = _table(
        f"{outcome.tally.refused_batches} forged batches, all refused",
        "forged by",
        "refused as",
        "batches",
        right=("batches",),
    )
    for kind, codes in outcome.tally.refusals.items():
        for code, count in codes.items():
            table.add_row(kind, code, str(count))
    return table


def anchor_table(outcome: Outcome) -> Table:
    """Checkpoints on the chain; the contract checked that each extends the one before."""
    table = _table(
        f"{len(outcome.anchors)} anchors of a log of {outcome.tree_size:,} entries",
        "tree size",
        "root hash",
        "gas",
        "transaction",
        right=("tree size", "gas"),
    )
    shown = _ends(outcome.anchors, 4)
    for anchor in shown:
        if anchor is None:
            table.add_row("…", "…", "…", "…", style="dim")
            continue
        gas = "" if anchor.gas_used is None else f"{anchor.gas_used:,}"
        table.add_row(
            f"{anchor.tree_size:,}", short(anchor.root_hash), gas, short(anchor.transaction)
        )
    return table


def statement_tables(outcome: Outcome) -> Iterator[Table]:
    """Each campaign's statements settled during the day; each is cumulative."""
    letters = _letters(outcome.statements)
    for money in outcome.money:
        settled = [each for each in outcome.statements if each.campaign == money.campaign]
        table = _table(
            f"{outcome.campaign_names[money.campaign]}: {len(settled)} statements, co-signed and "
            "settled",
            "no.",
            "because",
            "impr / view / click / conv",
            "lines total",
            "signed by",
            "transaction",
            right=("lines total",),
        )
        for statement in settled:
            table.add_row(
                str(statement.sequence),
                statement.reason,
                counts_text(statement.counts),
                money.unit.named(statement.lines_total_base_units, 6),
                " ".join(letters[signer] for signer in statement.signers),
                short(statement.transaction),
                style="bold" if statement.is_final else "",
            )
        yield table


def line_table(money: MoneyOutcome, outcome: Outcome) -> Table:
    """The final statement's lines and what each publisher got."""
    table = _table(
        f"{outcome.campaign_names[money.campaign]}: who was paid",
        "publisher",
        "impr / view / click / conv",
        "owed",
        "paid",
        right=("owed", "paid"),
    )
    for line in money.lines:
        table.add_row(
            outcome.names.get(line.publisher, str(line.publisher)),
            counts_text(line.counts),
            money.unit.named(line.amount_base_units),
            money.unit.named(line.paid_base_units),
        )
    cuts: dict[int, int] = {}
    for payment in outcome.payments:
        if payment.campaign == money.campaign and payment.kind == "cut":
            cuts[payment.member] = cuts.get(payment.member, 0) + payment.amount_base_units
    for member, amount in cuts.items():
        name = outcome.names.get(member, str(member))
        paid = money.unit.named(amount)
        table.add_row(name, "cut, on top", paid, paid, style="dim")
    return table


def money_table(outcome: Outcome) -> Table:
    """Funded = paid + cuts + refunded + balance, to the unit."""
    table = _table(
        "The escrow, to the base unit",
        "campaign",
        "funded",
        "= paid",
        "+ cuts",
        "+ refunded",
        "+ balance",
        right=("funded", "= paid", "+ cuts", "+ refunded", "+ balance"),
    )
    # Where it is tight, names take two lines before an amount loses a digit.
    table.columns[0].no_wrap = False
    for money in outcome.money:
        text = money.unit.text
        table.add_row(
            outcome.campaign_names[money.campaign],
            money.unit.named(money.funded_base_units),
            text(money.paid_base_units),
            text(money.cuts_base_units),
            text(money.refunded_base_units),
            text(money.balance_base_units),
        )
    return table


def report_table(outcome: Outcome) -> Table:
    """The campaigns' reports side by side: analytics over exactly the settled events."""
    table = _table("What the advertiser reads", "")
    reports = [(money, outcome.reports[money.campaign]) for money in outcome.money]
    for money, _ in reports:
        table.add_column(outcome.campaign_names[money.campaign], justify="right")
    for label, cell in _REPORT_ROWS:
        table.add_row(label, *(cell(report, money.unit) for money, report in reports))
    return table


def _gross_to_net(report: ReportOutcome, _: TokenUnit) -> str:
    return f"{report.gross.impressions:,} -> {report.net.impressions:,}"


def _percent(name: str) -> Callable[[ReportOutcome, TokenUnit], str]:
    def cell(report: ReportOutcome, _: TokenUnit) -> str:
        value = report.metrics.get(name)
        return "-" if value is None else f"{(Decimal(value) * 100).quantize(_CENT)} %"

    return cell


def _price(name: str) -> Callable[[ReportOutcome, TokenUnit], str]:
    def cell(report: ReportOutcome, unit: TokenUnit) -> str:
        value = report.metrics.get(name)
        return "-" if value is None else unit.named(int(Decimal(value)), 4)

    return cell


def _ratio(report: ReportOutcome, _: TokenUnit) -> str:
    value = report.metrics.get("roas")
    return "-" if value is None else str(Decimal(value).quantize(_CENT))


def _hours(report: ReportOutcome, _: TokenUnit) -> str:
    most = max(report.hourly_impressions, default=0)
    if most == 0:
        return "-"
    steps = len(_BARS) - 1
    return "".join(_BARS[-(-count * steps // most)] for count in report.hourly_impressions)


_REPORT_ROWS: tuple[tuple[str, Callable[[ReportOutcome, TokenUnit], str]], ...] = (
    ("impressions by hour", _hours),
    ("impressions, gross -> net", _gross_to_net),
    ("viewable", lambda report, _: f"{report.net.viewables:,}"),
    ("clicks", lambda report, _: f"{report.net.clicks:,}"),
    ("conversions", lambda report, _: f"{report.net.conversions:,}"),
    ("spend", lambda report, unit: unit.named(report.spend_base_units)),
    ("CTR", _percent("ctr")),
    ("CVR", _percent("cvr")),
    ("viewable rate", _percent("viewable_rate")),
    ("eCPM", _price("ecpm")),
    ("CPA", _price("cpa")),
    ("ROAS", _ratio),
)


def check_table(outcome: Outcome) -> Group:
    """Receipts and audit: what was checked, and how many of it."""
    table = _table("Checked from public data alone", "what", "how many", right=("how many",))
    if outcome.receipts is not None:
        table.add_row("receipts against the final log", f"{outcome.receipts.kept:,}")
        table.add_row(
            "receipts anchored by their deadline", f"{outcome.receipts.anchored_in_time:,}"
        )
    if outcome.audit is not None:
        for what, count in outcome.audit.checked.items():
            table.add_row(f"audit: {what}", f"{count:,}")
    ok = outcome.audit is not None and outcome.audit.ok
    verdict = Text("audit: everything agrees", "bold green") if ok else Text("audit failed", "red")
    return Group(table, verdict)


def counts_text(counts: Counts) -> str:
    """The four counts in one cell."""
    return (
        f"{counts.impressions:,} / {counts.viewables:,} / {counts.clicks:,} / "
        f"{counts.conversions:,}"
    )


def short(value: str) -> str:
    """A hash with its middle left out."""
    return value if len(value) <= 14 else f"{value[:8]}…{value[-4:]}"


def _letters(statements: Sequence[StatementOutcome]) -> dict[str, str]:
    signers = sorted({signer for statement in statements for signer in statement.signers})
    return {signer: chr(ord("A") + place) for place, signer in enumerate(signers)}


def _ends(rows: Sequence[_Row], each: int) -> list[_Row | None]:
    if len(rows) <= 2 * each + 1:
        return list(rows)
    return [*rows[:each], None, *rows[-each:]]
