"""The deployment file and the finality policy in it."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adtally.chain.deployment import DeployedContract, DeployedToken, Deployment
from adtally.chain.finality import DumpMarker, Finality, FinalityKind, read_marker
from adtally.errors import InvalidInput, NotFound

DEPLOYMENT = Deployment(
    chain_id=31337,
    genesis_hash=b"\x01" * 32,
    block_number=4,
    access_manager=DeployedContract(b"\x0a" * 20, b"\x02" * 32),
    membership=DeployedContract(b"\x0b" * 20, b"\x03" * 32),
    event_log=DeployedContract(b"\x0c" * 20, b"\x04" * 32),
    campaign_escrow=DeployedContract(b"\x0d" * 20, b"\x05" * 32),
    operator_member=1,
    attestor_set=1,
    threshold=2,
    attestors=(b"\x11" * 20, b"\x12" * 20, b"\x13" * 20),
    receipt_signer=b"\x14" * 20,
    finality=Finality(FinalityKind.CONFIRMATIONS, 12),
    tokens={"USDX": DeployedToken(b"\x15" * 20, 6)},
)


def test_deployment__saved_and_loaded__is_equal(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deployment.json"
    DEPLOYMENT.save(path)
    assert Deployment.load(path) == DEPLOYMENT
    assert [file.name for file in path.parent.iterdir()] == ["deployment.json"]


def test_deployment__json__has_the_documented_fields() -> None:
    value = DEPLOYMENT.to_json()
    assert value["log_origin"] == "adtally/31337/0x" + "0c" * 20
    assert value["finality"] == {"kind": "confirmations", "confirmations": 12, "marker": None}
    assert set(value["contracts"]) == {
        "access_manager",
        "membership",
        "event_log",
        "campaign_escrow",
    }


def test_deployment__with_a_bond__names_it_among_the_contracts(tmp_path: Path) -> None:
    bonded = replace(DEPLOYMENT, operator_bond=DeployedContract(b"\x0e" * 20, b"\x06" * 32))
    bonded.save(tmp_path / "deployment.json")
    assert Deployment.load(tmp_path / "deployment.json") == bonded
    assert bonded.to_json()["contracts"]["operator_bond"] == {
        "address": "0x0E0e0e0E0e0E0E0e0E0e0e0E0e0e0e0e0e0e0e0E",
        "code_hash": "0x" + "06" * 32,
    }


def _without(path: str) -> dict[str, Any]:
    value = copy.deepcopy(DEPLOYMENT.to_json())
    *parents, last = path.split(".")
    inner: Any = value
    for parent in parents:
        inner = inner[parent]
    del inner[last]
    return value


@pytest.mark.parametrize(
    "path",
    [
        *DEPLOYMENT.to_json(),
        "contracts.event_log",
        "contracts.membership.code_hash",
        "finality.kind",
    ],
)
def test_deployment__field_missing__is_invalid_input(path: str) -> None:
    with pytest.raises(InvalidInput):
        Deployment.from_json(_without(path))


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"chain_id": "31337"},
        {"chain_id": True},
        {"block_number": -1},
        {"genesis_hash": "0x12"},
        {"receipt_signer": "0x" + "zz" * 20},
        {"attestors": None},
        {"tokens": []},
        {"log_origin": "adtally/1/0x00"},
        {"finality": {"kind": "soon"}},
        {"finality": {"kind": "dumped", "marker": None}},
        {"finality": {"kind": "instant", "marker": "x"}},
        {"finality": {"kind": "confirmations", "confirmations": -1}},
        {"finality": []},
    ],
)
def test_deployment__field_malformed__is_invalid_input(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Deployment.from_json(DEPLOYMENT.to_json() | change)


@pytest.mark.parametrize("value", [None, [], "x", 5, {}])
def test_deployment__other_json__is_invalid_input(value: object) -> None:
    with pytest.raises(InvalidInput):
        Deployment.from_json(value)


def test_deployment__no_file_or_no_json__says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="adtally deploy"):
        Deployment.load(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text('{"version": 1')
    with pytest.raises(InvalidInput):
        Deployment.load(tmp_path / "broken.json")


def test_finality__relative_marker__belongs_beside_the_deployment_file(tmp_path: Path) -> None:
    policy = Finality(FinalityKind.DUMPED, marker=Path("chain/marker.json"))
    value = json.loads(json.dumps(policy.to_json()))
    assert Finality.from_json(value, tmp_path).marker == tmp_path / "chain" / "marker.json"


def test_marker__round_trip_missing_and_malformed(tmp_path: Path) -> None:
    path = tmp_path / "marker.json"
    assert read_marker(path) is None
    marker = DumpMarker(7, b"\x07" * 32)
    path.write_text(marker.to_text())
    assert read_marker(path) == marker
    for text in ("", "[]", '{"block": 1}', '{"block": "x", "hash": "0x"}', '{"block":1,"hash":5}'):
        path.write_text(text)
        with pytest.raises(InvalidInput):
            read_marker(path)
