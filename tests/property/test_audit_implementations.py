"""Both implementations of the audit's replay find the same, wherever it has to stop."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adtally.audit.audit import CHECKS
from adtally.audit.chain_events import StatementSubmitted
from adtally.audit.log_tree import LogTree
from adtally.audit.replay import Implementation, Replay
from adtally.audit.report import Findings
from adtally.columns.entries import EntryColumns
from adtally.columns.hashing import PLAIN_HASHING
from adtally.events.record import RECORD_SIZE, VERDICT_OFFSET
from adtally.settlement.engine import PlainEngine
from adtally.types import Counts, Statement
from support.random_traffic import OTHER_CAMPAIGN, Twins, step, worlds
from support.world import CAMPAIGN, ESCROW_DOMAIN, IDENTITY, World


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(world=worlds, seed=st.integers(0, 2**32))
def test_replay__either_implementation__finds_the_same(world: World, seed: int) -> None:
    twins = Twins(world, random := Random(seed), PlainEngine)
    for _ in range(random.randrange(5, 30)):
        step(twins)
    entries = twins.entries
    if random.random() < 0.5:
        entries = _with_a_lie(entries, random)
    sizes = [random.randrange(len(entries) + 1) for _ in range(6)]
    submitted = [_submitted(size, at, random) for at, size in enumerate(sizes, 1)]
    pieces = [random.choice((1, 7, 100)) for _ in entries]
    reference, columns = (
        _found(each, entries, submitted, sizes[:3], pieces) for each in ("reference", "columns")
    )
    assert reference == columns


def _with_a_lie(entries: list[bytes], random: Random) -> list[bytes]:
    at = random.randrange(len(entries))
    changed = bytearray(entries[at])
    place = VERDICT_OFFSET if len(changed) == RECORD_SIZE else random.randrange(len(changed))
    changed[place] ^= 1 << random.randrange(8)
    return [*entries[:at], bytes(changed), *entries[at + 1 :]]


def _submitted(size: int, sequence: int, random: Random) -> StatementSubmitted:
    campaign = random.choice((CAMPAIGN, OTHER_CAMPAIGN))
    statement = Statement(
        campaign, sequence, size, 0, Counts(), 0, bytes(32), random.random() < 0.3
    )
    return StatementSubmitted(statement, 0)


def _found(
    implementation: Implementation,
    entries: list[bytes],
    submitted: list[StatementSubmitted],
    anchored: list[int],
    pieces: list[int],
) -> Any:
    findings = Findings(CHECKS)
    tree = LogTree()
    replay = Replay(
        IDENTITY, ESCROW_DOMAIN, submitted, anchored, findings, tree,
        implementation=implementation,
    )  # fmt: skip
    at = 0
    for size in pieces:
        part = EntryColumns.of(entries[at : at + size])
        tree.append_packed(part.leaf_hashes(PLAIN_HASHING).tobytes())
        replay.feed(part)
        at += size
    replay.finish()
    machine = replay.machine
    return (
        replay.recomputed, replay.verdict_counts(), replay.corrections, replay.is_broken,
        machine.size, tree.root(), findings.report(),
    )  # fmt: skip
