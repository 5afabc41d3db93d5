"""Accounts, quorums, signing and finding the tools, without a chain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from eth_account import Account

from adtally.chain.accounts import local_account, require_local_chain
from adtally.chain.compile import compile_contracts
from adtally.chain.contracts.campaign_escrow import ClaimBatch, ClaimLine, claim_many_gas
from adtally.chain.contracts.quorum import make_quorum
from adtally.chain.fees import Fees
from adtally.chain.files import write_atomically
from adtally.chain.local_node import pause_seconds
from adtally.chain.node_tools import anvil_binary, find_project_root, node_binary, node_modules
from adtally.chain.signer import MAX_GAS, Signer
from adtally.errors import InvalidInput, NotAllowed, NotFound
from adtally.types import Counts


def test_local_account__first_ones__are_hardhats() -> None:
    assert local_account(0).address.hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    assert local_account(1).address.hex() == "70997970c51812dc3a010c7d01b50e0d17dc79c8"
    assert local_account(19).address.hex() == "8626f6940e2eb28930efb4cef49b2d1f2c9c1199"


def test_require_local_chain__public_chain__is_not_allowed() -> None:
    require_local_chain(31337)
    with pytest.raises(NotAllowed):
        require_local_chain(1)


def test_make_quorum__more_signatures_than_needed__takes_the_first_in_order() -> None:
    members = [bytes([n]) * 20 for n in (3, 1, 2)]
    signatures = {member: bytes([member[0]]) * 65 for member in members}
    quorum = make_quorum(2, members, signatures | {b"\x09" * 20: b"\x09" * 65})
    assert quorum.attestors == tuple(sorted(members))
    assert quorum.signatures == (b"\x01" * 65, b"\x02" * 65)


def test_make_quorum__too_few_of_the_set__is_invalid_input() -> None:
    members = [bytes([n]) * 20 for n in (1, 2, 3)]
    with pytest.raises(InvalidInput):
        make_quorum(2, members, {members[0]: b"", b"\x09" * 20: b""})


@pytest.mark.parametrize("legacy", [True, False])
def test_signer__same_input__gives_the_same_bytes_that_recover(legacy: bool) -> None:
    account = local_account(0)
    signer = Signer(account.private_key)

    def sign() -> bytes:
        return signer.sign(
            chain_id=31337,
            nonce=4,
            to=b"\x01" * 20,
            data=b"\x02",
            gas=30_000,
            fees=Fees(5, 9),
            legacy=legacy,
        ).raw

    assert sign() == sign()
    assert Account.recover_transaction(sign()).lower() == "0x" + account.address.hex()


def test_claim_many_gas__fifty_lines_among_ten_thousand__fit_one_transaction() -> None:
    line = ClaimLine(1, Counts(), (bytes(32),) * 14)
    assert claim_many_gas(ClaimBatch(1, bytes(32), (), (line,) * 50)) < MAX_GAS


def test_write_atomically__existing_file__is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert len(list(path.parent.iterdir())) == 1


def test_compile__no_sources__says_that_a_checkout_is_needed(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="checkout"):
        compile_contracts(tmp_path)


def test_node_tools__nothing_installed__say_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotFound, match="npm ci") as caught:
        node_modules(tmp_path)
    (target,) = re.findall(r"make (\w+)", caught.value.action or "")
    assert f"\n{target}: " in (find_project_root() / "Makefile").read_text()
    (tmp_path / "hardhat-local" / "node_modules").mkdir(parents=True)
    with pytest.raises(NotFound, match="npm ci"):
        anvil_binary(tmp_path)
    monkeypatch.setenv("ADTALLY_NODE", "/some/node")
    assert node_binary() == "/some/node"


def test_find_project_root__from_anywhere_in_the_checkout__is_found(tmp_path: Path) -> None:
    root = find_project_root(Path(__file__).parent)
    assert (root / "contracts" / "CampaignEscrow.sol").is_file()
    # Elsewhere the package's own checkout is the last resort.
    assert find_project_root(tmp_path) == root


@pytest.mark.parametrize(
    ("dump_seconds", "expected"), [(0.0, 0.1), (0.5, 2.0), (7.0, 28.0), (150.0, 30.0)]
)
def test_pause_seconds__dumps_take_a_fifth_of_the_time__but_a_suspended_machine_waits_little(
    dump_seconds: float, expected: float
) -> None:
    assert pause_seconds(dump_seconds) == expected
