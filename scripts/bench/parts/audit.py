"""What checking costs: a whole audit over HTTP, and the replay of a log already downloaded."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

from scripts.chainless.facts import ESCROW_DOMAIN, IDENTITY

from adtally.client.batch_body import Encoding
from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import Hashing, checked
from adtally.columns.machine import ColumnMachine
from adtally.kernel.sha256 import leaf_hashes, node_hashes
from adtally.log.bundle import decode_bundle, encode_bundle
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine

from ..audited import audit_over_http
from ..load import Traffic, send
from ..mixed_log import mixed_entries
from ..sheet import Sheet
from ..stage import Stage

_EVENTS = 1_000_000
_SMALL_BATCH_EVENTS = 250_000
_REFERENCE_EVENTS = 40_000
_BUNDLE_ENTRIES = 65_536
_SERVED_BATCHES = 640
_EVENTS_A_BATCH = 1_000
_LANES = checked(Hashing(leaf_hashes, node_hashes))


def measure(stage: Stage) -> Sheet:
    """Events a second, one core: bundles parsed, signatures, verdicts, prices, tree."""
    sheet = Sheet()
    with stage.folder() as folder:
        for name, events, size in (
            ("audit.cached", _EVENTS, 1_000),
            ("audit.cached_50", _SMALL_BATCH_EVENTS, 50),
        ):
            files = _write(folder / name, events, size)
            with stage.pinned(stage.server_core):
                rate = max(events / _replay(files) for _ in range(2))
            how = (
                f"{events:,} events in batches of {size:,}: bundles on disk to verdict and root, "
                "by columns; better of two"
            )
            sheet.put(f"{name}_events_per_second", rate, how)
        files = _write(folder / "reference", _REFERENCE_EVENTS, 1_000)
        with stage.pinned(stage.server_core):
            rate = _REFERENCE_EVENTS / _replay_plainly(files)
        how = f"{_REFERENCE_EVENTS:,} events replayed by the reference rules, plain Python"
        sheet.put("audit.reference_events_per_second", rate, how)
    _over_http(stage, sheet)
    return sheet


def _over_http(stage: Stage, sheet: Sheet) -> None:
    """The command's whole way: download from a running server, verdict, report, state."""
    requests = Traffic().requests(Encoding.BINARY, _SERVED_BATCHES, _EVENTS_A_BATCH)
    events = sum(map(len, requests)) * _EVENTS_A_BATCH
    seconds: list[float] = []
    with stage.server("scripts.bench.server", "kernel") as port:
        asyncio.run(send(port, requests, _EVENTS_A_BATCH))
        for run in range(2):
            folder = stage.build / f"audited-{run}"
            try:
                report, took = audit_over_http(port, folder)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            if not report.ok or report.figures.records != events:
                raise RuntimeError(f"expected {events} events that agree, found {report}")
            seconds.append(took)
    how = (
        f"adtally audit of {events:,} events in batches of {_EVENTS_A_BATCH:,} over HTTP from a "
        "service on another core: from the first request to the verdict, downloads and state "
        "kept; better of two"
    )
    sheet.put("audit.events_per_second", events / min(seconds), how)


def _replay(files: list[Path]) -> float:
    """Seconds from the first file to the root of all."""
    started = time.perf_counter()
    tree = MerkleTree(_LANES.parents)
    machine = ColumnMachine(IDENTITY, ESCROW_DOMAIN, leaves=tree, hashing=_LANES)
    for file in files:
        entries = EntryColumns.of_bundle(file.read_bytes())
        tree.append_packed(entries.leaf_hashes(_LANES).tobytes())
        machine.take(entries)
    machine.require_complete()
    tree.root()
    return time.perf_counter() - started


def _replay_plainly(files: list[Path]) -> float:
    started = time.perf_counter()
    tree = MerkleTree()
    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, leaves=tree)
    for file in files:
        entries = decode_bundle(file.read_bytes())
        tree.append([leaf_hash(entry) for entry in entries])
        for entry in entries:
            machine.apply(entry)
    machine.require_complete()
    tree.root()
    return time.perf_counter() - started


def _write(folder: Path, events: int, batch_size: int) -> list[Path]:
    """The log as bundles in files, as they are downloaded."""
    folder.mkdir()
    files: list[Path] = []
    waiting: list[bytes] = []
    for entries in mixed_entries(events, batch_size):
        waiting += entries
        while len(waiting) >= _BUNDLE_ENTRIES:
            files.append(_bundle(folder, len(files), waiting[:_BUNDLE_ENTRIES]))
            del waiting[:_BUNDLE_ENTRIES]
    files.append(_bundle(folder, len(files), waiting))
    return files


def _bundle(folder: Path, number: int, entries: list[bytes]) -> Path:
    path = folder / str(number)
    path.write_bytes(encode_bundle(entries))
    return path
