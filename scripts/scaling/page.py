"""The generated part of docs/SCALING.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from .inputs import Measured
from .limits import Stop
from .placement import DoesNotFit, Placement
from .simulate import Outcome, Resources
from .traffic import DAY_SECONDS, STEP_SECONDS

BEGIN = "<!-- figures: written by make scaling -->"
END = "<!-- end of figures -->"
TOKEN_UNITS = 10**6
GAS_PRICE_WEI = 10**9
TOKENS_AN_ETHER = 3_000
_WEI = 10**18

Variant = tuple[Placement, Resources]


def render(
    table: Mapping[str, Measured],
    days: Sequence[Outcome],
    variants: Sequence[tuple[str, Variant | DoesNotFit]],
    stops: Sequence[Stop],
) -> str:
    """What stands between the markers."""
    parts = [
        "### A day",
        _day_grid(days),
        "### What moves the number of logs, at 100G events a day",
        _grid(["changed", "logs", "cores of sequencers", "memory for ids, largest log"], [
            _variant(name, found) for name, found in variants
        ]),
        "### Where the parts of one log stop",
        _grid(["part", "stops at", "because", "then"], [
            [each.part, each.stops_at, each.why, each.then] for each in stops
        ]),
        "### Measured inputs",
        _grid(["figure", "value", "from"], [
            [f"`{name}`", f"{each.value:,} {each.unit}", each.source]
            for name, each in sorted(table.items())
        ]),
    ]  # fmt: skip
    return "\n\n".join(parts)


def gas_tokens(gas: int) -> Fraction:
    """What gas costs in the stated prices, exactly."""
    return Fraction(gas * GAS_PRICE_WEI * TOKENS_AN_ETHER, _WEI)


def splice(page: str, generated: str) -> str:
    """The page with its generated part replaced.

    Raises:
        ValueError: it has no such part.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"expected {BEGIN} and {END} in the page")
    return f"{before}{BEGIN}\n\n{generated}\n\n{END}{after}"


def _variant(name: str, found: Variant | DoesNotFit) -> list[str]:
    if isinstance(found, DoesNotFit):
        return [name, f"none: {found}", "", ""]
    placement, needs = found
    return [
        name,
        f"{placement.logs:,}",
        f"{needs.sequencer_cores:,.1f}",
        _bytes(needs.id_bytes_most),
    ]


def _day_grid(days: Sequence[Outcome]) -> str:
    columns = [_of(day) for day in days]
    rows = [[label, *(column[label] for column in columns)] for label in columns[0]]
    return _grid(["", *(f"{day.scenario.name} events" for day in days)], rows)


def _of(day: Outcome) -> dict[str, str]:
    """A day's column: label to text."""
    scenario, needs, chain, money, played = (
        day.scenario, day.resources, day.chain, day.money, day.day,
    )  # fmt: skip
    peak = played.arrived.sum(axis=0).max() / STEP_SECONDS
    over = int((day.orders.events - money.billed).sum())
    return {
        "publishers, campaigns (assumed)": f"{scenario.publishers:,}, {scenario.campaigns:,}",
        "events a second, mean, peak": f"{scenario.events / DAY_SECONDS:,.0f}, {peak:,.0f}",
        "**logs**": f"**{day.placement.logs:,}**",
        "busiest core of a sequencer, at the peak": f"{played.load.max():.0%}",
        "cores of sequencers, mean": f"{needs.sequencer_cores:,.2f}",
        "batches, events in each": f"{needs.batches:,}, {scenario.events / needs.batches:,.1f}",
        "log, a day": _bytes(needs.log_bytes),
        "trees, a day": _bytes(needs.tree_bytes),
        "both, a year": _bytes(365 * (needs.log_bytes + needs.tree_bytes)),
        "memory for ids, all, largest log": (
            f"{_bytes(needs.id_bytes)}, {_bytes(needs.id_bytes_most)}"
        ),
        "an auditor of everything, core hours": f"{needs.audit_core_hours:,.2f}",
        "attestors together, cores, mean": (
            f"{scenario.attestors * needs.attestor_core_hours / 24:,.2f}"
        ),
        "anchors, statements, lines paid": (
            f"{chain.anchors:,}, {chain.statements:,}, {chain.lines:,}"
        ),
        "transactions of the busiest log, room for": (
            f"{chain.transactions_most:,}, {chain.transactions_room:,}"
        ),
        "**gas**": f"**{chain.gas:,}**",
        "of it anchors, statements, lines": ", ".join(
            f"{part / chain.gas:.0%}"
            for part in (chain.anchor_gas, chain.statement_gas, chain.claim_gas)
        ),
        "gas a second, for 1,000 events": (
            f"{chain.gas / DAY_SECONDS:,.0f}, {1_000 * chain.gas / scenario.events:,.1f}"
        ),
        "funded, tokens": _tokens(money.funded),
        "lines, tokens": _tokens(money.lines),
        "cuts, tokens": _tokens(money.cuts),
        "left in escrows, tokens": _tokens(money.left),
        "events over budget, not billed": f"{over:,}",
        "gas in tokens, share of the lines": (
            f"{float(gas_tokens(chain.gas)):,.0f}, "
            f"{float(gas_tokens(chain.gas) * TOKEN_UNITS / money.lines):.2%}"
        ),
        "wait for a sequencer, 99 %, longest": (
            f"{played.wait_seconds(0.99):.1f} s, {float(played.waits_seconds.max()):.1f} s"
        ),
        "unanswered events of one log, most": f"{played.unanswered:,}",
        "events sent twice at takeover, logged once": f"{played.sent_twice:,}",
        "logs a publisher sends to, mean, most": (
            f"{needs.logs_a_publisher:.1f}, {needs.logs_a_publisher_most}"
        ),
    }


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _bytes(number: float) -> str:
    for size, name in ((10**15, "PB"), (10**12, "TB"), (10**9, "GB"), (10**6, "MB")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return f"{number:,.0f} bytes"


def _tokens(base_units: int) -> str:
    whole, part = divmod(base_units, TOKEN_UNITS)
    return f"{whole:,}.{part:06}"
