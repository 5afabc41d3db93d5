"""`adtally demo` as a person runs it: twice in a row, the machine's own Node out of sight."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORT_KEYS = {
    "machine",
    "commit",
    "figures",
    "events_sent",
    "verdicts",
    "log",
    "anchors",
    "statements",
    "claims",
    "funded_base_units",
    "paid_base_units",
    "cuts_base_units",
    "refunded_base_units",
    "escrow_balance_base_units",
    "audit",
    "seconds",
}
EXPECTED_VERDICTS = {
    "accepted",
    "duplicate",
    "conflict",
    "too_old",
    "in_the_future",
    "unknown_campaign",
    "no_order",
    "placement_not_allowed",
    "known_bot",
    "unknown_parent",
    "parent_already_used",
    "budget_exhausted",
    "order_cap_reached",
}

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.chain]


def run_demo(directory: Path) -> dict[str, Any]:
    """Only the virtual environment's programs and the system's plain tools are on the PATH."""
    adtally = Path(sys.executable).with_name("adtally")
    tools = directory.parent / "tools"
    tools.mkdir(exist_ok=True)
    for name in ("git", "sh"):
        link = tools / name
        if not link.exists():
            link.symlink_to(Path("/usr/bin") / name)
    finished = subprocess.run(
        [adtally, "demo", "--directory", directory, "--scale", "40"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{adtally.parent}:{tools}"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    assert "audit: everything agrees" in finished.stdout
    report: dict[str, Any] = json.loads((directory / "report.json").read_text())
    return report


def test_demo__twice_in_a_row__all_money_accounted_for(tmp_path: Path) -> None:
    reports = [run_demo(tmp_path / "demo") for _ in range(2)]
    for report in reports:
        assert set(report) >= REPORT_KEYS
        out = ("paid", "cuts", "refunded", "escrow_balance")
        assert report["funded_base_units"] == sum(report[f"{name}_base_units"] for name in out)
        assert report["escrow_balance_base_units"] == 0
        assert report["paid_base_units"] == sum(claim["amount"] for claim in report["claims"])
        assert report["audit"]["ok"] is True
        assert set(report["verdicts"]) >= EXPECTED_VERDICTS
        assert sum(report["verdicts"].values()) == report["events_sent"]
        assert len(report["statements"]) > 3
        assert report["log"]["tree_size"] == report["anchors"][-1]["tree_size"]
    first, second = reports
    for key in ("verdicts", "paid_base_units", "cuts_base_units", "refunded_base_units"):
        assert first[key] == second[key], key
