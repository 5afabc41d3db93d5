"""Deriving leaves no memory behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MIB = 2**20

# In a process of its own: what other tests have left in the pool would hide what this one leaves.
_PROGRAM = """
import sys
from pathlib import Path

from adtally.analytics.dataset import Dataset
from adtally.analytics.derive import Deriver
from adtally.events.batch import Envelope
from adtally.events.record import AdEvent, EventType
from adtally.events.verdict import Verdict
from adtally.types import Rates

BATCH, BATCHES = 9_999, 40


class Log:
    def __init__(self):
        event = AdEvent(EventType.IMPRESSION, 1, 1, 1, 1, id=bytes(16), occurred_at_ms=0)
        envelope = Envelope(1, 1, BATCH, 1, bytes(20), bytes(65)).to_entry()
        accepted = event.with_verdict(Verdict.ACCEPTED).to_record()
        self.batch = [envelope, *[accepted] * BATCH]
        self.size = 0

    def entries(self, start, end):
        whole = self.batch * (end // len(self.batch) + 1)
        return whole[start:end]


def anonymous_bytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssAnon:")[1].split()[0]) * 1024


log = Log()
deriver = Deriver(log, Dataset(Path(sys.argv[1]), "origin"), lambda campaign, publisher: Rates())
log.size = len(log.batch)
deriver.catch_up()
before = anonymous_bytes()
for _ in range(BATCHES):
    log.size += len(log.batch)
    assert deriver.catch_up() == log.size
print(anonymous_bytes() - before)
"""


def test_catch_up__again_and_again__memory_does_not_follow_the_parts(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(finished.stdout) < 90 * MIB
