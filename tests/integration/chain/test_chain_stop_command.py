"""``adtally up --stop-local-chain`` ends what ``adtally up --local-chain`` leaves running."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from adtally.chain.finality import read_marker
from adtally.chain.local_node import start_persistent, stop_persistent
from adtally.chain.local_process import answers, free_port
from adtally.cli import app
from support.chain_site import PROJECT_ROOT

pytestmark = pytest.mark.chain


def test_stop_local_chain__one_runs__ends_it_and_keeps_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT / "backend"))
    monkeypatch.setenv("ADTALLY_DATA_DIR", str(tmp_path))
    state = tmp_path / "chain"
    url = start_persistent(PROJECT_ROOT, state, free_port())
    try:
        assert answers(url)
        done = CliRunner().invoke(app, ["up", "--stop-local-chain"])
        assert done.exit_code == 0, done.output
        assert "has ended" in done.output
        assert not answers(url)
        assert read_marker(state / "marker.json") is not None
    finally:
        stop_persistent(state)
