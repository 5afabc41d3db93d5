"""Errors of different nodes, word for word as they were seen."""

from __future__ import annotations

import pytest
from eth_abi import encode

from adtally.chain.abi import ContractError
from adtally.chain.reverts import CUSTOM_ERRORS, as_revert, describe_revert, revert_data
from adtally.chain.rpc import RpcError

NOT_OPEN = ContractError("RefundNotOpen(uint64 now_,uint64 opensAt)").selector + encode(
    ["uint64", "uint64"], [5, 9]
)
HEX = "0x" + NOT_OPEN.hex()


@pytest.mark.parametrize(
    ("code", "message", "data"),
    [
        (3, "execution reverted: custom error", HEX),  # geth, anvil
        (3, "VM Exception while processing transaction: reverted with ...", HEX),  # hardhat 3
        (-32603, "Error: VM Exception while processing transaction", {"data": HEX}),  # hardhat 2
        (-32000, "Execution reverted", HEX),  # Besu
        (-32015, "VM execution error.: reverted", f"Reverted {HEX}"),  # OpenEthereum's heirs
    ],
)
def test_as_revert__every_node__names_the_error(code: int, message: str, data: object) -> None:
    revert = as_revert(RpcError("eth_call", code, message, data), "the call")
    assert revert is not None
    assert revert.reason == "RefundNotOpen(now_=5, opensAt=9)"


@pytest.mark.parametrize(
    ("code", "message"),
    [(-32000, "out of gas"), (-32000, "gas required exceeds allowance (16000000)"), (3, "")],
)
def test_as_revert__execution_failed_without_data__is_a_revert(code: int, message: str) -> None:
    revert = as_revert(RpcError("eth_call", code, message, None), "the call")
    assert revert is not None
    assert revert.reason == (message or "no reason given")


@pytest.mark.parametrize(
    ("code", "message", "data"),
    [
        (-32003, "nonce too low", None),
        (-32000, "Nonce too low. Expected nonce to be 2 but got 0.", {"message": "Nonce too low"}),
        (-32001, "Resource not found", None),
        (-32602, "BlockOutOfRangeError: block height is 0 but requested was 65535", None),
        (-32601, "the method does not exist", "0x1234"),
    ],
)
def test_revert_data__other_errors__are_no_reverts(code: int, message: str, data: object) -> None:
    assert revert_data(RpcError("eth_call", code, message, data)) is None


def test_describe_revert__solidity_errors_unknown_and_empty__are_shown() -> None:
    required = bytes.fromhex("08c379a0") + encode(["string"], ["no"])
    assert describe_revert(required) == "Error(message='no')"
    assert describe_revert(bytes.fromhex("4e487b71") + (17).to_bytes(32, "big")) == "Panic(code=17)"
    assert describe_revert(b"\x01\x02\x03\x04\x05") == "0x0102030405"
    assert describe_revert(b"") == "no reason given"


def test_custom_errors__selectors__are_distinct() -> None:
    assert len({error.selector for error in CUSTOM_ERRORS}) == len(CUSTOM_ERRORS)
