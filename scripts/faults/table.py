"""The table in docs/RELIABILITY.md: how often each thing was done to the service, what was lost."""

from __future__ import annotations

from typing import Any, NamedTuple

BEGIN = "<!-- figures: written by make faults -->"
END = "<!-- end of figures -->"


class Group(NamedTuple):
    """A kind of run: its figure without ``faults.``, and what it does, for people."""

    figure: str
    label: str


GROUPS = (
    Group("kill_step_runs", "kill -9 before, within and after every write step"),
    Group("power_loss_runs", "power lost before and after every write step"),
    Group("second_loss_runs", "kill before a sync, then power lost around the recovery"),
    Group("disk_error_runs", "EIO (with and without effect), ENOSPC, EROFS at every write step"),
    Group("short_write_runs", "short writes, alone and before ENOSPC, at every write"),
    Group("random_kill_runs", "kill -9 at a random moment, 16 publishers sending"),
    Group("random_power_loss_runs", "power lost at a random write step, 16 publishers sending"),
    Group("random_disk_error_runs", "a disk error at a random write step, 16 publishers sending"),
    Group("flipped_bit_runs", "one bit of a committed frame flipped, at rest or under the service"),
    Group("flipped_bit_store_runs", "every bit of the last frame flipped, the store alone opened"),
    Group("parallel_identical_runs", "one batch sent 100 times at once"),
    Group("parallel_body_runs", "100 batches under one sequence at once"),
    Group("parallel_id_runs", "ten event ids from two senders at once, with other bodies"),
    Group("overload_runs", "overload"),
)

EXTENT = (
    ("write_steps", "write steps of the two short runs"),
    ("acknowledged_batches", "batches with a receipt in the random runs"),
    ("acknowledged_events", "events with a receipt in the random runs"),
)

OVERLOAD = (
    ("seconds", "seconds"),
    ("publishers", "publishers in the crowd"),
    ("connections", "their connections"),
    ("offered_per_second", "requests of the crowd a second"),
    ("receipts_per_second", "answered with a receipt a second, many of them with the same"),
    ("refused_per_second", "refused with 503 a second"),
    ("acknowledged_events", "events with a receipt, all of them on disk"),
    ("before_p50_ms", "median of the polite publisher before, ms"),
    ("after_p50_ms", "right after, ms"),
    ("polite_receipts", "receipts of the polite publisher during the overload"),
    ("polite_p99_ms", "its 99th percentile to a receipt then, ms"),
    ("memory_before_mib", "resident memory before, MiB"),
    ("memory_most_mib", "the most, MiB"),
)


def render(report: dict[str, Any]) -> str:
    """The generated part of the page, without its markers."""
    figures: dict[str, dict[str, Any]] = report["figures"]
    dirty = " and changes not committed yet" if report["commit"].endswith("-dirty") else ""
    lines = [f"Commit `{report['commit'][:12]}`{dirty}.", ""]
    lines += ["| what was done | runs | violations |", "|---|--:|--:|"]
    for group in GROUPS:
        runs = _cell(figures.get(f"faults.{group.figure}"))
        lines.append(f"| {group.label} | {runs} | {_cell(figures.get(violations(group.figure)))} |")
    lines += ["", "| extent | |", "|---|--:|"]
    lines += [f"| {label} | {_cell(figures.get(f'faults.{name}'))} |" for name, label in EXTENT]
    lines += ["", "| overload | |", "|---|--:|"]
    lines += [
        f"| {label} | {_cell(figures.get(f'faults.overload.{name}'))} |" for name, label in OVERLOAD
    ]
    return "\n".join(lines) + "\n"


def violations(figure: str) -> str:
    """The full name of the figure that counts what went wrong in a group of runs."""
    return f"faults.{figure.removesuffix('_runs')}_violations"


def _cell(figure: dict[str, Any] | None) -> str:
    return "not run" if figure is None else f"{figure['value']:,}"


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
