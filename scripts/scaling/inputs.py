"""Measured unit costs: of the last ``make bench`` and ``make contracts``, else as recorded.

``measured.json`` beside this file holds the figures that docs/SCALING.md was last made from, each
with its source, date and hardware.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from scripts.bench.sheet import NOT_QUIET

from adtally.kernel.event_table import ROW_WORDS

ROOT = Path(__file__).resolve().parents[2]
RECORDED = Path(__file__).with_name("measured.json")
REPORTS = ("build/bench/report.json", "build/contracts/report.json")
WANTED = (
    "ingest.binary_10.events_per_second",
    "ingest.binary_1000.events_per_second",
    "ingest.batch_p50_ms",
    "audit.events_per_second",
    "audit.reference_events_per_second",
    "limit.fdatasync_per_second",
    "gas.anchor_1m_3sig",
    "gas.anchor_1g_3sig",
    "gas.settle",
    "gas.claim_many_line_repeat",
)

IDS = "dedupe.bytes_per_event"
ROW_BYTES = 8 * ROW_WORDS
FILL = 0.6
"""Of the table of ids, where its memory was not measured: blocks are 1/2 to 3/4 full."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and where it is from."""

    value: float
    unit: str
    source: str


Table = dict[str, Measured]


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """What one of something costs.

    Args:
        batch_seconds: CPU of the sequencer's core for a batch, whatever is in it.
        event_seconds: the same for each event in it.
        commit_seconds: latency of a batch of 1,000 at half load; the median.
        audit_seconds: CPU of an audit for an event, downloads included.
        attestor_seconds: CPU of an attestor for an event: it runs the plain reference.
        anchor_gas: of an anchor at 2^0 leaves; ``anchor_gas_a_level`` more for each doubling.
        claim_gas: of one line in ``claimMany``.
        id_bytes: memory that an event's id takes while it is remembered.
    """

    batch_seconds: float
    event_seconds: float
    commit_seconds: float
    audit_seconds: float
    attestor_seconds: float
    anchor_gas: float
    anchor_gas_a_level: float
    settle_gas: int
    claim_gas: int
    id_bytes: float


def unit_costs(table: Mapping[str, Measured]) -> UnitCosts:
    """Costs out of measured rates.

    A batch of n takes ``batch + n * event`` seconds; two sizes of batches give both.

    Raises:
        ValueError: the larger batches were not the quicker ones, so no such line fits.
    """
    value = {name: measured.value for name, measured in table.items()}
    small = 10 / value["ingest.binary_10.events_per_second"]
    large = 1_000 / value["ingest.binary_1000.events_per_second"]
    event = (large - small) / 990
    batch = small - 10 * event
    if event <= 0 or batch <= 0:
        raise ValueError(f"expected positive costs a batch and an event, found {batch}, {event}")
    levels = math.log2(1_000_000_000 / 1_000_000)
    a_level = (value["gas.anchor_1g_3sig"] - value["gas.anchor_1m_3sig"]) / levels
    return UnitCosts(
        batch_seconds=batch,
        event_seconds=event,
        commit_seconds=value["ingest.batch_p50_ms"] / 1_000,
        audit_seconds=1 / value["audit.events_per_second"],
        attestor_seconds=1 / value["audit.reference_events_per_second"],
        anchor_gas=value["gas.anchor_1m_3sig"] - a_level * math.log2(1_000_000),
        anchor_gas_a_level=a_level,
        settle_gas=round(value["gas.settle"]),
        claim_gas=round(value["gas.claim_many_line_repeat"]),
        id_bytes=value.get(IDS, ROW_BYTES / FILL),
    )


def recorded(path: Path = RECORDED) -> Table:
    """The figures as they were recorded."""
    raw = json.loads(path.read_text())
    return {name: Measured(**each) for name, each in raw.items()}


def _whole(table: Table) -> Table:
    missing = [name for name in WANTED if name not in table]
    if missing:
        raise ValueError(f"expected measured figures {missing}; make bench and make contracts")
    return table


def newest(root: Path = ROOT, fallback: Table | None = None) -> Table:
    """Figures of the reports under ``root`` where there are any, else the recorded ones.

    Raises:
        ValueError: one that is needed is in neither.
    """
    table = dict(recorded() if fallback is None else fallback)
    for place in REPORTS:
        path = root / place
        if not path.exists():
            continue
        report = json.loads(path.read_text())
        source = _source(place, report, date.fromtimestamp(path.stat().st_mtime))
        for name in (*WANTED, IDS):
            if name in report["figures"]:
                figure = report["figures"][name]
                table[name] = Measured(figure["value"], figure["unit"], source)
    return _whole(table)


def record(table: Table, path: Path = RECORDED) -> None:
    """Keep the figures for the next time that there is no report."""
    raw = {
        name: {"value": each.value, "unit": each.unit, "source": each.source}
        for name, each in sorted(table.items())
    }
    path.write_text(json.dumps(raw, indent=2) + "\n")


def _source(place: str, report: Mapping[str, Any], day: date) -> str:
    command = f"make {Path(place).parent.name}"
    if command == "make contracts":
        return f"{command}, commit {report['commit'][:12]}"
    machine = report["machine"]
    gib = round(machine.get("memory_bytes", 0) / 2**30)
    hardware = (
        f"{machine['cpus']} cores of {machine.get('cpu', machine['architecture'])}, {gib} GiB, "
        f"{machine.get('disk', 'unknown')} disk, {machine.get('filesystem', 'unknown')}"
    )
    busy = any(note.startswith(NOT_QUIET) for note in report.get("notes", ()))
    return f"{command}, {day.isoformat()}, {hardware}{', not quiet' if busy else ''}"
