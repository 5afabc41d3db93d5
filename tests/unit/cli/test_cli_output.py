"""What commands show: wide enough in a pipe, and what somebody who deployed has to do next."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from eth_utils import to_checksum_address
from rich.console import Console
from typer.testing import CliRunner

from adtally.chain.deploy import BondTerms
from adtally.chain.deployment import DeployedContract, Deployment
from adtally.cli import app, result_console
from adtally.commands.deploy import parse_bond, show_deployment
from adtally.errors import InvalidInput
from adtally.events.signature import address_of
from adtally.intake.keys import OperatorKeys


@pytest.mark.parametrize(("columns", "width"), [("80", 110), ("200", 200)])
def test_result_console__not_a_terminal__has_room_for_the_tables(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert not result_console().is_terminal
    assert result_console().width == width


def test_show_deployment__names_the_account_that_needs_gas(tmp_path: Path) -> None:
    keys = OperatorKeys.load_or_create(tmp_path / "keys")
    contract = DeployedContract(bytes(20), bytes(32))
    deployment = Deployment(
        chain_id=31_337,
        genesis_hash=bytes(32),
        block_number=1,
        access_manager=contract,
        membership=contract,
        event_log=contract,
        campaign_escrow=contract,
        operator_member=1,
        attestor_set=1,
        threshold=1,
        attestors=(b"\x09" * 20,),
        receipt_signer=address_of(keys.receipt),
    )
    output = io.StringIO()
    show_deployment(deployment, tmp_path, Console(file=output, width=110))
    account = to_checksum_address(address_of(keys.transaction))
    assert any(
        "operator's account" in row and account in row for row in output.getvalue().split("\n")
    )
    assert "where gas costs, fund it" in output.getvalue()


def test_up__stop_local_chain_without_any__says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADTALLY_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(app, ["up", "--stop-local-chain"])
    assert done.exit_code == 0, done.output
    assert "no supervisor of a local chain" in done.output


def test_parse_bond__token_and_penalty__both_or_none() -> None:
    assert parse_bond(None, None) is None
    assert parse_bond("0x" + "11" * 20, 5) == BondTerms(b"\x11" * 20, 5)
    for token, penalty in (("0x" + "11" * 20, None), (None, 5), ("0x11", 5)):
        with pytest.raises(InvalidInput):
            parse_bond(token, penalty)
