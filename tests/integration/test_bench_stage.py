"""The bench's servers and load as processes, small: nothing is lost and nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from scripts.bench.closed_loop import closed_loop
from scripts.bench.stage import Stage


def test_stage__server_that_answers__loaded_and_gone(tmp_path: Path) -> None:
    """A real server and a real load, small: every request is answered once."""
    stage = Stage(tmp_path)
    before = os.sched_getaffinity(0)
    request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    with stage.server("scripts.bench.raw_http") as port:
        rate = closed_loop(port, [iter([request] * 5) for _ in range(3)])
    assert rate.requests == len(rate.latencies_ms) == 15
    assert os.sched_getaffinity(0) == before
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match=r"."):
        closed_loop(port, [iter([request])])


def test_stage__program_without_a_port__says_what_it_printed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    with (
        pytest.raises(RuntimeError, match="expected a port"),
        stage.server("scripts.bench.sheet"),
    ):
        pass
