"""A disk that forgets: after a power loss any subset of unsynced sectors may be there."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from adtally.log.store import LogStore
from support.forgetful_disk import DIRECTORY, ForgetfulDisk, PowerLoss


def run_until_loss(
    disk: ForgetfulDisk, acknowledged: list[bytes], counts: list[int], content: random.Random
) -> list[bytes]:
    """Append until the power goes; returns the append in flight."""
    in_flight: list[bytes] = []
    try:
        store = LogStore.open(DIRECTORY, files=disk, segment_bytes=4096)
        for count in counts:
            in_flight = [content.randbytes(content.choice([20, 109, 112])) for _ in range(count)]
            assert store.append(in_flight) == len(acknowledged)
            acknowledged += in_flight
            in_flight = []
    except PowerLoss:
        pass
    return in_flight


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    lives=st.lists(
        st.tuples(st.lists(st.integers(1, 30), max_size=12), st.integers(0, 40)),
        min_size=1,
        max_size=5,
    ),
)
def test_store__power_lost_at_any_moment__keeps_every_acknowledged_append(
    seed: int, lives: list[tuple[list[int], int]]
) -> None:
    chance = random.Random(seed)
    disk = ForgetfulDisk()
    acknowledged: list[bytes] = []
    for counts, operations in lives:
        disk.operations_left = operations
        in_flight = run_until_loss(disk, acknowledged, counts, chance)
        disk.restart(chance)
        store = LogStore.open(DIRECTORY, files=disk, segment_bytes=4096)
        found = store.entries(0, store.size)
        assert found in (acknowledged, acknowledged + in_flight)
        acknowledged = found
        store.close()
