"""Runs the Forge suite (unit, fuzz, invariants, gas ceilings) in its short profile."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

from adtally.chain.compile import compile_contracts
from adtally.chain.node_tools import node_binary, node_modules

ROOT = Path(__file__).resolve().parents[2]


def forge_binary() -> Path:
    """The native forge of this platform, as npm brought it."""
    machine = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
    system = platform.system().lower().replace("windows", "win32")
    name = f"forge-{system}-{machine[platform.machine().lower()]}"
    return node_modules(ROOT) / "@foundry-rs" / name / "bin" / "forge"


@pytest.mark.slow
def test_forge__short_profile__passes() -> None:
    environment = os.environ | {
        "ADTALLY_NODE": node_binary(),
        "FOUNDRY_LINT_LINT_ON_BUILD": "false",
        "FOUNDRY_DISABLE_NIGHTLY_WARNING": "true",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [forge_binary(), "test", "--root", ROOT],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-4000:]}"
    assert " 0 failed" in done.stdout
    assert_deployed_code_is_what_was_tested()


def assert_deployed_code_is_what_was_tested() -> None:
    """What adtally deploys is byte for byte what Forge has just tested and measured."""
    deployed = compile_contracts(ROOT)
    for name in ("CampaignEscrow", "EventLog", "Membership", "OperatorBond", "TermsPolicy"):
        artifact = json.loads((ROOT / f"build/forge/out/{name}.sol/{name}.json").read_text())
        tested = artifact["bytecode"]["object"].removeprefix("0x")
        assert tested == deployed[name].bytecode.hex(), f"{name} is compiled differently"
