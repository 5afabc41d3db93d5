"""A real process, a real disk, a real kill -9."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import adtally
from adtally.log.store import LogStore

ROUNDS = 12
SEGMENT = 65_536

WRITER = """
import random, sys
from pathlib import Path
from adtally.log.store import LogStore

store = LogStore.open(Path(sys.argv[1]), segment_bytes=int(sys.argv[2]))
while True:
    first = store.size
    content = random.Random(first)
    store.append([content.randbytes(112) for _ in range(1 + first % 40)])
    sys.stdout.write(f"{first} {store.size}\\n")
    sys.stdout.flush()
"""


def expected_batch(first: int) -> list[bytes]:
    content = random.Random(first)
    return [content.randbytes(112) for _ in range(1 + first % 40)]


def test_store__killed_while_writing__keeps_every_acknowledged_append(tmp_path: Path) -> None:
    delays = random.Random(5)
    environment = {**os.environ, "PYTHONPATH": str(Path(adtally.__file__).parents[1])}
    size = 0
    for number in range(ROUNDS):
        answers = tmp_path / f"answers-{number}"
        with answers.open("wb") as output:
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path / "log"), str(SEGMENT)],
                stdout=output,
                env=environment,
            )
            deadline = time.monotonic() + 30
            while answers.stat().st_size == 0 and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(delays.random() * 0.05)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
        lines = [line.split() for line in answers.read_text().splitlines(keepends=True)]
        ends = [int(line[1]) for line in lines if len(line) == 2]
        with LogStore.open(tmp_path / "log", segment_bytes=SEGMENT) as store:
            assert store.size >= max(ends, default=0)
            assert store.size >= size
            size = store.size
            for frame in store.frames():
                assert frame.entries == expected_batch(frame.first_index)
    assert size > ROUNDS
