"""An audit's report as one web page that needs nothing besides itself, on screen and on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from adtally.audit.report import AuditReport, Check, Discrepancy
from adtally.chain.deployment import DeployedToken
from adtally.commands.audit_words import MEANINGS

_STYLE = """
:root { color-scheme: light; --ink: #1b1f24; --soft: #5b6470; --line: #d9dee4;
  --good: #0b6b3a; --good-bg: #e7f5ec; --bad: #a01622; --bad-bg: #fcebec; --note-bg: #fff8e1; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink);
  margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.verdict { border-left: .5rem solid; padding: 1rem 1.25rem; margin: 1.25rem 0; }
.verdict strong { font-size: 1.35rem; display: block; }
.good { color: var(--good); background: var(--good-bg); border-color: var(--good); }
.bad { color: var(--bad); background: var(--bad-bg); border-color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .35rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem;
  border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.n { white-space: nowrap; }
code { font: .85em ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.finding { border: 1px solid var(--bad); border-radius: .4rem; padding: .8rem 1rem; margin: .8rem 0;
  break-inside: avoid; }
.finding h3 { margin: 0 0 .3rem; font-size: 1rem; color: var(--bad); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem .9rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.note { background: var(--note-bg); padding: .6rem .9rem; margin: .5rem 0; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; } }
@media print { body { font-size: 10pt; max-width: none; padding: 0; } tr { break-inside: avoid; } }
"""

_SHOWN = 200

Tokens = Mapping[str, tuple[str, DeployedToken]]
"""By address in hex: the symbol and what the deployment says of it."""


def audit_page(report: AuditReport, subject: Sequence[tuple[str, str]], tokens: Tokens) -> str:
    """The page's HTML.

    Args:
        subject: what was audited, as names and values.
        tokens: to show amounts in; of others base units are shown.
    """
    parts = [
        *_verdict(report),
        *_subject(report, subject),
        *_findings(report.discrepancies),
        *(f'<p class="note">{escape(remark)}</p>' for remark in report.remarks),
        *_money(report, tokens),
        *_events(report),
        *_checks(report.checks),
        *_limits(),
    ]
    title = "Audit: everything agrees" if report.ok else "Audit: it does not agree"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _verdict(report: AuditReport) -> Iterable[str]:
    made = sum(check.how_many for check in report.checks)
    yield "<h1>Audit of an advertising log</h1>"
    if report.ok:
        text = (
            "Every event was judged by the published rules, and every unit that was paid follows "
            "from them."
        )
        yield f'<div class="verdict good" role="status"><strong>Everything agrees</strong>{text}'
    else:
        count = len(report.discrepancies)
        if count == 1:
            text = "1 thing is not as it must be. What it means, and what to do, is below."
        else:
            things = f"{count:,} things are not as they must be"
            text = f"{things}. What they mean, and what to do, is below."
        yield f'<div class="verdict bad" role="status"><strong>It does not agree</strong>{text}'
    yield f"<p>{made:,} comparisons were made.</p></div>"


def _subject(report: AuditReport, subject: Sequence[tuple[str, str]]) -> Iterable[str]:
    figures = report.figures
    rows = [
        *subject,
        ("Entries in the log", f"{figures.tree_size:,}"),
        ("Fingerprint of the log", figures.root_hash),
        ("Chain read up to block", f"{figures.pinned_block:,}  {figures.pinned_block_hash}"),
    ]
    if figures.resumed_at:
        text = f"entries before {figures.resumed_at:,} were checked by an earlier audit here"
        rows.append(("Continued", text))
    yield "<dl>"
    for name, value in rows:
        yield f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>"
    yield "</dl>"


def _findings(discrepancies: Sequence[Discrepancy]) -> Iterable[str]:
    if not discrepancies:
        return
    yield "<h2>What is wrong</h2>"
    for each in discrepancies[:_SHOWN]:
        meaning = MEANINGS[each.check]
        yield (
            f'<section class="finding"><h3>{escape(_sentence(each.what))}</h3>'
            f"<p>{escape(meaning.means)}</p><dl>"
            f"<dt>Where</dt><dd>{escape(each.where)}</dd>"
            f"<dt>Expected</dt><dd><code>{escape(each.expected)}</code></dd>"
            f"<dt>Found</dt><dd><code>{escape(each.found)}</code></dd>"
            f"<dt>Check</dt><dd>{escape(each.check)}</dd>"
            f"<dt>What to do</dt><dd>{escape(meaning.to_do)}</dd></dl></section>"
        )
    if len(discrepancies) > _SHOWN:
        yield f"<p>And {len(discrepancies) - _SHOWN:,} more, in the JSON report.</p>"


def _money(report: AuditReport, tokens: Tokens) -> Iterable[str]:
    figures = report.figures
    token_of = {each.campaign: each.token for each in figures.campaigns}

    def show(campaign: int, base_units: int) -> str:
        return amount_text(base_units, tokens.get(token_of.get(campaign, "")))

    yield "<h2>Money by campaign</h2>"
    yield from _table(
        "What the chain says was paid in and out, and what the log says was earned.",
        ("Campaign", "Statements", "Paid in", "Earned", "Paid to publishers", "To intermediaries",
         "Paid back", "Still held"),
        [
            (
                f"{each.campaign}",
                f"{each.statements}{', final' if each.is_final else ''}",
                show(each.campaign, each.funded_base_units),
                show(each.campaign, each.accrued_base_units),
                show(each.campaign, each.paid_base_units),
                show(each.campaign, each.cuts_base_units),
                show(each.campaign, each.refunded_base_units),
                show(each.campaign, each.held_base_units),
            )
            for each in figures.campaigns
        ],
        words=1,
    )  # fmt: skip
    yield "<h2>Money by publisher</h2>"
    yield from _table(
        "Events that count, what they earned, and how much of it was paid.",
        ("Campaign", "Publisher", "Impressions", "Viewables", "Clicks", "Conversions", "Earned",
         "Paid"),
        [
            (
                f"{each.campaign}",
                f"member {each.publisher}",
                f"{each.impressions:,}",
                f"{each.viewables:,}",
                f"{each.clicks:,}",
                f"{each.conversions:,}",
                show(each.campaign, each.accrued_base_units),
                show(each.campaign, each.paid_base_units),
            )
            for each in figures.publishers
        ],
        words=2,
    )  # fmt: skip


def _events(report: AuditReport) -> Iterable[str]:
    verdicts = report.figures.verdicts
    total = report.figures.records
    yield "<h2>Events by verdict</h2>"
    yield from _table(
        f"{total:,} events were judged again; all but the accepted ones were refused.",
        ("Verdict", "Events", "Share"),
        [
            (label.replace("_", " "), f"{count:,}", share_text(count, total))
            for label, count in sorted(verdicts.items(), key=lambda each: (-each[1], each[0]))
        ],
        words=1,
    )
    if report.figures.corrections:
        yield f"<p>{report.figures.corrections:,} were corrected later.</p>"


def _checks(checks: Sequence[Check]) -> Iterable[str]:
    yield "<h2>What was compared</h2>"
    yield from _table(
        "Every comparison that this audit makes, and how often it was made.",
        ("Check", "What was compared", "Result", "How often"),
        [
            (check.name.replace("_", " "), check.what, _result(check), f"{check.how_many:,}")
            for check in checks
        ],
        words=3,
    )  # fmt: skip


def _result(check: Check) -> str:
    if not check.ok:
        return "DIFFERS"
    return "agrees" if check.how_many else "nothing to compare"


def _limits() -> Iterable[str]:
    yield "<h2>What an audit can't show</h2>"
    yield (
        "<p>That an event really happened: a publisher can invent impressions that look real, and "
        "an advertiser can leave out conversions. What each of them said is signed and on "
        "record.</p><p>That the node told the truth about the chain: use one of your own. That the "
        "attestors looked before they signed: their signatures are checked by the contracts.</p>"
    )


def _table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], words: int
) -> Iterable[str]:
    """A table whose first ``words`` columns are text, and the rest numbers."""
    if not rows:
        yield '<p class="soft">None.</p>'
        return
    kinds = ["" if at < words else ' class="n"' for at in range(len(head))]
    titles = "".join(
        f'<th scope="col"{kind}>{escape(title)}</th>'
        for title, kind in zip(head, kinds, strict=True)
    )
    yield f'<div class="wide"><table><caption>{escape(caption)}</caption>'
    yield f"<thead><tr>{titles}</tr></thead><tbody>"
    for row in rows:
        cells = "".join(
            f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)
        )
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"


def amount_text(base_units: int, token: tuple[str, DeployedToken] | None) -> str:
    """An amount as people write it, exact; in base units of tokens that nobody describes."""
    if token is None:
        return f"{base_units:,} base units"
    symbol, listed = token
    sign = "-" if base_units < 0 else ""
    whole, rest = divmod(abs(base_units), 10**listed.decimals)
    digits = f"{rest:0{listed.decimals}d}".rstrip("0") if listed.decimals else ""
    return f"{sign}{whole:,}.{digits.ljust(2, '0')} {symbol}"


def share_text(part: int, total: int) -> str:
    """A share in percent with one place, rounded down; exact in whole numbers."""
    if not total:
        return ""
    tenths = part * 1000 // total
    return f"{tenths // 10}.{tenths % 10} %"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
