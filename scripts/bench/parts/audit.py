"""What checking costs: an auditor or attestor replays entries through the reference rules."""

from __future__ import annotations

import time

from scripts.chainless.facts import ESCROW_DOMAIN, IDENTITY, NOON_MS
from scripts.chainless.world import PUBLISHERS, world_facts

from adtally.kernel.engine import KernelEngine
from adtally.log.merkle import MerkleTree
from adtally.rfc9162 import leaf_hash
from adtally.settlement.machine import LogMachine, batch_entries

from ..load import Traffic
from ..sheet import Sheet
from ..stage import Stage

_BATCHES = 40
_EVENTS = 1_000


def measure(stage: Stage) -> Sheet:
    """Events a second: signatures, verdicts, prices and leaf hashes derived again, one core."""
    sheet = Sheet()
    entries = _entries()
    machine = _with_facts(LogMachine(IDENTITY, ESCROW_DOMAIN))
    tree = MerkleTree()
    with stage.pinned(stage.server_core):
        started = time.perf_counter()
        for entry in entries:
            machine.apply(entry)
        tree.append([leaf_hash(entry) for entry in entries])
        tree.root(tree.size)
        seconds = time.perf_counter() - started
    machine.require_complete()
    how = f"{_BATCHES} batches of {_EVENTS:,} replayed by the reference rules, plain Python"
    sheet.put("audit.events_per_second", _BATCHES * _EVENTS / seconds, how)
    return sheet


def _entries() -> list[bytes]:
    """A log's entries with the verdicts that intake gives."""
    machine = _with_facts(LogMachine(IDENTITY, ESCROW_DOMAIN, engine=KernelEngine))
    traffic = Traffic()
    made = []
    for number in range(_BATCHES):
        publisher = PUBLISHERS[number % len(PUBLISHERS)]
        (batch,) = traffic.batches(publisher, 1, _EVENTS)
        made += batch_entries(batch, NOON_MS, machine.judge_batch(batch, NOON_MS))
    return made


def _with_facts(machine: LogMachine) -> LogMachine:
    for facts in world_facts():
        machine.apply_facts(facts)
    return machine
