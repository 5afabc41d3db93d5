"""Compiled contracts in an in-process EVM (pyrevm), for the differential tests."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import solcx
from eth_abi import decode, encode
from eth_utils import function_signature_to_4byte_selector
from pyrevm import EVM

from adtally.chain.compile import SETTINGS, compile_contracts
from adtally.chain.node_tools import node_binary, node_modules

ROOT = Path(__file__).resolve().parents[2]
DEPLOYER = "0x" + "d0" * 20
HARNESS = "tests/support/Rfc9162Harness.sol"
CHAIN_ID = 1
"""What pyrevm answers to CHAINID."""


def new_evm() -> EVM:
    """The EVM version that the contracts are compiled for."""
    return EVM(spec_id="LONDON")


def deploy(evm: EVM, code: bytes, types: tuple[str, ...] = (), *arguments: object) -> str:
    """The new contract's address as pyrevm writes it."""
    address: str = evm.deploy(DEPLOYER, code + encode(types, arguments))
    return address


def call(
    evm: EVM,
    to: str,
    signature: str,
    arguments: tuple[object, ...] = (),
    returns: tuple[str, ...] = (),
    sender: str = DEPLOYER,
) -> tuple[object, ...]:
    """Call ``signature`` such as ``f((uint64,bytes32),address)``; a revert raises RuntimeError."""
    data = function_signature_to_4byte_selector(signature)
    data += encode(_argument_types(signature), arguments)
    return decode(returns, bytes(evm.message_call(sender, to, calldata=data)))


def bytecode(name: str) -> bytes:
    """Creation code of one of our contracts."""
    return compile_contracts(ROOT)[name].bytecode


@lru_cache
def harness_bytecode() -> bytes:
    """Creation code of the Merkle verifier's test harness."""
    sources = {
        "adtally/libraries/Rfc9162.sol": ROOT / "contracts" / "libraries" / "Rfc9162.sol",
        HARNESS: ROOT / "tests" / "contracts" / "support" / "Rfc9162Harness.sol",
    }
    os.environ.setdefault("ADTALLY_NODE", node_binary())
    output = solcx.compile_standard(
        {
            "language": "Solidity",
            "sources": {name: {"content": path.read_text()} for name, path in sources.items()},
            "settings": SETTINGS,
        },
        solc_binary=ROOT / "hardhat-local" / "solc",
        base_path=str(node_modules(ROOT)),
    )
    code = output["contracts"][HARNESS]["Rfc9162Harness"]["evm"]["bytecode"]["object"]
    return bytes.fromhex(code)


def _argument_types(signature: str) -> list[str]:
    """Split the argument list of a signature at its outermost commas."""
    inside = signature[signature.index("(") + 1 : -1]
    types, depth, current = [], 0, ""
    for letter in inside:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            types.append(current)
            current = ""
        else:
            current += letter
    return [*types, current] if current else types
