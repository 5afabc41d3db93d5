"""How fast a service is back: the whole log replayed, and a start from a snapshot."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
from scripts.chainless.facts import CHAIN_ID, ESCROW_DOMAIN, IDENTITY, NOON_MS, RECEIPT_KEY

from adtally.events.batch import SignedBatch
from adtally.events.record import RECORD_SIZE
from adtally.intake.clock import VirtualClock
from adtally.intake.recovery import LogFolders, recovered_sequencer
from adtally.intake.sequencer import Sequencer
from adtally.kernel.engine import KernelEngine, prepare
from adtally.kernel.records import RecordArray
from adtally.settlement.machine import LogMachine

from ..load import impression
from ..sheet import Sheet
from ..stage import Stage
from ..world import PUBLISHERS, address_of, key_of, world_facts

_BATCHES = 2_000
_EVENTS = 1_000
_AT_ONCE = 8
_ID_TAIL = slice(26, 36)
_NO_SNAPSHOT = None
_AT_THE_END = 10**12


def measure(stage: Stage) -> Sheet:
    """Events a second from the disk to a machine that can go on, on one core."""
    sheet = Sheet()
    total = _BATCHES * _EVENTS
    with stage.folder() as folder, stage.pinned(stage.server_core):
        prepare()
        asyncio.run(_fill(folder))
        seconds, engine = asyncio.run(_start(folder, _NO_SNAPSHOT))
        how = f"{total:,} events in batches of {_EVENTS:,}, the whole log replayed"
        sheet.put("recovery.events_per_second", total / seconds, how)
        ids = engine.ids
        how = f"memory for {ids.events:,} ids that may be met again"
        sheet.put("dedupe.bytes_per_event", ids.bytes_used / ids.events, how, "bytes")
        asyncio.run(_start(folder, _AT_THE_END))
        seconds, _ = asyncio.run(_start(folder, _AT_THE_END))
        how = f"a start from a snapshot of {total:,} events that ends the log"
        sheet.put("recovery.snapshot_seconds", seconds, how, "s")
    return sheet


def _opened(folder: Path, every: int | None) -> tuple[Sequencer, KernelEngine]:
    engines: list[KernelEngine] = []

    def engine(facts: object) -> KernelEngine:
        engines.append(KernelEngine(facts))  # type: ignore[arg-type]
        return engines[-1]

    machine = LogMachine(IDENTITY, ESCROW_DOMAIN, verify_signatures=False, engine=engine)
    folders = LogFolders(folder / "log", folder / "tree", folder / "snapshots", every)
    clock = VirtualClock(folder / "clock", NOON_MS)
    return recovered_sequencer(folders, machine, clock, RECEIPT_KEY), engines[0]


async def _start(folder: Path, every: int | None) -> tuple[float, KernelEngine]:
    """Seconds until the log can be added to; a snapshot is left behind unless ``every`` is None."""
    started = time.perf_counter()
    sequencer, engine = _opened(folder, every)
    seconds = time.perf_counter() - started
    sequencer.start()
    await sequencer.stop()
    return seconds, engine


async def _fill(folder: Path) -> None:
    sequencer, _ = _opened(folder, _NO_SNAPSHOT)
    sequencer.start()
    await sequencer.enter_facts(lambda _: world_facts())
    publisher, random = PUBLISHERS[0], np.random.default_rng(1)
    pattern = np.frombuffer(impression(publisher), np.uint8)
    for first in range(1, _BATCHES + 1, _AT_ONCE):
        batches = [_batch(publisher, first + at, pattern, random) for at in range(_AT_ONCE)]
        await asyncio.gather(*map(sequencer.submit, batches))
    await sequencer.stop()


def _batch(
    publisher: int,
    sequence: int,
    pattern: np.ndarray[tuple[int], np.dtype[np.uint8]],
    random: np.random.Generator,
) -> SignedBatch:
    """Impressions with ids of their own; unsigned, for the operator's own log is not checked."""
    rows = np.tile(pattern, (_EVENTS, 1)).reshape(_EVENTS, RECORD_SIZE)
    rows[:, _ID_TAIL] = random.integers(0, 256, (_EVENTS, 10), dtype=np.uint8)
    signer = address_of(key_of(publisher))
    return SignedBatch(CHAIN_ID, publisher, sequence, signer, bytes(65), RecordArray(rows))
